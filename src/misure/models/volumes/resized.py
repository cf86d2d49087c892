"""Images resized to a shape."""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from misure.models.volumes.step import Shape


@dataclass(frozen=True)
class Interpolated:
    """Images resized to a shape, by `torch.nn.functional.interpolate`, whose words these are."""

    after: Shape
    mode: str = "trilinear"
    align_corners: bool | None = None
    nearest_back: bool = False

    def shape(self, spatial: Shape) -> Shape:  # noqa: ARG002
        return self.after

    def forward(self, images: Tensor) -> Tensor:
        return F.interpolate(images, self.after, mode=self.mode, align_corners=self.align_corners)

    def back(self, values: Tensor, spatial: Shape) -> Tensor:
        mode = "nearest" if self.nearest_back else self.mode
        align = None if self.nearest_back else self.align_corners
        return F.interpolate(values, spatial, mode=mode, align_corners=align)
