"""The maps of a run, read back as their method returned them."""

import io
from collections.abc import Mapping
from typing import Any

from misure.errors import RunFolderError, reason_of
from misure.explanation.explanation import Explanation
from misure.methods.method import MethodResult
from misure.methods.own import PRESET_OF
from misure.models.cost import Cost
from misure.models.target import Target
from misure.runs.folder import RunFolder
from misure.runs.plan import RunPlan


def read_result(
    folder: RunFolder, record: Mapping[str, Any], settings: Mapping[str, Any]
) -> MethodResult:
    """The map of a record, as its method returned it.

    Raises:
        RunFolderError: the file is missing or damaged.
    """
    method = settings["method"]
    try:
        about: dict[str, Any] = {
            "cost": recorded_cost(record),
            "options": dict(settings["method_options"]),
            "seed": RunPlan(seed=settings["seed"]).seed_of(record["sample"]),
            "layer": record.get("layer", ""),
        }
        if method in PRESET_OF:
            found = Explanation.load(io.BytesIO(folder.storage.read(record["map"])))
            return MethodResult(
                method, found.target, found.saliency_map, explanation=found, **about
            )
        tensors = folder.read_map(record["map"])
        target = Target(
            record["class_index"],
            tensors["target"],
            tensors["ignored"],
            record["class_name"],
            record["target"]["multilabel"],
        )
        return MethodResult(method, target, tensors["saliency_map"], **about)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunFolderError(
            f"compare_runs: expected a map in {record.get('map')} of {folder.address}, and what it "
            f"cost, but {reason_of(error)}."
        ) from error


def recorded_cost(record: Mapping[str, Any]) -> Cost:
    """What the map of a record cost."""
    told = record["cost"]
    seconds = record.get("timing", {}).get("seconds", 0.0)
    return Cost(told["forward_passes"], told["backward_passes"], seconds)
