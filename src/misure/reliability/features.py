"""Features: numbers of a run's record that may tell how far a segmentation can be trusted.

They are misure's own, not taken from a paper. A feature that a record lacks is missing (NaN).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from misure.errors import InputError
from misure.runs.context import context_shares
from misure.runs.record import DoneObject, ExplainedObject, ObjectRecord

_OF_REGIONS = ("explanation", "context")  # groups that only methods that find regions have


@dataclass(frozen=True)
class Feature:
    """One number of a record.

    Attributes:
        name: its own.
        group: see `GROUPS`.
        formula: how it is computed, in words and signs.
        read: a record to the number; raises if the record lacks it. Only features of the groups
            `explanation` and `context` may read what an `ExplainedObject` has.
    """

    name: str
    group: str
    formula: str
    read: Callable[[ExplainedObject], float]

    def of(self, record: ObjectRecord) -> float:
        """The number; NaN if the record has none."""
        if not isinstance(record, ExplainedObject if self.group in _OF_REGIONS else DoneObject):
            return math.nan
        try:
            number = float(self.read(cast(ExplainedObject, record)))
        except (LookupError, TypeError, ValueError, ArithmeticError):
            return math.nan
        return number if math.isfinite(number) else math.nan


GROUPS = {
    "confidence": "how sure the network is, by its own probabilities",
    "form": "size and form of the object",
    "augmentation": "whether slightly changed images give the same (run --test-time-augmentation)",
    "explanation": "what the explanation found",
    "context": "on which other classes the evidence lies",
}
"""Name -> what the features of the group describe."""


def _prediction(name: str) -> Callable[[DoneObject], float]:
    return lambda record: getattr(record.prediction, name)


def _augmented(name: str) -> Callable[[DoneObject], float]:
    return lambda record: (record.augmented_dice or {})[name]


def _augmented_mean(record: DoneObject) -> float:
    return float(np.mean([*record.augmented_dice.values()])) if record.augmented_dice else math.nan


def _log10(area: float) -> float:
    return math.log10(max(area, 1e-6))


def _relative_growth(record: ExplainedObject) -> float:
    num_dimensions = 3 if record.viewing_order else 2
    side = record.target.pixels ** (1 / num_dimensions)
    return math.log1p(record.sufficient_region.growth_px / side)


def _curve_ratio(record: ExplainedObject) -> float:
    curve = record.sufficiency_curve
    first, last = (max(point.area_fraction, 1e-6) for point in (curve[0], curve[-1]))
    return math.log10(last / first)


def _spread_of_baselines(record: ExplainedObject) -> float:
    dices = record.minimally_sufficient_region.dice_by_baseline_image.values()
    return max(dices) - min(dices)


def _spread_of_growths(record: ExplainedObject) -> float:
    growths = [presented.growth_px for presented in record.sufficiency_by_presentation]
    return math.log1p(max(growths) - min(growths))


def _removable(record: ExplainedObject) -> float:
    if record.minimality is None:
        return math.nan
    return record.minimality.removable / max(1, record.minimality.cells_tested)


def _context_entropy(record: ExplainedObject) -> float:
    shares = sorted(context_shares(record).values(), reverse=True)
    total = sum(shares)
    parts = [share / total for share in shares if share > 0]
    return -sum(part * math.log(part) for part in parts)


_P = "over the object's pixels"
_B = "over the pixels at most 2 px from its contour"

FEATURES: dict[str, Feature] = {
    feature.name: feature
    for feature in (
        *(
            Feature(
                prefix + name,
                "confidence",
                f"mean of {what} {where}",
                _prediction(prefix + name),
            )
            for prefix, where in (("", _P), ("border_", _B))
            for name, what in (
                ("max_probability", "the largest class probability"),
                ("margin", "the largest minus the second largest class probability"),
                ("entropy", "-sum(p log p) / log K"),
            )
        ),
        Feature(
            "score",
            "confidence",
            "the network's own score of the object, of those that report instances",
            lambda record: cast(float, record.target.score),
        ),
        Feature(
            "soft_dice",
            "confidence",
            "2 sum(p t) / (sum(p) + sum(t)), probabilities p, object t",
            _prediction("soft_dice"),
        ),
        Feature(
            "log_area",
            "form",
            "log10 of the object's part of the image",
            lambda record: _log10(record.target.area_fraction),
        ),
        Feature(
            "compactness",
            "form",
            "2 d V^((d-1)/d) / faces of V pixels in d dimensions",
            _prediction("compactness"),
        ),
        Feature(
            "at_image_edge",
            "form",
            "share of its faces at the edge of the image",
            _prediction("at_image_edge"),
        ),
        Feature(
            "object_parts",
            "form",
            "log2 of its number of connected parts",
            lambda record: math.log2(record.prediction.num_parts),
        ),
        *(
            Feature(
                f"augmented_{name}",
                "augmentation",
                f"Dice with what is drawn on the image, {how}",
                _augmented(name),
            )
            for name, how in (
                ("mirrored", "mirrored"),
                ("noise", "with weak noise"),
                ("blur", "weakly blurred"),
                ("contrast", "with a fifth less of contrast"),
            )
        ),
        Feature(
            "augmented_mean",
            "augmentation",
            "mean of the four",
            _augmented_mean,
        ),
        Feature(
            "relative_growth", "explanation", "log(1 + growth in px / V^(1/d))", _relative_growth
        ),
        Feature(
            "sufficient_dice",
            "explanation",
            "Dice when the sufficient region is shown alone",
            lambda record: record.sufficient_region.dice,
        ),
        Feature(
            "log_sufficient_area",
            "explanation",
            "log10 of that region's part of the image",
            lambda record: _log10(record.sufficient_region.area_fraction),
        ),
        Feature(
            "minimal_dice",
            "explanation",
            "Dice of the minimal region shown alone",
            lambda record: record.minimally_sufficient_region.dice,
        ),
        Feature(
            "log_minimal_area",
            "explanation",
            "log10 of its part of the image",
            lambda record: _log10(record.minimally_sufficient_region.area_fraction),
        ),
        Feature(
            "log_relative_area",
            "explanation",
            "log10 of its area by the object's",
            lambda record: _log10(record.minimally_sufficient_region.relative_area),
        ),
        Feature(
            "outside_target_fraction",
            "explanation",
            "part of it outside the object",
            lambda record: record.minimally_sufficient_region.outside_target_fraction,
        ),
        Feature(
            "region_parts",
            "explanation",
            "log2(1 + parts of the minimal region)",
            lambda record: math.log2(1 + record.minimally_sufficient_region.num_parts),
        ),
        Feature(
            "silhouette_dice",
            "explanation",
            "Dice when only the region's outline is kept",
            lambda record: record.silhouette_dice,
        ),
        Feature(
            "transfer_dice",
            "explanation",
            "Dice with another image in that outline",
            lambda record: record.transfer_dice,
        ),
        Feature(
            "curve_ratio",
            "explanation",
            "log10 of the area for the highest threshold by that for the lowest",
            _curve_ratio,
        ),
        Feature(
            "log_least_area",
            "explanation",
            "log10 of the area for the lowest threshold",
            lambda record: _log10(record.sufficiency_curve[0].area_fraction),
        ),
        Feature(
            "removable_share",
            "explanation",
            "share of the blocks tried that can be removed",
            _removable,
        ),
        Feature(
            "baseline_spread",
            "explanation",
            "largest minus least Dice over the baseline images (of one there is none: 0)",
            _spread_of_baselines,
        ),
        Feature(
            "presentation_growth",
            "explanation",
            "log(1 + largest minus least growth over presentations; run with them compared)",
            _spread_of_growths,
        ),
        Feature(
            "passes",
            "explanation",
            "log10 of the pass equivalents spent",
            lambda record: math.log10(max(1, record.passes_of_explaining)),
        ),
        Feature(
            "largest_context",
            "context",
            "largest share of the minimal region on one class",
            lambda record: max(context_shares(record).values(), default=0.0),
        ),
        Feature(
            "on_own_class",
            "context",
            "share of it on other objects of the same class",
            lambda record: context_shares(record).get(record.class_index, 0.0),
        ),
        Feature(
            "context_entropy",
            "context",
            "-sum(q log q) of the shares q among the classes outside",
            _context_entropy,
        ),
    )
}
"""Name -> feature."""


def names_of(groups: Sequence[str]) -> list[str]:
    """The names of the features of the given groups, in the order of the registry.

    Args:
        groups: names of groups, of single features, or `all`.

    Raises:
        InputError: an unknown name.
    """
    known = {"all", *GROUPS, *FEATURES}
    for name in groups:
        if name not in known:
            raise InputError(
                f"expected features among all, {', '.join(GROUPS)}, or single ones "
                f"({', '.join(FEATURES)}), got {name!r}."
            )
    wanted = set(groups)
    return [
        feature.name
        for feature in FEATURES.values()
        if wanted & {"all", feature.group, feature.name}
    ]


def feature_matrix(records: Sequence[ObjectRecord], names: Sequence[str]) -> np.ndarray:
    """The features of n records by m names: (n, m) float64, NaN if a feature is missing."""
    rows = [[FEATURES[name].of(record) for name in names] for record in records]
    return np.array(rows, dtype=float).reshape(len(records), len(names))
