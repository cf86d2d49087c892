"""How well reliability can be predicted, and what the explanation adds to plain confidence.

Each row of the table is a set of features with a learner. It is cross-validated by image, or fitted
on one condition and tested on another; images that are in both are left out of the fit in turn. The
comparison is nested: the same features with and without those of the explanation, and the
difference with its bootstrap interval over images.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np

from misure._util.progress import OnStep
from misure._util.short_repr import ShortRepr
from misure._util.words import counted
from misure.errors import InputError, entrance
from misure.reliability.examples import Examples
from misure.reliability.features import FEATURES, feature_matrix, names_of
from misure.reliability.fit import FEWEST_IMAGES, FEWEST_OBJECTS, fit_reliability
from misure.reliability.learners import folds_of, has_both
from misure.reliability.model import Reliability
from misure.reliability.scores import Gain, Predictions, gains, measure_all
from misure.reliability.scoring import check_has_features

FEATURE_SETS: dict[str, tuple[str, ...]] = {
    "max_probability": ("max_probability",),
    "entropy": ("entropy",),
    "border_max_probability": ("border_max_probability",),
    "soft_dice": ("soft_dice",),
    "augmented_mean": ("augmented_mean",),
    "confidence": ("confidence", "form"),
    "confidence + augmentation": ("confidence", "form", "augmentation"),
    "explanation": ("explanation", "context"),
    "confidence + explanation": ("confidence", "form", "explanation", "context"),
    "all": ("all",),
}
"""Name of a row -> groups of features, or single ones: first without explanations, then with."""

NESTED = (
    ("confidence", "confidence + explanation"),
    ("confidence + augmentation", "all"),
)
"""(row without, row with the features of the explanation); nothing else differs between them."""

_COMPARED = ("auroc", "auprc", "mae", "spearman", "aurc")


Row = tuple[str, str]
"""(name in `FEATURE_SETS`, name in `LEARNERS`)"""


class FitOptions(TypedDict):
    """Arguments of `fit_reliability`."""

    learner: str
    cut: float
    coverage: float
    seed: int


@dataclass(frozen=True, kw_only=True, repr=False)
class Evaluation(ShortRepr):
    """How well reliability was predicted.

    Attributes:
        predictions: row -> predictions of the tested objects.
        values: row -> measure -> value.
        gains: ((row without, row with explanations), learner) -> measure -> gain.
        num_objects, num_images: tested.
        failed_share: fraction of the objects with a Dice below the cut.
        cut: Dice below which a segmentation counts as failed.
        kind: `cross-validated by image`, or `fitted on other runs`.
    """

    predictions: dict[Row, Predictions]
    values: dict[Row, dict[str, float]]
    gains: dict[tuple[tuple[str, str], str], Mapping[str, Gain]]
    num_objects: int
    num_images: int
    failed_share: float
    cut: float
    kind: str


@entrance("evaluate_reliability")
def evaluate_reliability(
    examples: Examples,
    test: Examples | None = None,
    *,
    learners: Sequence[str] = ("linear", "boosting"),
    cut: float = 0.8,
    coverage: float = 0.9,
    num_resamples: int = 500,
    seed: int = 0,
    on_step: OnStep | None = None,
) -> Evaluation:
    """Measures every row of `FEATURE_SETS` whose features the examples have, with every learner.

    A single feature is only fitted by the first learner: boosting could only bend it.

    Args:
        examples: annotated objects.
        test: objects of another condition, to test what was fitted on `examples`; None: test on
            `examples` themselves. No image is fitted and tested on at once.
        learners: names in `LEARNERS`.
        cut, coverage, seed: see `fit_reliability`.
        num_resamples: of the bootstrap.
        on_step: called before every row.

    Raises:
        InputError: as `fit_reliability`.
    """
    features = _feature_names(examples)
    rows = [
        (name, learner)
        for name, names in features.items()
        for learner in (learners if len(names) > 1 else learners[:1])
    ]
    predictions: dict[Row, Predictions] = {}
    for number, (name, learner) in enumerate(rows):
        if on_step:
            on_step("evaluating", number, len(rows))
        options = FitOptions(learner=learner, cut=cut, coverage=coverage, seed=seed)
        predictions[name, learner] = predict_unseen(
            examples, test or examples, features[name], options
        )
    tested = next(iter(predictions.values()))
    return Evaluation(
        predictions=predictions,
        values={row: measure_all(predicted) for row, predicted in predictions.items()},
        gains=_nested_gains(predictions, learners, num_resamples, seed),
        num_objects=len(tested.dices),
        num_images=len(np.unique(tested.groups)),
        failed_share=float(tested.failed.mean()),
        cut=cut,
        kind="cross-validated by image" if test is None else "fitted on other runs",
    )


def _feature_names(examples: Examples) -> dict[str, list[str]]:
    """Name in `FEATURE_SETS` -> its features that the examples have.

    A set is left out if a whole group of its features is missing in every record.

    Raises:
        InputError: there is no such set.
    """
    features = {}
    for name, groups in FEATURE_SETS.items():
        wanted = names_of(groups)
        is_known = ~np.isnan(feature_matrix(examples.records, wanted)).all(axis=0)
        known = [feature for feature, is_there in zip(wanted, is_known, strict=True) if is_there]
        if _groups_of(known) == _groups_of(wanted):
            features[name] = known
    if not features:
        raise InputError(
            "expected records with features, they have none. Make the run again with this version "
            "of misure."
        )
    return features


def _groups_of(names: Sequence[str]) -> set[str]:
    return {FEATURES[name].group for name in names}


def _nested_gains(
    predictions: Mapping[Row, Predictions],
    learners: Sequence[str],
    num_resamples: int,
    seed: int,
) -> dict[tuple[tuple[str, str], str], Mapping[str, Gain]]:
    """(pair of `NESTED`, learner) -> measure -> gain, if both rows were measured."""
    return {
        (pair, learner): gains(
            predictions[pair[0], learner],
            predictions[pair[1], learner],
            _COMPARED,
            num_resamples=num_resamples,
            seed=seed,
        )
        for pair in NESTED
        for learner in learners
        if all((name, learner) in predictions for name in pair)
    }


def predict_unseen(
    examples: Examples, test: Examples, names: Sequence[str], options: FitOptions
) -> Predictions:
    """Predictions of each object of `test` by a model that has seen nothing of its image.

    Args:
        examples: to fit on.
        test: to predict; may share images with `examples`.
        names: of the features.
        options: of the fits.

    Raises:
        InputError: too few examples are left if the images of a fold are left out.
    """
    parts = [indices for _, indices in folds_of(test.groups, options["seed"])]
    if not set(test.groups.tolist()) & set(examples.groups.tolist()):
        parts = [np.arange(len(test))]  # no image is shared: one model for all
    predicted: list[Reliability | None] = [None] * len(test)
    fold = np.zeros(len(test), dtype=int)
    for number, indices in enumerate(parts):
        unseen = np.flatnonzero(~np.isin(examples.groups, test.groups[indices]))
        fitted_on = examples.take(unseen)
        _check_enough(fitted_on, options["cut"])
        model = fit_reliability(fitted_on, names, **options)
        tested = test.take(indices)
        check_has_features(tested.records, model)
        for index, reliability in zip(indices.tolist(), model.predict(tested.records), strict=True):
            predicted[index] = reliability
        fold[indices] = number

    def array(name: str) -> np.ndarray:
        return np.array([getattr(reliability, name) for reliability in predicted])

    return Predictions(
        cut=options["cut"],
        dices=test.dices,
        groups=test.groups,
        fold=fold,
        predicted_dices=array("dice"),
        low=array("low"),
        high=array("high"),
        failure_probabilities=array("failure_probability"),
    )


def _check_enough(examples: Examples, cut: float) -> None:
    """Raises an InputError if what is left to fit on has too few images, or only one outcome."""
    failed = examples.dices < cut
    too_few = examples.num_images < FEWEST_IMAGES or len(examples) < FEWEST_OBJECTS
    if too_few or not has_both(failed):
        raise InputError(
            "expected enough images to leave out a fifth of them and still learn from failures and "
            f"successes; "
            f"{counted(examples.num_images, 'image')} left, {100 * failed.mean():.0f} % of their "
            f"objects below the cut {cut:g}. Give more runs, or another --cut."
        )
