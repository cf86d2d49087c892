"""The curves of an evaluation: risk over coverage, and how far chances can be believed."""

from pathlib import Path
from typing import Any

import numpy as np

from misure._util.files import durable_file
from misure.reliability.evaluation import Evaluation
from misure.reliability.scores import reliability_bins, risk_coverage
from misure.reports.axes import CLASS_COLOURS
from misure.reports.canvas import Figure

_DRAWN = ("soft_dice", "confidence", "explanation", "confidence + explanation", "all")


def save_curves(evaluation: Evaluation, path: Path) -> None:
    """Draws both as one PNG, of the first learner of each of a few rows of the table."""
    rows = {row: key for key in reversed(evaluation.predictions) if (row := key[0]) in _DRAWN}
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    panels: Any = figure.subplots(1, 2)
    some = next(iter(evaluation.predictions.values()))
    _limits(panels[0], some.dices)
    for number, row in enumerate(name for name in _DRAWN if name in rows):
        one = evaluation.predictions[rows[row]]
        colour = CLASS_COLOURS[number % len(CLASS_COLOURS)]
        risks = risk_coverage(one)
        panels[0].plot(np.arange(1, len(risks) + 1) / len(risks), risks, color=colour, label=row)
        bins = np.array([pair[:2] for pair in reliability_bins(one)])
        panels[1].plot(bins[:, 0], bins[:, 1], "o-", color=colour, label=row, markersize=4)
    panels[0].set(
        xlabel="coverage: share that is kept, the surest first", ylabel="mean of 1 - Dice"
    )
    panels[0].set(xlim=(0, 1), ylim=(0, None))
    panels[1].plot([0, 1], [0, 1], color="0.6", linestyle="--", linewidth=1)
    panels[1].set(
        xlabel="predicted chance of failure",
        ylabel=f"share with a Dice below {evaluation.cut:g}",
        xlim=(0, 1),
        ylim=(0, 1),
    )
    panels[0].legend(fontsize=8, frameon=False)
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
    with durable_file(path) as unfinished:
        figure.savefig(unfinished, format="png", dpi=130)


def _limits(axes: Any, dices: np.ndarray) -> None:
    """The least risk that any order can have, and that of no order at all."""
    risks = np.cumsum(np.sort(1 - dices)) / np.arange(1, len(dices) + 1)
    coverage = np.arange(1, len(risks) + 1) / len(risks)
    axes.plot(coverage, risks, color="0.6", linestyle=":", linewidth=1, label="by the true Dice")
    axes.axhline(
        float((1 - dices).mean()), color="0.6", linestyle="--", linewidth=1, label="by luck"
    )
