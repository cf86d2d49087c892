"""How well reliability can be predicted, and what the explanation adds to plain confidence.

Every row of the table is a set of features and a learner. Cross-validated by image, or fitted on
one condition and tested on another. The question is nested: the same features with those of the
explanation and without, and the difference with its bootstrap interval over images.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from misure.errors import InputError
from misure.reliability.features import FEATURES, feature_matrix, names_of
from misure.reliability.learners import folds
from misure.reliability.measures import Predicted, bootstrap_difference, measured
from misure.reliability.model import Examples, ReliabilityModel, fit_reliability
from misure.trial import OnStep

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
        test: of another condition, to test on what was fitted on `examples`; None:
            cross-validation by image.
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
        predicted[row, learner] = (
            _cross_validated(examples, rows[row], options)
            if test is None
            else _said(fit_reliability(examples, rows[row], **options), test)
        )
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


def _cross_validated(
    examples: Examples, names: Sequence[str], options: Mapping[str, Any]
) -> Predicted:
    """Each object judged by a model that has seen nothing of its image."""
    parts, order = [], []
    for fit, test in folds(examples.groups, options["seed"]):
        model = fit_reliability(examples.take(fit), names, **options)
        parts.append(_said(model, examples.take(test)))
        order.append(test)
    back = np.argsort(np.concatenate(order))
    arrays = [
        np.concatenate([getattr(one, name) for one in parts])[back]
        for name in ("dices", "groups", "said", "low", "high", "failure")
    ]
    return Predicted(options["cut"], *arrays)


def _said(model: ReliabilityModel, examples: Examples) -> Predicted:
    said = model.predict(examples.records)
    return Predicted(
        model.cut,
        examples.dices,
        examples.groups,
        np.array([one.dice for one in said]),
        np.array([one.low for one in said]),
        np.array([one.high for one in said]),
        np.array([one.failure_probability for one in said]),
    )
