"""Planes: what of an image can be looked at, and where a pixel of a plane lies in the image.

A picture has one plane, itself. A volume is laid out as (slices, rows, columns) = (Z, Y, X), from
feet to head, the front up, the right side of the body on the left. All that the page sees is laid
out so; only here it is turned to the way in which the file stores it, and back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from misure.errors import InputError
from misure.images.orientation import ViewingOrder

PLANES_OF_VOLUME = ("axial", "coronal", "sagittal")
"""The plane whose slices are counted along the first, second and third axis as laid out."""


@dataclass(frozen=True)
class Planes:
    """The planes of an image.

    Attributes:
        spatial: the shape (*spatial) as it is stored.
        order: how a volume is laid out.
    """

    spatial: tuple[int, ...]
    order: ViewingOrder

    @property
    def is_volume(self) -> bool:
        """Whether there are slices."""
        return len(self.spatial) == 3

    @property
    def names(self) -> list[str]:
        """Of the planes."""
        return list(PLANES_OF_VOLUME) if self.is_volume else ["image"]

    @property
    def shape(self) -> list[int]:
        """[Y, X], or [Z, Y, X] as laid out."""
        if not self.is_volume:
            return list(self.spatial)
        return [self.spatial[axis] for axis, _ in self.order]

    def as_laid_out(self, of_axes: Sequence[Any]) -> list[Any]:
        """Values of each stored axis, in the order of the axes as laid out."""
        return [of_axes[axis] for axis, _ in self.order] if self.is_volume else list(of_axes)

    def point_laid_out(self, point: Sequence[float]) -> list[float]:
        """A stored point (*spatial) as it is laid out."""
        if not self.is_volume:
            return list(point)
        return [
            self.spatial[axis] - 1 - point[axis] if is_turned else point[axis]
            for axis, is_turned in self.order
        ]

    def point_stored(self, point: Sequence[int]) -> tuple[int, ...]:
        """A point as laid out, as it is stored.

        Raises:
            InputError: it lies outside.
        """
        sides = self.shape
        if len(point) != len(sides) or not all(
            0 <= p < n for p, n in zip(point, sides, strict=True)
        ):
            raise InputError(f"expected a point inside {sides}, got {list(point)[:5]}.")
        if not self.is_volume:
            return tuple(point)
        stored = [0, 0, 0]
        for place, (axis, is_turned) in zip(point, self.order, strict=True):
            stored[axis] = self.spatial[axis] - 1 - place if is_turned else place
        return tuple(stored)

    def num_slices(self, plane: str) -> int:
        """Slices along a plane; 1 of a picture."""
        return self.shape[self._number_of(plane)] if self.is_volume else 1

    def take(self, tensor: Tensor, plane: str, number: int) -> Tensor:
        """One slice (..., rows, columns) of what is stored as (..., *spatial).

        Rows and columns run as the axes that are left do, as laid out: those of the coronal plane
        are Z and X, those of the sagittal plane Z and Y.

        Raises:
            InputError: no such plane or slice.
        """
        place = self._slice_of(plane, number)
        if place is None:
            return tensor
        axis, stored = place
        taken = tensor.select(axis - 3, stored)
        return self._turned(taken, self._left(plane))

    def put(self, tensor: Tensor, plane: str, number: int, values: Tensor) -> None:
        """Writes one slice (rows, columns) into what is stored as (*spatial)."""
        place = self._slice_of(plane, number)
        if place is None:
            tensor.copy_(values)
            return
        axis, stored = place
        tensor.select(axis, stored).copy_(self.as_stored_plane(plane, values))

    def put_all(self, tensor: Tensor, plane: str, values: Tensor) -> None:
        """Writes the same (rows, columns) into all slices along a plane."""
        if not self.is_volume:
            tensor.copy_(values)
            return
        axis = self.order[self._number_of(plane)][0]
        tensor.copy_(self.as_stored_plane(plane, values).unsqueeze(axis).expand_as(tensor))

    def as_stored_plane(self, plane: str, values: Tensor) -> Tensor:
        """A slice (rows, columns) as the two stored axes that are left have it."""
        left = self._left(plane)
        flipped = values.flip([i - 2 for i, (_, is_turned) in enumerate(left) if is_turned])
        return flipped.mT if left[0][0] > left[1][0] else flipped

    def shape_of(self, plane: str) -> tuple[int, int]:
        """Rows and columns of a plane."""
        rows, columns = (
            [self.spatial[axis] for axis, _ in self._left(plane)]
            if self.is_volume
            else self.spatial
        )
        return rows, columns

    def _turned(self, taken: Tensor, left: Sequence[tuple[int, bool]]) -> Tensor:
        ordered = taken.mT if left[0][0] > left[1][0] else taken
        return ordered.flip([i - 2 for i, (_, is_turned) in enumerate(left) if is_turned])

    def _left(self, plane: str) -> list[tuple[int, bool]]:
        number = self._number_of(plane)
        return [one for i, one in enumerate(self.order) if i != number]

    def _number_of(self, plane: str) -> int:
        if plane not in self.names:
            raise InputError(f"expected a plane of {', '.join(self.names)}, got {plane[:20]!r}.")
        return self.names.index(plane)

    def _slice_of(self, plane: str, number: int) -> tuple[int, int] | None:
        """The stored axis of a plane, and where along it a slice lies; None of a picture."""
        along = self._number_of(plane)
        if not 0 <= number < self.num_slices(plane):
            raise InputError(
                f"expected a slice from 0 to {self.num_slices(plane) - 1}, got {number}."
            )
        if not self.is_volume:
            return None
        axis, is_turned = self.order[along]
        return axis, self.spatial[axis] - 1 - number if is_turned else number


def empty_like(planes: Planes, *, shown: bool) -> Tensor:
    """A region (*spatial) bool that holds all pixels, or none."""
    return torch.full(planes.spatial, shown)
