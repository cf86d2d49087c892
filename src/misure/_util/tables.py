"""Tables as text: Markdown and CSV."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from misure._util.files import durable_file

_ARROWS = {True: " ↑", False: " ↓", None: ""}


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    r"""The lines of a Markdown table.

    >>> print("\n".join(markdown_table(["method", "Dice ↑"], [["rise", "0.9"]])))
    | method | Dice ↑ |
    |---|---|
    | rise | 0.9 |
    """
    lines = [f"| {' | '.join(cells)} |" for cells in (header, *rows)]
    return [lines[0], f"|{'---|' * len(header)}", *lines[1:]]


def csv_text(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """CSV with a header; a cell is empty if its row has no such key, other keys are left out."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def write_csv_file(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Writes `csv_text` in UTF-8, at once or not at all; bytes that are no text are escaped."""
    with (
        durable_file(path) as unfinished,
        unfinished.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        writer = csv.DictWriter(
            file, columns, restval="", extrasaction="ignore", lineterminator="\n"
        )
        writer.writeheader()
        writer.writerows(rows)


def arrow(higher_is_better: bool | None) -> str:
    """Which way is better, as a sign after a space; empty if neither is.

    >>> f"iou{arrow(True)}"
    'iou ↑'
    """
    return _ARROWS[higher_is_better]


def short(number: float) -> str:
    """A number with about three digits.

    >>> short(0.12345), short(12.345), short(123.45)
    ('0.123', '12.3', '123')
    """
    size = abs(number)
    if size >= 100:
        return f"{number:.0f}"
    return f"{number:.1f}" if size >= 10 else f"{number:.3f}"


def plain(text: str) -> str:
    r"""Text that cannot break a Markdown table, nor be markup in it.

    >>> plain("a | <b>")
    'a \\| &lt;b>'
    """
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())
