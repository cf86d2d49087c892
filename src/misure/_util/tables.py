"""Tables as text: Markdown and CSV."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from misure._util.files import durable_file

_FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
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
    """CSV with a header; a cell is empty if its row has no such key, other keys are left out.

    Text cells are `inert`.
    """
    text = io.StringIO()
    _write_csv(text, columns, rows)
    return text.getvalue()


def write_csv_file(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Writes `csv_text` in UTF-8, at once or not at all; bytes that are no text are escaped."""
    with (
        durable_file(path) as unfinished,
        unfinished.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        _write_csv(file, columns, rows)


def inert(cell: Any) -> Any:
    """A cell that no spreadsheet takes for a formula: such a text gets a `'` before it.

    >>> inert("=HYPERLINK(0)"), inert("-3.5"), inert(-3.5), inert("a=b")
    ("'=HYPERLINK(0)", '-3.5', -3.5, 'a=b')
    """
    if not isinstance(cell, str) or not cell.startswith(_FORMULA_SIGNS):
        return cell
    return cell if _is_number(cell) else f"'{cell}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


class _Lines:
    """A file that ends lines with a line feed alone, whatever the writer of CSV ends them with."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, line: str) -> int:
        return self._file.write(line.removesuffix("\r\n") + "\n")


def _write_csv(file: TextIO, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    writer = csv.writer(_Lines(file))  # whose own end of line makes it quote cells that hold a CR
    writer.writerow([inert(column) for column in columns])
    for row in rows:
        writer.writerow([inert(row.get(column, "")) for column in columns])


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
