"""What a request says, checked: bodies of a limited size, whole numbers, finite numbers."""

import json
import math
from typing import Any

from starlette.requests import Request

from misure.errors import InputError, MisureError

MOST_JSON = 1_000_000
MOST_MASK = 64_000_000


class TooLargeError(MisureError):
    """A body is larger than anything that is asked for."""


async def body_of(request: Request, most: int) -> bytes:
    """The body of a request, of `most` bytes at most; no more than that is read.

    Raises:
        TooLargeError: it is larger.
    """
    said = request.headers.get("content-length", "")
    if said.isdecimal() and int(said) > most:
        raise TooLargeError(f"expected at most {most:,} bytes, got {int(said):,}.")
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise TooLargeError(f"expected at most {most:,} bytes, got more.")
        parts.append(part)
    return b"".join(parts)


async def json_of(request: Request) -> dict[str, Any]:
    """The JSON object that is the body of a request, of finite numbers.

    Raises:
        InputError: it is none.
        TooLargeError: it has more than `MOST_JSON` bytes.
    """
    body = await body_of(request, MOST_JSON)
    try:
        value = json.loads(body or b"{}", parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise InputError(f"expected JSON of finite numbers, got something else: {error}") from error
    if not isinstance(value, dict):
        raise InputError("expected a JSON object.")
    return value


def _refuse(text: str) -> float:
    raise ValueError(f"{text} is no finite number")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse(text[:20])


def whole(value: Any, name: str, least: int = 0, most: int = 2**31 - 1) -> int:
    """A whole number of a JSON body.

    Raises:
        InputError: it is none, or out of range.
    """
    if type(value) is not int or not least <= value <= most:
        raise InputError(f"expected {name} as a whole number from {least} to {most}.")
    return value


def number(value: Any, name: str) -> float:
    """A finite number of a JSON body."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InputError(f"expected {name} as a number.")
    return float(value)


def whole_in(request: Request, name: str, default: int | None, most: int = 2**31 - 1) -> int | None:
    """A whole number, 0 or more, in the address of a request; `default` if it is not said.

    Raises:
        InputError: it is something else.
    """
    text = request.query_params.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdecimal()) or len(text) > 10 or int(text) > most:
        raise InputError(f"expected {name} as a whole number from 0 to {most}, got {text[:20]!r}.")
    return int(text)


def number_in(request: Request, name: str, default: float) -> float:
    """A finite number in the address of a request; `default` if it is not said."""
    text = request.query_params.get(name, "")
    if not text:
        return default
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise InputError(f"expected {name} as a finite number, got {text[:20]!r}.")
    return found


def part_of_path(request: Request, name: str) -> int:
    """A number in the path of a request.

    Raises:
        LookupError: it is none.
    """
    text = str(request.path_params[name])
    if not (text.isascii() and text.isdecimal()) or len(text) > 9:
        raise LookupError(f"expected a number, got {text[:20]!r}.")
    return int(text)
