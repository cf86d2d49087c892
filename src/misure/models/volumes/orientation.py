"""The order and the directions of the axes of a volume."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from misure._util.optional import require
from misure.errors import InputError
from misure.models.volumes.affine import needed_affine
from misure.models.volumes.step import Shape, Step


@dataclass(frozen=True)
class Turned:
    """Axes in another order, some of them the other way round.

    Attributes:
        axes: for each axis after the step, the one before it.
        flipped: whether it runs the other way.
    """

    axes: Shape
    flipped: tuple[bool, ...]

    def shape(self, spatial: Shape) -> Shape:
        return tuple(spatial[axis] for axis in self.axes)

    def forward(self, images: Tensor) -> Tensor:
        moved = images.permute(0, 1, *(axis + 2 for axis in self.axes))
        return moved.flip(self._flips()).contiguous()

    def back(self, values: Tensor, spatial: Shape) -> Tensor:  # noqa: ARG002
        order = [self.axes.index(axis) + 2 for axis in range(len(self.axes))]
        return values.flip(self._flips()).permute(0, 1, *order)

    def _flips(self) -> list[int]:
        return [axis + 2 for axis, flipped in enumerate(self.flipped) if flipped]


@dataclass(frozen=True)
class Orientation:
    """The axes of a volume in the order and directions of a code such as `RAS`."""

    code: str

    def __post_init__(self) -> None:
        letters = self.code if isinstance(self.code, str) else ""
        named = [
            next((i for i, pair in enumerate(("LR", "PA", "IS")) if x in pair), -1) for x in letters
        ]
        if sorted(named) != [0, 1, 2]:
            raise InputError(
                "expected an orientation of three letters, one each of L or R, P or A, I or S, "
                f"such as RAS, got {self.code!r}."
            )

    def bind(self, image: Tensor, affine: np.ndarray | None) -> tuple[Step, np.ndarray]:
        known = needed_affine(image, affine, f"orientation={self.code}")
        directions = require("nibabel.orientations", extra="medical", purpose="orient volumes")
        stored = directions.io_orientation(known)
        if not np.isfinite(stored).all():
            raise InputError(
                "expected an affine that gives each axis a direction, got "
                f"{known.tolist()}. Repair the header."
            )
        turn = directions.ornt_transform(stored, directions.axcodes2ornt(tuple(self.code)))
        goes_to = [int(axis) for axis in turn[:, 0]]
        axes = tuple(goes_to.index(axis) for axis in range(3))
        step = Turned(axes, tuple(bool(turn[axis, 1] < 0) for axis in axes))
        return step, known @ directions.inv_ornt_aff(turn, tuple(image.shape[1:]))
