"""How well reliability can be predicted, and what the explanation adds to plain confidence.

Every row of the table is a set of features and a learner. Cross-validated by image, or fitted on
one condition and tested on another; images that are in both are left out of fitting in turn. The
question is nested: the same features with those of the explanation and without, and the difference
with its bootstrap interval over images.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from misure.errors import InputError
from misure.explanation.probe import OnStep
from misure.reliability.examples import Examples
from misure.reliability.features import FEATURES, feature_matrix, names_of
from misure.reliability.fit import FEWEST_IMAGES, FEWEST_OBJECTS, fit_reliability
from misure.reliability.learners import folds, has_both
from misure.reliability.model import Reliability
from misure.reliability.scores import Predicted, bootstrap_difference, measured
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
"""Name of a row -> groups of features, or single ones: the rivals first, then with explanations."""

NESTED = (
    ("confidence", "confidence + explanation"),
    ("confidence + augmentation", "all"),
)
"""(without, with the explanation's features), between which nothing else differs."""

_COMPARED = ("auroc", "auprc", "mae", "spearman", "aurc")


@dataclass(frozen=True)
class Evaluation:
    """What came out.

    Attributes:
        predicted: (row, learner) -> what was said of the tested objects.
        figures: (row, learner) -> measure -> figure.
        gains: ((without, with), learner) -> measure -> (difference, low, high).
        num_objects, num_images: tested.
        failed_share: of them below the cut, in [0, 1].
        cut: Dice below which a segmentation counts as failed.
        kind: `cross-validated by image`, or `fitted on other runs`.
    """

    predicted: dict[tuple[str, str], Predicted]
    figures: dict[tuple[str, str], dict[str, float]]
    gains: dict[tuple[tuple[str, str], str], Mapping[str, tuple[float, float, float]]]
    num_objects: int
    num_images: int
    failed_share: float
    cut: float
    kind: str


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
    """Measures every row of `FEATURE_SETS` whose features are there, with every learner.

    A single feature is only given to the linear one: boosting could do no more than bend it.

    Args:
        examples: annotated objects.
        test: of another condition, to test on what was fitted on `examples`; None: on
            `examples` themselves. No image is ever fitted and tested on at once.
        learners: names in `LEARNERS`.
        cut, coverage, seed: see `fit_reliability`.
        num_resamples: of the bootstrap.
        on_step: told after every row.

    Raises:
        InputError: as of `fit_reliability`.
    """
    rows = {
        row: names for row, groups in FEATURE_SETS.items() if (names := _there(examples, groups))
    }
    if not rows:
        raise InputError(
            "reliability: expected records with features, they have none. Make the run again with "
            "this version of misure."
        )
    jobs = [
        (row, learner)
        for row, names in rows.items()
        for learner in (learners if len(names) > 1 else [learners[0]])
    ]
    predicted: dict[tuple[str, str], Predicted] = {}
    for number, (row, learner) in enumerate(jobs):
        if on_step:
            on_step("evaluating", number, len(jobs))
        options: dict[str, Any] = {
            "learner": learner,
            "cut": cut,
            "coverage": coverage,
            "seed": seed,
        }
        predicted[row, learner] = _predicted(examples, test or examples, rows[row], options)
    tested = next(iter(predicted.values()))
    return Evaluation(
        predicted,
        {job: measured(one) for job, one in predicted.items()},
        {
            (pair, learner): bootstrap_difference(
                predicted[pair[0], learner],
                predicted[pair[1], learner],
                _COMPARED,
                num_resamples=num_resamples,
                seed=seed,
            )
            for pair in NESTED
            for learner in learners
            if all((row, learner) in predicted for row in pair)
        },
        len(tested.dices),
        len(np.unique(tested.groups)),
        float(tested.failed.mean()),
        cut,
        "cross-validated by image" if test is None else "fitted on other runs",
    )


def _there(examples: Examples, groups: Sequence[str]) -> list[str]:
    """The features of a row; none where a whole group of it is missing in every record."""
    names = names_of(groups)
    found = ~np.isnan(feature_matrix(examples.records, names)).all(axis=0)
    there = [name for name, is_there in zip(names, found, strict=True) if is_there]
    of_group = {FEATURES[name].group for name in there}
    return there if of_group == {FEATURES[name].group for name in names} else []


def _predicted(
    examples: Examples, test: Examples, names: Sequence[str], options: Mapping[str, Any]
) -> Predicted:
    """Each object of `test` judged by a model that has seen nothing of its image."""
    parts = folds(test.groups, options["seed"])
    if not set(test.groups.tolist()) & set(examples.groups.tolist()):
        parts = [(np.arange(0), np.arange(len(test)))]  # one model will do for all
    said: list[Reliability | None] = [None] * len(test)
    fold = np.zeros(len(test), dtype=int)
    for number, (_, tested) in enumerate(parts):
        seen = np.flatnonzero(~np.isin(examples.groups, test.groups[tested]))
        model = fit_reliability(_checked(examples.take(seen), options["cut"]), names, **options)
        some = test.take(tested)
        check_has_features(some.records, model)
        for place, one in zip(tested.tolist(), model.predict(some.records), strict=True):
            said[place] = one
        fold[tested] = number
    arrays = [
        np.array([getattr(one, name) for one in said])
        for name in ("dice", "low", "high", "failure_probability")
    ]
    return Predicted(options["cut"], test.dices, test.groups, fold, *arrays)


def _checked(examples: Examples, cut: float) -> Examples:
    """Raises an InputError where what is left for fitting has too few images, or one outcome."""
    failed = examples.dices < cut
    num_images = len(np.unique(examples.groups))
    too_few = num_images < FEWEST_IMAGES or len(examples) < FEWEST_OBJECTS
    if too_few or not has_both(failed):
        raise InputError(
            "reliability: expected images enough to leave a fifth of them out and still learn from "
            f"failures and successes; {num_images} images are left, {failed.mean():.0%} of their "
            f"objects below the cut {cut:g}. Give more runs, or another --cut."
        )
    return examples
