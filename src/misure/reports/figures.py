"""The figures of an object that the report searches and sorts by, and the notes on it."""

from collections.abc import Mapping
from operator import attrgetter
from typing import Any

from msgspec import structs

from misure.explanation.explanation import Explanation
from misure.explanation.record import ExplanationRecord, reduction_note
from misure.reports.answers import LABELS as ANSWER_LABELS
from misure.reports.answers import answer_figures
from misure.runs.record import DoneObject, ExplainedObject, ObjectRecord

_OF_REGIONS = {
    "outside": "minimally_sufficient_region.outside_target_fraction",
    "relative_area": "minimally_sufficient_region.relative_area",
    "growth_px": "sufficient_region.growth_px",
    "silhouette_dice": "silhouette_dice",
    "transfer_dice": "transfer_dice",
    "dice": "minimally_sufficient_region.dice",
    "num_parts": "minimally_sufficient_region.num_parts",
    "narrow_fraction": "minimally_sufficient_region.narrow_fraction",
    "area": "minimally_sufficient_region.area_fraction",
    "grain_px": "minimally_sufficient_region.grain_px",
    "sufficient_area": "sufficient_region.area_fraction",
    "sufficient_dice": "sufficient_region.dice",
    "growth_mm": "sufficient_region.growth_mm",
    "area_mm2": "minimally_sufficient_region.area_mm2",
    "volume_mm3": "minimally_sufficient_region.volume_mm3",
}
_OF_ALL = {
    "target_area": "target.area_fraction",
    "target_pixels": "target.pixels",
    "score": "target.score",
    "passes": "cost.pass_equivalents",
    "max_probability": "prediction.max_probability",
    "margin": "prediction.margin",
    "entropy": "prediction.entropy",
    "border_max_probability": "prediction.border_max_probability",
    "border_margin": "prediction.border_margin",
    "border_entropy": "prediction.border_entropy",
    "soft_dice": "prediction.soft_dice",
    "compactness": "prediction.compactness",
    "at_image_edge": "prediction.at_image_edge",
    "object_parts": "prediction.num_parts",
}
"""Name of a figure -> where a record has it."""

_PREDICTED = ("failure_probability", "predicted_dice", "low", "high")  # by `score_run`

LABELS = {
    "outside": "evidence outside the object",
    "relative_area": "needed, × object",
    "growth_px": "growth, px",
    "growth_mm": "growth, mm",
    "silhouette_dice": "outline alone, Dice",
    "transfer_dice": "other content, Dice",
    "dice": "Dice",
    "dice_on_mean": "on the mean colour, Dice",
    "dice_on_blurred": "on the blurred image, Dice",
    "dice_on_noise": "on noise, Dice",
    "dice_on_filled": "on the image filled in from the region, Dice",
    "dice_under_shift": "shifted by one pixel, Dice",
    "dice_under_noise": "under 1 % noise, Dice",
    "whole_under_shift": "whole image shifted by one pixel, Dice",
    "whole_under_noise": "whole image under 1 % noise, Dice",
    "dice_under_soft_edge": "with a soft edge, Dice",
    "num_parts": "parts",
    "narrow_fraction": "narrow, share of what is needed",
    "area": "needed, share of the image",
    "area_mm2": "needed, mm²",
    "volume_mm3": "needed, mm³",
    "grain_px": "grain, px",
    "sufficient_area": "sufficient region, share of the image",
    "sufficient_dice": "sufficient region, Dice",
    "removable": "blocks that can still go, share",
    "target_area": "size of the object, share of the image",
    "target_pixels": "size of the object, px",
    "score": "the network's score of the object",
    "passes": "pass equivalents",
    "max_probability": "probability",
    "margin": "margin",
    "entropy": "entropy",
    "border_max_probability": "probability at the contour",
    "border_margin": "margin at the contour",
    "border_entropy": "entropy at the contour",
    "soft_dice": "soft Dice",
    "compactness": "compactness",
    "at_image_edge": "at the edge of the image",
    "object_parts": "parts of the object",
    "augmented_dice": "on changed images, mean Dice",
    "annotated_dice": "with the annotation, Dice",
    "overlap": "overlap with the other run's object, IoU",
    **ANSWER_LABELS,
    "failure_probability": "chance of failure",
    "predicted_dice": "predicted Dice",
    "low": "predicted Dice, low end",
    "high": "predicted Dice, high end",
}
"""Name of a figure -> what it is, in the order in which the report lists them."""


def figures_of(
    record: ObjectRecord,
    overlap: float | None,
    review: Mapping[str, Any] | None,
    annotated_dice: float | None = None,
) -> dict[str, float]:
    """Name -> number of an object, of those that it has.

    Args:
        record: of the object.
        overlap: IoU with the object of another run beside which it stands.
        review: its row of `score_run`.
        annotated_dice: with the annotation, in [0, 1].
    """
    values: dict[str, float | None] = {"overlap": overlap, "annotated_dice": annotated_dice}
    if isinstance(record, DoneObject):
        values |= {name: attrgetter(path)(record) for name, path in _OF_ALL.items()}
        if dices := record.augmented_dice:
            values["augmented_dice"] = sum(dices.values()) / len(dices)
    if isinstance(record, ExplainedObject):
        values |= _of_regions(record) | answer_figures(record)
    if review:
        values |= {name: review[name] for name in _PREDICTED}
    return {name: round(value, 6) for name, value in values.items() if value is not None}


def figures_of_explanation(explanation: Explanation) -> dict[str, float]:
    """Name -> number of an explanation, of those in LABELS that it has."""
    values = explanation.values
    found = _of_regions(values) | {
        "target_area": values.target.area_fraction,
        "target_pixels": values.target.pixels,
        "score": values.target.score,
        "passes": values.cost.pass_equivalents,
    }
    return {name: float(value) for name, value in found.items() if value is not None}


def _of_regions(record: ExplainedObject | ExplanationRecord) -> dict[str, float | None]:
    """The figures of both regions, and of how the minimal one holds."""
    values = {name: attrgetter(path)(record) for name, path in _OF_REGIONS.items()}
    small = record.minimally_sufficient_region
    others, changes = small.dice_on_other_baseline_images, small.dice_under_small_changes
    values |= {f"dice_on_{name}": dice for name, dice in others.items()}
    values |= {f"dice_under_{kind}": dice for kind, dice in changes.items()}
    whole = small.whole_image_under_small_changes
    values |= {f"whole_under_{kind}": dice for kind, dice in whole.items()}
    if record.minimality and record.minimality.cells_tested:
        values["removable"] = record.minimality.removable / record.minimality.cells_tested
    return values


def notes_of(record: ObjectRecord) -> list[str]:
    """What keeps a region from being called minimal, each as a few words; mostly none."""
    if not isinstance(record, ExplainedObject):
        return []
    cost = structs.replace(record.cost, pass_equivalents=record.passes_of_explaining)
    note = reduction_note(structs.replace(record, cost=cost))
    return note.split("; ") if note else []
