"""What is done to a volume: in words, and with every number fixed."""

from typing import Protocol

import numpy as np
from torch import Tensor

Shape = tuple[int, ...]


class Step(Protocol):
    """Something that is done to images, with all of its numbers fixed."""

    def shape(self, spatial: Shape) -> Shape:
        """The shape (*spatial) of images after the step."""
        ...

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, C, *spatial) after the step; differentiable."""
        ...

    def back(self, values: Tensor, spatial: Shape) -> Tensor:
        """Values (N, K, *after) at the pixels (*spatial) before the step; NaN where none are."""
        ...


class Part(Protocol):
    """A step in words.

    A part may also have a method `follow`, (image, affine before it) -> image after it, in place of
    the step, for the parts that come next.
    """

    def bind(self, image: Tensor, affine: np.ndarray | None) -> tuple[Step, np.ndarray | None]:
        """The step for an image (C, *spatial), and the affine after it.

        Raises:
            InputError: it needs an affine and got none, or cannot take such an image.
        """
        ...
