"""The sides of voxels in millimetres."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from misure.errors import InputError
from misure.models.volumes.affine import needed_affine
from misure.models.volumes.grid import Resampled, extent
from misure.models.volumes.step import Step


@dataclass(frozen=True)
class Spacing:
    """Voxels with these sides in millimetres, along the axes; 0 or less: an axis stays as it is.

    Attributes:
        mm: one for each axis.
        nearest: take the nearest voxel instead of linear interpolation.
        diagonal: turn the grid to the axes of the body, too.
    """

    mm: tuple[float, ...]
    nearest: bool = False
    diagonal: bool = False

    def bind(self, image: Tensor, affine: np.ndarray | None) -> tuple[Step, np.ndarray]:
        given = ",".join(f"{side:g}" for side in self.mm)
        known = needed_affine(image, affine, f"spacing={given}", planes=True)
        axes = image.ndim - 1
        if len(self.mm) != axes:
            raise InputError(
                f"expected spacing with one length for each of {axes} axes of the image, got "
                f"{given}."
            )
        flat = known if axes == 3 else _of_plane(known)
        linear = flat[:-1, :-1]
        sides = np.linalg.norm(linear, axis=0)
        mm = np.array([new if new > 0 else old for new, old in zip(self.mm, sides, strict=True)])
        upper = np.linalg.cholesky(linear.T @ linear).T
        turned = np.eye(axes) if self.diagonal else linear @ np.linalg.inv(upper)
        new = np.eye(axes + 1)
        new[:-1, :-1] = turned @ np.diag(mm)
        after, new[:-1, -1] = extent(image.shape[1:], flat, new)
        index = np.linalg.solve(flat, new)
        return Resampled(tuple(image.shape[1:]), after, index, self.nearest), (
            new if axes == 3 else _plane_back(known, new)
        )


def checked_spacing(spacing: Any) -> tuple[float, ...]:
    """Two or three positive lengths in millimetres, of numbers or of text with commas.

    Raises:
        InputError: anything else.
    """
    try:
        each = spacing.split(",") if isinstance(spacing, str) else spacing
        lengths = tuple(float(side) for side in each)
    except (TypeError, ValueError):
        lengths = ()
    if len(lengths) not in (2, 3) or not all(0 < side < np.inf for side in lengths):
        raise InputError(
            "expected spacing as a positive length in millimetres for each axis, such as 1,1,1, "
            f"got {spacing!r}."
        )
    return lengths


def _of_plane(affine: np.ndarray) -> np.ndarray:
    """The affine (3, 3) of a slice in its plane, from that (4, 4) of (1, rows, columns)."""
    rows, columns = affine[:3, 1], affine[:3, 2]
    side = np.linalg.norm(rows)
    lean = columns @ rows / side
    flat = np.eye(3)
    flat[:2, :2] = [[side, lean], [0, np.sqrt(max(0.0, columns @ columns - lean**2))]]
    return flat


def _plane_back(affine: np.ndarray, plane: np.ndarray) -> np.ndarray:
    """The affine (4, 4) of a slice whose affine within its plane has become `plane`."""
    index = np.linalg.solve(_of_plane(affine), plane)
    step = np.eye(4)
    step[1:, 1:] = index
    moved: np.ndarray = affine @ step
    return moved
