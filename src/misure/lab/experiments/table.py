"""The short table of an experiment: parts and methods by the headline metrics."""

from collections.abc import Mapping, Sequence

from misure._util.tables import arrow, csv_text, markdown_table
from misure.lab.experiments.plan import ExperimentPlan
from misure.metrics import METRICS
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

_COLUMNS = (
    *("experiment", "part", "method", "metric"),
    *("mean", "low", "high", "median", "n", "num_cases"),
)


def as_short_markdown(
    plan: ExperimentPlan,
    comparisons: Mapping[str, Comparison],
    specs: Mapping[str, tuple[str, str]],
) -> str:
    """The table in Markdown, with the text around it.

    A cell is the mean and its 95 % bootstrap interval.

    Args:
        plan: of the experiment.
        comparisons: part -> its comparison.
        specs: part -> the specs of its data set and of its network.
    """
    headings = [_heading(name) for name in plan.headline]
    common = {
        part: common_rows(comparison.rows, plan.headline)
        for part, comparison in comparisons.items()
    }
    lines = [f"# {plan.title}", "", plan.question, ""]
    lines += [f"- {part}: `{data}`, network `{network}`" for part, (data, network) in specs.items()]
    lines += ["", *([plan.note, ""] if plan.note else [])]
    lines += markdown_table(
        ["part", "method", *headings, "objects", "cases"],
        (
            [part, f"`{method}`", *_cells(summary, plan.headline), *_counts(common[part])]
            for part, comparison in comparisons.items()
            for method, summary in summarise_rows(
                common[part], comparison.methods, plan.headline
            ).items()
        ),
    )
    explained = (
        "Mean over the objects for which every method has every metric [95 % bootstrap interval of "
        "the mean, images drawn with all their objects; no interval below "
        f"{FEWEST_CASES} cases]. ↑ higher is better, ↓ lower is better. The values are misure's "
        "own, not the paper's."
    )
    lines += ["", explained]
    if len(plan.methods) > 1:
        lines += ["", *_against_first(plan, common)]
    return "\n".join(lines) + "\n"


def _against_first(plan: ExperimentPlan, common: Mapping[str, list[Row]]) -> list[str]:
    """A table of the differences between the other methods and the first, object by object."""
    first = plan.methods[0]
    table = markdown_table(
        ["part", f"method minus `{first}`", *map(_heading, plan.headline)],
        (
            [part, f"`{method}`", *_cells(summary, plan.headline)]
            for part, rows in common.items()
            for method, summary in differences(rows, first, plan.headline).items()
        ),
    )
    explained = (
        "Mean difference on the same object [its 95 % interval]; if the interval excludes 0, the "
        "difference is unlikely to be chance."
    )
    return [f"## Against `{first}`", "", explained, "", *table]


def as_short_csv(plan: ExperimentPlan, comparisons: Mapping[str, Comparison]) -> str:
    """CSV with one line per part, method and metric, over all objects that have the metric."""
    return csv_text(
        _COLUMNS,
        (
            {"experiment": plan.name, "part": part, "method": method, "metric": metric, **summary}
            for part, comparison in comparisons.items()
            for method, summaries in comparison.summary().items()
            for metric, summary in summaries.items()
        ),
    )


def _heading(name: str) -> str:
    return f"{name}{arrow(METRICS[name].higher_is_better)}"


def _cells(summaries: Mapping[str, Summary], names: Sequence[str]) -> list[str]:
    """One cell per metric; a dash if the method has no value of it."""
    return [mean_and_interval(summaries[name]) if name in summaries else "–" for name in names]


def _counts(rows: Sequence[Row]) -> list[str]:
    """The numbers of objects and of cases."""
    return [str(len({row.image for row in rows})), str(len({row.case for row in rows}))]
