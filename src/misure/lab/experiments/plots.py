"""The figure of an experiment, as PNG and SVG."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from misure._util.files import durable_file
from misure._util.tables import arrow
from misure.lab.experiments.plan import ExperimentPlan
from misure.metrics import METRICS
from misure.metrics.comparison.comparison import Comparison
from misure.metrics.comparison.statistics import Summary, common_rows, summarise_rows
from misure.reports.axes import CLASS_COLOURS
from misure.reports.canvas import Figure

_MARKERS = "osD^vP*X"


def save_plots(plan: ExperimentPlan, comparisons: Mapping[str, Comparison], folder: Path) -> None:
    """Writes `figure.png` and `figure.svg`.

    They show the two metrics of `scatter` if the plan names them, else the headline metrics with
    their intervals.

    Args:
        plan: of the experiment.
        comparisons: part -> its comparison.
        folder: to write to.
    """
    figure = _scatter(plan, comparisons) if plan.scatter else _intervals(plan, comparisons)
    for suffix in ("png", "svg"):
        with durable_file(folder / f"figure.{suffix}") as unfinished:
            figure.savefig(unfinished, format=suffix, dpi=130)


def _intervals(plan: ExperimentPlan, comparisons: Mapping[str, Comparison]) -> Figure:
    """A panel for each headline metric: methods down, mean and interval across, parts by colour."""
    num_parts = len(comparisons)
    height = 1.4 + 0.28 * len(plan.methods) * max(1, 0.6 * num_parts)
    figure = Figure(figsize=(2.0 + 2.6 * len(plan.headline), height), layout="constrained")
    panels: Any = figure.subplots(1, len(plan.headline), sharey=True, squeeze=False)[0]
    for number, (part, comparison) in enumerate(comparisons.items()):
        summaries = summarise_rows(
            common_rows(comparison.rows, plan.headline), comparison.methods, plan.headline
        )
        shift = 0.6 * (number - (num_parts - 1) / 2) / max(1, num_parts)
        for axes, name in zip(panels, plan.headline, strict=True):
            rows = [
                (position + shift, summaries[method][name])
                for position, method in enumerate(plan.methods)
                if name in summaries[method]
            ]
            if rows:
                _add_intervals(axes, rows, number, part)
    for axes, name in zip(panels, plan.headline, strict=True):
        axes.set_title(f"{name}{arrow(METRICS[name].higher_is_better)}", fontsize=10)
        axes.grid(axis="x", alpha=0.3)
        if METRICS[name].largest == 1:
            axes.set_xlim(-0.02, 1.02)
    panels[0].set_yticks(range(len(plan.methods)), plan.methods)
    panels[0].invert_yaxis()
    if num_parts > 1:
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    figure.suptitle(plan.title)
    return figure


def _add_intervals(axes: Any, rows: list[tuple[float, Summary]], number: int, part: str) -> None:
    """Draws means with their intervals, (height, summary) each, for the part of this number."""
    heights, summaries = zip(*rows, strict=True)
    means = np.array([summary["mean"] for summary in summaries])
    sides = np.abs(np.array([_ends(summary) for summary in summaries]).T - means)
    axes.errorbar(
        means,
        heights,
        xerr=sides,
        fmt=_MARKERS[number % len(_MARKERS)],
        color=_colour(number),
        markersize=5,
        capsize=2,
        label=part,
    )


def _ends(summary: Summary) -> tuple[float, float]:
    """The ends of the interval; both are the mean if there is no interval."""
    low, high = summary["low"], summary["high"]
    return (summary["mean"],) * 2 if low is None or high is None else (low, high)


def _scatter(plan: ExperimentPlan, comparisons: Mapping[str, Comparison]) -> Figure:
    """Each object by two metrics, with the line on which both are equal."""
    across, up = plan.scatter
    figure = Figure(figsize=(6.4, 5.2), layout="constrained")
    axes: Any = figure.subplots()
    largest = 0.0
    for number, (part, comparison) in enumerate(comparisons.items()):
        pairs = [
            (row.metrics[across], row.metrics[up])
            for row in comparison.rows
            if row.metrics.get(across) is not None and row.metrics.get(up) is not None
        ]
        if not pairs:
            continue
        points = np.array(pairs, dtype=float)
        largest = max(largest, float(points.max()))
        marker = _MARKERS[number % len(_MARKERS)]
        axes.scatter(*points.T, s=18, alpha=0.6, color=_colour(number), marker=marker, label=part)
        axes.plot(
            *np.median(points, axis=0), marker, markersize=12, color=_colour(number), mec="black"
        )
    axes.plot([0, largest], [0, largest], color="black", linewidth=1, linestyle="--")
    axes.set_xlabel(f"{across} ({METRICS[across].unit})")
    axes.set_ylabel(f"{up} ({METRICS[up].unit})")
    axes.set_title(f"{plan.title}\nlarge: median of the part; dashed: both equal", fontsize=10)
    axes.legend(fontsize=8)
    return figure


def _colour(number: int) -> str:
    return CLASS_COLOURS[number % len(CLASS_COLOURS)]
