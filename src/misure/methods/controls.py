"""Controls: maps that use nothing of the network but its prediction. Each comparison needs them."""

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from misure.methods.method import method
from misure.models.model import SegmentationModel
from misure.models.target import Target


@method(kind="control")
def random(_model: SegmentationModel, image: Tensor, _target: Target, *, seed: int = 0) -> Tensor:
    """Uniform noise in [0, 1), pixel by pixel."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(image.shape[1:], generator=generator)


@method(kind="control")
def edges(_model: SegmentationModel, image: Tensor, _target: Target) -> Tensor:
    """The size of the image's Sobel gradient, in the units of the image, largest channel."""
    channels = image.detach().float().cpu().numpy()
    sizes = [ndimage.generic_gradient_magnitude(channel, ndimage.sobel) for channel in channels]
    return torch.from_numpy(np.max(sizes, axis=0))


@method(kind="control")
def target_itself(_model: SegmentationModel, _image: Tensor, target: Target) -> Tensor:
    """1 on the target, 0 elsewhere: the prediction, explained by itself."""
    return target.region.float()


@method(kind="control")
def class_itself(_model: SegmentationModel, _image: Tensor, target: Target) -> Tensor:
    """1 on the target and on all other pixels that the model gives to its class, 0 elsewhere.

    A map made of the features just before the head shows the same.
    """
    return (target.region | target.ignored).float()
