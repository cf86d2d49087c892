"""The short table of an experiment: parts and methods by the headline metrics."""

import csv
import io
from collections.abc import Mapping, Sequence

from misure._util.tables import arrow
from misure.lab.experiments.plan import ExperimentPlan
from misure.metrics import METRICS, Metric
from misure.metrics.comparison.comparison import Comparison
from misure.metrics.comparison.row import Row
from misure.metrics.comparison.statistics import (
    FEWEST_CASES,
    Summary,
    common_rows,
    differences,
    summarise_rows,
)
from misure.metrics.comparison.tables import mean_and_interval


def as_short_markdown(
    plan: ExperimentPlan, found: Mapping[str, Comparison], words: Mapping[str, tuple[str, str]]
) -> str:
    """The table with its words around it; a cell is the mean and its 95 % bootstrap interval.

    Args:
        plan: what was done.
        found: part -> what came out.
        words: part -> the words of its data set and of its network.
    """
    metrics = [METRICS[name] for name in plan.headline]
    lines = [f"# {plan.title}", "", plan.question, ""]
    lines += [f"- {part}: `{data}`, network `{net}`" for part, (data, net) in words.items()]
    lines += ["", *([plan.note, ""] if plan.note else [])]
    header = [
        "part",
        "method",
        *(f"{one.name}{arrow(one.higher_is_better)}" for one in metrics),
        "objects",
        "cases",
    ]
    lines += [_line(header), f"|{'---|' * len(header)}"]
    common = {
        part: common_rows(comparison.rows, plan.headline) for part, comparison in found.items()
    }
    for part, comparison in found.items():
        rows = summarise_rows(common[part], comparison.methods, plan.headline)
        counts = _counts(common[part])
        for method, figures in rows.items():
            cells = (_cell(figures.get(one.name)) for one in metrics)
            lines.append(_line([part, f"`{method}`", *cells, *counts]))
    explained = (
        "Mean over the objects of which every method has every figure [95 % bootstrap interval of "
        f"the mean, images drawn with all of their objects; none below {FEWEST_CASES} cases]. "
        "↑ higher is better, ↓ lower is better. The figures are misure's own, not the paper's."
    )
    lines += ["", explained]
    if len(plan.methods) > 1:
        lines += ["", *_against(plan.methods[0], found, common, metrics)]
    return "\n".join(lines) + "\n"


def _against(
    method: str,
    found: Mapping[str, Comparison],
    common: Mapping[str, list[Row]],
    metrics: Sequence[Metric],
) -> list[str]:
    """A table of what the other methods have more than this one, object by object."""
    header = [
        "part",
        f"method minus `{method}`",
        *(f"{one.name}{arrow(one.higher_is_better)}" for one in metrics),
    ]
    explained = "Mean difference on the same object [its 95 % interval]; where 0 lies outside, it "
    explained += "is more than chance."
    lines = [f"## Against `{method}`", "", explained, "", _line(header), f"|{'---|' * len(header)}"]
    for part in found:
        against = differences(common[part], method, [one.name for one in metrics])
        for other, figures in against.items():
            cells = (_cell(figures.get(one.name)) for one in metrics)
            lines.append(_line([part, f"`{other}`", *cells]))
    return lines


def _counts(rows: Sequence[Row]) -> list[str]:
    return [str(len({row.image for row in rows})), str(len({row.case for row in rows}))]


def as_short_csv(plan: ExperimentPlan, found: Mapping[str, Comparison]) -> str:
    """One line for each part, method and metric (all of them), over all objects that have it."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    statistics = ("mean", "low", "high", "median", "n", "num_cases")
    writer.writerow(["experiment", "part", "method", "metric", *statistics])
    for part, comparison in found.items():
        for method, figures in comparison.summary().items():
            for metric, one in figures.items():
                told: Mapping[str, object] = {**one}
                numbers = [told[key] for key in statistics]
                writer.writerow([plan.name, part, method, metric, *numbers])
    return text.getvalue()


def _cell(figures: Summary | None) -> str:
    return "–" if figures is None else mean_and_interval(figures)


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
