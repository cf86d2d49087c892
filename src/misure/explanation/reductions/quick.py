"""Both stages in a few forward passes, for interactive use and as a baseline for other searches.

Stage 1 (`jumps`) grows the target by a few of the steps of `steps`: it shows the target, jumps to
1/8 of the short side (to 1/32 if the target nearly suffices by itself), and bisects, four regions
in all.

Stage 2 cuts. Each *cut* has an order of the image's pixels and removes the first few per cent of
the region in this order: what differs least from the baseline image, near the target or far from
it, what is farthest from the target, or what lies farthest along an axis. How much of the Dice a
per cent costs is guessed at first and learnt from each reply; a cut is as long as the Dice above
the threshold should pay for. The longest is shown next. What suffices is the region from which the
next cuts are made.

Why it is built like this, what was tried and what failed: docs/results/quick.md.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor

from misure.errors import InputError
from misure.explanation.growth import SufficientRegion
from misure.explanation.probe import Account, Probe, Query, Search
from misure.explanation.reduction import (
    MinimallySufficientRegion,
    SearchingReduction,
    check_search_options,
    order_of,
    smallest_that_holds,
)
from misure.images.grid import smooth
from misure.images.regions import PackedRegion, bounding_box, broad_parts, distance_px
from misure.images.spacing import short_side_px

_SMOOTHING = 1 / 256  # of the short side, of the contrast
_LEAST_CONTRAST = 0.02  # of the mean
_PER_SIDE = (2.0, 8.0, 4.0, 0.0)  # what a short side of distance takes from the log contrast
_SLOPES = (0.3, 0.3, 0.35, 0.35)  # Dice for all of a region: guessed cost of cuts by contrast
_SLOPE_OUTER, _SLOPE_AXIS = 0.5, 0.6
_LEAST_SLOPE = 0.05
_LEARNT = 0.7  # share of a new slope in the next guess
_LEAST_SPARE = 0.012  # Dice above the threshold that is assumed at least
_PAID = 0.9  # share of the Dice above the threshold that a cut may cost
_SHORTEST, _LONGEST = 0.03, 0.35  # share of the region
_SHORTER = 0.7  # than what failed with the same region
_AGAIN = 1 / 1.3  # weight of a cut that failed with the same region


@dataclass(frozen=True)
class QuickReduction(SearchingReduction):
    """The smallest region that cuts find within a few forward passes.

    Where nothing of the image is needed, the region is small but not empty: nothing is shown to
    test that.

    Attributes:
        grain_px: the least breadth of every part; 0: none, cuts by contrast leave small holes.
        max_parts: the largest number of connected parts, with a `grain_px`.
    """

    grain_px: int = 0
    max_parts: int = 10

    doing: ClassVar[str] = "cutting"
    needs_gradients: ClassVar[bool] = False
    usual_passes: ClassVar[int] = 25
    least_shown: ClassVar[int] = 0

    def __post_init__(self) -> None:
        check_search_options(self.grain_px, self.max_parts)

    def search(
        self, probe: Probe, sufficient: SufficientRegion, account: Account
    ) -> Search[MinimallySufficientRegion]:
        limit, views = self.limit_of(account), probe.num_views
        box = bounding_box(sufficient.region)
        cuts, held = list(_cuts(probe, box)), list[PackedRegion]()
        region, score = sufficient.region, probe.score(sufficient.dice)
        is_done = False
        while account.passes_left(limit) >= views:
            proposals = [(cut, cut.share(score - probe.score_threshold)) for cut in cuts]
            proposals.sort(key=lambda one: -one[1] * one[0].weight)
            for cut, share in proposals:
                shorter = torch.zeros_like(region)
                shorter[box] = cut.made(region[box], share)
                shorter = self._opened(shorter, probe)
                if 0 < int(shorter.sum()) < int(region.sum()):
                    break
            else:
                is_done = True
                break
            (reply,) = yield Query([shorter], content_controls=True)
            holds = probe.suffices(reply)
            cut.learn(share, score - probe.score(reply.dice), holds)
            if holds:
                region, score = shorter, probe.score(reply.dice)
                held.insert(0, PackedRegion(region))
                for each in cuts:
                    each.failed_at = None
        cuts.clear()
        regions = (one.region() for one in held)
        region, dice = yield from smallest_that_holds(probe, regions, sufficient, account)
        return MinimallySufficientRegion(
            region=region,
            order=order_of(sufficient.region, (one.region() for one in held)),
            dice=dice,
            grain_px=max(1, self.grain_px),
            stopped_by="end" if is_done else "max_passes",
        )

    def _opened(self, region: Tensor, probe: Probe) -> Tensor:
        if not self.grain_px:
            return region
        return broad_parts(region, self.grain_px, self.max_parts, probe.sampling)


@dataclass
class _Cut:
    """A way of making regions smaller, and what it costs.

    Attributes:
        order: makes (*box) float; pixels of large values go first. The box holds all regions.
        slope: Dice that all of a region would cost, if the cost grew in proportion.
        failed_at: share that was too much for the region of now; None: not tried.
    """

    order: Callable[[], Tensor]
    slope: float
    failed_at: float | None = field(default=None)

    @property
    def weight(self) -> float:
        """What its share counts when the next cut is chosen."""
        return 1.0 if self.failed_at is None else _AGAIN

    def share(self, spare: float) -> float:
        """How much of the region to remove, if the Dice may fall by `spare`."""
        wanted = _PAID * max(_LEAST_SPARE, spare) / self.slope
        share = min(max(wanted, _SHORTEST), _LONGEST)
        return share if self.failed_at is None else min(share, _SHORTER * self.failed_at)

    def made(self, region: Tensor, share: float) -> Tensor:
        """The region (*box) without this share of its pixels; those of equal value stay together.

        If none are left out so, those of the largest value go.
        """
        order = self.order()
        values = order[region]
        num_kept = min(max(1, round((1 - share) * len(values))), len(values))
        last = values.kthvalue(num_kept).values
        shorter = region & (order <= last)
        return region & (order < last) if int(shorter.sum()) == len(values) else shorter

    def learn(self, share: float, fall: float, holds: bool) -> None:
        """Notes how far the Dice fell after a cut."""
        seen = max(_LEAST_SLOPE, fall / share)
        self.slope = (1 - _LEARNT) * self.slope + _LEARNT * seen
        self.failed_at = None if holds else share


def _cuts(probe: Probe, box: tuple[slice, ...]) -> Iterator[_Cut]:
    """All cuts within a box, with what they are guessed to cost."""
    target, sampling = probe.target.region, probe.sampling
    side = short_side_px(target.shape, sampling)
    outwards = distance_px(target, sampling)[box].clone()
    outwards.sub_(distance_px(~target, sampling)[box]).div_(side)
    log_contrast = _contrast(probe, side)[box].log()
    for per_side, slope in zip(_PER_SIDE, _SLOPES, strict=True):
        yield _Cut(partial(_by_contrast, per_side, outwards, log_contrast), slope)
    yield _Cut(outwards.detach, _SLOPE_OUTER)
    for axis, length in enumerate(target.shape):
        shape = [-1 if i == axis else 1 for i in range(target.ndim)]
        along = torch.arange(length, device=target.device).float().view(shape)
        for order in (along, -along):
            yield _Cut(partial(order.expand(target.shape).__getitem__, box), _SLOPE_AXIS)


def _by_contrast(per_side: float, outwards: Tensor, log_contrast: Tensor) -> Tensor:
    """The order of a cut: what is far, and differs little from what replaces it, goes first."""
    return (per_side * outwards).sub_(log_contrast)


def _contrast(probe: Probe, side: int) -> Tensor:
    """How far each pixel (*spatial) is from what replaces it, smoothed; above 0, about 1.

    With several baseline images, the one that differs most counts.
    """
    most: Tensor | None = None
    for way in probe.presentations:
        squares = (way.image - way.baseline_image).float().square_().sum(0)
        most = squares if most is None else torch.maximum(most, squares, out=most)
    if most is None:
        raise InputError("expected at least one presentation, got none.")
    contrast = smooth(most.sqrt_(), max(0.5, _SMOOTHING * side), probe.sampling)
    near = distance_px(probe.target.region, probe.sampling) <= side / 8
    mean = contrast[near].mean().clamp(min=torch.finfo(contrast.dtype).tiny)
    return (contrast / mean).add_(_LEAST_CONTRAST)
