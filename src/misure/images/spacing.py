"""Voxels that are no cubes: how long their sides are, in millimetres and relative to each other.

Distances in an image are measured in units of the smallest side of a pixel or voxel, so that in an
image of equal sides, or of unknown ones, they are plain pixels.
"""

from collections.abc import Sequence
from math import isfinite, prod

from misure.errors import InputError

Sampling = tuple[float, ...]
"""The sides of a voxel along (*spatial), in units of the smallest of them."""

_ALIKE = 0.01  # sides that differ by less than this share are taken for equal


def check_spacing(spacing_mm: Sequence[float] | None, num_axes: int) -> tuple[float, ...] | None:
    """The spacing as a tuple, None as it is.

    Raises:
        InputError: not one positive, finite number for each axis of the image.
    """
    if spacing_mm is None:
        return None
    try:
        sides = tuple(float(side) for side in spacing_mm)
    except (TypeError, ValueError):
        sides = ()
    if len(sides) != num_axes or not _are_lengths(sides):
        raise InputError(
            f"expected spacing_mm of {num_axes} positive numbers, one for each axis of the image, "
            f"got {spacing_mm!r}."
        )
    return sides


def known_spacing(spacing_mm: Sequence[float] | None) -> tuple[float, ...] | None:
    """The spacing that a file gives; None if its affine gives an axis no length."""
    return tuple(spacing_mm) if spacing_mm is not None and _are_lengths(spacing_mm) else None


def _are_lengths(sides: Sequence[float]) -> bool:
    return all(isfinite(side) and side > 0 for side in sides)


def sampling_of(spacing_mm: Sequence[float] | None) -> Sampling | None:
    """The sides of a voxel relative to the smallest; None if they are equal, or not known.

    >>> sampling_of((0.8, 0.8, 4.8)), sampling_of((2.0, 2.001)), sampling_of(None)
    ((1.0, 1.0, 6.0), None, None)
    """
    if spacing_mm is None or max(spacing_mm) <= (1 + _ALIKE) * min(spacing_mm):
        return None
    return tuple(round(side / min(spacing_mm), 6) for side in spacing_mm)


def size_mm(num_pixels: int, spacing_mm: Sequence[float] | None) -> float | None:
    """The area in mm², or the volume in mm³, of N pixels; None if the spacing is unknown."""
    return None if spacing_mm is None else num_pixels * prod(spacing_mm)


def in_mm(distance_px: float, spacing_mm: Sequence[float] | None) -> float | None:
    """A distance in millimetres, from units of the smallest side; None if it is unknown."""
    return None if spacing_mm is None else distance_px * min(spacing_mm)


def short_side_px(spatial: Sequence[int], sampling: Sampling | None = None) -> int:
    """The image's shortest side, in units of the smallest side of a voxel, rounded."""
    if sampling is None:
        return min(spatial)
    return round(min(side * unit for side, unit in zip(spatial, sampling, strict=True)))
