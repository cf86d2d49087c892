"""Volumes on grids of other voxels, as MONAI's `Spacingd` makes them; edges are continued."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from misure.models.volumes.step import Shape

_ROUNDING = 1e-8  # voxels by which a corner may miss the place of the first voxel
_STRAIGHT = (
    1e-4  # by how much of a voxel, over the volume, axes may lean before they count as oblique
)


@dataclass(frozen=True)
class Resampled:
    """Linear interpolation on a grid of other voxels; beyond its edges an image is continued.

    Attributes:
        before, after: shapes (*spatial).
        index: (d + 1, d + 1) float64: voxel indices before of voxel indices after.
        nearest: take the nearest voxel of the image instead.
        nearest_back: take the nearest value on the way back.
    """

    before: Shape
    after: Shape
    index: np.ndarray
    nearest: bool = False
    nearest_back: bool = False

    def shape(self, spatial: Shape) -> Shape:  # noqa: ARG002
        return self.after

    def forward(self, images: Tensor) -> Tensor:
        return sampled(images, self.index, self.after, nearest=self.nearest)

    def back(self, values: Tensor, spatial: Shape) -> Tensor:  # noqa: ARG002
        index = np.linalg.inv(self.index)
        return sampled(values, index, self.before, nearest=self.nearest_back)


def sampled(images: Tensor, index: np.ndarray, after: Shape, *, nearest: bool = False) -> Tensor:
    """Images (N, C, *spatial) at indices that are an affine function of those of (*after)."""
    linear, offset = index[:-1, :-1], index[:-1, -1]
    lean = np.abs(linear - np.diag(np.diag(linear))) @ np.array(after)
    if (lean > _STRAIGHT * np.array(images.shape[2:])).any():
        return _sampled_obliquely(images, index, after, nearest=nearest)
    for axis, side in enumerate(after):
        old = images.shape[axis + 2]
        at = (np.arange(side) * linear[axis, axis] + offset[axis]).clip(0, old - 1)
        if side == old and np.abs(at - np.arange(side)).max() < _STRAIGHT:
            continue
        images = _along(images, axis + 2, np.round(at) if nearest else at)
    return images


def _along(images: Tensor, axis: int, at: np.ndarray) -> Tensor:
    """Images at the fractional indices `at` of an axis, linearly interpolated."""
    floor = np.floor(at).astype(np.int64)
    low = torch.from_numpy(floor).to(images.device)
    high = torch.from_numpy(np.minimum(floor + 1, images.shape[axis] - 1)).to(images.device)
    share = torch.from_numpy(at - floor).to(images)
    share = share.view(-1, *[1] * (images.ndim - 1 - axis))
    first = images.index_select(axis, low)
    return first if not bool(share.any()) else first.lerp(images.index_select(axis, high), share)


def _sampled_obliquely(images: Tensor, index: np.ndarray, after: Shape, *, nearest: bool) -> Tensor:
    """As `sampled`, for axes that lean: by `grid_sample`."""
    ranges = [torch.arange(side, dtype=torch.float64) for side in after]
    grid = torch.stack([*torch.meshgrid(*ranges, indexing="ij")], dim=-1)
    at = grid @ torch.from_numpy(index[:-1, :-1].T.copy()) + torch.from_numpy(index[:-1, -1].copy())
    sides = torch.tensor(images.shape[2:], dtype=torch.float64)
    normalised = ((2 * at + 1) / sides - 1).flip(-1).to(images)
    return F.grid_sample(
        images,
        normalised[None].expand(len(images), *normalised.shape),
        mode="nearest" if nearest else "bilinear",
        padding_mode="border",
        align_corners=False,
    )


def extent(
    spatial: Sequence[int], before: np.ndarray, after: np.ndarray
) -> tuple[Shape, np.ndarray]:
    """The shape of a grid `after` over an image, and where its first voxel lies, as MONAI has it.

    It lies on a corner of the image; if rounding in the affine leaves none, the centres coincide.
    """
    axes = len(spatial)
    corners = np.stack(np.meshgrid(*[(0.0, side - 1.0) for side in spatial], indexing="ij"))
    ends = np.concatenate([corners.reshape(axes, -1), np.ones((1, 2**axes))])
    there = (np.linalg.solve(after, before) @ ends)[:-1]
    shape = tuple(int(side) for side in np.round(np.ptp(there, axis=1) + 1.0))
    lowest = there.min(1, keepdims=True)
    first = np.flatnonzero(np.abs(there - lowest).max(0) <= _ROUNDING)
    if len(first):
        return shape, (before @ ends)[:-1, first[0]]
    middle = before[:-1, :-1] @ (np.array(spatial) / 2.0) + before[:-1, -1]
    return shape, middle - after[:-1, :-1] @ (np.array(shape) / 2.0)
