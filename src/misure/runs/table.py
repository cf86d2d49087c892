"""The records of a run as one table: JSON Lines, CSV, Parquet, or a frame of pandas.

In flat tables the parts of a record are joined by dots (`sufficient_region.dice`); lists stay JSON.
"""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from misure._util.files import durable_file, write_text
from misure._util.optional import require

Record = Mapping[str, Any]


def flat(record: Record, beginning: str = "") -> dict[str, Any]:
    """A record without parts in parts: keys joined by dots, lists as JSON text.

    >>> flat({"key": "a", "cost": {"seconds": 2.0}, "curve": [1, 2]})
    {'key': 'a', 'cost.seconds': 2.0, 'curve': '[1, 2]'}
    """
    found: dict[str, Any] = {}
    for key, value in record.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{beginning}{key}.")
        else:
            is_list = isinstance(value, list)
            found[f"{beginning}{key}"] = json.dumps(value) if is_list else value
    return found


def write_jsonl(records: Sequence[Record], path: Path) -> None:
    """One record a line, as in the run folder."""
    write_text(path, "".join(json.dumps(record) + "\n" for record in records))


def write_csv(records: Sequence[Record], path: Path) -> None:
    """One line a record, columns as they first come; empty where a record has none."""
    rows = [flat(record) for record in records]
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with (
        durable_file(path) as unfinished,
        unfinished.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def write_parquet(records: Sequence[Record], path: Path) -> None:
    """The same as Parquet.

    Raises:
        MissingDependencyError: without pandas and pyarrow.
    """
    require("pyarrow", extra="tables", purpose="write Parquet files")
    frame = as_frame(records)
    with durable_file(path) as unfinished:
        frame.to_parquet(unfinished, index=False)


def as_frame(records: Sequence[Record]) -> Any:
    """The same as a pandas.DataFrame.

    Raises:
        MissingDependencyError: without pandas.
    """
    pandas = require("pandas", extra="tables", purpose="make a table")
    return pandas.DataFrame([flat(record) for record in records])
