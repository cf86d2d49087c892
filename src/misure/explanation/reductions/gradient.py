"""Stage 2 by gradients: search for the smallest sufficient set of grid cells.

Every cell has a score. Each step shows the network the `num_cells` best cells and computes the
gradient of the loss (see `show`) with respect to visibility: it estimates how much each hidden cell
would help, and how much the loss of each visible one would hurt. Scores follow that gradient, plus
a smoothed copy that moves neighbours together, with momentum. The copy counts less for cells that
look much like the baseline image, because the network cannot tell whether they are shown. If the
region suffices, the next one has 25 % fewer cells; if not, 5 % more. The smallest region that
sufficed is the result, so nothing is thresholded afterwards.

Gradients vanish once the network has lost the object, and say little while it sees everything. So
the search starts with the sufficient region half visible, and early steps let hidden cells leak:
they stay partly visible, and fade as the search makes progress. Leaky images steer the search; they
are never returned.

If nothing has sufficed after 7/8 of the budget, the rest is spent on growing the target in equal
steps: the Dice need not rise with the growth, and stage 1 skips most radii.

Alternatives that were tried, with measurements: docs/results/search.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from misure.errors import InputError
from misure.explanation.growth import SufficientRegion
from misure.explanation.probe import Account, Probe, Query, Reply, Search
from misure.explanation.reduction import (
    MinimallySufficientRegion,
    SearchingReduction,
    check_search_options,
    map_in_units,
    smallest_that_holds,
)
from misure.explanation.reductions.readable.search import ReadableReduction
from misure.images.grid import GRAINS, Grid, default_grain_px, smooth, top_cells
from misure.images.regions import distance_px
from misure.images.spacing import Sampling

_PASSES_OF_A_STEP = 3
_USUAL_GRAIN_PX = 2
_USUAL_SHARE = 0.625
_SEVERAL = 3
_HALF_SEEN = 0.5
_START = 0.3
_LEAK = 0.5
_LEAK_FALLS, _LEAK_RISES = 0.6, 1.3
_LEAST_LEAK, _MOST_LEAK = 0.05, 0.9
_STEPS_FOR_A_LEAK = 12  # with fewer, all would be spent before anything is hidden indeed
_LEAK_TOLERANCE = 0.1
_SHRINK = 0.75
_GROW = 1.05
_BELOW_THE_BEST = 0.95
_MOMENTUM = 0.8
_CALMING_MISSES = 5  # after so many misses in a row, steps are half as long
_SHARE_OF_GROWING = 0.125
_GROWTHS_AT_ONCE = 4
_SMOOTHING = 3.0
_SMOOTHED_SHARE = 0.25


@dataclass(frozen=True)
class GradientReduction(SearchingReduction):
    """The smallest region that a search with gradients finds within a budget of passes.

    Attributes:
        grain_px: side of a cell, the smallest piece of a region; 0: 2 pixels, but 1 if the short
            side has fewer than 192, and 1/256 of the short side if it has more than 640.
        patience: steps without a region smaller by `min_gain` after which the search ends.
        min_gain: see `patience`.
        after_readable: first search as the preset `readable` does, then inside what it found; its
            region is the result if nothing smaller suffices.

    With `after_readable` each of the two searches gets half of what is left of the budget; without
    a limit the first has its usual passes, and this one the same on top of it.

    When the passes of its budget are spent, the best region so far is returned. Once several
    regions have sufficed, the search ends after 5/8 of them. Each baseline image and each content
    control takes 3 in every step.
    """

    grain_px: int = 0
    patience: int = 12
    min_gain: float = 0.02
    after_readable: bool = False

    doing: ClassVar[str] = "shrinking"
    needs_gradients: ClassVar[bool] = True
    usual_passes: ClassVar[int] = 160
    least_shown: ClassVar[int] = 1

    def __post_init__(self) -> None:
        check_search_options(self.grain_px)
        if self.patience < 1 or not 0 <= self.min_gain < 1:
            raise InputError(
                f"expected patience of 1 or more and min_gain in [0, 1), got "
                f"{self.patience} and {self.min_gain}."
            )

    def search(
        self, probe: Probe, sufficient: SufficientRegion, account: Account
    ) -> Search[MinimallySufficientRegion]:
        if self.after_readable:
            sufficient, account = yield from self._begin_readable(probe, sufficient, account)
        spatial = probe.target.region.shape
        grain_px = self.grain_px or _usual_grain_px(spatial, probe.sampling)
        grid = Grid(sufficient.region, grain_px, probe.sampling_of_regions)
        score = _nearness(probe, grid)
        stopped_by = "end"
        nothing = torch.zeros_like(sufficient.region)
        (reply,) = yield Query([nothing], content_controls=True)
        held = [nothing]
        if not probe.suffices(reply):
            score, held, stopped_by = yield from self._descend(probe, grid, score, account)
        if not held:
            held = yield from self._grow_again(probe, sufficient, grid, account)
        region, dice = yield from smallest_that_holds(probe, held, sufficient, account)
        return MinimallySufficientRegion(
            region=region,
            order=grid.values(map_in_units(score, grid)),
            dice=dice,
            grain_px=grid.cell_px,
            stopped_by=stopped_by,
        )

    def _begin_readable(
        self, probe: Probe, sufficient: SufficientRegion, account: Account
    ) -> Search[tuple[SufficientRegion, Account]]:
        """Where to search once the preset `readable` has: in its region, with what it left over.

        The sufficient region stays if the readable one is no smaller.
        """
        readable, before = ReadableReduction(), account.cost.pass_equivalents
        usual = readable.usual_passes + self.usual_passes
        total = usual if account.limit is None else account.limit
        share = max(0, account.passes_left(total) - probe.num_views) // 2
        limit = before + account.reserved_passes + share
        found = yield from readable.search(probe, sufficient, replace(account, limit=limit))
        if int(found.region.sum()) < int(sufficient.region.sum()):
            sufficient = replace(sufficient, region=found.region, dice=found.dice)
        spent = account.cost.pass_equivalents - before
        reserved = account.reserved_passes - spent  # so that shares are of what is left
        return sufficient, replace(account, reserved_passes=reserved, limit=total - spent)

    def _budget(self, account: Account, num_held: int) -> int:
        """Pass equivalents that the steps may spend, given how many regions have sufficed."""
        if num_held == 0:
            return round((1 - _SHARE_OF_GROWING) * self.limit_of(account))
        return round((_USUAL_SHARE if num_held >= _SEVERAL else 1) * self.limit_of(account))

    def _grow_again(
        self, probe: Probe, sufficient: SufficientRegion, grid: Grid, account: Account
    ) -> Search[list[Tensor]]:
        """The first region around the target that holds, of as many as the budget allows."""
        distance = probe.distance
        num = max(0, account.passes_left(self.limit_of(account))) // probe.num_views
        first, last = probe.edge_px, sufficient.growth_px
        step_px = max(grid.cell_px, (last - first) / (num + 1))
        growths = [first + i * step_px for i in range(1, num + 1) if first + i * step_px < last]
        for start in range(0, len(growths), _GROWTHS_AT_ONCE):
            batch = growths[start : start + _GROWTHS_AT_ONCE]
            regions = [grid.region(grid.cells(distance <= growth_px)) for growth_px in batch]
            replies = yield Query(regions, content_controls=True)
            for region, reply in zip(regions, replies, strict=True):
                if probe.suffices(reply):
                    return [region]
        return []

    def _descend(
        self, probe: Probe, grid: Grid, score: Tensor, account: Account
    ) -> Search[tuple[Tensor, list[Tensor], str]]:
        """The score of the best region, what held (smallest first), why it ended."""
        num_inside = int(grid.inside.sum())
        num_cells, fewest = max(1, int(_START * num_inside)), num_inside
        contrast = _contrast_share(probe, grid)
        momentum = torch.zeros_like(score)
        best_score, held = score, list[Tensor]()
        a_step = _PASSES_OF_A_STEP * probe.num_views
        passes_left = account.passes_left(self._budget(account, 0))
        since_gain, misses = 0, 0
        leak = _LEAK if passes_left >= _STEPS_FOR_A_LEAK * a_step else 0
        seen = probe.presentations[0].visibility  # the same in all of them
        everything = seen(grid.limit)
        if passes_left >= _PASSES_OF_A_STEP * len(probe.presentations):
            (reply,) = yield Query([_HALF_SEEN * everything], gradient=True)
            score = score + _direction(reply, grid, contrast)
        while account.passes_left(self._budget(account, len(held))) >= a_step:
            if held and since_gain > self.patience:
                return best_score, held, "patience"
            region = grid.region(top_cells(score.where(grid.inside, -torch.inf), num_cells))
            shown = torch.maximum(seen(region), leak * everything) if leak else region
            (reply,) = yield Query([shown], gradient=True, content_controls=not leak)
            since_gain += bool(held)
            if leak and probe.score(reply.dice) >= probe.score_threshold - _LEAK_TOLERANCE:
                leak = leak * _LEAK_FALLS if leak * _LEAK_FALLS > _LEAST_LEAK else 0
            elif not leak and probe.suffices(reply):
                misses = 0
                if num_cells <= fewest:
                    since_gain = 0 if num_cells < (1 - self.min_gain) * fewest else since_gain
                    fewest, best_score = num_cells, score
                    held.insert(0, region)
                num_cells = max(1, int(_SHRINK * num_cells))
            else:
                leak, misses = min(_LEAK_RISES * leak, _MOST_LEAK), misses + (not leak)
                num_cells = min(int(_GROW * num_cells) + 1, int(_BELOW_THE_BEST * fewest) + 1)
            momentum = _MOMENTUM * momentum + (1 - _MOMENTUM) * _direction(reply, grid, contrast)
            score = score + momentum / (1 + misses / _CALMING_MISSES)
        return best_score, held, "max_passes"


def _usual_grain_px(spatial: Sequence[int], sampling: Sampling | None) -> int:
    """Side of a cell if none is asked for.

    What dots a network can live on is a matter of its pixels, not of shares of the image: the gain
    at 257 px was lost at 513 px with cells twice as large.
    """
    coarse = default_grain_px(spatial, sampling)
    return max(min(coarse, _USUAL_GRAIN_PX), default_grain_px(spatial, sampling, 2 * GRAINS))


def _nearness(probe: Probe, grid: Grid) -> Tensor:
    """The first score: 0 on cells of the target, falling to -1 at the farthest cell."""
    target, sampling = grid.cells(probe.target.region.expand(probe.shape)), grid.sampling_of_cells
    distance = (
        distance_px(target.any(0), sampling and sampling[1:]).expand(grid.shape)
        if probe.by_channel
        else distance_px(target, sampling)
    )
    return -distance / distance[grid.inside].max().clamp(min=1)


def _contrast_share(probe: Probe, grid: Grid) -> Tensor:
    """How much a cell differs from the baseline image, in [0, 1); 0.5 for a typical cell."""
    contrast = (grid.sums(probe.contrast) / grid.num_px.clamp(min=1)).sqrt()
    return contrast / (contrast + _size(contrast, grid))


def _direction(reply: Reply, grid: Grid, contrast: Tensor) -> Tensor:
    """The gradient of each cell and a smoothed copy, each in units of its own mean size."""
    if reply.gradient is None:
        raise InputError("expected a reply with a gradient, got none.")
    gradient = grid.sums(reply.gradient)
    own = gradient / _size(gradient, grid)
    smoothed = smooth(gradient, _SMOOTHING, grid.sampling_of_cells) * contrast
    return own + _SMOOTHED_SHARE * smoothed / _size(smoothed, grid)


def _size(of_cells: Tensor, grid: Grid) -> Tensor:
    """The root of the mean square over the cells inside the limit; never 0."""
    squares = of_cells.square() * grid.inside
    return (squares.sum() / grid.inside.sum()).sqrt() + torch.finfo(of_cells.dtype).tiny
