"""Transforms of MONAI that crop and pad."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from misure.errors import InputError
from misure.models.loaders.monai_arguments import Given
from misure.models.volumes.box import Boxed
from misure.models.volumes.step import Part, Step


@dataclass(frozen=True)
class Boxes:
    """A box cut out of an image.

    Attributes:
        box: the first voxel and the shape of the box for an image (C, *spatial).
        mode, value: of padding.
    """

    box: Callable[[Tensor], tuple[Sequence[int], Sequence[int]]]
    mode: str = "constant"
    value: float = 0.0

    def bind(self, image: Tensor, affine: np.ndarray | None) -> tuple[Step, np.ndarray | None]:
        start, after = (tuple(map(int, each)) for each in self.box(image))
        moved = None if affine is None else affine.copy()
        if moved is not None and len(start) == 3:
            moved[:3, 3] = (moved @ [*start, 1])[:3]
        return Boxed(start, after, self.mode, self.value), moved


def foreground(given: Given) -> Part:
    """The part of `CropForeground`."""
    given.check(select_fn=None, channel_indices=None)
    margin, divisor = given("margin", 0), given("k_divisible", 1)
    allow_smaller = bool(given("allow_smaller", False))

    def box(image: Tensor) -> tuple[Sequence[int], Sequence[int]]:
        axes = image.ndim - 1
        margins = margin if isinstance(margin, list) else [margin] * axes
        multiples = divisor if isinstance(divisor, list) else [divisor] * axes
        found = torch.nonzero((image > 0).any(0))
        if not len(found):
            raise InputError(
                "expected an image with numbers above 0 to crop its foreground, got none. Leave "
                f"the step out with without={given.name}."
            )
        starts, sides = [], []
        for axis in range(axes):
            low = int(found[:, axis].min()) - margins[axis]
            high = int(found[:, axis].max()) + margins[axis] + 1
            if allow_smaller:
                low, high = max(low, 0), min(high, image.shape[axis + 1])
            side = multiple(high - low, multiples[axis])
            starts.append(low - (side - (high - low)) // 2)
            sides.append(side)
        return starts, sides

    return Boxes(box, *_padding(given))


def multiple(side: int, divisor: int) -> int:
    """The least multiple of a divisor that is not below a side; the side itself without one."""
    return -(-side // divisor) * divisor if divisor > 0 else side


def _padding(given: Given) -> tuple[str, float]:
    mode = given.of_key("mode", "constant")
    if mode not in ("constant", "reflect", "replicate", "edge"):
        raise given.unusable("mode", mode, "constant, reflect or replicate")
    value = given("value", given("constant_values", 0.0))
    return ("replicate" if mode == "edge" else mode), float(value)


def widened(given: Given, new_side: Callable[[int, int], int], key: str) -> Part:
    """Padding to at least another side, on both sides or at the end."""
    method = given("method", "symmetric")
    if method not in ("symmetric", "end"):
        raise given.unusable("method", method, "symmetric or end")

    def box(image: Tensor) -> tuple[Sequence[int], Sequence[int]]:
        old = image.shape[1:]
        numbers = given.sides(key, len(old))
        after = [max(side, new_side(side, n)) for side, n in zip(old, numbers, strict=True)]
        is_middle = method == "symmetric"
        starts = [-((n - o) // 2) if is_middle else 0 for n, o in zip(after, old, strict=True)]
        return starts, after

    return Boxes(box, *_padding(given))


def middle(given: Given, key: str, *, pads: bool) -> Part:
    """The middle of an image, padded if it is smaller and `pads`."""
    given.check(method="symmetric")

    def box(image: Tensor) -> tuple[Sequence[int], Sequence[int]]:
        old = image.shape[1:]
        wanted = [n if n > 0 else o for n, o in zip(given.sides(key, len(old)), old, strict=True)]
        after = wanted if pads else [min(n, o) for n, o in zip(wanted, old, strict=True)]
        starts = [
            -((n - o) // 2) if n > o else o // 2 - n // 2 for n, o in zip(after, old, strict=True)
        ]
        return starts, after

    return Boxes(box, *_padding(given))
