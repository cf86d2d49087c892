"""Reliability models: from the features of an object to how far its segmentation can be trusted.

Two scores of the same features: the Dice that an annotator would have measured, and the probability
that this Dice lies below a cut.

The interval of the Dice is as wide as the errors of cross-validation by image, by the quantile of
split conformal prediction (Vovk 2015). No coverage is guaranteed: objects of one image are alike,
and later images may differ from those of the fit. The probability is calibrated by a logistic curve
on the scores of the same cross-validation (Platt 1999).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta

from misure._util.files import write_text
from misure._util.records import Record, decode, encode, unusable
from misure._util.short_repr import ShortRepr
from misure._version import __version__
from misure.errors import InputError
from misure.reliability.calibration import logistic
from misure.reliability.examples import FeatureSettings
from misure.reliability.features import FEATURES, feature_matrix
from misure.reliability.score_functions import Scaling, ScoreFunction, main_reasons, score_of
from misure.runs.record import ObjectRecord

FORMAT = 2
"""The format of model files; misure 0.1.0 wrote "misure reliability 1"."""

_SIZE_LIMIT = 50_000_000  # bytes of a file
_NUM_REASONS = 3

Fraction = Annotated[float, Meta(ge=0, le=1)]


@dataclass(frozen=True, kw_only=True, repr=False)
class Reliability(ShortRepr):
    """How far the segmentation of one object can be trusted.

    Attributes:
        dice: predicted, in [0, 1].
        low, high: its interval, in [0, 1].
        failure_probability: that the Dice is below the cut, in [0, 1].
        reasons: the main reasons: the features that lower the predicted Dice most, each with its
            contribution; empty if none lowers it.
    """

    dice: float
    low: float
    high: float
    failure_probability: float
    reasons: list[tuple[str, float]]


class FittedOn(Record, frozen=True, kw_only=True):
    """What a model was fitted on.

    Attributes:
        settings: of the runs; None if they are unknown.
        num_objects, num_images: number of annotated objects, and of their images.
        failed_share: fraction of the objects with a Dice below the cut.
    """

    settings: FeatureSettings | None
    num_objects: int
    num_images: int
    failed_share: Fraction


class ReliabilityModel(Record, frozen=True, kw_only=True):
    """A model that was fitted (see `fit_reliability`).

    Attributes:
        feature_names: of the features it uses.
        scaling: features to columns.
        dice, failure: the two score functions.
        slope, intercept: failure probability = 1 / (1 + exp(-(slope * score + intercept))).
        half_width: of the interval, before it is cut to [0, 1].
        coverage: fraction of objects whose Dice the interval is meant to hold.
        cut: Dice below which a segmentation counts as failed.
        learner: name in `LEARNERS`.
        about: what it was fitted on.
    """

    feature_names: list[str]
    scaling: Scaling
    dice: ScoreFunction
    failure: ScoreFunction
    slope: Annotated[float, Meta(ge=0)]
    intercept: float
    half_width: Fraction
    coverage: Fraction
    cut: Fraction
    learner: str
    about: FittedOn

    def __post_init__(self) -> None:
        if unknown := [name for name in self.feature_names if name not in FEATURES]:
            raise ValueError(f"there is no feature {unknown[0]!r}")
        if len(self.scaling.mean) != len(self.feature_names):
            raise ValueError("its scaling does not fit its features")
        if not isfinite(self.slope) or not isfinite(self.intercept):
            raise ValueError("slope or intercept is not finite")
        for function in (self.dice, self.failure):
            function.check_columns(len(self.feature_names) + len(self.scaling.flagged))

    def predict(self, records: Sequence[ObjectRecord]) -> list[Reliability]:
        """The reliability of each object; the same for an object alone and among others.

        Args:
            records: finished objects of a run.

        Raises:
            InputError: no object has any of the features.
        """
        if not records:
            return []
        features = feature_matrix(records, self.feature_names)
        if np.isnan(features).all():
            raise InputError(
                f"expected records with {', '.join(self.feature_names[:5])} ..., they have none of "
                "these. Score a run like the one that the model was fitted on."
            )
        columns = self.scaling(features)
        dices = np.clip(score_of(self.dice, columns), 0, 1).tolist()
        scores = self.slope * score_of(self.failure, columns) + self.intercept
        contributions = np.zeros(features.shape)
        feature_of_column = self.scaling.feature_of_column()
        np.add.at(contributions.T, feature_of_column, self.dice.contributions(columns).T)
        reasons = main_reasons(self.feature_names, contributions, _NUM_REASONS)
        return [
            Reliability(
                dice=dice,
                low=max(0.0, dice - self.half_width),
                high=min(1.0, dice + self.half_width),
                failure_probability=probability,
                reasons=of_object,
            )
            for dice, probability, of_object in zip(
                dices, logistic(scores).tolist(), reasons, strict=True
            )
        ]

    def save(self, path: str | Path) -> None:
        """Writes the model as JSON, at once or not at all."""
        file = ReliabilityFile(format=FORMAT, misure_version=__version__, model=self)
        write_text(Path(path), msgspec.json.format(encode(file), indent=1).decode() + "\n")

    @classmethod
    def load(cls, path: str | Path) -> "ReliabilityModel":
        """The model that was saved.

        Raises:
            InputError: not such a file, or one of another version.
        """
        path = Path(path)
        what = f"a file written by `misure reliability fit` in {path}"
        try:
            if path.stat().st_size > _SIZE_LIMIT:
                raise ValueError(f"it has more than {_SIZE_LIMIT:,} bytes")
            data = path.read_bytes()
        except (OSError, ValueError) as error:
            raise unusable(what, error) from error
        header = decode(data, ReliabilityHeader, what)
        if header.format != FORMAT:
            raise InputError(
                f"expected {what} of format {FORMAT}, but it was written by misure "
                f"{header.misure_version} in format {header.format!r}. Fit the model again."
            )
        return decode(data, ReliabilityFile, what).model


class ReliabilityFile(Record, frozen=True, kw_only=True):
    """A saved model.

    Attributes:
        format: see `FORMAT`.
        misure_version: that fitted the model.
        model: itself.
    """

    format: int
    misure_version: str
    model: ReliabilityModel


class ReliabilityHeader(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of a saved model that say who wrote it, in any format."""

    format: int | str
    misure_version: str = "0.1.0"
