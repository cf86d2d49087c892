"""Features: what a record of a run tells about how far its segmentation can be trusted.

No paper's list: these are misure's own. A feature that a record does not have is missing (NaN).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from misure.errors import InputError

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Feature:
    """One number of a record.

    Attributes:
        name: its own.
        group: see `GROUPS`.
        formula: how it comes about, in words and signs.
        read: a record to the number; raises where the record lacks it (a KeyError ...).
    """

    name: str
    group: str
    formula: str
    read: Callable[[Record], float]

    def of(self, record: Record) -> float:
        """The number; NaN where the record has none."""
        try:
            number = float(self.read(record))
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
"""Name -> what its features are about."""


def _prediction(name: str) -> Callable[[Record], float]:
    return lambda record: record["prediction"][name]


def _small(name: str) -> Callable[[Record], float]:
    return lambda record: record["minimally_sufficient_region"][name]


def _augmented(name: str) -> Callable[[Record], float]:
    return lambda record: record["augmented_dice"][name]


def _log_area(record: Record, part: str) -> float:
    return math.log10(max(record[part]["area_fraction"], 1e-6))


def _relative_growth(record: Record) -> float:
    growth = float(record["sufficient_region"]["growth_px"])
    num_dimensions = 3 if record["viewing_order"] else 2
    return math.log1p(growth / record["target"]["pixels"] ** (1 / num_dimensions))


def _curve_ratio(record: Record) -> float:
    curve = record["sufficiency_curve"]
    first, last = (max(one["area_fraction"], 1e-6) for one in (curve[0], curve[-1]))
    return math.log10(last / first)


def _least_curve_area(record: Record) -> float:
    return math.log10(max(record["sufficiency_curve"][0]["area_fraction"], 1e-6))


def _spread_of_baselines(record: Record) -> float:
    dices = [*map(float, record["minimally_sufficient_region"]["dice_by_baseline_image"].values())]
    return max(dices) - min(dices)


def _growth_without(record: Record) -> float:
    growths = [one["growth_px"] for one in record["sufficiency_by_presentation"]]
    return math.log1p(max(growths) - min(growths))


def _removable(record: Record) -> float:
    found = record["minimality"]
    return float(found["removable"] / max(1, found["cells_tested"]))


def _log_passes(record: Record) -> float:
    if "sufficient_region" not in record:
        raise KeyError("sufficient_region")  # no explanation: what it cost tells nothing
    return math.log10(max(1, record["cost"]["pass_equivalents"]))


def _context_shares(record: Record) -> list[float]:
    """Shares of the minimal region on each class outside the object, the largest first."""
    outside = record["minimally_sufficient_region"]["outside_target_fraction"]
    pixels = [one["pixels"] for one in record["context"]]
    return sorted((outside * one / max(1, sum(pixels)) for one in pixels), reverse=True)


def _on_own_class(record: Record) -> float:
    outside = record["minimally_sufficient_region"]["outside_target_fraction"]
    pixels = sum(one["pixels"] for one in record["context"])
    own = [o["pixels"] for o in record["context"] if o["class_index"] == record["class_index"]]
    return float(outside * sum(own) / max(1, pixels))


def _context_entropy(record: Record) -> float:
    shares = _context_shares(record)
    total = sum(shares)
    return -sum(one / total * math.log(one / total) for one in shares if one > 0) if total else 0.0


_P = "over the object's pixels"
_B = "over the pixels at most 2 px from its contour"

FEATURES: dict[str, Feature] = {
    one.name: one
    for one in (
        *(
            Feature(
                beginning + name,
                "confidence",
                f"mean of {what} {where}",
                _prediction(beginning + name),
            )
            for beginning, where in (("", _P), ("border_", _B))
            for name, what in (
                ("max_probability", "the largest class probability"),
                ("margin", "the largest minus the second largest class probability"),
                ("entropy", "-sum(p log p) / log K"),
            )
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
            lambda record: _log_area(record, "target"),
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
            lambda record: math.log2(record["prediction"]["num_parts"]),
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
            lambda record: float(np.mean([*record["augmented_dice"].values()])),
        ),
        Feature(
            "relative_growth", "explanation", "log(1 + growth in px / V^(1/d))", _relative_growth
        ),
        Feature(
            "sufficient_dice",
            "explanation",
            "Dice when the sufficient region is shown alone",
            lambda record: record["sufficient_region"]["dice"],
        ),
        Feature(
            "log_sufficient_area",
            "explanation",
            "log10 of that region's part of the image",
            lambda record: _log_area(record, "sufficient_region"),
        ),
        Feature(
            "minimal_dice", "explanation", "Dice of the minimal region shown alone", _small("dice")
        ),
        Feature(
            "log_minimal_area",
            "explanation",
            "log10 of its part of the image",
            lambda record: _log_area(record, "minimally_sufficient_region"),
        ),
        Feature(
            "log_relative_area",
            "explanation",
            "log10 of its area by the object's",
            lambda record: math.log10(max(_small("relative_area")(record), 1e-6)),
        ),
        Feature(
            "outside_target_fraction",
            "explanation",
            "part of it outside the object",
            _small("outside_target_fraction"),
        ),
        Feature(
            "region_parts",
            "explanation",
            "log2(1 + parts of the minimal region)",
            lambda record: math.log2(1 + _small("num_parts")(record)),
        ),
        Feature(
            "silhouette_dice",
            "explanation",
            "Dice when only the region's outline is kept",
            lambda record: record["silhouette_dice"],
        ),
        Feature(
            "transfer_dice",
            "explanation",
            "Dice with another image in that outline",
            lambda record: record["transfer_dice"],
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
            _least_curve_area,
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
            _growth_without,
        ),
        Feature(
            "passes",
            "explanation",
            "log10 of the pass equivalents spent",
            _log_passes,
        ),
        Feature(
            "largest_context",
            "context",
            "largest share of the minimal region on one class",
            lambda record: (_context_shares(record) or [0.0])[0],
        ),
        Feature(
            "on_own_class",
            "context",
            "share of it on other objects of the same class",
            _on_own_class,
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
    """The names of the features of some groups, or of single features, in the registry's order.

    Args:
        groups: names of groups or features; `all`.

    Raises:
        InputError: an unknown name.
    """
    known = {"all", *GROUPS, *FEATURES}
    for one in groups:
        if one not in known:
            raise InputError(
                f"reliability: expected features among all, {', '.join(GROUPS)}, or single ones "
                f"({', '.join(FEATURES)}), got {one!r}."
            )
    wanted = set(groups)
    return [
        feature.name
        for feature in FEATURES.values()
        if wanted & {"all", feature.group, feature.name}
    ]


def feature_matrix(records: Sequence[Record], names: Sequence[str]) -> np.ndarray:
    """The features of some records, (n, m) float64, NaN where one is missing."""
    rows = [[FEATURES[name].of(record) for name in names] for record in records]
    return np.array(rows, dtype=float).reshape(len(records), len(names))
