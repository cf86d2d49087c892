"""The short table of an experiment: parts and methods by the headline metrics."""

import csv
import io
from collections.abc import Mapping

from misure.comparison import Comparison
from misure.comparison_table import arrow, mean_and_interval
from misure.experiments.plan import ExperimentPlan
from misure.metrics import METRICS


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
    header = ["part", "method", *(f"{one.name}{arrow(one)}" for one in metrics), "n"]
    lines += [_line(header), f"|{'---|' * len(header)}"]
    for part, comparison in found.items():
        for method, figures in comparison.summary().items():
            known = [figures.get(one.name) for one in metrics]
            counts = sorted({int(one["n"]) for one in known if one}) or [0]
            number = "–".join(str(n) for n in dict.fromkeys((counts[0], counts[-1])))
            lines.append(_line([part, f"`{method}`", *map(_cell, known), number]))
    explained = (
        "Mean over objects [95 % bootstrap interval of the mean]. ↑ higher is better, ↓ lower is "
        "better. The figures are misure's own, not the paper's."
    )
    lines += ["", explained]
    return "\n".join(lines) + "\n"


def as_short_csv(plan: ExperimentPlan, found: Mapping[str, Comparison]) -> str:
    """One line for each part, method and metric (all of them, not only the headline)."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    statistics = ("mean", "low", "high", "median", "n", "num_cases")
    writer.writerow(["experiment", "part", "method", "metric", *statistics])
    for part, comparison in found.items():
        for method, figures in comparison.summary().items():
            for metric, one in figures.items():
                numbers = [one[key] for key in statistics]
                writer.writerow([plan.name, part, method, metric, *numbers])
    return text.getvalue()


def _cell(figures: Mapping[str, float] | None) -> str:
    return "–" if figures is None else mean_and_interval(figures)


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
