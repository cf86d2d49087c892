"""The searches compared, on objects that a real network finds.

    python benchmarks/search.py run --model hf:FOLDER --data FOLDER --size 513 --rows ROWS.jsonl \\
        --searches paper readable readable@320 smallest quick@20
    python benchmarks/search.py run --model triangle --data triangle:100 --rows ROWS.jsonl ...
    python benchmarks/search.py table ROWS.jsonl... [--objects] [--figure FIGURE.png]

`run` appends one line for each object and search that is not there yet (see `searches.py`, also for
how a search is written). DATA is a folder of photographs or a data set (`nifti:IMAGES,LABELS`):
what is explained is the network's own prediction. One file of rows is for one network, data and
size. `--shard I/N` takes every N-th object, so that several processes of one thread can share the
work. `--implementation FILE.py:FUNCTION` adds any other program: FUNCTION(model, image, target,
class_index) gets the model, a differentiable function of images (N, C, H, W), the image (C, H, W),
the target (H, W) bool and its class, and returns a map (H, W), larger for what matters more; the
smallest top part that suffices is its region, as for the preset `paper`, and the whole image where
none does; its time includes a stage 1 that its passes do not.

`table` prints Markdown tables. Areas and seconds are relative to the preset `paper`, object by
object; a region is larger than the paper's from 2 % on. Passes leave out those that only test
whether blocks are removable. The transfer Dice is with the next image of the data. Peak memory
(Linux) is that of the process, with what it had kept before.
"""

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import geometric_mean, mean, median
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from searches import (
    Rows,
    add_arguments,
    implementation,
    open_model,
    open_objects,
    read_rows,
    search_passes,
)

_TOLERANCE = 1.02

Row = dict[str, Any]


def run(arguments: argparse.Namespace) -> None:
    model, rows = open_model(arguments), Rows(arguments.rows)
    searches = arguments.searches
    if arguments.implementation:
        searches = [*searches, implementation(arguments.implementation)]
    for found in open_objects(model, arguments):
        for search in searches:
            rows.find(model, found, search)


def table(arguments: argparse.Namespace) -> None:
    by_search: dict[str, dict[str, Row]] = {}
    for row in read_rows(arguments.rows):
        if not row.get("change"):
            by_search.setdefault(row["search"], {})[row["key"]] = row
            _check(row)
    paper = by_search.get("paper", {})
    others = sorted({kind for found in by_search.values() for kind in _other_dices(found)})
    columns = _columns(paper, others)
    print(f"| search | {' | '.join(columns)} |\n|{'---|' * (len(columns) + 1)}")
    for name, found in by_search.items():
        rows = [row for key, row in found.items() if key in paper or not paper]
        cells = [column(rows) if rows else "–" for column in columns.values()]
        print(f"| {name} | {' | '.join(cells)} |")
    if arguments.objects:
        _print_objects(by_search)
    if arguments.figure:
        _draw(by_search, arguments.figure)


def _columns(paper: dict[str, Row], others: list[str]) -> dict[str, Callable[[list[Row]], str]]:
    """Title -> the cell of a search, from its rows."""

    def relative(rows: list[Row]) -> list[float]:
        return [_area(row) / _area(paper[row["key"]]) for row in rows]

    def of_paper(cell: Callable[[list[Row]], str]) -> Callable[[list[Row]], str]:
        return cell if paper else lambda _rows: "–"

    def passes(rows: list[Row]) -> list[int]:
        return [search_passes(row) for row in rows]

    def parts(rows: list[Row]) -> list[int]:
        return [row["minimally_sufficient_region"]["num_parts"] for row in rows]

    def middle(of: Callable[[Row], float]) -> Callable[[list[Row]], str]:
        return lambda rows: f"{median(map(of, rows)):.2f}"

    def on_other(kind: str) -> Callable[[list[Row]], str]:
        def cell(rows: list[Row]) -> str:
            known = [dices[kind] for dices in map(_dices, rows) if kind in dices]
            return f"{median(known):.2f}" if known else "–"

        return cell

    return {
        "objects": lambda rows: f"{len(rows)}",
        "area, median": lambda rows: f"{median(map(_area, rows)):.3f}",
        "relative to paper: median": of_paper(lambda rows: f"{median(relative(rows)):.2f}"),
        "mean": of_paper(lambda rows: f"{mean(relative(rows)):.2f}"),
        "geometric mean": of_paper(lambda rows: f"{geometric_mean(relative(rows)):.2f}"),
        "larger than paper": of_paper(lambda rows: _count(r > _TOLERANCE for r in relative(rows))),
        "at most half": of_paper(lambda rows: _count(r <= 0.5 for r in relative(rows))),
        "pass equivalents: median": lambda rows: f"{median(passes(rows)):g}",
        "95 %": lambda rows: f"{np.quantile(passes(rows), 0.95):.0f}",
        "parts: median": lambda rows: f"{median(parts(rows)):g}",
        "most": lambda rows: f"{max(parts(rows))}",
        "Dice, least": lambda rows: f"{min(map(_dice, rows)):.3f}",
        **{f"Dice on `{kind}`, median": on_other(kind) for kind in others},
        "silhouette Dice, median": middle(lambda row: row["silhouette_dice"]),
        "transfer Dice, median": middle(lambda row: row["transfer_dice"]),
        "removable blocks": _removable,
        "time, ratio": of_paper(lambda rows: f"{_seconds(rows, paper):.2f}"),
        "peak memory, median": _memory,
    }


