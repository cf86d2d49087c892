"""How a stored volume lies: axial slices for viewing, and the way back."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from misure._util.optional import require
from misure.errors import InputError
from misure.images.nifti import is_nifti, read_affine

ViewingOrder = tuple[tuple[int, bool], ...]
"""For each of (slice, row, column): the stored axis, and whether it runs the other way."""


AS_STORED: ViewingOrder = ((0, False), (1, False), (2, False))


def viewing_order(affine: np.ndarray, path: str | Path) -> ViewingOrder:
    """How to lay out a stored volume as axial slices: feet to head, front up, right on the left.

    Args:
        affine: (4, 4), from voxel indices to millimetres right-to-left, back-to-front,
            feet-to-head as NIfTI defines them (RAS+).
        path: whose it is.

    Raises:
        InputError: it is not finite, or gives an axis no direction.
    """
    orientations = require("nibabel.orientations", extra="medical", purpose="orient volumes")
    try:
        stored = orientations.io_orientation(affine)  # for each axis: (world axis, direction)
    except (ValueError, np.linalg.LinAlgError):
        stored = np.full((3, 2), np.nan)
    if not np.isfinite(stored).all() or not np.isfinite(affine).all():
        raise InputError(
            f"expected an affine that gives each axis a direction, got "
            f"{np.asarray(affine).tolist()} in {path}. Repair the header."
        )
    wanted = {2: 1, 1: -1, 0: -1}  # slices up, rows from front to back, columns from right to left
    order = []
    for world_axis, direction in wanted.items():
        axis = int(np.flatnonzero(stored[:, 0] == world_axis)[0])
        order.append((axis, bool(stored[axis, 1] != direction)))
    return tuple(order)


def read_viewing_order(path: str | Path) -> ViewingOrder:
    """The viewing order of a NIfTI file; of any other file, the order it is stored in."""
    if not is_nifti(path):
        return AS_STORED
    return viewing_order(read_affine(path), path)


def lay_out(volume: Tensor, order: ViewingOrder) -> Tensor:
    """A volume (..., I, J, K) as (..., slices, rows, columns)."""
    moved = volume.permute(*range(volume.ndim - 3), *(axis - 3 for axis, _ in order))
    turned = [position - 3 for position, (_, turn) in enumerate(order) if turn]
    return moved.flip(turned)


def as_stored(laid_out: Tensor, order: ViewingOrder) -> Tensor:
    """What `lay_out` laid out, in its stored order again: (..., slices, rows, columns) in."""
    turned = [position - 3 for position, (_, turn) in enumerate(order) if turn]
    place = [axis for axis, _ in order]
    back = [place.index(axis) - 3 for axis in range(3)]
    return laid_out.flip(turned).permute(*range(laid_out.ndim - 3), *back)


def affine_as_laid_out(affine: np.ndarray, order: ViewingOrder, shape: Sequence[int]) -> np.ndarray:
    """The affine (4, 4) of a volume after `lay_out`.

    Args:
        affine: of the volume as it is stored.
        order: what it is laid out with.
        shape: (I, J, K), as stored.
    """
    step = np.zeros((4, 4))
    step[3, 3] = 1
    for position, (axis, turn) in enumerate(order):
        step[axis, position] = -1 if turn else 1
        step[axis, 3] = shape[axis] - 1 if turn else 0
    return affine @ step


def affine_of_slice(affine: np.ndarray, number: int) -> np.ndarray:
    """The affine (4, 4) of one slice as a volume (1, rows, columns) of its own.

    Args:
        affine: of the volume (slices, rows, columns) as it is laid out.
        number: of the slice.
    """
    moved = np.array(affine, np.float64)
    moved[:3, 3] += number * moved[:3, 0]
    return moved


def affine_of_axial_slice(
    affine: np.ndarray, order: ViewingOrder, shape: Sequence[int], number: int
) -> np.ndarray:
    """The same, of a slice of a volume (I, J, K) as it is stored.

    Args:
        affine, order, shape: as in `affine_as_laid_out`.
        number: of the slice, counted from the feet.
    """
    return affine_of_slice(affine_as_laid_out(affine, order, shape), number)


def in_volume(plane: Tensor, slice_index: int, shape: Sequence[int], order: ViewingOrder) -> Tensor:
    """A volume (I, J, K) that is empty but for one axial slice, as stored.

    Args:
        plane: (rows, columns), laid out for viewing.
        slice_index: its number, counted from the feet.
        shape: (I, J, K).
        order: how the volume is laid out (see `read_viewing_order`).
    """
    laid_out = plane.new_zeros([shape[axis] for axis, _ in order])
    laid_out[slice_index] = plane
    return as_stored(laid_out, order)
