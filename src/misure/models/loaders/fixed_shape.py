"""Networks that were exported for one shape only."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from misure.errors import InputError


class OneByOne(torch.nn.Module):
    """A network that takes exactly one image at a time, adapted to batches of any size.

    Args:
        net: from images (1, C, *spatial) to a tensor, or a mapping, tuple or list of tensors.
    """

    def __init__(self, net: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: Tensor) -> Any:
        outputs = [self.net(image[None]) for image in images]
        first = outputs[0]
        if isinstance(first, Tensor):
            return torch.cat(outputs)
        if isinstance(first, dict):
            return {key: torch.cat([output[key] for output in outputs]) for key in first}
        return [torch.cat(entries) for entries in zip(*outputs, strict=True)]


def settings_for_shape(shape: Sequence[int | None], path: object) -> tuple[dict[str, Any], bool]:
    """Arguments of SegmentationModel for an input shape, and whether it takes one image at a time.

    Args:
        shape: (N, C, *spatial) of the input; None for a side that is free.
        path: the file, for the message.

    Raises:
        InputError: another number of axes, or a fixed batch of several images.
    """
    if len(shape) not in (4, 5) or shape[0] not in (None, 1):
        raise InputError(
            "expected a network with one input (N, C, [D,] H, W), N free or 1, got "
            f"{tuple(shape)} in {path}. Export it so."
        )
    spatial = [side for side in shape[2:] if side is not None]
    settings: dict[str, Any] = {"num_channels": shape[1]}
    if len(spatial) == len(shape) - 2:
        settings["input_size"] = spatial
    return settings, shape[0] == 1
