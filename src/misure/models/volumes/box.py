"""A box cut out of images."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from misure.models.volumes.step import Shape


@dataclass(frozen=True)
class Boxed:
    """A box cut out of images; where it leaves them it is padded.

    Attributes:
        start: index of its first voxel; below 0 before the image.
        after: its shape (*spatial).
        mode, value: of padding, see `torch.nn.functional.pad`.
    """

    start: Shape
    after: Shape
    mode: str = "constant"
    value: float = 0.0

    def shape(self, spatial: Shape) -> Shape:  # noqa: ARG002
        return self.after

    def forward(self, images: Tensor) -> Tensor:
        box = zip(self.start, self.after, images.shape[2:], strict=True)
        ends = [(-start, start + side - whole) for start, side, whole in box]
        cut = [end for pair in reversed(ends) for end in (min(0, pair[0]), min(0, pair[1]))]
        added = [end for pair in reversed(ends) for end in (max(0, pair[0]), max(0, pair[1]))]
        inside = F.pad(images, cut)
        if self.mode == "constant" or not any(added):
            return F.pad(inside, added, value=self.value)
        return F.pad(inside, added, mode=self.mode)

    def back(self, values: Tensor, spatial: Shape) -> Tensor:
        box = zip(self.start, self.after, spatial, strict=True)
        widths = [(start, whole - start - side) for start, side, whole in box]
        return F.pad(values, [end for pair in reversed(widths) for end in pair], value=torch.nan)
