#!/usr/bin/env python3
"""Fills docs/reference/formats.md from the definitions of what is written to disk.

A block from `<!-- records: ROOM -->` to `<!-- end -->` gets a section for each `Record` of that
room: the first sentence of its docstring, and a table of its fields with type, default, and meaning
(from the Attributes of the docstring). --check compares only.
"""

import importlib
import inspect
import pkgutil
import re
import sys
import types
import typing
from collections.abc import Mapping
from pathlib import Path

import msgspec

import misure
from misure._util.records import Record
from misure._util.tables import markdown_table

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "formats.md"
NAMES = {
    str: "text",
    int: "integer",
    float: "number",
    bool: "true or false",
    type(None): "null",
    dict: "mapping",
    list: "list",
    tuple: "list",
    typing.Any: "anything",
}
ENTRY = re.compile(r"^ {4}(\S[^:]*): (.*?)(?=^ {4}\S|\Z)", re.S | re.M)
BLOCK = re.compile(r"<!-- records: (\w+) -->\n.*?<!-- end -->", re.S)


def page(text: str) -> str:
    """The page with every block filled.

    Raises:
        ValueError: there is no block for a room that has definitions.
    """
    kinds = definitions()
    if missing := {room(kind) for kind in kinds} - set(BLOCK.findall(text)):
        raise ValueError(f"{PAGE.name} has no block for {', '.join(sorted(missing))}")
    return BLOCK.sub(lambda block: filled(block[1], kinds), text)


def filled(name: str, kinds: list[type[Record]]) -> str:
    """The block of one room."""
    sections = [section(kind) for kind in kinds if room(kind) == name]
    return "\n".join([f"<!-- records: {name} -->", *sections, "<!-- end -->"])


def room(kind: type[Record]) -> str:
    """The room that a definition stands in."""
    return kind.__module__.split(".")[1]


def section(kind: type[Record]) -> str:
    """Heading, first sentence and fields."""
    said = inspect.cleandoc(kind.__doc__ or "").partition("\n\n")[0]
    return "\n".join([f"### {kind.__name__}\n\n{said}\n", *table(kind), ""])


def table(kind: type[Record]) -> list[str]:
    """The fields of a record as a Markdown table."""
    said, config = meanings(kind), kind.__struct_config__
    rows = [(f"`{config.tag_field}`", f"`{config.tag}`", "–", "which kind it is.")] * bool(
        config.tag
    )
    rows += [
        (
            f"`{field.encode_name}`",
            cell(type_name(field.type)),
            default_of(field),
            cell(said.get(field.name, "")),
        )
        for field in msgspec.structs.fields(kind)
    ]
    return markdown_table(["field", "type", "default", "meaning"], rows)


def cell(text: str) -> str:
    """Text that cannot break a table."""
    return text.replace("|", "\\|")


def type_name(kind: object) -> str:
    """A type as a reader of JSON knows it: `text or null`, `list of number`."""
    if arguments := typing.get_args(kind):
        return compound_name(typing.get_origin(kind), arguments)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return f"[{kind.__name__}](#{kind.__name__.lower()})"
    return NAMES.get(kind, getattr(kind, "__name__", str(kind)))


def compound_name(origin: object, arguments: tuple[object, ...]) -> str:
    """A type that is made of others."""
    if origin is typing.Literal:
        return " or ".join(f"`{each}`" for each in arguments)
    inner = [type_name(each) for each in arguments if each is not Ellipsis]
    if origin in (typing.Union, types.UnionType):
        return " or ".join(inner)
    if origin is typing.Annotated:
        return inner[0]
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return f"mapping to {inner[1]}"
    return f"list of {' and '.join(dict.fromkeys(inner))}"


def default_of(field: msgspec.structs.FieldInfo) -> str:
    """The default in JSON; a dash for a required field."""
    if field.default is not msgspec.NODEFAULT:
        return f"`{msgspec.json.encode(field.default).decode()}`"
    if field.default_factory is not msgspec.NODEFAULT:
        return f"`{msgspec.json.encode(field.default_factory()).decode()}`"
    return "–"


def meanings(kind: type) -> dict[str, str]:
    """Field -> what the Attributes of the docstrings say about it, base classes first."""
    found: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        doc = inspect.cleandoc(each.__doc__ or "")
        attributes = re.search(r"^Attributes:\n(.*?)(?=^\S|\Z)", doc, re.S | re.M)
        entries = ENTRY.findall(attributes[1] if attributes else "")
        for names, text in entries:
            found |= dict.fromkeys(names.split(", "), " ".join(text.split()))
    return found


def definitions() -> list[type[Record]]:
    """Every `Record` of the package, file by file, in the order in which a reader meets them."""
    for module in pkgutil.walk_packages(misure.__path__, "misure."):
        if module.name != "misure.__main__":
            importlib.import_module(module.name)
    found, waiting = [], [Record]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        if kind is not Record and kind.__module__.startswith("misure."):
            found.append(kind)
    return sorted(found, key=lambda kind: (kind.__module__, inspect.getsourcelines(kind)[1]))


if __name__ == "__main__":
    before = PAGE.read_text(encoding="utf-8")
    after = page(before)
    if "--check" not in sys.argv:
        PAGE.write_text(after, encoding="utf-8")
    elif after != before:
        sys.exit(f"expected {PAGE.name} to be up to date. Run scripts/formats.py.")
