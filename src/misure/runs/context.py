"""Context: on which classes an object's evidence lies, outside the object itself."""

import torch

from misure.explanation.explanation import Explanation
from misure.models.segmentation import Segmentation
from misure.runs.record import ContextEntry, ExplainedObject


def context_entries(explanation: Explanation, segmentation: Segmentation) -> list[ContextEntry]:
    """The classes on which the minimal region lies outside its object.

    Args:
        explanation: of the object.
        segmentation: the network's own, of the whole image.
    """
    outside = explanation.minimally_sufficient_region & ~explanation.target.region
    classes, counts = torch.unique(segmentation.class_map().cpu()[outside], return_counts=True)
    class_name = segmentation.model.class_name
    return [
        ContextEntry(
            class_index=index,
            class_name=class_name(index) if index >= 0 else "none",
            pixels=count,
        )
        for index, count in zip(classes.tolist(), counts.tolist(), strict=True)
    ]


def context_shares(record: ExplainedObject) -> dict[int, float]:
    """Class -> share in [0, 1] of the minimal region that lies on it, outside the object."""
    outside = record.minimally_sufficient_region.outside_target_fraction
    total = sum(entry.pixels for entry in record.context)
    return {entry.class_index: outside * entry.pixels / max(1, total) for entry in record.context}
