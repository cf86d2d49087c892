"""Nested regions: one for each of several Dice thresholds, the lower inside the higher.

They give two things. The *sufficiency curve*: area against Dice. And a saliency map with a meaning:
if t is the lowest threshold whose region holds a pixel, the pixel's value is at least 1 - t and
below that of the next lower threshold. So the pixels of value >= 1 - t are the region of threshold
t, and that region was shown to the model. Between two such values, and below the last, pixels are
ordered by what all outcomes tell about them (see `outcome_map`); that order was not shown.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import ceil

import numpy as np
import torch
from torch import Tensor

from misure.explanation.probe import Account, Query, Reply, Search
from misure.images.grid import Grid, top_cells
from misure.images.regions import distance_px
from misure.images.spacing import Sampling

THRESHOLDS = (0.5, 0.7, 0.8, 0.9, 0.95)

Affordable = Callable[[int], int]
"""From a number of regions to how many of them may still be shown."""

_SHARES = (0.35, 0.55, 0.75, 0.9)
_STEPS_WITHIN = 2
_BEYOND_CELLS = 16
_ORDERED_SHARE = 0.9  # of the gap between two levels; less than 1 so that levels never touch


@dataclass(frozen=True, eq=False)
class NestedRegion:
    """A region of the family.

    Attributes:
        dice_threshold: the Dice it was found for.
        region: (*spatial) bool; it holds the regions of all lower thresholds.
        dice: when the model sees this region alone; at least the threshold.
    """

    dice_threshold: float
    region: Tensor
    dice: float


def find_nested_regions(
    found: NestedRegion,
    limit: Tensor,
    order: Tensor,
    grain_px: int,
    thresholds: Sequence[float],
    *,
    sampling: Sampling | None = None,
    account: Account | None = None,
    num_views: int = 1,
) -> Search[list[NestedRegion]]:
    """The family around a region that was found for one threshold (see `passes_of_family`).

    Smaller regions are its best cells, larger ones have the next best cells added, then all
    of the limit, a margin around it, and the whole image. All are shown alone.

    Args:
        found: the region found for the probe's own threshold.
        limit: (*spatial) bool, the sufficient region around it.
        order: (*spatial) float: cells of larger values come sooner and go later.
        grain_px: side of a cell.
        thresholds: other thresholds; one equal to that of `found` is left out.
        sampling: sides of a voxel relative to the smallest; None: they are equal.
        account: whose limit is kept; with less than `passes_of_family` the family has fewer
            different regions, or ends at a lower threshold.
        num_views: passes that one region takes.
    """
    affordable = partial((account or Account()).affordable, passes_each=num_views)
    grid = Grid(limit, grain_px, sampling)
    score = grid.sums(order) / grid.num_px.clamp(min=1)
    lower = sorted((t for t in set(thresholds) if t < found.dice_threshold), reverse=True)
    higher = sorted(t for t in set(thresholds) if t > found.dice_threshold)
    family = [found]
    if lower:
        smaller = yield from _tried(_smaller(found.region, grid, score), affordable)
        for threshold in lower:
            fitting = [(r, a) for r, a in smaller if int(r.sum()) <= int(family[0].region.sum())]
            one = yield from _smallest(fitting, threshold, affordable)
            family.insert(0, one or replace(family[0], dice_threshold=threshold))
    if higher:
        larger = _larger(found.region, grid, score)
        tried: list[tuple[Tensor, Reply]] = []
        for threshold in higher:
            if found.dice >= threshold:
                family.append(replace(found, dice_threshold=threshold))
                continue
            tried = tried or (yield from _tried(larger, affordable))
            fitting = [(r, a) for r, a in tried if int(r.sum()) >= int(family[-1].region.sum())]
            everything = (torch.ones_like(limit), Reply(1.0))
            one = yield from _smallest([*fitting, everything], threshold, affordable)
            if one is None:  # a target that the model does not quite draw
                break
            family.append(one)
    return family


def passes_of_family(thresholds: Sequence[float]) -> int:
    """The regions that `find_nested_regions` shows with these thresholds, in most cases."""
    return len(_SHARES) + _STEPS_WITHIN + 2 + len(thresholds) if thresholds else 0


def saliency_map_of(
    family: Sequence[NestedRegion], scores: Tensor, is_known: Tensor | None = None
) -> Tensor:
    """The map (*spatial) float32 of a family: 1 - the lowest threshold that holds a pixel, or more.

    Args:
        family: nested regions, the smallest first; at least one.
        scores: (*spatial) float in [0, 1], the order within a region; 0 for pixels that do not
            matter where no region holds them.
        is_known: (*spatial) bool; where neither it nor a region holds a pixel, the map is NaN.
            None: everywhere.
    """
    levels = [map_value(one.dice_threshold) for one in family]
    saliency_map = _ORDERED_SHARE * levels[-1] * scores
    if is_known is not None:
        saliency_map.masked_fill_(~is_known, torch.nan)
    for one, level, above in reversed([*zip(family, levels, [1.0, *levels], strict=False)]):
        ordered = (_ORDERED_SHARE * (above - level) * scores).add_(level)
        torch.where(one.region, ordered, saliency_map, out=saliency_map)
    return saliency_map.float()


def map_value(dice_threshold: float) -> float:
    """The value in the saliency map of pixels that the region of a threshold is the first to hold.

    A number that float32 holds exactly, and never 0.
    """
    return float(np.float32(max(1 - dice_threshold, 0.001)))


def _tried(regions: list[Tensor], affordable: Affordable) -> Search[list[tuple[Tensor, Reply]]]:
    regions = regions[: affordable(len(regions))]
    if not regions:
        return []
    replies = yield Query(regions)
    return list(zip(regions, replies, strict=True))


def _smallest(
    tried: list[tuple[Tensor, Reply]], threshold: float, affordable: Affordable
) -> Search[NestedRegion | None]:
    """The smallest of the tried regions, in order of size, that suffices when shown alone."""
    for region, reply in tried:
        if reply.dice >= threshold and affordable(1):
            (alone,) = yield Query([region], alone=True)
            if alone.dice >= threshold:
                return NestedRegion(threshold, region, alone.dice)
    return None


def _smaller(region: Tensor, grid: Grid, score: Tensor) -> list[Tensor]:
    """Parts of a region made of its best cells, the smallest first."""
    cells = grid.cells(region)
    num_cells = int(cells.sum())
    inside = torch.where(cells, score, -torch.inf)
    counts = sorted({ceil(share * num_cells) for share in _SHARES} - {num_cells})
    return [grid.region(top_cells(inside, count)) & region for count in counts]


def _larger(region: Tensor, grid: Grid, score: Tensor) -> list[Tensor]:
    """What a region can grow to, the smallest first: more cells of the grid, then all around it."""
    cells = grid.cells(region)
    num_cells, num_inside = max(1, int(cells.sum())), int(grid.inside.sum())
    outside = torch.where(grid.inside, score, -torch.inf).masked_fill(cells, torch.inf)
    shares = [step / (_STEPS_WITHIN + 1) for step in range(1, _STEPS_WITHIN + 1)]
    counts = sorted({round(num_cells * (num_inside / num_cells) ** share) for share in shares})
    within = [grid.region(top_cells(outside, count)) | region for count in counts]
    beyond = distance_px(grid.limit, grid.sampling) <= _BEYOND_CELLS * grid.cell_px
    return [*within, grid.limit, beyond]
