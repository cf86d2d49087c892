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

from misure._util.files import write_text
from misure.errors import InputError
from misure.reliability.calibration import logistic
from misure.reliability.features import FEATURES, feature_matrix
from misure.reliability.learners import (
    Scaling,
    Score,
    as_plain,
    from_plain,
    most_of,
    score_of,
)
from misure.runs.record import ObjectRecord

FORMAT = "misure reliability 1"
_SIZE_LIMIT = 50_000_000  # bytes of a file
_NUM_SPEAKING = 3
_LEAST_STD = 1e-12


@dataclass(frozen=True)
class Reliability:
    """What is said of one object.

    Attributes:
        dice: predicted, in [0, 1].
        low, high: the interval around it.
        failure_probability: chance that the Dice is below the cut, in [0, 1].
        reasons: the features that lower the predicted Dice most, with by how much; none where
            all raise it.
    """

    dice: float
    low: float
    high: float
    failure_probability: float
    reasons: list[tuple[str, float]]


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

    def predict(self, records: Sequence[ObjectRecord]) -> list[Reliability]:
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
        chances = logistic(self.slope * score_of(self.failure, columns) + self.intercept)
        of_column, source = self.dice.parts(columns), self.scaling.source()
        parts = np.zeros(features.shape)
        np.add.at(parts.T, source, of_column.T)
        return [
            Reliability(
                float(dice),
                max(0.0, float(dice) - self.half_width),
                min(1.0, float(dice) + self.half_width),
                float(chance),
                reasons,
            )
            for dice, chance, reasons in zip(
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
