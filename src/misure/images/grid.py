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

GRAINS = 128
"""Cells on the short side of an image, if no `grain_px` is given."""


def default_grain_px(spatial: Sequence[int]) -> int:
    """Side of a cell in pixels: 1/`GRAINS` of the image's short side, rounded, at least 1."""
    return max(1, round(min(spatial) / GRAINS))


class Grid:
    """The cells of an image, counted from its first corner; those at the end may be cut off.

    Args:
        limit: (*spatial) bool; regions stay inside.
        cell_px: side of a cell, 1 or more.

    Attributes:
        shape: (*cells), the number of cells along each axis.
        num_px: (*cells) float32, the pixels of each cell inside the limit.
        inside: (*cells) bool, the cells with any such pixel.
    """

    def __init__(self, limit: Tensor, cell_px: int) -> None:
        self.limit = limit
        self.cell_px = cell_px
        self.shape = tuple(ceil(side / cell_px) for side in limit.shape)
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
        missing = [c * self.cell_px - s for c, s in zip(self.shape, numbers.shape, strict=True)]
        padded = F.pad(numbers, [p for side in reversed(missing) for p in (0, side)])
        pool = F.avg_pool2d if padded.ndim == 2 else F.avg_pool3d
        return pool(padded[None, None], self.cell_px, divisor_override=1)[0, 0]

    def cells(self, region: Tensor) -> Tensor:
        """The cells (*cells) bool that hold any pixel of a region (*spatial) inside the limit."""
        return self.sums(region) > 0

    def _enlarged(self, of_cells: Tensor) -> Tensor:
        for axis, side in enumerate(self.limit.shape):
            of_cells = of_cells.repeat_interleave(self.cell_px, axis)
            of_cells = of_cells.narrow(axis, 0, side)
        return of_cells


def top_cells(score: Tensor, num_cells: int) -> Tensor:
    """The `num_cells` cells (*cells) bool with the largest scores; ties go to the first.

    Args:
        score: (*cells) float.
        num_cells: 1 or more; at most all cells are taken.
    """
    scores = score.flatten()
    rank = min(max(1, len(scores) - num_cells + 1), len(scores))  # from the smallest
    least = scores.kthvalue(rank).values
    above, equal = scores > least, scores == least
    return (above | (equal & (equal.cumsum(0) <= num_cells - above.sum()))).view(score.shape)


def smooth(of_cells: Tensor, sigma: float) -> Tensor:
    """Values (*cells) smoothed by a Gaussian; the image is padded with zeros.

    Args:
        of_cells: (*cells) float.
        sigma: standard deviation, in cells, above 0.
    """
    for axis, size in enumerate(of_cells.shape):
        weights = _gaussian(size, sigma).to(of_cells)
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
