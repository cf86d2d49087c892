"""Augmentation of medical images: slightly rotated, scaled and brightened, never mirrored.

Mirroring would turn a left kidney into a right one.
"""

from math import radians
from typing import Any

from torch import Tensor

from misure._util.optional import require


class Augmentation:
    """Changes an image (C, *spatial) and its annotation in the same way, with transforms of MONAI.

    Args:
        spatial_dims: 2 or 3.
    """

    def __init__(self, spatial_dims: int) -> None:
        transforms = require("monai.transforms", extra="train", purpose="train networks")
        axes = spatial_dims if spatial_dims == 3 else 1
        self._change: Any = transforms.Compose(
            [
                transforms.RandAffined(
                    keys=("image", "annotation"),
                    mode=("bilinear", "nearest"),
                    prob=0.5,
                    rotate_range=[radians(10)] * axes,
                    scale_range=[0.1] * spatial_dims,
                    padding_mode="border",
                ),
                transforms.RandScaleIntensityd(keys="image", factors=0.1, prob=0.5),
                transforms.RandShiftIntensityd(keys="image", offsets=0.1, prob=0.5),
            ]
        )

    def __call__(self, image: Tensor, annotation: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        self._change.set_random_state(seed)
        changed = self._change({"image": image, "annotation": annotation[None].float()})
        return (
            changed["image"].as_tensor().contiguous(),
            changed["annotation"].as_tensor()[0].round().long(),
        )
