"""The order in which the numbers of an image lie in memory: by channel, or by pixel.

Convolutional networks with batch norm compute faster on a CPU if the channels of a pixel lie beside
each other (`torch.channels_last`): between two convolutions nothing has to be laid out anew. Others
become slower (docs/results/benchmarks.md). Only the input is laid out so, what is computed from it
follows; the network's weights are left alone. The rule below depends on the network's layers alone,
not on measured times, which would let the last digits of results differ between two runs.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

_CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)
_SLOWER_BY_PIXEL = (nn.InstanceNorm2d, nn.GroupNorm)


def is_faster_by_pixel(modules: Sequence[nn.Module], device: torch.device) -> bool:
    """Whether a network is of the kind that computes faster on images that lie by pixel.

    It runs on a CPU, at least every second of its 2D convolutions has a batch norm, and it has no
    instance or group norm.

    Args:
        modules: the torch modules that it uses.
        device: where it computes.
    """
    layers = [layer for module in modules for layer in module.modules()]
    num_convolutions = sum(isinstance(layer, _CONVOLUTIONS) for layer in layers)
    num_norms = sum(isinstance(layer, nn.BatchNorm2d) for layer in layers)
    return (
        device.type == "cpu"
        and 0 < num_convolutions <= 2 * num_norms
        and not any(isinstance(layer, _SLOWER_BY_PIXEL) for layer in layers)
    )


def by_pixel(images: Tensor) -> Tensor:
    """A copy of images (N, C, H, W) whose channels lie beside each other; gradients pass."""
    # `contiguous` would leave images of one channel as they are, which convolutions take for
    # images by channel.
    return torch.empty_like(images, memory_format=torch.channels_last).copy_(images)
