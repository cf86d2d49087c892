"""A comparison as tables: CSV with one line a map, Markdown with one table a group of metrics."""

import csv
import io
from typing import Any

from misure.metrics import METRICS, Metric
from misure.metrics.comparison.compare import Comparison
from misure.metrics.comparison.statistics import FEWEST_CASES, Summary

_ARROWS = {True: " ↑", False: " ↓", None: ""}
_COSTS = ("forward_passes", "backward_passes", "pass_equivalents", "seconds")


def arrow(metric: Metric) -> str:
    """Which way is better, as a sign with a space before it; empty where neither is."""
    return _ARROWS[metric.higher_is_better]


def as_csv(comparison: Comparison) -> str:
    """One line for each object and method; empty where there is no figure."""
    names = [name for name in comparison.metrics if name not in _COSTS]
    text = io.StringIO()
    about = ("image", "class_index", "class_name", "area_fraction", "method", "layer")
    columns = [*about, *names, *_COSTS, "error"]
    writer = csv.DictWriter(text, columns, restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for row in comparison.rows:
        record = row.record()
        parts: list[dict[str, Any]] = [row.target or {}, row.metrics, record["cost"] or {}]
        cells = {key: value for part in parts for key, value in part.items()}
        known = {key: value for key, value in cells.items() if value is not None}
        writer.writerow({**record, **known})
    return text.getvalue()


def as_markdown(comparison: Comparison) -> str:
    """For each group of metrics a table of methods, then what failed.

    A cell is the mean over objects and its 95 % bootstrap interval, and the median.
    """
    summary, settings = comparison.summary(), comparison.settings
    num_objects = len({row.image for row in comparison.rows if row.target})
    words = (
        f"{num_objects} objects, network {_plain(settings['model'])}. Each cell: mean over objects "
        "[95 % bootstrap interval of the mean, none below "
        f"{FEWEST_CASES} cases]; median. ↑ higher is better, ↓ lower is better. A "
        f"target counts as preserved from Dice {settings['dice_threshold']}; where metrics remove "
        f"pixels stands the baseline image `{settings['baseline_image']}`."
    )
    lines = ["# Comparison", "", words]
    measured = [METRICS[name] for name in comparison.metrics]
    for group in dict.fromkeys(metric.group for metric in measured):
        columns = [metric for metric in measured if metric.group == group]
        columns = [one for one in columns if any(one.name in of for of in summary.values())]
        if not columns:
            continue
        header = ["method", *(f"{one.name} ({one.unit}){arrow(one)}" for one in columns), "n"]
        lines += ["", f"## {group}", "", _line(header), f"|{'---|' * len(header)}"]
        for method, figures in summary.items():
            known = [figures.get(one.name) for one in columns]
            num = sorted({one["n"] for one in known if one})
            counts = "–".join(f"{n:g}" for n in dict.fromkeys((num[0], num[-1]))) if num else "0"
            lines.append(_line([method, *map(_cell, known), counts]))
    failed = [row for row in comparison.rows if row.error]
    if failed:
        lines += ["", "## What failed", "", _line(["image", "method", "reason"]), "|---|---|---|"]
        lines += [_line([_plain(row.image), row.method, _plain(row.error)]) for row in failed]
    return "\n".join(lines) + "\n"


def _cell(figures: Summary | None) -> str:
    if figures is None:
        return "–"
    return f"{mean_and_interval(figures)}; {short(figures['median'])}"


def mean_and_interval(figures: Summary) -> str:
    """The mean, and behind it the interval where there are enough cases for one."""
    low, high = figures["low"], figures["high"]
    between = "" if low is None or high is None else f" [{short(low)}, {short(high)}]"
    return short(figures["mean"]) + between


def short(figure: float) -> str:
    """A number with about three digits."""
    size = abs(figure)
    if size >= 100:
        return f"{figure:.0f}"
    return f"{figure:.1f}" if size >= 10 else f"{figure:.3f}"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _plain(text: str) -> str:
    """Text that cannot break a Markdown table, nor be markup in it."""
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())
