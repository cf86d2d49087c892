"""One Markdown table of many explanations.

    python benchmarks/tables.py FOLDER...

Each FOLDER was written by `misure explain` and holds an `explanation.json`.
"""

import json
import sys
from pathlib import Path
from statistics import median
from typing import Any

COLUMNS = {
    "target area": ("target", "area_fraction", ".3f"),
    "growth_px": ("sufficient_region", "growth_px", ".0f"),
    "sufficient area": ("sufficient_region", "area_fraction", ".3f"),
    "its Dice": ("sufficient_region", "dice", ".3f"),
    "minimal area": ("minimally_sufficient_region", "area_fraction", ".3f"),
    "relative area": ("minimally_sufficient_region", "relative_area", ".2f"),
    "outside target": ("minimally_sufficient_region", "outside_target_fraction", ".2f"),
    "its Dice ": ("minimally_sufficient_region", "dice", ".3f"),
    "silhouette Dice": (None, "silhouette_dice", ".2f"),
    "pass equivalents": ("cost", "pass_equivalents", "g"),
}


def header() -> str:
    return f"| object | {' | '.join(COLUMNS)} |\n|{'---|' * (len(COLUMNS) + 1)}"


def row(name: str, record: dict[str, Any]) -> str:
    return _line(name, {column: _figure(record, column) for column in COLUMNS})


def medians(records: list[dict[str, Any]]) -> str:
    columns = {c: median(_figure(record, c) for record in records) for c in COLUMNS}
    return _line(f"**median of {len(records)}**", columns)


def _figure(record: dict[str, Any], column: str) -> float:
    part, key, _ = COLUMNS[column]
    figure: float = (record[part] if part else record)[key]
    return figure


def _line(name: str, figures: dict[str, float]) -> str:
    cells = [format(figure, COLUMNS[column][2]) for column, figure in figures.items()]
    return f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    records = {
        Path(folder).name: json.loads((Path(folder) / "explanation.json").read_text())
        for folder in sys.argv[1:]
    }
    print(header())
    for name, record in records.items():
        print(row(name.replace("-", " ", 1), record))
    print(medians(list(records.values())))


if __name__ == "__main__":
    main()
