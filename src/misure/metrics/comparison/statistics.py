"""What many rows come to: means with intervals, over the same objects, and object by object.

The interval is the expanded percentile bootstrap of T. Hesterberg (What Teachers Should Know About
the Bootstrap, The American Statistician 69, 2015): the plain percentiles are too narrow where there
are few cases, by sqrt(n / (n - 1)) and the tails of Student's t, and are taken further out by that.
"""

from collections.abc import Iterable, Sequence
from typing import TypedDict

import numpy as np
from scipy import stats

from misure.metrics.comparison.row import Row

FEWEST_CASES = 5
"""With fewer no interval is given: there is none that could be trusted."""

_NUM_RESAMPLES = 10_000
_CONFIDENCE = 0.95


class Summary(TypedDict):
    """Of figures over objects.

    Attributes:
        mean, median: over objects.
        low, high: 95 % interval of the mean; None with fewer cases than `FEWEST_CASES`.
        n: how many objects.
        num_cases: of how many cases they are.
    """

    mean: float
    median: float
    low: float | None
    high: float | None
    n: int
    num_cases: int


def summarise(figures: Sequence[float], cases: Sequence[str]) -> Summary:
    """Mean and median, and the 95 % bootstrap interval of the mean, cases drawn with replacement.

    Args:
        figures: at least one.
        cases: of whom each figure is; figures of one case are drawn together, as they are alike.
    """
    values = np.asarray(figures, dtype=float)
    _, of_case = np.unique(cases, return_inverse=True)
    sums, counts = np.bincount(of_case, values), np.bincount(of_case)
    num_cases = len(sums)
    low = high = None
    if num_cases >= FEWEST_CASES:
        rng = np.random.default_rng(0)
        chosen = rng.integers(num_cases, size=(_NUM_RESAMPLES, num_cases))
        means = sums[chosen].sum(1) / counts[chosen].sum(1)
        low, high = map(float, np.quantile(means, _levels(num_cases)))
    return {
        "mean": float(values.mean()),
        "median": float(np.median(values)),
        "low": low,
        "high": high,
        "n": len(values),
        "num_cases": num_cases,
    }


def summarise_rows(
    rows: Iterable[Row], methods: Sequence[str], metrics: Sequence[str]
) -> dict[str, dict[str, Summary]]:
    """Method -> metric -> summary; objects without a figure left out, and metrics without any.

    Args:
        rows: of a comparison.
        methods, metrics: their names, in the order that is wanted.
    """
    found: dict[str, dict[str, Summary]] = {method: {} for method in methods}
    rows = list(rows)
    for method in methods:
        for metric in metrics:
            known = [
                (figure, row.case)
                for row in rows
                if row.method == method and (figure := row.metrics.get(metric)) is not None
            ]
            if known:
                found[method][metric] = summarise(*zip(*known, strict=True))
    return found


def common_rows(rows: Sequence[Row], metrics: Sequence[str]) -> list[Row]:
    """The rows of those objects of which every method has every figure.

    So means beside each other are of the same objects. A metric that a method gives for no object
    at all (growth, of a method that grows nothing) is not asked of it.

    Args:
        rows: of a comparison.
        metrics: the names that count.
    """
    known: dict[str, set[tuple[str, str]]] = {row.image: set() for row in rows if row.target}
    for row in rows:
        known.get(row.image, set()).update(
            (row.method, name) for name in metrics if row.metrics.get(name) is not None
        )
    wanted = set().union(*known.values())
    return [row for row in rows if known.get(row.image) == wanted]


def differences(
    rows: Sequence[Row], method: str, metrics: Sequence[str]
) -> dict[str, dict[str, Summary]]:
    """Other method -> metric -> summary of its figure minus this method's, object by object.

    Args:
        rows: of a comparison.
        method: the one that all others are held against.
        metrics: the names that count.
    """
    own = {row.image: row.metrics for row in rows if row.method == method}
    found: dict[str, dict[str, Summary]] = {}
    for metric in metrics:
        pairs: dict[str, list[tuple[float, str]]] = {}
        for row in rows:
            mine, theirs = own.get(row.image, {}).get(metric), row.metrics.get(metric)
            if row.method != method and mine is not None and theirs is not None:
                pairs.setdefault(row.method, []).append((theirs - mine, row.case))
        for other, known in pairs.items():
            found.setdefault(other, {})[metric] = summarise(*zip(*known, strict=True))
    return found


def _levels(num_cases: int) -> tuple[float, float]:
    """The quantiles of the ends of the interval, further out where there are few cases."""
    tail = stats.t.ppf((1 - _CONFIDENCE) / 2, num_cases - 1)
    low = float(stats.norm.cdf(np.sqrt(num_cases / (num_cases - 1)) * tail))
    return low, 1 - low
