"""The figure of an experiment, as PNG and SVG."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from misure._util.files import durable_file
from misure._util.tables import arrow
from misure.lab.experiments.plan import ExperimentPlan
from misure.metrics import METRICS
from misure.metrics.comparison.comparison import Comparison
from misure.metrics.comparison.statistics import Summary, common_rows, summarise_rows
from misure.reports.axes import CLASS_COLOURS

_MARKERS = "osD^vP*X"


def save_figures(plan: ExperimentPlan, found: Mapping[str, Comparison], folder: Path) -> None:
    """Draws `figure.png` and `figure.svg`.

    One metric over another where the plan says so, else the headline metrics with their intervals.
    """
    drawn = _scatter(plan, found) if plan.scatter else _intervals(plan, found)
    for suffix in ("png", "svg"):
        with durable_file(folder / f"figure.{suffix}") as unfinished:
            drawn.savefig(unfinished, format=suffix, dpi=130)


def _intervals(plan: ExperimentPlan, found: Mapping[str, Comparison]) -> Figure:
    """A panel for each headline metric: methods down, mean and interval across, parts by colour."""
    num = len(plan.headline)
    height = 1.4 + 0.28 * len(plan.methods) * max(1, 0.6 * len(found))
    figure = Figure(figsize=(2.0 + 2.6 * num, height), layout="constrained")
    panels: Any = figure.subplots(1, num, sharey=True, squeeze=False)[0]
    places = np.arange(len(plan.methods))
    summaries = {
        part: summarise_rows(common_rows(one.rows, plan.headline), one.methods, plan.headline)
        for part, one in found.items()
    }
    for axes, name in zip(panels, plan.headline, strict=True):
        for number, (part, summary) in enumerate(summaries.items()):
            shift = 0.6 * (number - (len(found) - 1) / 2) / max(1, len(found))
            known = [
                (place + shift, summary[method][name])
                for place, method in zip(places, plan.methods, strict=True)
                if name in summary[method]
            ]
            if not known:
                continue
            heights, figures = zip(*known, strict=True)
            means = np.array([one["mean"] for one in figures])
            ends = [_ends(one) for one in figures]
            sides = np.abs(np.array(ends).T - means)
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
        axes.set_title(f"{name}{arrow(METRICS[name].higher_is_better)}", fontsize=10)
        axes.grid(axis="x", alpha=0.3)
        if METRICS[name].largest == 1:
            axes.set_xlim(-0.02, 1.02)
    panels[0].set_yticks(places, plan.methods)
    panels[0].invert_yaxis()
    if len(found) > 1:
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    figure.suptitle(plan.title)
    return figure


def _ends(figures: Summary) -> tuple[float, float]:
    """Of the interval; the mean itself where there is none."""
    low, high = figures["low"], figures["high"]
    return (figures["mean"],) * 2 if low is None or high is None else (low, high)


def _scatter(plan: ExperimentPlan, found: Mapping[str, Comparison]) -> Figure:
    """One metric of each object over another, with the line on which both are equal."""
    across, up = plan.scatter
    figure = Figure(figsize=(6.4, 5.2), layout="constrained")
    axes: Any = figure.subplots()
    largest = 0.0
    for number, (part, comparison) in enumerate(found.items()):
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
