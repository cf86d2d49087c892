"""The maps of a run, read back as their method returned them."""

import io
from typing import Any

from torch import Tensor

from misure.errors import RunFolderError, reason_of
from misure.explanation.explanation import Explanation
from misure.images.maps import has_numbers
from misure.methods.result import MethodResult
from misure.models.cost import Cost
from misure.models.logits import all_finite
from misure.models.target import Target
from misure.runs.folder import RunFolder
from misure.runs.record import DoneObject, ExplainedObject, RunSettings


def read_result(folder: RunFolder, record: DoneObject, settings: RunSettings) -> MethodResult:
    """The map of a record, as its method returned it.

    Args:
        folder: of the run.
        record: of an object that is done.
        settings: of the run.

    Raises:
        RunFolderError: the file is missing or damaged.
    """
    about: dict[str, Any] = {
        "method": settings.method,
        "cost": recorded_cost(record),
        "options": dict(settings.method_options),
        "seed": settings.seed_of(record.sample),
        "layer": record.layer,
        "peak_memory_mb": record.timing.peak_memory_mb if record.timing else None,
    }
    try:
        if isinstance(record, ExplainedObject):
            explanation = Explanation.load(io.BytesIO(folder.storage.read(record.map)))
            _check(record, explanation.target.region)
            if not has_numbers(explanation.saliency_map):
                raise ValueError("its saliency map is not finite")
            return MethodResult(
                target=explanation.target,
                saliency_map=explanation.saliency_map,
                explanation=explanation,
                **about,
            )
        tensors = folder.read_map(record.map)
        _check(record, tensors["target"])
        if not all_finite(tensors["saliency_map"]):
            raise ValueError("its saliency map is not finite")
        target = Target(
            class_index=record.class_index,
            region=tensors["target"],
            ignored=tensors["ignored"],
            class_name=record.class_name,
            multilabel=record.target.multilabel,
            score=record.target.score,
        )
        return MethodResult(target=target, saliency_map=tensors["saliency_map"], **about)
    except (OSError, ValueError, KeyError) as error:
        raise RunFolderError(
            f"expected a map in {record.map} of {folder.address}, but {reason_of(error)}."
        ) from error


def _check(record: DoneObject, target: Tensor) -> None:
    """Raises a ValueError if a target cannot be that of a record."""
    if (pixels := int(target.sum())) != record.target.pixels:
        raise ValueError(f"its target has {pixels} pixels, that of {record.key} has another number")


def recorded_cost(record: DoneObject) -> Cost:
    """What the map of a record cost; 0 seconds if they were left out."""
    seconds = record.timing.seconds if record.timing else 0.0
    return Cost(record.cost.forward_passes, record.cost.backward_passes, seconds)
