"""What the values of command-line options mean."""

import json
from collections.abc import Callable
from typing import Any

import click


def numbers(name: str) -> Callable[..., tuple[int, ...] | None]:
    """A click callback for whole numbers with commas between them, such as `R,C`."""

    def parse(_ctx: Any, _param: Any, value: str | None) -> tuple[int, ...] | None:
        if value is None:
            return None
        try:
            return tuple(int(number) for number in value.split(","))
        except ValueError as error:
            raise click.BadParameter(f"expected {name}, got {value!r}.") from error

    return parse


def settings(_ctx: Any, _param: Any, values: tuple[str, ...]) -> dict[str, Any]:
    """A click callback for KEY=VALUE pairs: JSON, numbers with commas, or else words."""
    found = {}
    for pair in values:
        key, equals, text = pair.partition("=")
        if not equals or not key.isidentifier():
            raise click.BadParameter(f"expected KEY=VALUE, got {pair!r}.")
        found[key] = _value(text)
    return found


def _value(text: str) -> Any:
    for attempt in (text, f"[{text}]"):
        try:
            return json.loads(attempt)
        except ValueError:
            continue
    return text
