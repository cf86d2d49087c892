"""The records of a run as one table: JSON Lines, CSV, Parquet, or a pandas.DataFrame.

In flat tables the parts of a record are joined by dots (`sufficient_region.dice`); lists stay JSON.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from misure._util.files import durable_file, write_text
from misure._util.optional import require
from misure._util.records import encode, plain
from misure._util.tables import write_csv_file
from misure.runs.record import ObjectRecord


def flat(values: Mapping[str, Any], beginning: str = "") -> dict[str, Any]:
    """Values without parts in parts: keys joined by dots, lists as JSON text.

    >>> flat({"key": "a", "cost": {"seconds": 2.0}, "curve": [1, 2]})
    {'key': 'a', 'cost.seconds': 2.0, 'curve': '[1, 2]'}
    """
    row: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            row |= flat(value, f"{beginning}{key}.")
        else:
            is_list = isinstance(value, list | tuple)
            row[f"{beginning}{key}"] = json.dumps(value) if is_list else value
    return row


def write_jsonl(records: Sequence[ObjectRecord], path: Path) -> None:
    """Writes one record a line, as in the run folder."""
    write_text(path, "".join(encode(record).decode() + "\n" for record in records))


def write_csv(records: Sequence[ObjectRecord], path: Path) -> None:
    """Writes one line a record, columns as they first come; empty if a record has no such value."""
    rows = [flat(plain(record)) for record in records]
    write_csv_file(path, list(dict.fromkeys(key for row in rows for key in row)), rows)


def write_parquet(records: Sequence[ObjectRecord], path: Path) -> None:
    """Writes one row a record as a Parquet file.

    Raises:
        MissingDependencyError: without pandas and pyarrow.
    """
    require("pyarrow", extra="tables", purpose="write Parquet files")
    frame = as_frame(records)
    with durable_file(path) as unfinished:
        frame.to_parquet(unfinished, index=False)


def as_frame(records: Sequence[ObjectRecord]) -> Any:
    """A pandas.DataFrame with one row a record.

    Raises:
        MissingDependencyError: without pandas.
    """
    pandas = require("pandas", extra="tables", purpose="make a table")
    return pandas.DataFrame([flat(plain(record)) for record in records])
