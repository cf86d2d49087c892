"""Grids: an image divided into square cells, the smallest pieces of a region.

A set of cells is a bool tensor (*cells); it stands for the region of their pixels within a limit.
Without cells a region could be a dust of single pixels, which is unreadable and easily deceives a
network.
"""

from collections.abc import Sequence
from functools import lru_cache
from math import ceil

import torch
import torch.nn.functional as F
from torch import Tensor

from misure.images.spacing import Sampling, sampling_of, short_side_px

GRAINS = 128
"""Cells on the short side of an image, if no `grain_px` is given."""


def default_grain_px(
    spatial: Sequence[int], sampling: Sampling | None = None, grains: int = GRAINS
) -> int:
    """Side of a cell in pixels: a fraction of the image's short side, rounded, at least 1.

    Args:
        spatial: of the image.
        sampling: sides of a voxel relative to the smallest, the unit; None: they are equal.
        grains: cells on the short side.
    """
    return max(1, round(short_side_px(spatial, sampling) / grains))


class Grid:
    """The cells of an image, counted from its first corner; those at the end may be cut off.

    Args:
        limit: (*spatial) bool; regions stay inside.
        cell_px: side of a cell, 1 or more, in units of the smallest side of a voxel.
        sampling: sides of a voxel relative to the smallest; None: they are equal. A cell then has
            fewer voxels along the longer sides, so that it is about a cube.

    Attributes:
        sides: of a cell in voxels, along each axis.
        sampling_of_cells: sides of a cell relative to the smallest; None: they are equal.
        shape: (*cells), the number of cells along each axis.
        num_px: (*cells) float32, the pixels of each cell inside the limit.
        inside: (*cells) bool, the cells with any such pixel.
    """

    def __init__(self, limit: Tensor, cell_px: int, sampling: Sampling | None = None) -> None:
        self.limit = limit
        self.cell_px = cell_px
        self.sampling = sampling
        self.sides = tuple(max(1, round(cell_px / s)) for s in sampling or (1,) * limit.ndim)
        self.sampling_of_cells = sampling and sampling_of(
            [side * unit for side, unit in zip(self.sides, sampling, strict=True)]
        )
        self.shape = tuple(ceil(n / side) for n, side in zip(limit.shape, self.sides, strict=True))
        self.num_px = self.sums(limit)
        self.inside = self.num_px > 0

    def region(self, cells: Tensor) -> Tensor:
        """The pixels (*spatial) bool of cells (*cells) bool, inside the limit."""
        return self._enlarged(cells) & self.limit

    def values(self, of_cells: Tensor) -> Tensor:
        """The value (*spatial) of each pixel's cell, 0 outside the limit."""
        return self._enlarged(of_cells) * self.limit

    def sums(self, of_pixels: Tensor) -> Tensor:
        """The sum (*cells) float32 over the pixels of each cell, inside the limit."""
        numbers = (of_pixels * self.limit).float()
        missing = [
            c * side - n for c, side, n in zip(self.shape, self.sides, numbers.shape, strict=True)
        ]
        padded = F.pad(numbers, [p for side in reversed(missing) for p in (0, side)])
        if padded.ndim > 3:  # channels of a volume
            for axis, side in enumerate(self.sides):
                before, after = padded.shape[:axis], padded.shape[axis + 1 :]
                padded = padded.reshape(*before, -1, side, *after).sum(axis + 1)
            return padded
        pool = F.avg_pool2d if padded.ndim == 2 else F.avg_pool3d
        return pool(padded[None, None], self.sides, divisor_override=1)[0, 0]

    def cells(self, region: Tensor) -> Tensor:
        """The cells (*cells) bool that hold any pixel of a region (*spatial) inside the limit."""
        return self.sums(region) > 0

    def _enlarged(self, of_cells: Tensor) -> Tensor:
        for axis, (length, side) in enumerate(zip(self.limit.shape, self.sides, strict=True)):
            of_cells = of_cells.repeat_interleave(side, axis)
            of_cells = of_cells.narrow(axis, 0, length)
        return of_cells


def top_cells(score: Tensor, num_cells: int) -> Tensor:
    """The `num_cells` cells (*cells) bool with the largest scores.

    Cells of equal score are taken in the order of a fixed lot, never in that of their numbers: a
    score that says nothing must not look as if the first rows mattered.

    Args:
        score: (*cells) float.
        num_cells: 1 or more; at most all cells are taken.
    """
    scores = score.flatten()
    rank = min(max(1, len(scores) - num_cells + 1), len(scores))  # from the smallest
    least = scores.kthvalue(rank).values
    above, equal = scores > least, scores == least
    lot = lot_of(len(scores), score.device)
    drawn = equal[lot]
    drawn &= drawn.cumsum(0) <= num_cells - above.sum()
    return above.index_put((lot,), above[lot] | drawn).view(score.shape)


@lru_cache(maxsize=64)
def lot_of(number: int, device: torch.device | str = "cpu") -> Tensor:
    """A fixed random order (number,) int64 of cells, in which ties are broken."""
    return torch.randperm(number, generator=torch.Generator().manual_seed(number)).to(device)


def smooth(of_cells: Tensor, sigma: float, sampling: Sampling | None = None) -> Tensor:
    """Values (*cells) smoothed by a Gaussian; the image is padded with zeros.

    Args:
        of_cells: (*cells) float.
        sigma: standard deviation, in cells, above 0.
        sampling: sides of a cell relative to the smallest, the unit; None: they are equal.
    """
    for axis, size in enumerate(of_cells.shape):
        weights = _gaussian(size, sigma / (sampling[axis] if sampling else 1)).to(of_cells)
        of_cells = (of_cells.movedim(axis, -1) @ weights).movedim(-1, axis)
    return of_cells


@lru_cache(maxsize=16)
def _gaussian(size: int, sigma: float) -> Tensor:
    """The weight (size, size) of each cell of a line in each other; cut off at 3 sigma."""
    positions = torch.arange(size, dtype=torch.float32)
    offsets = torch.arange(-ceil(3 * sigma), ceil(3 * sigma) + 1, dtype=torch.float32)
    total = (-0.5 * (offsets / sigma) ** 2).exp().sum()
    distance = (positions[:, None] - positions).abs()
    return (-0.5 * (distance / sigma) ** 2).exp() * (distance <= ceil(3 * sigma)) / total
