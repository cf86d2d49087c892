"""Resizing images as Pillow does, but as a differentiable function of tensors.

The kernel is widened where an image shrinks (antialiasing), and pixels have their centres at half
numbers. Pillow rounds to whole grey levels after each axis, tensors keep their fractions.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from math import pi

import torch
import torch.nn.functional as F
from torch import Tensor

from misure.errors import InputError

_LINEAR = {2: "bilinear", 3: "trilinear"}


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


def resample(images: Tensor, spatial: Sequence[int], interpolation: str) -> Tensor:
    """Images (N, C, *any), resized to (N, C, *spatial); unchanged if they fit.

    Args:
        interpolation: a name in `INTERPOLATIONS`; volumes know `linear` and `nearest`.

    Raises:
        InputError: another interpolation than these for volumes.
    """
    if images.shape[2:] == tuple(spatial):
        return images
    if interpolation == "linear":
        return resize(images, spatial)
    if interpolation == "nearest":
        return F.interpolate(images, tuple(spatial), mode="nearest-exact")
    if len(spatial) != 2:
        raise InputError(
            f"expected the interpolation linear or nearest for volumes, got {interpolation}."
        )
    if interpolation == "bicubic":
        return F.interpolate(
            images, tuple(spatial), mode="bicubic", align_corners=False, antialias=True
        )
    for axis, (new, old) in enumerate(zip(spatial, images.shape[2:], strict=True)):
        weights = _weights(old, new, interpolation).to(images)
        images = (images.movedim(axis + 2, -1) @ weights.T).movedim(-1, axis + 2)
    return images


def _box(x: Tensor) -> Tensor:
    return ((x > -0.5) & (x <= 0.5)).to(x)


def _hamming(x: Tensor) -> Tensor:
    return (torch.sinc(x) * (0.54 + 0.46 * torch.cos(pi * x))) * (x.abs() < 1)


def _lanczos(x: Tensor) -> Tensor:
    return torch.sinc(x) * torch.sinc(x / 3) * (x.abs() < 3)


_KERNELS: dict[str, tuple[Callable[[Tensor], Tensor], float]] = {
    "box": (_box, 0.5),
    "hamming": (_hamming, 1.0),
    "lanczos": (_lanczos, 3.0),
}
"""Kernel that torch lacks -> its weights at a distance in pixels, and the largest such distance."""

INTERPOLATIONS = ("linear", "nearest", "bicubic", *_KERNELS)


@lru_cache(maxsize=64)
def _weights(old: int, new: int, kernel: str) -> Tensor:
    """Weights (new, old) of the old pixels in each new one."""
    function, support = _KERNELS[kernel]
    scale = old / new
    widened = max(scale, 1.0)
    centres = (torch.arange(new, dtype=torch.float64) + 0.5) * scale
    first = (centres - support * widened + 0.5).long().clamp(min=0)
    last = (centres + support * widened + 0.5).long().clamp(max=old)
    pixels = torch.arange(old)
    is_near = (pixels >= first[:, None]) & (pixels < last[:, None])
    weights = function((pixels + 0.5 - centres[:, None]) / widened) * is_near
    return (weights / weights.sum(1, keepdim=True)).float()


def overshoots(interpolation: str) -> bool:
    """Whether resized images may leave the range of the original."""
    return interpolation in ("bicubic", "lanczos")

