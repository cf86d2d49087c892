"""How good predicted reliabilities are, compared to the true Dices.

Ranking of failures: AUROC and AUPRC (scikit-learn). Dices: mean absolute error, Spearman's rank
correlation. Probabilities: expected calibration error. Use: the risk-coverage curve (El-Yaniv and
Wiener 2010) and the area under it. Intervals: the fraction of Dices they hold.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from scipy import stats

from misure._util.optional import require
from misure._util.short_repr import ShortRepr
from misure.metrics.comparison.statistics import bootstrap

NUM_BINS = 10


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Predictions(ShortRepr):
    """Predictions for n objects, and their true Dices.

    Attributes:
        cut: Dice below which an object counts as failed.
        dices: (n,) true, in [0, 1].
        groups: (n,) the image of each object.
        fold: (n,) the model that predicted each object. Models of different folds differ by a
            constant that leans against their own test objects, so ranks are only compared within a
            fold.
        predicted_dices: (n,) in [0, 1].
        low, high: (n,) ends of the intervals, in [0, 1].
        failure_probabilities: (n,) that the Dice is below the cut, in [0, 1].
    """

    cut: float
    dices: np.ndarray
    groups: np.ndarray
    fold: np.ndarray
    predicted_dices: np.ndarray
    low: np.ndarray
    high: np.ndarray
    failure_probabilities: np.ndarray

    def take(self, indices: np.ndarray) -> "Predictions":
        """The predictions of these indices, repeated if an index is."""
        arrays = {
            name: getattr(self, name)[indices]
            for name in (field.name for field in fields(self))
            if name != "cut"
        }
        return Predictions(cut=self.cut, **arrays)

    @property
    def failed(self) -> np.ndarray:
        """(n,) bool: whether the Dice is below the cut."""
        below: np.ndarray = self.dices < self.cut
        return below


def _within_folds(
    predictions: Predictions,
    measure: Callable[[Predictions], float],
    weight: Callable[[Predictions], float],
) -> float:
    """The weighted mean of a measure over the folds; NaN if no fold has any weight."""
    parts = [
        predictions.take(np.flatnonzero(predictions.fold == number))
        for number in np.unique(predictions.fold)
    ]
    weights = [weight(part) for part in parts]
    if not any(weights):
        return float("nan")
    weighted = [w * measure(part) for part, w in zip(parts, weights, strict=True) if w]
    return sum(weighted) / sum(weights)


def auroc(predictions: Predictions) -> float:
    """The probability that a failed object ranks above a good one; in [0, 1], 0.5 by chance.

    Objects rank by failure probability, over all pairs within folds. NaN if there is no pair.
    """
    return _within_folds(
        predictions,
        lambda part: float(_sklearn().roc_auc_score(part.failed, part.failure_probabilities)),
        lambda part: float(part.failed.sum() * (~part.failed).sum()),
    )


def auprc(predictions: Predictions) -> float:
    """Average precision of finding failed objects, in [0, 1]; by chance the fraction that failed.

    The mean over folds, weighted by their failed objects; NaN if none failed.
    """
    return _within_folds(
        predictions,
        lambda part: float(
            _sklearn().average_precision_score(part.failed, part.failure_probabilities)
        ),
        lambda part: float(part.failed.sum()),
    )


def mean_absolute_error(predictions: Predictions) -> float:
    """Mean absolute error of the predicted Dice, in [0, 1]."""
    return float(np.abs(predictions.predicted_dices - predictions.dices).mean())


def rank_correlation(predictions: Predictions) -> float:
    """Spearman's correlation of predicted and true Dices, in [-1, 1], the mean over folds.

    A fold whose predicted or true Dices are all equal counts as 0.
    """

    def spearman(part: Predictions) -> float:
        if np.ptp(part.predicted_dices) == 0 or np.ptp(part.dices) == 0:
            return 0.0
        return float(stats.spearmanr(part.predicted_dices, part.dices).statistic)

    return _within_folds(predictions, spearman, lambda part: float(len(part.dices)))


def expected_calibration_error(predictions: Predictions) -> float:
    """Mean distance between failure probability and fraction that failed, over bins, in [0, 1]."""
    bins = reliability_bins(predictions)
    total = sum(num for _, _, num in bins)
    return sum(abs(probability - share) * num for probability, share, num in bins) / total


def reliability_bins(predictions: Predictions) -> list[tuple[float, float, int]]:
    """(mean failure probability, fraction that failed, number) of ten bins of about equal size."""
    order = np.argsort(predictions.failure_probabilities, kind="stable")
    parts = [part for part in np.array_split(order, NUM_BINS) if len(part)]
    return [
        (
            float(predictions.failure_probabilities[part].mean()),
            float(predictions.failed[part].mean()),
            len(part),
        )
        for part in parts
    ]


def risk_coverage(predictions: Predictions) -> np.ndarray:
    """Risks (n,) for k = 1 ... n: mean of 1 - Dice of the k objects with the best predictions."""
    order = np.argsort(-predictions.predicted_dices, kind="stable")
    risks: np.ndarray = np.cumsum(1 - predictions.dices[order]) / np.arange(1, len(order) + 1)
    return risks


def area_under_risk_coverage(predictions: Predictions) -> float:
    """Mean risk over all coverages, in [0, 1]; small if good objects come first.

    The mean over folds, weighted by their objects.
    """
    return _within_folds(
        predictions,
        lambda part: float(risk_coverage(part).mean()),
        lambda part: float(len(part.dices)),
    )


def interval_coverage(predictions: Predictions) -> float:
    """Fraction of the objects whose Dice lies in its interval, in [0, 1]."""
    is_above = predictions.low <= predictions.dices
    return float((is_above & (predictions.dices <= predictions.high)).mean())


@dataclass(frozen=True)
class Measure:
    """A measure of predictions.

    Attributes:
        of: predictions to the value.
        higher_is_better: None if neither direction is better.
    """

    of: Callable[[Predictions], float]
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


def measure_all(predictions: Predictions) -> dict[str, float]:
    """Name -> value of every measure."""
    return {name: measure.of(predictions) for name, measure in MEASURES.items()}


@dataclass(frozen=True)
class Gain:
    """The difference of a measure between two predictions of the same objects.

    Attributes:
        difference: second minus first.
        interval: its 95 % bootstrap interval; None if there are too few images for one.
    """

    difference: float
    interval: tuple[float, float] | None


def gains(
    first: Predictions,
    second: Predictions,
    names: Sequence[str],
    *,
    num_resamples: int = 500,
    seed: int = 0,
) -> Mapping[str, Gain]:
    """Measure -> what the second predictions gain over the first.

    The interval is that of the paired difference, images drawn with all their objects.

    Args:
        first, second: predictions of the same objects.
        names: of the measures.
        num_resamples: of the bootstrap.
        seed: of the bootstrap.
    """

    def differences(indices: np.ndarray) -> list[float]:
        before, after = first.take(indices), second.take(indices)
        return [MEASURES[name].of(after) - MEASURES[name].of(before) for name in names]

    whole = differences(np.arange(len(first.dices)))
    intervals = bootstrap(
        differences, first.groups.tolist(), num_resamples=num_resamples, seed=seed
    )
    return {
        name: Gain(difference, interval)
        for name, difference, interval in zip(names, whole, intervals, strict=True)
    }


def _sklearn() -> Any:
    return require("sklearn.metrics", extra="reliability", purpose="measure reliability")
