"""Records: typed definitions of what is written to disk, to JSON and back.

A definition is a `msgspec.Struct` (see `Record`). What is read is checked against it: missing,
unknown and wrongly typed fields are named, with their place.
"""

import json
import math
from typing import Annotated, Any, TypeVar

import msgspec

from misure._util.quoted import quoted
from misure._util.short_repr import brief, short_repr
from misure.errors import InputError

T = TypeVar("T")
_WRITER = json.JSONEncoder(allow_nan=False)

Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
"""A number of things, or the place of one of them."""

Fraction = Annotated[float, msgspec.Meta(ge=-1e-6, le=1 + 1e-6)]
"""A number in [0, 1], or beside it by an error of rounding."""

Amount = Annotated[float, msgspec.Meta(ge=0)]
"""A number that is 0 or more."""


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The base of all definitions of what is written to disk.

    A definition repeats `frozen=True, kw_only=True`, for type checkers and for its own fields.
    """

    def __repr__(self) -> str:
        shown = ((name, getattr(self, name)) for name in self.__struct_fields__)
        return short_repr(self, *(f"{name}={brief(value)}" for name, value in shown))


def encode(value: Any) -> bytes:
    """A record, or plain values, as one line of JSON in UTF-8.

    Raises:
        TypeError: something in it is no plain value.
        ValueError: a number in it is NaN or infinite, which JSON does not know.
    """
    return _WRITER.encode(msgspec.to_builtins(value)).encode()


def decode(data: bytes | str, kind: type[T], what: str) -> T:
    """The record that JSON text holds.

    Args:
        data: JSON, in UTF-8.
        kind: its definition.
        what: what was expected and where it is from, as it reads after "expected", such as
            "the settings of a run in out/run.json".

    Raises:
        InputError: no JSON, or not of this definition.
    """
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as error:
        raise unusable(what, error) from error
    except (msgspec.DecodeError, RecursionError):
        pass  # a file name may hold bytes that are no text, whose escapes msgspec refuses
    try:
        is_own = isinstance(kind, type) and issubclass(kind, Record)
        values = read_json(data) if is_own else json.loads(data)
    except (ValueError, RecursionError) as error:
        raise unusable(what, error) from error
    return convert(values, kind, what)


def read_json(data: bytes | str) -> Any:
    """The plain values of JSON text, file names in which may hold bytes that are no text.

    Raises:
        ValueError: no JSON; NaN and numbers too large are none.
        RecursionError: its parts lie in each other too deeply.
    """
    return json.loads(data, parse_constant=_finite, parse_float=_finite)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is no number of JSON")
    return number


def convert(values: Any, kind: type[T], what: str) -> T:
    """The record that plain values (of TOML, or of options) hold; see `decode`."""
    try:
        return msgspec.convert(values, type=kind)
    except (msgspec.ValidationError, RecursionError, UnicodeEncodeError) as error:
        raise unusable(what, error) from error


def plain(value: Any) -> Any:
    """A record as plain values: dictionaries, lists, texts, numbers, None."""
    return msgspec.to_builtins(value)


def unusable(what: str, error: Exception) -> InputError:
    """The error that says what was expected and what is wrong with what came."""
    return InputError(f"expected {what}, but it cannot be used: {quoted(error).rstrip('.')}.")


def settings_difference(before: Any, now: Any) -> str:
    """What differs between two settings, as `name: before there, now now; ...`; empty if nothing.

    Args:
        before, now: records or mappings; compared as they are written to JSON.
    """
    old, new = (json.loads(encode(one)) for one in (before, now))
    return "; ".join(
        f"{key}: {old.get(key)!r} there, {new.get(key)!r} now"
        for key in dict.fromkeys([*old, *new])
        if old.get(key) != new.get(key)
    )
