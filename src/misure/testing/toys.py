"""Three toy networks whose explanation is known exactly, and images for them, in 2D and 3D.

Each network has two classes, background and foreground, and takes images (N, C, *spatial) with two
or three spatial axes. `image` makes an image for it; `needed` are the pixels that a right
explanation of its foreground shows, and no others.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SHARPNESS = 10.0
"""Logits per unit of brightness; so low that gradients reach pixels far from being foreground."""

SIDE_PX = 30
"""Side of the images."""


class ToyNetwork(nn.Module, ABC):
    """A network whose right explanation is known.

    Attributes:
        expected: what the network needs, in a few words.
    """

    expected: ClassVar[str]

    @staticmethod
    @abstractmethod
    def image(num_dimensions: int = 2) -> Tensor:
        """An image (C, *spatial) in [0, 1] in which the network finds foreground."""

    @staticmethod
    @abstractmethod
    def needed(num_dimensions: int = 2) -> Tensor:
        """The pixels (*spatial) bool of `image` that the network needs for its foreground."""


class OwnBrightness(ToyNetwork):
    """A pixel is foreground if its first channel is bright: it needs nothing but itself."""

    expected = "the target and nothing else"

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, 2, *spatial) of images (N, C, *spatial)."""
        evidence = SHARPNESS * (images[:, :1] - 0.5)
        return torch.cat([-evidence, evidence], dim=1)

    @staticmethod
    def image(num_dimensions: int = 2) -> Tensor:
        """A dark image (1, *spatial) with a bright block of 5 pixels a side."""
        return square_image(num_dimensions)

    @staticmethod
    def needed(num_dimensions: int = 2) -> Tensor:
        """The bright block."""
        return square_image(num_dimensions)[0] > 0


class Beacon(ToyNetwork):
    """A pixel is foreground if its first channel is bright and a whole beacon is seen.

    The beacon is a block of 3 pixels a side that is bright in the last channel, anywhere in the
    image; a single missing pixel of it is enough for everything to become background.
    """

    expected = "the target and the beacon 10 px away from it"

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, 2, *spatial) of images (N, C, *spatial)."""
        num_dimensions = images.ndim - 2
        pool = {2: F.avg_pool2d, 3: F.avg_pool3d}[num_dimensions]
        seen = pool(images[:, -1:], 3, stride=1).flatten(1).amax(1)
        missing = 1 - 0.5 / 3**num_dimensions
        beacon = (seen - missing).view(-1, 1, *[1] * num_dimensions)
        evidence = SHARPNESS * torch.minimum(images[:, :1] - 0.5, beacon)
        return torch.cat([-evidence, evidence], dim=1)

    @staticmethod
    def image(num_dimensions: int = 2) -> Tensor:
        """A bright block in the first of 3 channels, and a beacon that ends 10 px away from it."""
        image = square_image(num_dimensions, num_channels=3)
        image[2][beacon_window(num_dimensions)] = 1.0
        return image

    @staticmethod
    def needed(num_dimensions: int = 2) -> Tensor:
        """The block and the beacon."""
        return Beacon.image(num_dimensions).amax(0) > 0


class Constant(ToyNetwork):
    """The first eight rows are foreground, whatever the image shows: it needs no pixel at all."""

    expected = "no pixel at all"

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, 2, *spatial) of images (N, C, *spatial)."""
        logits = torch.zeros(len(images), 2, *images.shape[2:])
        logits[:, 1, :8] = 1.0
        logits[:, 1, 8:] = -1.0
        return logits

    @staticmethod
    def image(num_dimensions: int = 2) -> Tensor:
        """A dark image (1, *spatial) with a bright block, which does not matter."""
        return square_image(num_dimensions)

    @staticmethod
    def needed(num_dimensions: int = 2) -> Tensor:
        """Nothing."""
        return torch.zeros([SIDE_PX] * num_dimensions, dtype=torch.bool)


TOYS: tuple[type[ToyNetwork], ...] = (OwnBrightness, Beacon, Constant)
"""The three networks, from the easiest to explain."""


def square_image(num_dimensions: int = 2, num_channels: int = 1) -> Tensor:
    """A dark image whose first channel has a bright block of 5 pixels a side, from pixel 10 on."""
    image = torch.zeros(num_channels, *[SIDE_PX] * num_dimensions)
    image[0][(slice(10, 15),) * num_dimensions] = 1.0
    return image


def beacon_window(num_dimensions: int) -> tuple[slice, ...]:
    """Where the beacon of `Beacon.image` lies, on each spatial axis."""
    return (*[slice(11, 14)] * (num_dimensions - 1), slice(22, 25))
