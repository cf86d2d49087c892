"""For the site: an entry of a docstring that describes several names becomes one entry for each."""

import re
from typing import Any

import griffe

ENTRY = re.compile(r"^( {4})(\w+(?:, \w+)+): (.*(?:\n {8}.*)*)", re.M)


class JointNames(griffe.Extension):
    """`mean, std: numbers` is read as `mean: numbers` and `std: numbers`."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrites the docstring of every class and function."""
        if obj.docstring:
            obj.docstring.value = ENTRY.sub(separate, obj.docstring.value)


def separate(entry: re.Match[str]) -> str:
    """The same text, once for each name."""
    indent, names, text = entry.groups()
    return "\n".join(f"{indent}{name}: {text}" for name in names.split(", "))
