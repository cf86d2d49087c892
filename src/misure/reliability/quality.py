"""How good a reliability model is on objects of images that its fit has not seen, at a glance.

It is measured beside plain confidence: the one feature `max_probability`, the mean probability of
the class in the object, fitted in the same way. Both are cross-validated by image, as in
`evaluate_reliability`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from misure.errors import entrance
from misure.metrics.comparison.statistics import Interval, bootstrap
from misure.reliability.evaluation import FitOptions, predict_unseen
from misure.reliability.examples import Examples
from misure.reliability.features import feature_matrix, names_of
from misure.reliability.scores import MEASURES, Predictions

PLAIN_CONFIDENCE = "max_probability"
MEASURED = ("auroc", "mae")
_CHANCE = 0.5  # AUROC


@dataclass(frozen=True)
class Estimate:
    """A measure with its 95 % bootstrap interval over images; None: it could not be made."""

    value: float
    interval: Interval | None


@dataclass(frozen=True, kw_only=True)
class Quality:
    """How good a model is.

    Attributes:
        num_objects, num_images: that were predicted.
        num_failed: of the objects, those with a Dice below the cut.
        cut: it.
        model: measure of `MEASURED` -> its estimate.
        confidence: the same of plain confidence; empty if the model is nothing else, or the records
            lack it.
        gain: model minus confidence, on the same resamples; empty with `confidence`.
    """

    num_objects: int
    num_images: int
    num_failed: int
    cut: float
    model: Mapping[str, Estimate]
    confidence: Mapping[str, Estimate]
    gain: Mapping[str, Estimate]

    def doubts(self) -> list[str]:
        """For what the model is not shown to be worth anything, as parts of a sentence."""
        said = []
        auroc = self.model["auroc"]
        if np.isnan(auroc.value):
            said.append("whether it finds failures cannot be measured, for no part has both kinds")
        elif auroc.interval and auroc.interval[0] <= _CHANCE:
            said.append(
                "it is not shown to find failures at all: the interval of its AUROC, "
                f"{_span(auroc)}, holds or lies below 0.5, which is chance"
            )
        elif not self._is_better("auroc"):
            gain = self.gain["auroc"]
            said.append(
                "it is not shown to find failures better than plain confidence "
                f"({gain.value:+.3f} AUROC, {_span(gain, '+')})"
            )
        if not self._is_better("mae"):
            gain = self.gain["mae"]
            said.append(
                "it is not shown to predict the Dice better than plain confidence "
                f"({gain.value:+.3f} mean error, {_span(gain, '+')})"
            )
        return said

    def _is_better(self, name: str) -> bool:
        """Whether the whole interval of the gain is on the better side; true without any."""
        gain = self.gain.get(name)
        if gain is None or gain.interval is None:
            return True
        low, high = gain.interval
        return low > 0 if MEASURES[name].higher_is_better else high < 0


def _span(estimate: Estimate, sign: str = "") -> str:
    if estimate.interval is None:
        return "no interval"
    low, high = estimate.interval
    return f"{low:{sign}.3f} to {high:{sign}.3f}"


@entrance("measure_quality")
def measure_quality(
    examples: Examples,
    feature_names: Sequence[str],
    *,
    learner: str = "linear",
    cut: float = 0.8,
    coverage: float = 0.9,
    seed: int = 0,
    num_resamples: int = 500,
) -> Quality:
    """How good the model is that `fit_reliability` makes of the same, beside plain confidence.

    Each object is predicted by models that were fitted without any object of its image.

    Args:
        examples, feature_names, learner, cut, coverage, seed: as of `fit_reliability`.
        num_resamples: of the bootstrap.

    Raises:
        InputError: too few images, or failures, to leave out a fifth and still fit.
    """
    names = names_of(feature_names)
    options = FitOptions(learner=learner, cut=cut, coverage=coverage, seed=seed)
    model = predict_unseen(examples, examples, names, options)
    plain: Predictions | None = None
    is_known = not np.isnan(feature_matrix(examples.records, [PLAIN_CONFIDENCE])).all()
    if is_known and list(names) != [PLAIN_CONFIDENCE]:
        alone = FitOptions(learner="linear", cut=cut, coverage=coverage, seed=seed)
        plain = predict_unseen(examples, examples, [PLAIN_CONFIDENCE], alone)
    of_model, of_plain, gain = _estimates(model, plain, num_resamples, seed)
    return Quality(
        num_objects=len(examples),
        num_images=examples.num_images,
        num_failed=int(model.failed.sum()),
        cut=cut,
        model=of_model,
        confidence=of_plain,
        gain=gain,
    )


def _estimates(
    model: Predictions, plain: Predictions | None, num_resamples: int, seed: int
) -> list[dict[str, Estimate]]:
    """Of the model, of plain confidence, and of the difference, on the same resamples."""

    def statistic(indices: np.ndarray) -> list[float]:
        own = [MEASURES[name].of(model.take(indices)) for name in MEASURED]
        if plain is None:
            return own
        other = [MEASURES[name].of(plain.take(indices)) for name in MEASURED]
        return [*own, *other, *(a - b for a, b in zip(own, other, strict=True))]

    values = statistic(np.arange(len(model.dices)))
    intervals = bootstrap(statistic, model.groups.tolist(), num_resamples=num_resamples, seed=seed)
    estimates = [Estimate(*pair) for pair in zip(values, intervals, strict=True)]
    number = len(MEASURED)
    parts = [estimates[start : start + number] for start in (0, number, 2 * number)]
    return [dict(zip(MEASURED, part, strict=False)) for part in parts]
