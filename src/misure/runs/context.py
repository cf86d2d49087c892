"""Context: on which classes an object's evidence lies, outside the object itself."""

from misure.explanation.explanation import Explanation
from misure.models.segmentation import Segmentation
from misure.runs.record import ContextEntry, ExplainedObject


def context_entries(explanation: Explanation, segmentation: Segmentation) -> list[ContextEntry]:
    """The classes on which the minimal region lies outside its object.

    Where classes overlap (multilabel) a pixel counts for each of its classes.

    Args:
        explanation: of the object.
        segmentation: the network's own, of the whole image.
    """
    outside = explanation.minimally_sufficient_region & ~explanation.target.region
    counts = segmentation.num_pixels_by_class(outside)
    class_name = segmentation.model.class_name
    return [
        ContextEntry(
            class_index=index,
            class_name=class_name(index) if index >= 0 else "none",
            pixels=count,
        )
        for index, count in counts.items()
    ]


def context_shares(record: ExplainedObject) -> dict[int, float]:
    """Class -> share in [0, 1] of the minimal region that lies on it, outside the object.

    Where classes overlap, the shares may sum to more than `outside_target_fraction`.
    """
    num_pixels = round(record.minimally_sufficient_region.relative_area * record.target.pixels)
    return {entry.class_index: entry.pixels / max(1, num_pixels) for entry in record.context}
