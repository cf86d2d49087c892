"""A method of your own: how deep inside of the target a pixel lies."""

import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor

import misure
from misure.methods import method


@method(kind="control")
def depth(
    _model: misure.SegmentationModel, _image: Tensor, target: misure.Target, *, power: float = 1.0
) -> Tensor:
    """The distance of each pixel of the target to its border, to some power.

    Args:
        _model, _image, target: see `Method`.
        power: exponent of the distance; larger ones favour the middle.
    """
    distances = distance_transform_edt(target.region.cpu().numpy())
    return torch.from_numpy(distances) ** power
