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


def numbers_or_none(_ctx: Any, _param: Any, value: str | None) -> tuple[int, ...] | None:
    """A click callback for whole numbers with commas, or the word none for no number."""
    parse = numbers("numbers, such as 255,0, or none")
    return () if value == "none" else parse(_ctx, _param, value)


def number_map(
    _ctx: Any, _param: Any, value: str | None
) -> dict[int, int] | dict[str, tuple[int, ...]] | None:
    """A click callback for NUMBER=CLASS pairs with commas between them, or CLASS=NUMBER+NUMBER.

    The latter, for classes that overlap, are told by a plus or by a class that is a name.
    """
    from misure.errors import InputError
    from misure.images.label_regions import read_regions

    if value is None:
        return None
    names = [part.rpartition("=")[0].strip() for part in value.split(",")]
    if "=" in value and ("+" in value or not all(name.isdecimal() for name in names)):
        try:
            return read_regions(value)
        except InputError as error:
            raise click.BadParameter(str(error)) from error
    try:
        pairs = [part.split("=") for part in value.split(",")]
        return {int(number): int(class_index) for number, class_index in pairs}
    except ValueError as error:
        raise click.BadParameter(f"expected NUMBER=CLASS, got {value!r}.") from error


def part_of(_ctx: Any, _param: Any, value: str | None) -> tuple[int, int] | None:
    """A click callback for I/N, two whole numbers."""
    if value is None:
        return None
    index, slash, number = value.partition("/")
    if not slash or not index.isdecimal() or not number.isdecimal():
        raise click.BadParameter(f"expected I/N, such as 0/4, got {value!r}.")
    return int(index), int(number)


def names(_ctx: Any, _param: Any, value: str | None) -> list[str] | None:
    """A click callback for names with commas between them."""
    return None if value is None else [name.strip() for name in value.split(",")]


def names_of_all(_ctx: Any, _param: Any, values: tuple[str, ...]) -> tuple[str, ...]:
    """A click callback for a repeated option whose values are names with commas between them."""
    return tuple(name.strip() for value in values for name in value.split(","))


def settings(_ctx: Any, _param: Any, values: tuple[str, ...]) -> dict[str, Any]:
    """A click callback for KEY=VALUE pairs: JSON, numbers with commas, or else words."""
    return dict(_pair(text, "KEY=VALUE") for text in values)


def settings_of_methods(
    _ctx: Any, _param: Any, values: tuple[str, ...]
) -> dict[str, dict[str, Any]]:
    """A click callback for [METHOD.]KEY=VALUE: method (`misure` if none is named) -> settings."""
    by_method: dict[str, dict[str, Any]] = {}
    for text in values:
        name, equals, value = text.partition("=")
        method, _, key = name.rpartition(".")
        pair = _pair(f"{key}{equals}{value}", "[METHOD.]KEY=VALUE")
        by_method.setdefault(method or "misure", {}).update([pair])
    return by_method


def _pair(text: str, form: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key.isidentifier():
        raise click.BadParameter(f"expected {form}, got {text!r}.")
    return key, _value(value)


def _no_number(text: str) -> Any:
    raise click.BadParameter(f"expected a finite number or a word, got {text}.")


def _value(text: str) -> Any:
    for attempt in (text, f"[{text}]"):
        try:
            return json.loads(attempt, parse_constant=_no_number)
        except ValueError:
            continue
    return text
