"""Controls: maps that know nothing of the network, without which no comparison means anything."""

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from misure.models.model import SegmentationModel
from misure.models.target import Target


def random(_model: SegmentationModel, image: Tensor, _target: Target, *, seed: int = 0) -> Tensor:
    """Uniform noise in [0, 1), pixel by pixel."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(image.shape[1:], generator=generator)


def edges(_model: SegmentationModel, image: Tensor, _target: Target) -> Tensor:
    """The size of the image's Sobel gradient, in the units of the image, largest channel."""
    channels = image.detach().float().cpu().numpy()
    sizes = [ndimage.generic_gradient_magnitude(one, ndimage.sobel) for one in channels]
    return torch.from_numpy(np.max(sizes, axis=0))


def target_itself(_model: SegmentationModel, _image: Tensor, target: Target) -> Tensor:
    """1 on the target, 0 elsewhere: the prediction, explained by itself."""
    return target.region.float()


def class_itself(_model: SegmentationModel, _image: Tensor, target: Target) -> Tensor:
    """1 on the target and on all else that the model gives to its class, 0 elsewhere.

    What a map shows that is made of features just before the head.
    """
    return (target.region | target.ignored).float()
