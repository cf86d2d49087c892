"""A network of the BioImage Model Zoo with the axes of its folder."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from misure.errors import InputError
from misure.models.loaders.bioimageio_description import spatial_axes


class ZooNetwork(nn.Module):
    """A network with the axes of its folder, from images (N, C, *spatial) to named tensors.

    Args:
        net: from a tensor with the axes of the input to one, or several, with those of outputs.
        input_axes: names of axes, in the order of the network.
        outputs: name of each output -> names of its axes.
        shifts: name of an output -> what is taken from it, one number or one for each channel.
    """

    def __init__(
        self,
        net: Any,
        input_axes: Sequence[str],
        outputs: Mapping[str, Sequence[str]],
        shifts: Mapping[str, Sequence[float]],
    ) -> None:
        super().__init__()
        self.net = net
        self._input_axes, self._outputs, self._shifts = input_axes, outputs, shifts

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Tensors (N, K, *spatial) of images (N, C, *spatial)."""
        if "batch" in self._input_axes:
            return self._shown(images)
        each = [self._shown(image[None]) for image in images]
        return {name: torch.cat([one[name] for one in each]) for name in each[0]}

    def _shown(self, images: Tensor) -> dict[str, Tensor]:
        order = ["batch", "channel", *spatial_axes(self._input_axes)]
        left_out = [place for place, name in enumerate(order) if name not in self._input_axes]
        for place in reversed(left_out):
            images = images.squeeze(place)
        kept = [name for name in order if name in self._input_axes]
        found = self.net(images.permute([kept.index(name) for name in self._input_axes]))
        values = [*found.values()] if isinstance(found, dict) else found
        tensors = [values] if isinstance(values, Tensor) else values
        return {
            name: self._in_order(tensor, name)
            for name, tensor in zip(self._outputs, tensors, strict=False)
        }

    def _in_order(self, tensor: Tensor, name: str) -> Tensor:
        axes = self._outputs[name]
        if tensor.ndim != len(axes):
            raise InputError(
                f"expected the output {name} with the axes {', '.join(axes)}, got a tensor "
                f"{tuple(tensor.shape)}. Correct the description of the folder."
            )
        order = ["batch", "channel", *spatial_axes(axes)]
        tensor = tensor.permute([axes.index(name) for name in order if name in axes])
        for place, each in enumerate(order):
            tensor = tensor if each in axes else tensor.unsqueeze(place)
        if name not in self._shifts or not any(self._shifts[name]):
            return tensor
        shift = torch.tensor(self._shifts[name], device=tensor.device)
        return tensor - shift.view(-1, *[1] * (tensor.ndim - 2))
