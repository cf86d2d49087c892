#!/usr/bin/env python3
"""Fills docs/reference/formats.md from the definitions of what is written to disk.

A block from `<!-- fields: MODULE.CLASS -->` to `<!-- end -->` gets a table of the fields of that
`Record`: name, type, default, and the meaning from the Attributes of its docstring. --check compares
only; it also names definitions that the page leaves out.
"""

import importlib
import inspect
import pkgutil
import re
import sys
import types
import typing
from collections.abc import Iterator
from pathlib import Path

import msgspec

import misure
from misure._util.records import Record
from misure._util.tables import markdown_table

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "formats.md"
BLOCK = re.compile(r"<!-- fields: (\S+) -->\n.*?<!-- end -->", re.S)


def page(text: str) -> str:
    """The page with every block filled."""
    return BLOCK.sub(lambda block: filled(block[1]), text)


def filled(path: str) -> str:
    """One block, with its table."""
    module, _, name = path.rpartition(".")
    kind = getattr(importlib.import_module(f"misure.{module}"), name)
    return "\n".join([f"<!-- fields: {path} -->", *table(kind), "<!-- end -->"])


def table(kind: type[Record]) -> list[str]:
    """The fields of a record as a Markdown table."""
    said = meanings(kind)
    rows = [
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
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(type_name(each) for each in arguments)
    if origin is typing.Literal:
        return " or ".join(f"`{each}`" for each in arguments)
    if origin is typing.Annotated:
        return type_name(arguments[0])
    if origin in (list, tuple, set, frozenset):
        inner = [type_name(each) for each in arguments if each is not Ellipsis]
        return f"list of {' and '.join(dict.fromkeys(inner))}" if inner else "list"
    if isinstance(origin, type) and issubclass(origin, typing.Mapping):
        return f"object of {type_name(arguments[1])}"
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return f"[{kind.__name__}](#{kind.__name__.lower()})"
    names = {str: "text", int: "integer", float: "number", bool: "true or false", dict: "object"}
    names |= {type(None): "null", list: "list", tuple: "list", typing.Any: "anything"}
    return names.get(kind, getattr(kind, "__name__", str(kind)))


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
        section = re.search(
            r"^Attributes:\n(.*?)(?=^\S|\Z)", inspect.cleandoc(each.__doc__ or ""), re.S | re.M
        )
        entries = re.findall(r"^ {4}(\S[^:]*): (.*?)(?=^ {4}\S|\Z)", section[1] if section else "", re.S | re.M)
        for names, text in entries:
            found |= dict.fromkeys(names.split(", "), " ".join(text.split()))
    return found


def definitions() -> Iterator[str]:
    """MODULE.CLASS of every `Record` in the package."""
    for module in pkgutil.walk_packages(misure.__path__, "misure."):
        if module.name != "misure.__main__":
            importlib.import_module(module.name)
    waiting = [Record]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        if kind is not Record and kind.__module__.startswith("misure."):
            yield f"{kind.__module__.removeprefix('misure.')}.{kind.__name__}"


if __name__ == "__main__":
    before = PAGE.read_text()
    left_out = sorted(set(definitions()) - set(BLOCK.findall(before)))
    if left_out:
        print(f"not in {PAGE.name}: {', '.join(left_out)}", file=sys.stderr)
    if "--check" in sys.argv:
        if left_out or page(before) != before:
            sys.exit(f"expected {PAGE.name} to be up to date. Run scripts/formats.py.")
    else:
        PAGE.write_text(page(before))
