"""A comparison as tables: CSV with one line a map, Markdown with one table a group of metrics."""

from typing import Any

from misure._util.tables import arrow, csv_text, markdown_table, plain, short
from misure._util.words import counted
from misure.metrics import METRICS, Metric
from misure.metrics.comparison.comparison import Comparison
from misure.metrics.comparison.row import Row
from misure.metrics.comparison.statistics import FEWEST_CASES, Summary

_COSTS = ("forward_passes", "backward_passes", "pass_equivalents", "seconds")


def as_csv(comparison: Comparison) -> str:
    """One line for each object and method; a cell is empty if there is no value."""
    names = [name for name in comparison.metrics if name not in _COSTS]
    about = ("image", "class_index", "class_name", "area_fraction", "method", "layer")
    return csv_text([*about, *names, *_COSTS, "error"], map(_cells, comparison.rows))


def as_markdown(comparison: Comparison) -> str:
    """For each group of metrics a table of methods, then what failed.

    A cell is the mean over objects and its 95 % bootstrap interval, and the median.
    """
    summary, settings = comparison.summary(), comparison.settings
    num_objects = len({row.image for row in comparison.rows if row.target})
    words = (
        f"{counted(num_objects, 'object')}, network {plain(settings['model'])}. Each cell: mean "
        "over objects "
        "[95 % bootstrap interval of the mean, none below "
        f"{FEWEST_CASES} cases]; median. ↑ higher is better, ↓ lower is better. A target counts as "
        f"preserved from Dice {settings['dice_threshold']}; pixels that metrics remove are "
        f"replaced by the baseline image `{settings['baseline_image']}`."
    )
    lines = ["# Comparison", "", words]
    metrics = [METRICS[name] for name in comparison.metrics]
    for group in dict.fromkeys(metric.group for metric in metrics):
        lines += _group_table(
            group, [metric for metric in metrics if metric.group == group], summary
        )
    failed = [
        [plain(row.image), row.method, plain(row.error)] for row in comparison.rows if row.error
    ]
    if failed:
        lines += ["", "## What failed", ""]
        lines += markdown_table(["image", "method", "reason"], failed)
    return "\n".join(lines) + "\n"


def mean_and_interval(summary: Summary) -> str:
    """The mean, and behind it the interval if there are enough cases for one."""
    low, high = summary["low"], summary["high"]
    interval = "" if low is None or high is None else f" [{short(low)}, {short(high)}]"
    return short(summary["mean"]) + interval


def _group_table(
    group: str, metrics: list[Metric], summary: dict[str, dict[str, Summary]]
) -> list[str]:
    """Heading and table of one group; nothing if no method has any of its metrics."""
    shown = [metric for metric in metrics if any(metric.name in by for by in summary.values())]
    if not shown:
        return []
    titles = [f"{metric.name} ({metric.unit}){arrow(metric.higher_is_better)}" for metric in shown]
    rows = []
    for method, by_metric in summary.items():
        summaries = [by_metric.get(metric.name) for metric in shown]
        rows.append([method, *map(_cell, summaries), _counts(summaries)])
    return ["", f"## {group}", "", *markdown_table(["method", *titles, "n"], rows)]


def _cells(row: Row) -> dict[str, Any]:
    """The cells of a row by their columns; what is known twice is taken from its own part."""
    record = row.record()
    parts: list[dict[str, Any]] = [row.target or {}, row.metrics, record["cost"] or {}]
    known = {key: value for part in parts for key, value in part.items() if value is not None}
    return {**record, **known}


def _cell(summary: Summary | None) -> str:
    return "–" if summary is None else f"{mean_and_interval(summary)}; {short(summary['median'])}"


def _counts(summaries: list[Summary | None]) -> str:
    """The number of objects behind each summary, from the smallest to the largest."""
    numbers = sorted({summary["n"] for summary in summaries if summary}) or [0]
    return "–".join(f"{number:g}" for number in dict.fromkeys((numbers[0], numbers[-1])))