def _memory(rows: list[Row]) -> str:
    return f"{median(row.get('peak_bytes', 0) for row in rows) / 1e9:.2f} GB"


def _count(those: Iterable[bool]) -> str:
    return f"{sum(those)}"


def _removable(rows: list[Row]) -> str:
    tests = [row["minimality"] for row in rows if row["minimality"]]
    tested = sum(test["cells_tested"] for test in tests)
    return f"{sum(test['removable'] for test in tests) / tested:.0%}" if tested else "–"


def _seconds(rows: list[Row], paper: dict[str, Row]) -> float:
    """Seconds of a search in relation to those of `paper` on the same objects."""
    seconds = sum(row["cost"]["seconds"] for row in rows)
    of_paper = sum(paper[row["key"]]["cost"]["seconds"] for row in rows)
    return float(seconds / of_paper)


def _area(row: Row) -> float:
    area: float = row["minimally_sufficient_region"]["area_fraction"]
    return area


def _dice(row: Row) -> float:
    dice: float = row["minimally_sufficient_region"]["dice"]
    return dice


def _dices(row: Row) -> dict[str, float]:
    """Baseline image -> Dice of the minimal region."""
    recorded = row["minimally_sufficient_region"]["dice_by_baseline_image"]
    return {**row.get("dice_on", {}), "mean": row["again"], **recorded}


def _other_dices(found: dict[str, Row]) -> set[str]:
    return {kind for row in found.values() for kind in _dices(row) if kind != "mean"}


def _check(row: Row) -> None:
    """Ends with an error unless a region gives the Dice that was returned when shown once more."""
    plain = row["settings"]["baseline_image"] == "mean" and row["settings"]["edge_px"] == 0
    if plain and abs(row["again"] - _dice(row)) > 1e-9:
        raise SystemExit(f"{row['key']}: returned {_dice(row)}, shown again {row['again']}")


def _print_objects(by_search: dict[str, dict[str, Row]]) -> None:
    """Areas, and parts in brackets."""
    print(f"\n| object | target | sufficient | {' | '.join(by_search)} |")
    print(f"|{'---|' * (len(by_search) + 3)}")
    for key, row in next(iter(by_search.values())).items():
        cells = [f"{row[part]['area_fraction']:.3f}" for part in ("target", "sufficient_region")]
        for found in by_search.values():
            parts = found[key]["minimally_sufficient_region"]["num_parts"] if key in found else 0
            cells.append(f"{_area(found[key]):.3f} ({parts})" if key in found else "")
        print(f"| {key} | {' | '.join(cells)} |")


def _draw(by_search: dict[str, dict[str, Row]], path: Path) -> None:
    """Relative area against passes: a line a preset with different budgets, with its quartiles."""
    paper = by_search["paper"]
    points: dict[str, list[tuple[float, list[float]]]] = {}
    for name, found in by_search.items():
        rows = [row for key, row in found.items() if key in paper]
        if rows and name.split("@")[0] == rows[0]["preset"]:  # no options of its own
            relative = [_area(row) / _area(paper[row["key"]]) for row in rows]
            line = points.setdefault(rows[0]["preset"], [])
            line.append((median(map(search_passes, rows)), relative))
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for (preset, line), marker in zip(points.items(), "soD^v*Px", strict=False):
        line.sort(key=lambda point: point[0])
        passes = [point[0] for point in line]
        low, middle, high = np.quantile([point[1] for point in line], (0.25, 0.5, 0.75), axis=1)
        (drawn,) = axes.plot(passes, middle, f"{marker}-", markersize=4, label=preset)
        axes.vlines(passes, low, high, color=drawn.get_color(), linewidth=0.8)
    axes.set_xlim(left=0)
    axes.set_xlabel("pass equivalents, median")
    axes.set_ylabel("area relative to the preset paper,\nmedian and quartiles")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run")
    add_arguments(running)
    running.add_argument("--implementation", metavar="FILE.py:FUNCTION")
    tabling = commands.add_parser("table")
    tabling.add_argument("rows", nargs="+", type=Path)
    tabling.add_argument("--figure", type=Path)
    tabling.add_argument("--objects", action="store_true")
    arguments = parser.parse_args()
    {"run": run, "table": table}[arguments.command](arguments)


if __name__ == "__main__":
    main()
