"""Means with intervals over many objects: by method, over the same objects, object by object.

Objects of one case (an image, a patient) are alike, so a bootstrap draws cases with all of their
objects. Intervals are those of the expanded percentile bootstrap of T. Hesterberg (What Teachers
Should Know About the Bootstrap, The American Statistician 69, 2015): with few cases the plain
percentiles are too narrow, by sqrt(n / (n - 1)) and the tails of Student's t, and are taken further
out by that.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TypedDict

import numpy as np
from scipy import stats

from misure.metrics.comparison.row import Row

FEWEST_CASES = 5
"""With fewer cases there is no interval that could be trusted, so none is given."""

Interval = tuple[float, float]
"""Lower and upper end of a 95 % interval."""

_NUM_RESAMPLES = 10_000
_CONFIDENCE = 0.95


class Summary(TypedDict):
    """A metric over objects.

    Attributes:
        mean, median: over objects.
        low, high: 95 % interval of the mean; None with fewer cases than `FEWEST_CASES`.
        n: number of objects.
        num_cases: number of cases that the objects are of.
    """

    mean: float
    median: float
    low: float | None
    high: float | None
    n: int
    num_cases: int


def bootstrap(
    statistic: Callable[[np.ndarray], Sequence[float]],
    cases: Sequence[str],
    *,
    num_resamples: int = 500,
    seed: int = 0,
) -> list[Interval | None]:
    """The 95 % interval of each number of a statistic, cases drawn with replacement.

    For the interval of a paired difference, let the statistic be the difference.

    >>> values = np.arange(20.0)
    >>> bootstrap(lambda numbers: [values[numbers].mean()], [str(i) for i in range(20)])
    [(7.1, 12.4...)]

    Args:
        statistic: numbers (m,) of the objects of a resample -> k numbers; an object stands there as
            often as its case was drawn. NaN is left out.
        cases: (n,) the case of each object.
        num_resamples: number of resamples.
        seed: of the draws.

    Returns:
        k intervals; None with fewer cases than `FEWEST_CASES`, or if every resample gave NaN.
    """
    names, case_of_object = np.unique(cases, return_inverse=True)
    objects_of_case = [np.flatnonzero(case_of_object == number) for number in range(len(names))]
    table = np.array(
        [
            statistic(np.concatenate([objects_of_case[number] for number in draw]))
            for draw in _draws(len(names), num_resamples, seed)
        ],
        dtype=float,
    )
    return [_interval(column, len(names)) for column in table.T]


def summarise(values: Sequence[float], cases: Sequence[str]) -> Summary:
    """Mean and median, and the 95 % bootstrap interval of the mean, cases drawn with replacement.

    Args:
        values: (n,) of the objects, n >= 1.
        cases: (n,) the case of each object.
    """
    numbers = np.asarray(values, dtype=float)
    _, case_of_object = np.unique(cases, return_inverse=True)
    sums, counts = np.bincount(case_of_object, numbers), np.bincount(case_of_object)
    interval = None
    if len(sums) >= FEWEST_CASES:
        draws = _draws(len(sums), _NUM_RESAMPLES, 0)
        interval = _interval(sums[draws].sum(1) / counts[draws].sum(1), len(sums))
    low, high = interval or (None, None)
    return {
        "mean": float(numbers.mean()),
        "median": float(np.median(numbers)),
        "low": low,
        "high": high,
        "n": len(numbers),
        "num_cases": len(sums),
    }


def summarise_rows(
    rows: Iterable[Row], methods: Sequence[str], metrics: Sequence[str]
) -> dict[str, dict[str, Summary]]:
    """Method -> metric -> summary over the objects that have the metric.

    A metric that a method has for no object is left out.

    Args:
        rows: of a comparison.
        methods, metrics: their names, in the order that is wanted.
    """
    values: dict[tuple[str, str], list[tuple[float, str]]] = {}
    for row in rows:
        for metric, value in row.metrics.items():
            if value is not None:
                values.setdefault((row.method, metric), []).append((value, row.case))
    return {
        method: {
            metric: summarise(*zip(*values[method, metric], strict=True))
            for metric in metrics
            if (method, metric) in values
        }
        for method in methods
    }


def common_rows(rows: Sequence[Row], metrics: Sequence[str]) -> list[Row]:
    """The rows of those objects for which every method has every metric.

    So means beside each other are over the same objects. A metric that a method has for no object
    at all (growth, of a method that grows nothing) is not asked of it.

    Args:
        rows: of a comparison.
        metrics: names of the metrics that count.
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
    """Other method -> metric -> summary of its value minus this method's on the same object.

    Args:
        rows: of a comparison.
        method: the one that all others are compared to.
        metrics: names of the metrics that count.
    """
    reference = {row.image: row.metrics for row in rows if row.method == method}
    pairs: dict[tuple[str, str], list[tuple[float, str]]] = {}
    for metric in metrics:
        for row in rows:
            own, other = reference.get(row.image, {}).get(metric), row.metrics.get(metric)
            if row.method != method and own is not None and other is not None:
                pairs.setdefault((row.method, metric), []).append((other - own, row.case))
    summaries: dict[str, dict[str, Summary]] = {}
    for (other_method, metric), values in pairs.items():
        of_method = summaries.setdefault(other_method, {})
        of_method[metric] = summarise(*zip(*values, strict=True))
    return summaries


def _draws(num_cases: int, num_resamples: int, seed: int) -> np.ndarray:
    """Numbers (num_resamples, num_cases) of the cases of each resample."""
    return np.random.default_rng(seed).integers(num_cases, size=(num_resamples, num_cases))


def _interval(estimates: np.ndarray, num_cases: int) -> Interval | None:
    """The expanded percentile interval of what resamples gave; see the top of this file."""
    if num_cases < FEWEST_CASES or np.isnan(estimates).all():
        return None
    tail = stats.t.ppf((1 - _CONFIDENCE) / 2, num_cases - 1)
    level = float(stats.norm.cdf(np.sqrt(num_cases / (num_cases - 1)) * tail))
    low, high = np.nanquantile(estimates, (level, 1 - level))
    return float(low), float(high)
