"""How a stored volume lies in the body: laid out as axial slices for viewing, and back again.

A volume is stored as (I, J, K) in any order and direction; its affine says which. Laid out, it is
(slices, rows, columns): slices from feet to head, the front of the body up, its right side on the
left.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from misure._util.optional import require
from misure.errors import InputError

ViewingOrder = tuple[tuple[int, bool], ...]
"""For each of (slice, row, column): the stored axis, and whether it runs the other way."""


AS_STORED: ViewingOrder = ((0, False), (1, False), (2, False))


def viewing_order(affine: np.ndarray, path: str | Path) -> ViewingOrder:
    """How to lay out a stored volume as axial slices.

    Args:
        affine: (4, 4), from voxel indices to millimetres left-to-right, back-to-front,
            feet-to-head as NIfTI defines them (RAS+).
        path: the file that it is from, for the message.

    Raises:
        InputError: the affine is not finite, or gives an axis no direction.
        MissingDependencyError: nibabel is missing.
    """
    orientations = require("nibabel.orientations", extra="medical", purpose="orient volumes")
    try:
        stored = orientations.io_orientation(affine)  # for each axis: (world axis, direction)
    except (ValueError, np.linalg.LinAlgError):
        stored = np.full((3, 2), np.nan)
    if not np.isfinite(stored).all() or not np.isfinite(affine).all():
        raise InputError(
            "expected an affine that gives each axis a direction, got "
            f"{np.asarray(affine).tolist()} in {path}. Repair the header."
        )
    wanted = {2: 1, 1: -1, 0: -1}  # slices up, rows from front to back, columns from right to left
    order = []
    for world_axis, direction in wanted.items():
        axis = int(np.flatnonzero(stored[:, 0] == world_axis)[0])
        order.append((axis, bool(stored[axis, 1] != direction)))
    return tuple(order)


def lay_out(volume: Tensor, order: ViewingOrder) -> Tensor:
    """A volume (..., I, J, K) as (..., slices, rows, columns)."""
    moved = volume.permute(*range(volume.ndim - 3), *(axis - 3 for axis, _ in order))
    return moved.flip(_turned_axes(order))


def as_stored(laid_out: Tensor, order: ViewingOrder) -> Tensor:
    """A volume (..., slices, rows, columns) as (..., I, J, K): the inverse of `lay_out`."""
    axes = [axis for axis, _ in order]
    back = [axes.index(axis) - 3 for axis in range(3)]
    return laid_out.flip(_turned_axes(order)).permute(*range(laid_out.ndim - 3), *back)


def _turned_axes(order: ViewingOrder) -> list[int]:
    """The axes of a volume as laid out, counted from the last, that run the other way."""
    return [position - 3 for position, (_, is_turned) in enumerate(order) if is_turned]


def spacing_mm(affine: np.ndarray) -> tuple[float, float, float]:
    """Millimetres from one voxel to the next along each of the three axes of a volume.

    Args:
        affine: (4, 4), from voxel indices to millimetres.

    >>> spacing_mm(np.diag([0.8, -0.8, 5, 1]))
    (0.8, 0.8, 5.0)
    """
    i, j, k = np.linalg.norm(np.asarray(affine, np.float64)[:3, :3], axis=0).tolist()
    return i, j, k


def affine_as_laid_out(affine: np.ndarray, order: ViewingOrder, shape: Sequence[int]) -> np.ndarray:
    """The affine (4, 4) float64 of a volume after `lay_out`, to the same millimetres.

    Args:
        affine: (4, 4), of the volume as it is stored.
        order: how it is laid out.
        shape: (I, J, K), as it is stored.
    """
    step = np.zeros((4, 4))
    step[3, 3] = 1
    for position, (axis, is_turned) in enumerate(order):
        step[axis, position] = -1 if is_turned else 1
        step[axis, 3] = shape[axis] - 1 if is_turned else 0
    return np.asarray(affine, np.float64) @ step


def affine_of_slice(
    affine: np.ndarray,
    number: int,
    order: ViewingOrder = AS_STORED,
    shape: Sequence[int] = (1, 1, 1),
) -> np.ndarray:
    """The affine (4, 4) float64 of an axial slice as a volume (1, rows, columns) of its own.

    Args:
        affine: (4, 4), of the volume as it is stored.
        number: of the slice, counted from the first as laid out (the feet), from 0.
        order: how the volume is laid out; by default it is stored so.
        shape: (I, J, K) of the volume as it is stored; needed only if `order` turns an axis.
    """
    moved = affine_as_laid_out(affine, order, shape)
    moved[:3, 3] += number * moved[:3, 0]
    return moved


def in_volume(plane: Tensor, slice_index: int, shape: Sequence[int], order: ViewingOrder) -> Tensor:
    """A volume (I, J, K) as stored that is empty but on one axial slice: False, or NaN.

    Args:
        plane: (rows, columns), the slice as laid out.
        slice_index: its number, counted from the feet, from 0.
        shape: (I, J, K).
        order: how the volume is laid out.
    """
    empty = torch.nan if plane.is_floating_point() else 0
    laid_out = plane.new_full([shape[axis] for axis, _ in order], empty)
    laid_out[slice_index] = plane
    return as_stored(laid_out, order)
