"""What docstrings say of arguments, for listings on the command line and in documents."""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

_SECTION = re.compile(r"(Args|Attributes):$")
_ENTRY = re.compile(r"([a-z_0-9]+(?:, [a-z_0-9]+)*): (.*)$")


def first_sentence(docstring: str | None) -> str:
    r"""The first paragraph of a docstring, as one line.

    >>> first_sentence("The sum of\nboth.\n\nArgs:\n    a: one of them.")
    'The sum of both.'
    """
    return " ".join(inspect.cleandoc(docstring or "").partition("\n\n")[0].split())


def meanings(docstring: str | None) -> dict[str, str]:
    r"""Argument -> what the `Args` or `Attributes` section of a docstring says of it.

    >>> meanings("The sum.\n\nArgs:\n    a, b: numbers,\n        of any size.")
    {'a': 'numbers, of any size.', 'b': 'numbers, of any size.'}
    """
    found: dict[str, str] = {}
    names: list[str] = []
    is_inside = False
    for line in inspect.cleandoc(docstring or "").splitlines():
        if line and not line.startswith(" "):
            is_inside, names = bool(_SECTION.match(line)), []
            continue
        entry = _ENTRY.match(line[4:]) if line.startswith("    ") else None
        if not is_inside or not line:
            continue
        if entry:
            names = entry[1].split(", ")
            found |= dict.fromkeys(names, entry[2])
        else:
            found |= {name: f"{found[name]} {line.strip()}" for name in names}
    return found


@dataclass(frozen=True)
class Option:
    """An option that can be set by name.

    Attributes:
        name: the keyword.
        default: its value unless set.
        meaning: what it does, from the docstring.
    """

    name: str
    default: Any
    meaning: str


def options_of_function(function: Callable[..., Any]) -> list[Option]:
    """The keyword-only arguments of a function."""
    told = meanings(function.__doc__)
    return [
        Option(name, parameter.default, told.get(name, ""))
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    ]


def options_of_fields(instance: Any) -> list[Option]:
    """The fields of a dataclass instance, with its values as defaults."""
    told = meanings(type(instance).__doc__)
    return [
        Option(field.name, getattr(instance, field.name), told.get(field.name, ""))
        for field in fields(instance)
    ]
