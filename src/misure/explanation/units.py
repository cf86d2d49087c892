"""Units: an image divided into the pieces of which a search composes regions.

Cells are small near the target and large far from it, and the outline of the target cuts them: so
a region can follow it.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise, product
from math import prod

import torch
from torch import Tensor

from misure.images.spacing import Sampling, short_side_px

Box = tuple[tuple[int, int], ...]

_COARSE = 8  # cells on the short side where they are largest
_LONG = 2  # times as large as a cube of the short side: from here on cells grow with the image


class Units:
    """A partition of an image.

    Args:
        target: (*spatial) bool.
        distance: (*spatial) float32, of each pixel to the target, in units of the smallest side.
        num_fine: cells on the short side where they are smallest, at the target.
        sampling: sides of a voxel relative to the smallest; None: they are equal.

    Attributes:
        numbers: (*spatial) int64, the unit of each pixel, from 0 on.
        num_px: (U,) float32, the pixels of each.
        side: unit of the following, in units of the smallest side: the short side, or more in an
            image that is long or flat, which would have too many cells.
        centres: (U, axes) float32, their centres of gravity.
        distances: (U,) float32, mean distance to the target.
    """

    def __init__(
        self, target: Tensor, distance: Tensor, num_fine: int, sampling: Sampling | None = None
    ) -> None:
        scale = tuple(sampling or (1.0,) * target.ndim)
        side = self.side = _side(target.shape, scale, short_side_px(target.shape, sampling))
        cells = torch.zeros(target.shape, dtype=torch.int64)
        boxes = _boxes(distance.cpu(), scale, side / _COARSE, side / num_fine)
        for number, box in enumerate(boxes):
            cells[tuple(slice(*ends) for ends in box)] = number
        cut = 2 * cells + target.cpu()
        _, self.numbers = torch.unique(cut, return_inverse=True)
        self.num_px = torch.bincount(self.numbers.flatten()).float()
        axes = [
            torch.arange(n).view([-1 if i == axis else 1 for i in range(target.ndim)])
            for axis, n in enumerate(target.shape)
        ]
        self.centres = torch.stack(
            [
                self._mean(axis.expand(target.shape) * unit / side)
                for axis, unit in zip(axes, scale, strict=True)
            ],
            dim=1,
        )
        self.distances = self._mean(distance.cpu() / side)

    def _mean(self, values: Tensor) -> Tensor:
        return self._sums(values) / self.num_px

    def _sums(self, values: Tensor) -> Tensor:
        flat = values.flatten().float()
        return torch.bincount(self.numbers.flatten(), flat, minlength=len(self.num_px))

    def shares(self, region: Tensor) -> Tensor:
        """The share (U,) float32 of each unit that a region (*spatial) bool holds."""
        return self._mean(region.cpu())

    def areas(self, shares: Tensor) -> list[float]:
        """The shares of the image that regions hold, by their shares (S, U) of each unit."""
        areas: list[float] = (shares @ self.num_px / self.num_px.sum()).tolist()
        return areas

    def region(self, chosen: Sequence[int], like: Tensor) -> Tensor:
        """The pixels (*spatial) bool of some units, on the device of another region."""
        is_chosen = torch.zeros(len(self.num_px), dtype=torch.bool)
        is_chosen[list(chosen)] = True
        return is_chosen[self.numbers].to(like.device)


def _side(shape: Sequence[int], scale: Sequence[float], short_side: float) -> float:
    """The side of a cube of which `_LONG` are as large as the image; at least the short side."""
    volume = prod(length * unit for length, unit in zip(shape, scale, strict=True))
    return max(short_side, float((volume / _LONG) ** (1 / len(shape))))


def _boxes(distance: Tensor, scale: Sequence[float], coarse: float, fine: float) -> Iterator[Box]:
    """Cells that cover an image; one nearer to the target than it is long is divided."""
    starts = []
    for length, unit in zip(distance.shape, scale, strict=True):
        number = max(1, round(length * unit / coarse))
        ends = [i * length // number for i in range(number + 1)]
        starts.append([pair for pair in pairwise(ends) if pair[0] < pair[1]])
    waiting: list[Box] = list(product(*starts))
    while waiting:
        box = waiting.pop()
        lengths = [(end - start) * unit for (start, end), unit in zip(box, scale, strict=True)]
        least = float(distance[tuple(slice(*ends) for ends in box)].min())
        if max(lengths) > 1.01 * fine and least < max(lengths):
            halves = [
                [(a, (a + b) // 2), ((a + b) // 2, b)]
                if b - a > 1 and long > 1.01 * fine
                else [(a, b)]
                for (a, b), long in zip(box, lengths, strict=True)
            ]
            parts = list(product(*halves))
            if len(parts) > 1:
                waiting.extend(parts)
                continue
        yield box


def k_means(
    points: Tensor,
    number: int,
    generator: torch.Generator,
    *,
    weights: Tensor | None = None,
    num_steps: int = 8,
) -> tuple[Tensor, Tensor]:
    """The group (N,) int64 of each of N points, and the means (groups, axes) of the groups.

    Args:
        points: (N, axes) float32.
        number: groups, at most one for each point; some may stay empty.
        generator: of the points that the groups begin with.
        weights: (N,) float32, how much each point counts; None: all alike.
        num_steps: times that the means are moved.
    """
    weights = torch.ones(len(points)) if weights is None else weights
    means = points[torch.randperm(len(points), generator=generator)[:number]]
    for _ in range(num_steps):
        nearest = torch.cdist(points, means).argmin(1)
        totals = torch.zeros(len(means)).index_add(0, nearest, weights)[:, None]
        sums = torch.zeros_like(means).index_add(0, nearest, points * weights[:, None])
        means = torch.where(totals > 0, sums / totals.clamp(min=1), means)
    return torch.cdist(points, means).argmin(1), means


def compact_groups(
    units: Units, chosen: Sequence[int], number: int, generator: torch.Generator
) -> list[list[int]]:
    """Divides units into groups of neighbours, at most `number` of them (k-means)."""
    if len(chosen) <= number:
        return [[unit] for unit in chosen]
    centres, weights = units.centres[list(chosen)], units.num_px[list(chosen)]
    group_of, _ = k_means(centres, number, generator, weights=weights, num_steps=6)
    groups: list[list[int]] = [[] for _ in range(number)]
    for unit, group in zip(chosen, group_of.tolist(), strict=True):
        groups[group].append(unit)
    return [group for group in groups if group]


def scattered_groups(
    units: Units, chosen: Sequence[int], number: int, generator: torch.Generator
) -> list[list[int]]:
    """Divides units into about `number` groups whose members are far from each other.

    What each member does can then be told apart by where the network's answer changes.
    """
    size = -(-len(chosen) // max(1, number))
    groups: list[list[int]] = [[] for _ in range(-(-len(chosen) // max(1, size)))]
    centres = units.centres[list(chosen)]
    away = torch.cdist(centres, centres)
    nearest = torch.full((len(groups), len(chosen)), torch.inf)  # member of a group to each unit
    for i in torch.randperm(len(chosen), generator=generator).tolist():
        group = int(nearest[:, i].argmax())
        groups[group].append(chosen[i])
        nearest[group] = torch.minimum(nearest[group], away[i])
        if len(groups[group]) == size:
            nearest[group] = -1
    return groups
