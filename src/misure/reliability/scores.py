"""How good predicted reliabilities are, against the Dices that were found.

Ranking of failures: AUROC and AUPRC (scikit-learn). Dices: mean absolute error, Spearman's rank
correlation. Chances: expected calibration error. Use: the risk-coverage curve (El-Yaniv and Wiener
2010) and the area under it. Intervals: how many Dices they hold.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from misure._util.optional import require

NUM_BINS = 10


@dataclass(frozen=True)
class Predicted:
    """What was said of some objects, and what is true.

    Attributes:
        cut: Dice below which one counts as failed.
        dices: (n,) true, in [0, 1].
        groups: (n,) of which image each is.
        fold: (n,) which model judged each. Models of different folds differ by a constant that
            leans against their own test objects, so ranks are only compared within a fold.
        said: (n,) predicted Dices, in [0, 1].
        low, high: (n,) the intervals.
        failure: (n,) chances that the Dice is below the cut.
    """

    cut: float
    dices: np.ndarray
    groups: np.ndarray
    fold: np.ndarray
    said: np.ndarray
    low: np.ndarray
    high: np.ndarray
    failure: np.ndarray

    def take(self, numbers: np.ndarray) -> "Predicted":
        """Some of the objects, again and again where a number stands several times."""
        arrays = (
            self.dices, self.groups, self.fold, self.said, self.low, self.high, self.failure,
        )  # fmt: skip
        return Predicted(self.cut, *(one[numbers] for one in arrays))

    @property
    def failed(self) -> np.ndarray:
        """(n,) bool."""
        below: np.ndarray = self.dices < self.cut
        return below


def _within_folds(
    one: Predicted, figure: Callable[[Predicted], float], weight: Callable[[Predicted], float]
) -> float:
    """The weighted mean of a figure over the folds; NaN where no fold has any weight."""
    parts = [one.take(np.flatnonzero(one.fold == number)) for number in np.unique(one.fold)]
    weights = [weight(part) for part in parts]
    if not any(weights):
        return float("nan")
    weighed = [w * figure(part) for part, w in zip(parts, weights, strict=True) if w]
    return sum(weighed) / sum(weights)


def auroc(one: Predicted) -> float:
    """That a failed object has a higher chance of failure than a good one; in [0, 1], 0.5 by luck.

    Over all pairs within folds. NaN where there is none.
    """
    metrics = require("sklearn.metrics", extra="reliability", purpose="measure reliability")
    return _within_folds(
        one,
        lambda part: float(metrics.roc_auc_score(part.failed, part.failure)),
        lambda part: float(part.failed.sum() * (~part.failed).sum()),
    )


def auprc(one: Predicted) -> float:
    """Average precision of finding the failed ones, in [0, 1]; by luck their share.

    Of folds the mean, weighted by their failed ones; NaN where none failed.
    """
    metrics = require("sklearn.metrics", extra="reliability", purpose="measure reliability")
    return _within_folds(
        one,
        lambda part: float(metrics.average_precision_score(part.failed, part.failure)),
        lambda part: float(part.failed.sum()),
    )


def mean_absolute_error(one: Predicted) -> float:
    """Of the predicted Dice, in [0, 1]."""
    return float(np.abs(one.said - one.dices).mean())


def rank_correlation(one: Predicted) -> float:
    """Spearman's, of predicted and true Dices, in [-1, 1], the mean over folds; 0 where one of them
    never changes.
    """  # noqa: D205

    def figure(part: Predicted) -> float:
        if np.ptp(part.said) == 0 or np.ptp(part.dices) == 0:
            return 0.0
        return float(stats.spearmanr(part.said, part.dices).statistic)

    return _within_folds(one, figure, lambda part: float(len(part.dices)))


def expected_calibration_error(one: Predicted) -> float:
    """Mean distance of chance and share of failures, over ten bins of equal numbers, in [0, 1]."""
    bins = reliability_bins(one)
    total = sum(num for _, _, num in bins)
    return sum(abs(chance - share) * num for chance, share, num in bins) / total


def reliability_bins(one: Predicted) -> list[tuple[float, float, int]]:
    """(mean chance of failure, share that failed, number) of bins of about equal numbers."""
    order = np.argsort(one.failure, kind="stable")
    parts = [part for part in np.array_split(order, NUM_BINS) if len(part)]
    return [
        (float(one.failure[part].mean()), float(one.failed[part].mean()), len(part))
        for part in parts
    ]


def risk_coverage(one: Predicted) -> np.ndarray:
    """Risk, the mean of 1 - Dice, of the k objects with the highest predicted Dice; k = 1 ... n."""
    order = np.argsort(-one.said, kind="stable")
    risks: np.ndarray = np.cumsum(1 - one.dices[order]) / np.arange(1, len(order) + 1)
    return risks


def area_under_risk_coverage(one: Predicted) -> float:
    """Mean risk over all coverages, in [0, 1]; small where the good ones come first.

    Of folds the mean, weighted by their objects.
    """
    return _within_folds(
        one, lambda part: float(risk_coverage(part).mean()), lambda part: float(len(part.dices))
    )


def interval_coverage(one: Predicted) -> float:
    """Share of the objects whose Dice lies in its interval, in [0, 1]."""
    return float(((one.low <= one.dices) & (one.dices <= one.high)).mean())


@dataclass(frozen=True)
class Measure:
    """A figure of `Predicted`, and which way is better (None: neither)."""

    of: Callable[[Predicted], float]
    higher_is_better: bool | None


MEASURES: dict[str, Measure] = {
    "auroc": Measure(auroc, True),
    "auprc": Measure(auprc, True),
    "mae": Measure(mean_absolute_error, False),
    "spearman": Measure(rank_correlation, True),
    "ece": Measure(expected_calibration_error, False),
    "aurc": Measure(area_under_risk_coverage, False),
    "interval_coverage": Measure(interval_coverage, None),
}
"""Name -> measure."""


def measured(one: Predicted) -> dict[str, float]:
    """Every measure."""
    return {name: measure.of(one) for name, measure in MEASURES.items()}


def bootstrap_difference(
    first: Predicted,
    second: Predicted,
    names: Sequence[str],
    *,
    num_resamples: int = 500,
    seed: int = 0,
) -> Mapping[str, tuple[float, float, float]]:
    """Measure -> (second minus first, low, high): the 95 % percentile bootstrap over images.

    Args:
        first, second: predictions of the same objects.
        names: of the measures.
        num_resamples: how often images are drawn, with replacement.
        seed: of the drawing.
    """
    images, of_object = np.unique(first.groups, return_inverse=True)
    members = [np.flatnonzero(of_object == i) for i in range(len(images))]
    generator = np.random.default_rng(seed)
    drawn = []
    for _ in range(num_resamples):
        chosen = generator.integers(0, len(images), len(images))
        numbers = np.concatenate([members[i] for i in chosen])
        a, b = first.take(numbers), second.take(numbers)
        drawn.append([MEASURES[name].of(b) - MEASURES[name].of(a) for name in names])
    table = np.array(drawn)
    found = {}
    for name, column in zip(names, table.T, strict=True):
        low, high = np.nanquantile(column, [0.025, 0.975])
        whole = MEASURES[name].of(second) - MEASURES[name].of(first)
        found[name] = (float(whole), float(low), float(high))
    return found
