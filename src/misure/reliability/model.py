"""Reliability models: from the features of an object to how far it can be trusted.

Two scores of the same features: the Dice that the object would have with an annotation, and the
chance that this Dice lies below a cut. The interval is as wide as the errors of cross-validation by
image, by the quantile of split conformal prediction (Vovk 2015 of folds). No coverage is
guaranteed: objects of one image are alike, and what is seen later may be unlike what was fitted
on. The chance is calibrated by a logistic
curve on the same cross-validation's scores (Platt 1999).
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from scipy import optimize

from misure.durable_file import write_text
from misure.errors import InputError
from misure.reliability.features import FEATURES, feature_matrix, names_of
from misure.reliability.learners import (
    LEARNERS,
    Scaling,
    Score,
    as_plain,
    check_learner,
    folds,
    from_plain,
    has_both,
    most_of,
    score_of,
)

FORMAT = "misure reliability 1"
FEWEST_OBJECTS, FEWEST_IMAGES = 20, 5
_SIZE_LIMIT = 50_000_000  # bytes of a file
_NUM_SPEAKING = 3
_LEAST_STD = 1e-12


@dataclass(frozen=True)
class Examples:
    """Objects of which it is known how good they are.

    Attributes:
        records: of a run.
        dices: (n,) in [0, 1], with the annotation.
        groups: of which image (or patient) each is; objects of one group are never on both sides of
            a split.
        made: how their runs were made; a run to be scored must be made the same way.
    """

    records: Sequence[Mapping[str, Any]]
    dices: np.ndarray
    groups: np.ndarray
    made: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.records)

    def take(self, numbers: np.ndarray) -> "Examples":
        """Some of them."""
        records = [self.records[i] for i in numbers]
        return Examples(records, self.dices[numbers], self.groups[numbers], self.made)


@dataclass(frozen=True)
class Reliability:
    """What is said of one object.

    Attributes:
        dice: predicted, in [0, 1].
        low, high: the interval around it.
        failure_probability: chance that the Dice is below the cut, in [0, 1].
        speaking: the features that lower the predicted Dice most, with by how much; none where
            all raise it.
    """

    dice: float
    low: float
    high: float
    failure_probability: float
    speaking: list[tuple[str, float]]


@dataclass(frozen=True)
class ReliabilityModel:
    """A model that was fitted (see `fit_reliability`).

    Attributes:
        feature_names: what it looks at.
        scaling: features to columns.
        dice, failure: the two scores.
        slope, intercept: failure probability = 1 / (1 + exp(-(slope * score + intercept))).
        half_width: of the interval, before it is cut to [0, 1].
        coverage: share of objects whose Dice the interval is to hold.
        cut: Dice below which a segmentation counts as failed.
        learner: name in `LEARNERS`.
        about: what it was fitted on.
    """

    feature_names: list[str]
    scaling: Scaling
    dice: Score
    failure: Score
    slope: float
    intercept: float
    half_width: float
    coverage: float
    cut: float
    learner: str
    about: dict[str, Any] = field(default_factory=dict)

    def predict(self, records: Sequence[Mapping[str, Any]]) -> list[Reliability]:
        """What is said of each object; the same for one alone and among others.

        Args:
            records: of a run, done ones.

        Raises:
            InputError: none of the features is there.
        """
        if not records:
            return []
        features = feature_matrix(records, self.feature_names)
        if np.isnan(features).all():
            raise InputError(
                f"reliability: expected records with {', '.join(self.feature_names[:5])} ..., they "
                "have none of these. Score a run like the one that the model was fitted on."
            )
        columns = self.scaling(features)
        dices = np.clip(score_of(self.dice, columns), 0, 1)
        chances = _logistic(self.slope * score_of(self.failure, columns) + self.intercept)
        of_column, source = self.dice.parts(columns), self.scaling.source()
        parts = np.zeros(features.shape)
        np.add.at(parts.T, source, of_column.T)
        return [
            Reliability(
                float(dice),
                max(0.0, float(dice) - self.half_width),
                min(1.0, float(dice) + self.half_width),
                float(chance),
                speaking,
            )
            for dice, chance, speaking in zip(
                dices, chances, most_of(self.feature_names, parts, _NUM_SPEAKING), strict=True
            )
        ]

    def save(self, path: str | Path) -> None:
        """Writes the model as JSON, at once or not at all."""
        plain = {
            "format": FORMAT,
            **asdict(self),
            "dice": as_plain(self.dice),
            "failure": as_plain(self.failure),
        }
        write_text(Path(path), json.dumps(plain, allow_nan=False, indent=1) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """The model that was saved.

        Raises:
            InputError: not such a file.
        """
        path = Path(path)
        try:
            if path.stat().st_size > _SIZE_LIMIT:
                raise ValueError(f"it has more than {_SIZE_LIMIT:,} bytes")
            plain = json.loads(path.read_text(encoding="utf-8"))
            return cls._from_plain(plain)
        except (
            OSError,
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            ArithmeticError,
            RecursionError,
        ) as error:
            raise InputError(
                f"reliability: expected a file written by `misure reliability fit`, but {path} "
                f"cannot be used: {error}"
            ) from error

    @classmethod
    def _from_plain(cls, plain: Mapping[str, Any]) -> Self:
        if plain["format"] != FORMAT:
            raise ValueError(f"its format is {plain['format']!r}, not {FORMAT!r}")
        names = list(plain["feature_names"])
        if unknown := [one for one in names if one not in FEATURES]:
            raise ValueError(f"it looks at {unknown[0]!r}, which is no feature")
        mean, std = ([float(x) for x in plain["scaling"][name]] for name in ("mean", "std"))
        scaling = Scaling(mean, std, [int(one) for one in plain["scaling"]["flagged"]])
        if (
            not all(map(math.isfinite, (*mean, *std)))
            or 0 in std
            or {len(scaling.mean), len(scaling.std)} != {len(names)}
            or not all(0 <= one < len(names) for one in scaling.flagged)
        ):
            raise ValueError("its scaling does not fit its features")
        if len(set(scaling.flagged)) < len(scaling.flagged):
            raise ValueError("a feature is flagged twice")
        num_columns = len(names) + len(scaling.flagged)
        numbers = {
            name: float(plain[name])
            for name in ("slope", "intercept", "half_width", "coverage", "cut")
        }
        if not all(map(math.isfinite, numbers.values())):
            raise ValueError("a number in it is none")
        if numbers["slope"] < 0 or not all(
            0 <= numbers[name] <= 1 for name in ("half_width", "coverage", "cut")
        ):
            raise ValueError("half_width, coverage, cut or slope out of their range")
        about = dict(plain["about"])
        if not isinstance(about.get("made"), dict) or not isinstance(about["num_objects"], int):
            raise ValueError("it does not say what it was learnt from")  # noqa: TRY004
        return cls(
            names,
            scaling,
            from_plain(plain["dice"], num_columns),
            from_plain(plain["failure"], num_columns),
            **numbers,
            learner=str(plain["learner"]),
            about=about,
        )


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
    slope, intercept = _platt(scores[known], failed[known])
    errors = np.abs(np.clip(dices, 0, 1) - examples.dices)
    return ReliabilityModel(
        names,
        scaling,
        ask.dice(columns, examples.dices, seed),
        ask.failure(columns, failed, seed),
        slope,
        intercept,
        _conformal_quantile(errors, coverage),
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


def _conformal_quantile(errors: np.ndarray, coverage: float) -> float:
    """The error that so many of n + 1 stay below; 1 where n is too small to say."""
    rank = math.ceil((len(errors) + 1) * coverage)
    return 1.0 if rank > len(errors) else float(np.sort(errors)[rank - 1])


def _platt(scores: np.ndarray, failed: np.ndarray) -> tuple[float, float]:
    """Slope (0 or more) and intercept of the logistic curve nearest to what happened.

    With Platt's targets, (n + 1) / (n + 2) and 1 / (m + 2), so that no chance becomes 0 or 1.
    """
    num_failed = int(failed.sum())
    wanted = np.where(
        failed, (num_failed + 1) / (num_failed + 2), 1 / (len(failed) - num_failed + 2)
    )
    middle, spread = float(scores.mean()), float(scores.std()) or 1.0
    scaled = (scores - middle) / spread

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        lead = weights[0] * scaled + weights[1]
        error = _logistic(lead) - wanted
        value = float(np.mean(np.logaddexp(0, lead) - wanted * lead))
        return value, np.array([float(np.mean(error * scaled)), float(np.mean(error))])

    share = float(wanted.mean())
    start = np.array([0.0, math.log(share / (1 - share))])
    found = optimize.minimize(
        loss, start, jac=True, method="L-BFGS-B", bounds=[(0, None), (None, None)]
    ).x
    slope = float(found[0]) / spread
    return slope, float(found[1]) - slope * middle


def _logistic(x: np.ndarray) -> np.ndarray:
    chance: np.ndarray = 1 / (1 + np.exp(-np.clip(x, -60, 60)))
    return chance
