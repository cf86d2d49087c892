"""The records of a run as one table: JSON Lines, CSV, Parquet, or a pandas.DataFrame.

In flat tables the parts of a record are joined by dots (`sufficient_region.dice`); lists stay JSON.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal, Self

from msgspec import structs

from misure._util.files import durable_file
from misure._util.optional import require
from misure._util.records import encode, plain
from misure._util.tables import write_csv_file
from misure.errors import RunFolderError, reason_of
from misure.runs.folder import RunFolder
from misure.runs.record import DoneObject, ObjectRecord
from misure.runs.record_index import RecordIndex

ColumnKind = Literal["text", "integer", "number", "bool", "none"]
_AS_TEXT = json.JSONEncoder()
_ROWS_AT_ONCE = 2000


def flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """Plain values without parts in parts: keys joined by dots, lists as JSON text.

    >>> flat({"key": "a", "cost": {"seconds": 2.0}, "curve": [1, 2]})
    {'key': 'a', 'cost.seconds': 2.0, 'curve': '[1, 2]'}
    """
    row = dict(_leaves(values))
    return {
        key: _AS_TEXT.encode(value) if type(value) is list else value for key, value in row.items()
    }


def _leaves(values: Mapping[str, Any], beginning: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if type(value) is dict:
            yield from _leaves(value, f"{beginning}{key}.")
        else:
            yield beginning + key, value


def comparable_records(
    path: str | Path, index: RecordIndex | None = None
) -> Iterator[ObjectRecord]:
    """The records of a run, sorted by key, read one by one.

    What differs from one machine or attempt to the next is left out: `timing` and `revision`.

    Args:
        path: the run folder, a path or an address of fsspec.
        index: of the run, to read it more than once; None: one is made.

    Raises:
        RunFolderError: no run, or one that another version of misure wrote.
    """
    for record in RunFolder(path).each_record(index):
        if isinstance(record, DoneObject):
            yield structs.replace(record, timing=None, revision=0)
        else:
            yield structs.replace(record, revision=0)


def write_jsonl(records: Iterable[ObjectRecord], path: Path) -> int:
    """Writes one record a line, as in the run folder, and counts them."""
    num_written = 0
    with durable_file(path) as unfinished, unfinished.open("wb") as file:
        for record in records:
            file.write(encode(record) + b"\n")
            num_written += 1
    return num_written


@dataclass(frozen=True)
class RunTable:
    """The records of a run as rows of a table, read anew each time and never all at once.

    Attributes:
        columns: name -> kind of its values, as they first come.
        num_rows: how many there are.
        records: gives them as plain values, from the first one on.
    """

    columns: Mapping[str, ColumnKind]
    num_rows: int
    records: Callable[[], Iterator[dict[str, Any]]]

    @classmethod
    @contextmanager
    def open(cls, path: str | Path) -> Iterator[Self]:
        """A context with the table of a run.

        Args:
            path: the run folder, a path or an address of fsspec.

        Raises:
            RunFolderError: no run, or one that another version of misure wrote.
        """
        with RunFolder(path).index() as index:

            def records() -> Iterator[dict[str, Any]]:
                return (plain(record) for record in comparable_records(path, index))

            yield cls.of(records)

    @classmethod
    def of(cls, records: Callable[[], Iterator[dict[str, Any]]]) -> Self:
        """The table of records, which are gone through once for their columns."""
        kinds: dict[tuple[str, type], None] = {}
        num_rows = 0
        for record in records():
            num_rows += 1
            kinds |= dict.fromkeys((name, type(value)) for name, value in _leaves(record))
        types: dict[str, set[type]] = {name: set() for name, _ in kinds}
        for name, kind in kinds:
            types[name].add(kind)
        columns = {name: _kind_of(found - {type(None)}) for name, found in types.items()}
        return cls(columns, num_rows, records)

    def rows(self) -> Iterator[dict[str, Any]]:
        """The rows, flat."""
        return map(flat, self.records())

    def write_csv(self, path: Path) -> None:
        """Writes one line a row; a cell is empty if its row has no such value."""
        write_csv_file(path, list(self.columns), self.rows())

    def write_parquet(self, path: Path) -> None:
        """Writes a Parquet file, some thousand rows at a time.

        Raises:
            MissingDependencyError: without pyarrow.
            RunFolderError: a number that Parquet cannot hold.
        """
        arrow = require("pyarrow", extra="tables", purpose="write Parquet files")
        parquet = require("pyarrow.parquet", extra="tables", purpose="write Parquet files")
        types = {"text": arrow.string(), "integer": arrow.int64(), "number": arrow.float64()}
        types |= {"bool": arrow.bool_(), "none": arrow.null()}
        schema = arrow.schema([(_text(name), types[kind]) for name, kind in self.columns.items()])
        rows = self.rows()
        with (
            durable_file(path) as unfinished,
            parquet.ParquetWriter(os.fspath(unfinished), schema) as writer,
        ):
            while some := list(islice(rows, _ROWS_AT_ONCE)):
                writer.write_table(self._arrow_table(arrow, schema, some))

    def _arrow_table(self, arrow: Any, schema: Any, rows: Sequence[Mapping[str, Any]]) -> Any:
        try:
            columns = [
                arrow.array([_cell(row.get(name), kind) for row in rows], type=field.type)
                for (name, kind), field in zip(self.columns.items(), schema, strict=True)
            ]
        except (arrow.ArrowException, OverflowError) as error:
            raise RunFolderError(
                f"expected records whose numbers fit into a table, but {reason_of(error)}."
            ) from error
        return arrow.Table.from_arrays(columns, schema=schema)


def _kind_of(types: set[type]) -> ColumnKind:
    """The kind that holds values of all these types."""
    if not types:
        return "none"
    if types == {bool}:
        return "bool"
    if types == {int}:
        return "integer"
    return "number" if types <= {int, float} else "text"


def _cell(value: Any, kind: ColumnKind) -> Any:
    if value is None or kind in ("bool", "integer"):
        return value
    return float(value) if kind == "number" else _text(str(value))


def _readable(cell: Any) -> Any:
    return _text(cell) if isinstance(cell, str) else cell


def _text(text: str) -> str:
    """Text whose bytes that are none are escaped."""
    return text.encode("utf-8", "backslashreplace").decode()


def as_frame(records: Sequence[ObjectRecord]) -> Any:
    """A pandas.DataFrame with one row a record.

    Raises:
        MissingDependencyError: without pandas.
    """
    pandas = require("pandas", extra="tables", purpose="make a table")
    rows = (flat(plain(record)) for record in records)
    return pandas.DataFrame([{name: _readable(cell) for name, cell in row.items()} for row in rows])
