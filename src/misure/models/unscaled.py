"""Volumes whose numbers go to the network as they are, though they seem to be in other units."""

import warnings
from typing import TYPE_CHECKING

from torch import Tensor

from misure.errors import MisureWarning
from misure.models.preprocessing import Preprocessing

if TYPE_CHECKING:
    from misure.models.model import SegmentationModel

_LARGEST = 30.0  # numbers in [0, 1], in [-1, 1] or of unit deviation stay below it
_FARTHEST = 100.0  # standard deviations from the mean: no usual number is beyond


def warn_of_unscaled(model: "SegmentationModel", image: Tensor) -> None:
    """Warns of a volume of large numbers, such as Hounsfield units, where nothing scales them.

    Nothing is said of planes, nor where it is known how volumes are scaled: by `intensity`, or by
    a loader that brings the preparation of the network's own library.

    Args:
        model: with its own preprocessing, or that of a binding.
        image: (C, *spatial) float, in the user's units.
    """
    if image.ndim != 4 or _is_scaling_known(model):
        return
    used, seen = model.preprocessing, image.detach()
    low, high = float(seen.min()), float(seen.max())
    if used.mean is None and used.std is None:
        if max(-low, high) <= _LARGEST:
            return
        scaled = ""
    else:
        shifts, scales = used.mean or (0.0,), used.std or (1.0,)
        ends = [abs(end - shift) / min(scales) for end in (low, high) for shift in shifts]
        if max(ends) <= _FARTHEST:
            return
        scaled = f", which mean and std make up to {max(ends):,.0f}"
    warnings.warn(
        f"the network {model.name} gets the numbers of the volume as they are, {low:g} to "
        f"{high:g}{scaled}. If it was trained on scaled numbers, say how: intensity=zscore, "
        "window:LOW:HIGH or percentiles:LOW:HIGH (--model-option intensity=zscore); "
        "intensity=none if that is what it takes.",
        MisureWarning,
        stacklevel=2,
    )


def _is_scaling_known(model: "SegmentationModel") -> bool:
    """Whether the model scales volumes, by words or as its loader knows."""
    settings = model.settings()
    if model.intensity or settings["processor"]:
        return True
    if settings["spacing"] or settings["orientation"]:
        return False  # words that leave numbers as they are
    return model.binder is not None or type(model.preprocessing) is not Preprocessing
