"""Fitting a reliability model: cross-validated, calibrated, then fitted to all examples."""

from collections.abc import Sequence

import numpy as np

from misure.errors import InputError, entrance
from misure.reliability.calibration import conformal_quantile, platt
from misure.reliability.examples import Examples
from misure.reliability.features import feature_matrix, names_of
from misure.reliability.learners import (
    LEARNERS,
    Learner,
    LearningTable,
    check_learner,
    folds_of,
    has_both,
)
from misure.reliability.model import FittedOn, ReliabilityModel
from misure.reliability.score_functions import Scaling, score_of

FEWEST_OBJECTS, FEWEST_IMAGES = 20, 5


@entrance("fit_reliability")
def fit_reliability(
    examples: Examples,
    feature_names: Sequence[str],
    *,
    learner: str = "linear",
    cut: float = 0.8,
    coverage: float = 0.9,
    seed: int = 0,
) -> ReliabilityModel:
    """A model that predicts the Dice of an object from its features.

    Args:
        examples: objects with their Dices.
        feature_names: names of features or of groups of them (see `names_of`); features that no
            example has are left out.
        learner: name in `LEARNERS`.
        cut: Dice below which a segmentation counts as failed, in (0, 1].
        coverage: of the interval, in (0, 1).
        seed: of the folds and of boosting.

    Raises:
        InputError: too few examples, all on one side of the cut, or without any of the features.
        MissingDependencyError: scikit-learn is missing.
    """
    _check_options(learner, cut, coverage)
    _check_examples(examples, cut)
    names, features = _known_features(examples, feature_names)
    scaling = Scaling.fit(features)
    table = LearningTable(
        columns=scaling(features),
        dices=examples.dices,
        failed=examples.dices < cut,
        folds=folds_of(examples.groups, seed),
    )
    chosen = LEARNERS[learner](table)
    dices, scores = _cross_validate(table, chosen, seed)
    slope, intercept = _calibrate(scores, table.failed)
    return ReliabilityModel(
        feature_names=names,
        scaling=scaling,
        dice=chosen.dice(table.columns, table.dices, seed),
        failure=chosen.failure(table.columns, table.failed, seed),
        slope=slope,
        intercept=intercept,
        half_width=conformal_quantile(np.abs(dices - table.dices), coverage),
        coverage=coverage,
        cut=cut,
        learner=learner,
        about=FittedOn(
            settings=examples.settings,
            num_objects=len(examples),
            num_images=examples.num_images,
            failed_share=float(table.failed.mean()),
        ),
    )


def _check_options(learner: str, cut: float, coverage: float) -> None:
    check_learner(learner)
    if not 0 < cut <= 1 or not 0 < coverage < 1:
        raise InputError(
            f"expected a cut in (0, 1] and a coverage in (0, 1), got {cut} and {coverage}."
        )


def _check_examples(examples: Examples, cut: float) -> None:
    """Raises an InputError for too few examples, or if all are on one side of the cut."""
    if len(examples) < FEWEST_OBJECTS or examples.num_images < FEWEST_IMAGES:
        raise InputError(
            f"expected at least {FEWEST_OBJECTS} annotated objects of {FEWEST_IMAGES} images to "
            f"learn from, got {len(examples)} of {examples.num_images}. Give more runs."
        )
    failed = examples.dices < cut
    if not has_both(failed):
        side = "below" if failed.all() else "at or above"
        raise InputError(
            f"expected segmentations on both sides of the cut {cut:g}, all {len(examples)} are "
            f"{side} it (Dice {examples.dices.min():.3f} to {examples.dices.max():.3f}). Choose "
            "another --cut, or add runs on other images (corrupted:noise=0.1,... makes harder "
            "ones)."
        )


def _known_features(examples: Examples, names: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """The names of the features that at least one example has, and their values (n, m).

    Raises:
        InputError: there is none.
    """
    wanted = names_of(names)
    features = feature_matrix(examples.records, wanted)
    is_known = ~np.isnan(features).all(axis=0)
    if not is_known.any():
        raise InputError(
            f"expected records with {', '.join(wanted)}, they have none of these. Explain with a "
            "method that finds regions (misure), and run with --test-time-augmentation for the "
            "features of the group augmentation."
        )
    known = [name for name, is_there in zip(wanted, is_known, strict=True) if is_there]
    return known, features[:, is_known]


def _cross_validate(
    table: LearningTable, learner: Learner, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Predictions of each object by a fit without its fold.

    Returns:
        Dices (n,) in [0, 1], and scores of failure (n,), NaN if the fit had only one outcome.
    """
    num_objects = len(table.dices)
    dices, scores = np.full(num_objects, np.nan), np.full(num_objects, np.nan)
    for fit, test in table.folds:
        dice_function = learner.dice(table.columns[fit], table.dices[fit], seed)
        dices[test] = np.clip(score_of(dice_function, table.columns[test]), 0, 1)
        if has_both(table.failed[fit]):
            failure_function = learner.failure(table.columns[fit], table.failed[fit], seed)
            scores[test] = score_of(failure_function, table.columns[test])
    return dices, scores


def _calibrate(scores: np.ndarray, failed: np.ndarray) -> tuple[float, float]:
    """Slope and intercept of the failure probability, from cross-validated scores."""
    known = ~np.isnan(scores)
    return platt(scores[known], failed[known])
