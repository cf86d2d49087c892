"""Where an image lies in napari, whose axes are those of the array, the vertical one pointing down.

A volume with an affine is laid out as axial slices from feet to head, rows from front to back,
columns from right to left. napari's world is then (z, y, x) in millimetres with the axes of ITK and
DICOM: up, back, left. Readers for ITK's formats place their layers in the same way. A slice of a
volume is a volume of one slice there, so it lies where it was taken.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from torch import Tensor

from misure.images.orientation import (
    AS_STORED,
    ViewingOrder,
    affine_as_laid_out,
    lay_out,
    viewing_order,
)
from misure.images.spacing import known_spacing

_FROM_RAS = np.array([[0.0, 0, 1, 0], [0, -1, 0, 0], [-1, 0, 0, 0], [0, 0, 0, 1]])


@dataclass(frozen=True)
class Placement:
    """How the tensors of an image become layers.

    Attributes:
        shape: (*spatial) of the image as it is stored.
        order: how a volume is laid out.
        affine: (n + 1, n + 1) from the indices of a layer to napari's world, n its axes.
        is_slice: whether it is a flat image whose place in a volume is known; its layers have an
            axis of length 1 more.
    """

    shape: tuple[int, ...]
    order: ViewingOrder
    affine: np.ndarray
    is_slice: bool = False

    @classmethod
    def of(
        cls,
        shape: Sequence[int],
        affine: Tensor | np.ndarray | None = None,
        spacing_mm: Sequence[float] | None = None,
    ) -> Self:
        """The placement of an image.

        Args:
            shape: (*spatial).
            affine: (4, 4) of a volume, from voxel indices to millimetres (RAS+); of a flat image
                that of the volume (1, rows, columns) that it is; None: not known.
            spacing_mm: sides of a pixel or voxel, which count if there is no affine; None: 1.

        Raises:
            InputError: an affine that gives an axis no direction.
        """
        if affine is not None:
            matrix, is_slice = np.asarray(affine, np.float64), len(shape) == 2
            order = viewing_order(matrix, "affine")
            stored = (1, *shape) if is_slice else tuple(shape)
            placed = _FROM_RAS @ affine_as_laid_out(matrix, order, stored)
            return cls(tuple(shape), order, placed, is_slice)
        sides = known_spacing(spacing_mm) or (1.0,) * len(shape)
        return cls(tuple(shape), AS_STORED, np.diag([*sides, 1.0]))

    def as_layer(self, tensor: Tensor) -> np.ndarray:
        """The array of a layer from (..., *spatial)."""
        volume = tensor.unsqueeze(-3) if self.is_slice else tensor
        laid_out = lay_out(volume, self.order) if self.num_axes == 3 else tensor
        array: np.ndarray = np.ascontiguousarray(laid_out.detach().cpu().numpy())
        return array

    @property
    def num_axes(self) -> int:
        """Axes of a layer."""
        return len(self.affine) - 1

    def resized(self, shape: Sequence[int]) -> Self:
        """The placement of the same image with another number of pixels: it fills the same place.

        Args:
            shape: (*spatial).
        """
        grid = np.eye(self.num_axes + 1)
        before, after = self._sides(self.shape), self._sides(tuple(shape))
        for axis, (old, new) in enumerate(zip(before, after, strict=True)):
            factor = old / new
            grid[axis, axis], grid[axis, -1] = factor, (factor - 1) / 2  # pixels are their centres
        return replace(self, shape=tuple(shape), affine=self.affine @ grid)

    def _sides(self, shape: tuple[int, ...]) -> list[int]:
        """Sides of a layer."""
        stored = (1, *shape) if self.is_slice else shape
        return [stored[axis] for axis, _ in self.order[: self.num_axes]]

    def point(self, indices: Sequence[float]) -> tuple[int, ...] | None:
        """The pixel (*spatial) of the image as it is stored; None outside of it.

        Args:
            indices: of a layer's array, rounded here.
        """
        where = [round(float(index)) for index in indices]
        turned, sides = self.order[: self.num_axes], self._sides(self.shape)
        if len(where) != len(sides) or any(
            not 0 <= at < side for at, side in zip(where, sides, strict=True)
        ):
            return None
        stored = [0] * len(sides)
        for at, side, (axis, is_turned) in zip(where, sides, turned, strict=True):
            stored[axis] = side - 1 - at if is_turned else at
        return tuple(stored[self.is_slice :])
