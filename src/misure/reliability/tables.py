"""Reliability as tables: the list for review, and the results of an evaluation."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from misure._util.tables import arrow, markdown_table, short, write_csv_file
from misure._util.words import counted, share
from misure.reliability.evaluation import Evaluation
from misure.reliability.scores import MEASURES, Gain


def write_review(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Writes the list for review as CSV, with a column for each of the main reasons.

    A reason reads `feature (contribution to the Dice)`.

    Args:
        rows: of `score_run`.
        path: to write to.
    """
    num_reasons = max([len(row["reasons"]) for row in rows], default=0)
    reason_columns = [f"reason_{number + 1}" for number in range(num_reasons)]
    columns = [name for name in rows[0] if name != "reasons"] if rows else ["rank", "key"]
    write_csv_file(
        path,
        [*columns, *reason_columns],
        (
            {name: _rounded(row[name]) for name in columns}
            | dict(zip(reason_columns, _reasons(row), strict=False))
            for row in rows
        ),
    )


def _reasons(row: Mapping[str, Any]) -> list[str]:
    return [f"{name} ({contribution:+.3f})" for name, contribution in row["reasons"]]


def evaluation_markdown(evaluation: Evaluation) -> str:
    """A table of the measures, and one of the gains by the explanation, in Markdown."""
    heading = (
        f"{counted(evaluation.num_objects, 'object')} of "
        f"{counted(evaluation.num_images, 'image')}, "
        f"{share(evaluation.failed_share)} of them with a Dice below {evaluation.cut:g}; "
        f"{evaluation.kind}. ↑ higher is better, ↓ lower is better."
    )
    lines = [
        heading,
        "",
        *markdown_table(
            ["features", "learner", *map(_heading, MEASURES)],
            (
                [name, learner, *(_cell(values[measure]) for measure in MEASURES)]
                for (name, learner), values in evaluation.values.items()
            ),
        ),
    ]
    if evaluation.gains:
        lines += ["", *_gain_lines(evaluation)]
    return "\n".join(lines) + "\n"


def _gain_lines(evaluation: Evaluation) -> list[str]:
    measures = list(next(iter(evaluation.gains.values())))
    table = markdown_table(
        ["without → with", "learner", *map(_heading, measures)],
        (
            [f"{without} → {with_}", learner, *(_gain(gains[measure]) for measure in measures)]
            for ((without, with_), learner), gains in evaluation.gains.items()
        ),
    )
    explained = (
        "Gain by the features of the explanation: with minus without [95 % bootstrap interval over "
        "images]."
    )
    return [explained, "", *table]


def write_evaluation(evaluation: Evaluation, path: Path) -> None:
    """Writes the measures as CSV, one line for each set of features and learner."""
    write_csv_file(
        path,
        ["features", "learner", *MEASURES],
        (
            {"features": name, "learner": learner, **values}
            for (name, learner), values in evaluation.values.items()
        ),
    )


def _heading(name: str) -> str:
    return f"{name}{arrow(MEASURES[name].higher_is_better)}"


def _cell(value: float) -> str:
    return "–" if np.isnan(value) else short(value)


def _gain(gain: Gain) -> str:
    if np.isnan(gain.difference):
        return "–"
    if gain.interval is None:
        return f"{gain.difference:+.3f}"
    low, high = gain.interval
    return f"{gain.difference:+.3f} [{low:+.3f}, {high:+.3f}]"


def _rounded(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value
