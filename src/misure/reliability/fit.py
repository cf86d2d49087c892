"""Fitting a reliability model: cross-validated, calibrated, then fitted to all examples."""

from collections.abc import Sequence

import numpy as np

from misure.errors import InputError
from misure.reliability.calibration import conformal_quantile, platt
from misure.reliability.examples import Examples
from misure.reliability.features import feature_matrix, names_of
from misure.reliability.learners import LEARNERS, Scaling, check_learner, folds, has_both, score_of
from misure.reliability.model import ReliabilityModel

FEWEST_OBJECTS, FEWEST_IMAGES = 20, 5


def fit_reliability(
    examples: Examples,
    feature_names: Sequence[str],
    *,
    learner: str = "linear",
    cut: float = 0.8,
    coverage: float = 0.9,
    seed: int = 0,
) -> ReliabilityModel:
    """Learns how good objects are from their features.

    Args:
        examples: objects with their Dices.
        feature_names: names of features or of groups of them (see `names_of`); those that no
            example has are left out.
        learner: name in `LEARNERS`.
        cut: Dice below which a segmentation counts as failed, in (0, 1].
        coverage: of the interval, in (0, 1).
        seed: of the folds and of boosting.

    Raises:
        InputError: too few examples, all on one side of the cut, or without any of the features.
        MissingDependencyError: scikit-learn is missing.
    """
    check_learner(learner)
    if not 0 < cut <= 1 or not 0 < coverage < 1:
        raise InputError(
            f"reliability: expected a cut in (0, 1] and a coverage in (0, 1), got {cut} and "
            f"{coverage}."
        )
    _check_examples(examples, cut)
    wanted = names_of(feature_names)
    features = feature_matrix(examples.records, wanted)
    there = ~np.isnan(features).all(axis=0)
    names = [name for name, is_there in zip(wanted, there, strict=True) if is_there]
    if not names:
        raise InputError(
            f"reliability: expected records with {', '.join(wanted)}, they have none of "
            "these. Explain with a method that finds regions (misure), and run with "
            "--test-time-augmentation where those are asked for."
        )
    scaling = Scaling.fit(features[:, there])
    columns, failed = scaling(features[:, there]), examples.dices < cut
    parts = folds(examples.groups, seed)
    ask = LEARNERS[learner](columns, examples.dices, failed, parts)
    dices, scores = np.full(len(examples), np.nan), np.full(len(examples), np.nan)
    for fit, test in parts:
        of_dice = ask.dice(columns[fit], examples.dices[fit], seed)
        dices[test] = score_of(of_dice, columns[test])
        if has_both(failed[fit]):
            of_failure = ask.failure(columns[fit], failed[fit], seed)
            scores[test] = score_of(of_failure, columns[test])
    known = ~np.isnan(scores)
    slope, intercept = platt(scores[known], failed[known])
    errors = np.abs(np.clip(dices, 0, 1) - examples.dices)
    return ReliabilityModel(
        names,
        scaling,
        ask.dice(columns, examples.dices, seed),
        ask.failure(columns, failed, seed),
        slope,
        intercept,
        conformal_quantile(errors, coverage),
        coverage,
        cut,
        learner,
        {
            "made": dict(examples.made),
            "num_objects": len(examples),
            "num_images": len(np.unique(examples.groups)),
            "failed_share": float(failed.mean()),
        },
    )


def _check_examples(examples: Examples, cut: float) -> None:
    num_images = len(np.unique(examples.groups))
    if len(examples) < FEWEST_OBJECTS or num_images < FEWEST_IMAGES:
        raise InputError(
            f"reliability: expected at least {FEWEST_OBJECTS} annotated objects of "
            f"{FEWEST_IMAGES} images to learn from, got {len(examples)} of {num_images}. Give "
            "more runs."
        )
    failed = examples.dices < cut
    if not has_both(failed):
        side = "below" if failed.all() else "at or above"
        raise InputError(
            f"reliability: expected segmentations on both sides of the cut {cut:g}, all "
            f"{len(examples)} are {side} it (Dice {examples.dices.min():.3f} to "
            f"{examples.dices.max():.3f}). Choose another --cut, or add runs on other images "
            "(corrupted:noise=0.1,... makes harder ones)."
        )
