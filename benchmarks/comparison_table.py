"""One Markdown table of a comparison: chosen metrics, mean and bootstrap interval.

    python benchmarks/comparison_table.py FOLDER METRIC...

FOLDER was written by `misure compare`.
"""

import json
import sys
from pathlib import Path

ARROWS = {True: " ↑", False: " ↓", None: ""}


def main() -> None:
    folder, *metrics = sys.argv[1:]
    found = json.loads((Path(folder) / "comparison.json").read_text())
    about = found["settings"]["metrics"]
    header = ["method", *(f"{one}{ARROWS[about[one]['higher_is_better']]}" for one in metrics), "n"]
    print(f"| {' | '.join(header)} |\n|{'---|' * len(header)}")
    for method, figures in found["summary"].items():
        num = max((figures[one]["n"] for one in metrics if one in figures), default=0)
        cells = [cell(figures.get(one)) for one in metrics]
        print(f"| `{method}` | {' | '.join(cells)} | {num} |")


def cell(figures: dict[str, float | None] | None) -> str:
    if figures is None:
        return "–"
    if figures["low"] is None:  # too few cases
        return short(figures["mean"])
    mean, low, high = (short(figures[key]) for key in ("mean", "low", "high"))
    return mean if low == mean == high else f"{mean} [{low}, {high}]"


def short(figure: float) -> str:
    return f"{figure:.0f}" if abs(figure) >= 100 else f"{figure:.3g}" if figure else "0"


if __name__ == "__main__":
    main()
