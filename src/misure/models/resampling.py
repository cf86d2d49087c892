"""Resizing images as Pillow does, but as a differentiable function of tensors.

What torch lacks or does otherwise, Pillow itself is asked for: the pixels that `nearest` takes, the
weights of kernels, the axis that comes first. A kernel is widened where an image shrinks
(antialiasing), and pixels have their centres at half numbers.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from misure.errors import InputError

_LINEAR = {2: "bilinear", 3: "trilinear"}
_PILLOW = {
    "linear": Image.Resampling.BILINEAR,
    "nearest": Image.Resampling.NEAREST,
    "bicubic": Image.Resampling.BICUBIC,
    "box": Image.Resampling.BOX,
    "hamming": Image.Resampling.HAMMING,
    "lanczos": Image.Resampling.LANCZOS,
}
_IN_TORCH = {"linear": "bilinear", "bicubic": "bicubic"}
_OVERSHOOTING = ("bicubic", "lanczos")
INTERPOLATIONS = tuple(_PILLOW)


def resize(images: Tensor, spatial: Sequence[int]) -> Tensor:
    """Images (N, C, *any), linearly interpolated to (N, C, *spatial); unchanged if they fit."""
    if images.shape[2:] == tuple(spatial):
        return images
    shrinks = any(new < old for new, old in zip(spatial, images.shape[2:], strict=True))
    return F.interpolate(
        images,
        tuple(spatial),
        mode=_LINEAR[len(spatial)],
        align_corners=False,
        antialias=shrinks and len(spatial) == 2,
    )


def resample(
    images: Tensor,
    spatial: Sequence[int],
    interpolation: str,
    levels: int | None = None,
) -> Tensor:
    """Images (N, C, *any), resized to (N, C, *spatial); unchanged if they fit.

    Args:
        images: floats.
        spatial: the new shape.
        interpolation: a name in `INTERPOLATIONS`; volumes know `linear` and `nearest`.
        levels: after each axis numbers become whole multiples of 1 / levels, and kernels that
            overshoot stay between 0 and 1; gradients pass the rounding. None: numbers stay.

    Raises:
        InputError: another interpolation than these for volumes.
    """
    if images.shape[2:] == tuple(spatial):
        return images
    if interpolation == "linear" and levels is None:
        return resize(images, spatial)
    if interpolation != "nearest" and len(spatial) != 2:
        raise InputError(
            f"expected the interpolation linear or nearest for volumes, got {interpolation}."
        )
    old = tuple(images.shape[2:])
    rows_first = levels is not None and _rows_first(old, tuple(spatial), interpolation)
    axes = range(len(old)) if rows_first else reversed(range(len(old)))
    numbers = images if levels is None else images * levels
    for axis in axes:
        if old[axis] != spatial[axis]:
            numbers = _along(numbers, axis + 2, spatial[axis], interpolation)
            numbers = numbers if levels is None else _whole(numbers, levels, interpolation)
    return numbers if levels is None else numbers / levels


def _whole(numbers: Tensor, levels: int, interpolation: str) -> Tensor:
    """Numbers (0 to `levels`) rounded to whole ones, with the gradients of numbers that are not."""
    if interpolation in _OVERSHOOTING:
        numbers = numbers.clamp(0, levels)
    return numbers + ((numbers + 0.5).floor() - numbers).detach()


@lru_cache(maxsize=64)
def _rows_first(old: tuple[int, ...], new: tuple[int, ...], interpolation: str) -> bool:
    """Whether Pillow resizes the rows before the columns; the order matters to whole levels."""
    kernel, size = _PILLOW[interpolation], (new[1], new[0])
    noise = np.random.default_rng(0).integers(0, 256, old, dtype=np.uint8)
    image = Image.fromarray(noise)
    at_once = np.array(image.resize(size, kernel))
    by_rows = image.resize((old[1], new[0]), kernel).resize(size, kernel)
    return bool((at_once == np.array(by_rows)).all())


def _along(images: Tensor, axis: int, new: int, interpolation: str) -> Tensor:
    old = images.shape[axis]
    if interpolation == "nearest":
        return images.index_select(axis, _nearest(old, new).to(images.device))
    if interpolation in _IN_TORCH:
        shape = [*images.shape[2:]]
        shape[axis - 2] = new
        mode = _IN_TORCH[interpolation]
        return F.interpolate(images, shape, mode=mode, align_corners=False, antialias=True)
    weights = _weights(old, new, interpolation).to(images)
    return (images.movedim(axis, -1) @ weights).movedim(-1, axis)


@lru_cache(maxsize=64)
def _nearest(old: int, new: int) -> Tensor:
    """The old pixel (new,) that each new one takes."""
    pixels = Image.fromarray(np.arange(old, dtype=np.int32)[None])
    chosen = pixels.resize((new, 1), Image.Resampling.NEAREST)
    return torch.from_numpy(np.array(chosen)[0]).long()


@lru_cache(maxsize=64)
def _weights(old: int, new: int, interpolation: str) -> Tensor:
    """Weights (old, new) of the old pixels in each new one."""
    each = Image.fromarray(np.eye(old, dtype=np.float32))
    return torch.from_numpy(np.array(each.resize((new, old), _PILLOW[interpolation])))
