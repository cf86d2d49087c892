"""Short texts of objects, as a notebook or a debugger shows them: one line, never all values."""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, cast

from misure.errors import printable

MOST = 240
"""Characters of such a text."""

_MOST_TEXT, _MOST_VALUE, _MOST_ITEMS = 40, 70, 4


class ShortRepr:
    """A base of dataclasses whose `repr` names their fields, and large values by their size.

    The dataclass says `repr=False`, or it would have one of its own.
    """

    def __repr__(self) -> str:
        known = fields(cast(Any, self))
        shown = ((one.name, getattr(self, one.name)) for one in known if one.repr)
        return short_repr(self, *(f"{name}={brief(value)}" for name, value in shown))


def short_repr(owner: object, *parts: str) -> str:
    """The name of an object's class with some texts in brackets, on one line of at most `MOST`.

    >>> short_repr([], "two", "of three")
    'list(two, of three)'
    """
    return one_line(f"{type(owner).__name__}({', '.join(filter(None, parts))}", MOST - 1) + ")"


def brief(value: Any) -> str:
    """A value on one line: texts are cut, of tensors and collections the size is named.

    >>> brief("horse"), brief([1.0] * 100), brief(0.123456789)
    ("'horse'", '[100 items]', '0.1235')
    """
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, str):
        return repr(one_line(value, _MOST_TEXT))
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
    if isinstance(value, Mapping):
        return _items(value, (f"{brief(key)}: {brief(one)}" for key, one in value.items()), "{}")
    if isinstance(value, (list, tuple)):
        return _items(value, map(brief, value), "[]" if isinstance(value, list) else "()")
    text = repr(value)
    return text if len(text) <= _MOST_VALUE and "\n" not in text else f"{type(value).__name__}(…)"


def _items(value: Any, texts: Iterable[str], brackets: str) -> str:
    if len(value) <= _MOST_ITEMS:
        text = ", ".join(texts)
        if len(text) <= _MOST_VALUE:
            return f"{brackets[0]}{text}{brackets[1]}"
    noun = "item" if len(value) == 1 else "items"
    return f"{brackets[0]}{len(value):,} {noun}{brackets[1]}"


def one_line(text: str, most: int) -> str:
    """A text on one line of at most some characters; nothing in it commands a terminal.

    >>> one_line("a long text", 7)
    'a long…'
    """
    line = printable(text)
    return line if len(line) <= most else f"{line[: most - 1]}…"
