"""Reliability as tables: the list for review, and what an evaluation found."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from misure._util.files import durable_file
from misure._util.tables import short
from misure.reliability.evaluation import Evaluation
from misure.reliability.scores import MEASURES

_ARROWS = {True: " ↑", False: " ↓", None: ""}


def write_review(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """The list as CSV; of what speaks for failure a column each, `feature (lowers the Dice by)`."""
    num = max([len(row["reasons"]) for row in rows], default=0)
    names = [f"because_{k + 1}" for k in range(num)]
    columns = [name for name in rows[0] if name != "reasons"] if rows else ["rank", "key"]
    with (
        durable_file(path) as unfinished,
        unfinished.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        writer = csv.DictWriter(file, [*columns, *names], restval="", lineterminator="\n")
        writer.writeheader()
        for row in rows:
            cells = {name: _rounded(row[name]) for name in columns}
            because = [f"{name} ({part:+.3f})" for name, part in row["reasons"]]
            writer.writerow(cells | dict(zip(names, because, strict=False)))


def evaluation_markdown(found: Evaluation) -> str:
    """One table of figures, one of what the explanation adds."""
    words = (
        f"{found.num_objects} objects of {found.num_images} images, {found.failed_share:.1%} of "
        f"them with a Dice below {found.cut:g}; {found.kind}. ↑ higher is better, ↓ lower is "
        "better."
    )
    lines = [
        words,
        "",
        f"| features | learner | {' | '.join(map(_heading, MEASURES))} |",
        f"|{'---|' * (2 + len(MEASURES))}",
    ]
    for (row, learner), figures in found.figures.items():
        cells = [_cell(figures[name]) for name in MEASURES]
        lines.append(f"| {row} | {learner} | {' | '.join(cells)} |")
    if not found.gains:
        return "\n".join(lines) + "\n"
    names = list(next(iter(found.gains.values())))
    lines += [
        "",
        "What the explanation's features add: with minus without [95 % bootstrap over images].",
        "",
        f"| without → with | learner | {' | '.join(map(_heading, names))} |",
        f"|{'---|' * (2 + len(names))}",
    ]
    for ((without, with_), learner), gains in found.gains.items():
        cells = [f"{a:+.3f} [{b:+.3f}, {c:+.3f}]" for a, b, c in (gains[name] for name in names)]
        lines.append(f"| {without} → {with_} | {learner} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def write_evaluation(found: Evaluation, path: Path) -> None:
    """The figures as CSV, one line for each set of features and learner."""
    with durable_file(path) as unfinished, unfinished.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["features", "learner", *MEASURES])
        for (row, learner), figures in found.figures.items():
            writer.writerow([row, learner, *(figures[name] for name in MEASURES)])


def _heading(name: str) -> str:
    return f"{name}{_ARROWS[MEASURES[name].higher_is_better]}"


def _cell(figure: float) -> str:
    return "–" if np.isnan(figure) else short(figure)


def _rounded(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value
