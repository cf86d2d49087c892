"""Numbers of a volume scaled by an intensity rule."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from misure.images.intensity import Scaling, scaling_of
from misure.models.volumes.step import Shape, Step


@dataclass(frozen=True)
class Scaled:
    """Numbers scaled; logits stay as they are."""

    scaling: Scaling

    def shape(self, spatial: Shape) -> Shape:
        return spatial

    def forward(self, images: Tensor) -> Tensor:
        return self.scaling(images)

    def back(self, values: Tensor, spatial: Shape) -> Tensor:  # noqa: ARG002
        return values


@dataclass(frozen=True)
class Intensity:
    """Numbers scaled by an intensity rule (see `misure.images.intensity`), those of the image."""

    rule: str

    def bind(self, image: Tensor, affine: np.ndarray | None) -> tuple[Step, np.ndarray | None]:
        return Scaled(scaling_of(image, self.rule)), affine
