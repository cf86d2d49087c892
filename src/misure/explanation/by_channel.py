"""Regions by channel, (C, *spatial): which places suffice in which channel.

The sufficient region of each channel grows from the target by itself: of the one that was found
with all channels, whole channels are left out that are not missed; then each of the others grows no
farther than it has to, the one that is missed least first.

For the minimally sufficient region the units are cells of single channels. Two searches start: that
of the preset, if it can take such units (else removal of blocks, coarse to fine), inside the
sufficient region by channel; and removal of blocks from the minimally sufficient region of all
channels, shown in as few channels as suffice. What is smaller is reduced until no block of a single
channel can be left out. Both regions were shown by themselves, and hold as the preset asks for.

What stands in a hidden part of a channel comes from the same baseline images as for regions of all
channels; one that is made of what is shown is made of that channel alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from misure.explanation.by_channel_record import ByChannelRecord, RegionOfChannel
from misure.explanation.evidence import dice_by_presentation
from misure.explanation.growth import STEPS, SufficientRegion
from misure.explanation.probe import Account, Probe, Query, Search
from misure.explanation.reduction import (
    MinimallySufficientRegion,
    Reduction,
    smallest_that_holds,
)
from misure.explanation.reductions.forward import ForwardReduction
from misure.explanation.reductions.gradient import GradientReduction
from misure.explanation.removal import AT_ONCE, remove_blocks
from misure.images.grid import Grid
from misure.images.regions import area_fraction
from misure.images.spacing import short_side_px
from misure.models.model import SegmentationModel

_OF_GROWING = 0.5  # of the passes, at most
_OF_SEARCHING = 0.5  # of those that are left

Growths = list[float | None]
"""How far each channel is shown beyond the target; None: nowhere."""


@dataclass(frozen=True, eq=False)
class FoundByChannel:
    """What was found: two regions (C, *spatial) bool, and how.

    Attributes:
        sufficient: whose channels reach beyond the target as far as `growths`.
        growths: None for a channel that is not shown.
        minimal: the minimally sufficient region by channel.
        sufficient_dice, dice: of both.
        cell_px, num_blocks, is_one_minimal, stopped_by: as of `ByChannelRecord`.
    """

    sufficient: Tensor
    sufficient_dice: float
    growths: Growths
    minimal: Tensor
    dice: float
    cell_px: int
    num_blocks: int
    is_one_minimal: bool
    stopped_by: str


def find_by_channel(
    probe: Probe,
    reduction: Reduction,
    sufficient: SufficientRegion,
    minimal: MinimallySufficientRegion,
    cell_px: int,
    account: Account,
) -> Search[FoundByChannel]:
    """The regions by channel of one target.

    Args:
        probe: that of the target, by channel.
        reduction: the preset's search; used if it works by channel.
        sufficient, minimal: the regions of all channels.
        cell_px: side of the blocks that are left out.
        account: where the passes are counted, and whose limit is kept.
    """
    evidence = 2 * probe.num_views * (probe.num_views > 1)
    reserved = probe.passes_of_accepting + evidence
    account.reserved_passes = reserved + 3 * probe.num_views
    grown, growths = yield from _grown(probe, sufficient, account)
    account.reserved_passes = reserved
    starts = yield from _searched(probe, reduction, grown, cell_px, account)
    starts += yield from _narrowed(probe, minimal.region, grown.region, account)
    candidates, reduced = [*starts, grown.region], dict[int, tuple[int, bool]]()
    for start in sorted(starts, key=_num_shown):
        left, num_blocks, is_done = yield from remove_blocks(
            probe, start, 1 / (1 + probe.distance), cell_px, replace(account, was_short=False)
        )
        candidates.insert(0, left)
        reduced[id(left)] = num_blocks, is_done
    candidates.sort(key=_num_shown)
    account.reserved_passes = evidence
    region, dice = yield from smallest_that_holds(probe, candidates, grown, account)
    num_blocks, is_done = reduced.get(id(region), (_num_blocks(probe, region, cell_px), False))
    was_finished = any(finished for _, finished in reduced.values())
    return FoundByChannel(
        sufficient=grown.region,
        sufficient_dice=grown.dice,
        growths=growths,
        minimal=region,
        dice=dice,
        cell_px=cell_px,
        num_blocks=num_blocks,
        is_one_minimal=is_done,
        stopped_by="end" if was_finished else "max_passes",
    )


def make_record(
    model: SegmentationModel, probe: Probe, found: FoundByChannel, account: Account
) -> ByChannelRecord:
    """What is recorded of regions by channel; with several baseline images they are shown on each.

    Args:
        model: is shown them, and names the channels.
        probe: that of the target, by channel.
        found: the regions.
        account: where the passes are counted.
    """
    ways = probe.presentations
    of_sufficient, of_minimal = (
        dice_by_presentation(model, probe, ways, region, account)
        if len(ways) > 1
        else {ways[0].name: dice}
        for region, dice in (
            (found.sufficient, found.sufficient_dice),
            (found.minimal, found.dice),
        )
    )
    return ByChannelRecord(
        channels=[
            RegionOfChannel(
                number=number,
                name=model.channel_name(number),
                growth_px=growth,
                sufficient_area_fraction=area_fraction(found.sufficient[number]),
                area_fraction=area_fraction(found.minimal[number]),
            )
            for number, growth in enumerate(found.growths)
        ],
        sufficient_area_fraction=area_fraction(found.sufficient),
        area_fraction=area_fraction(found.minimal),
        sufficient_dice=found.sufficient_dice,
        dice=found.dice,
        sufficient_dice_by_baseline_image=of_sufficient,
        dice_by_baseline_image=of_minimal,
        cell_px=found.cell_px,
        num_blocks=found.num_blocks,
        is_one_minimal=found.is_one_minimal,
        stopped_by=found.stopped_by,
        passes=account.cost.pass_equivalents,
    )


def _grown(
    probe: Probe, sufficient: SufficientRegion, account: Account
) -> Search[tuple[SufficientRegion, Growths]]:
    """The sufficient region by channel, shown alone, and how far each channel reaches."""
    most = int(_OF_GROWING * account.passes_left(account.limit or 0))
    limited = replace(account, limit=account.cost.pass_equivalents + account.reserved_passes + most)
    growing = _Growing(probe, sufficient)
    everywhere: Growths = [sufficient.growth_px] * probe.shape[0]
    growths, shown = yield from _without_channels(growing, everywhere, limited)
    growths = yield from _with_less_growth(growing, growths, shown, limited)
    whole_image: Growths = [float(probe.distance.max())] * len(growths)
    region = growing.region(growths)
    (reply,) = yield Query([region], alone=True)
    if not probe.suffices(reply):  # it held in a batch only
        growths, region = everywhere, growing.region(everywhere)
        (reply,) = yield Query([region], alone=True)
    if not probe.suffices(reply):
        growths, region = whole_image, probe.whole_image()
        (reply,) = yield Query([region], alone=True)
    growth = max((one for one in growths if one is not None), default=0.0)
    found = replace(sufficient, region=region, growth_px=growth, dice=reply.dice)
    return found, growths


@dataclass(frozen=True, eq=False)
class _Growing:
    """Regions by channel that grow from the target, inside the sufficient region."""

    probe: Probe
    sufficient: SufficientRegion

    @property
    def levels(self) -> list[float]:
        """Growths that are tried, below that of all channels."""
        side = short_side_px(self.probe.target.region.shape, self.probe.sampling)
        steps = [step * side for step in STEPS]
        return [step for step in steps if step < self.sufficient.growth_px]

    def region(self, growths: Growths) -> Tensor:
        """The region (C, *spatial) bool of some growths."""
        distance, limit = self.probe.distance[0], self.sufficient.region
        nowhere = torch.zeros_like(limit)
        return torch.stack(
            [nowhere if one is None else limit & (distance <= one) for one in growths]
        )

    def suffices(self, growths: Growths) -> Search[bool]:
        """Whether the target is preserved; takes a pass on each baseline image."""
        (reply,) = yield Query([self.region(growths)])
        return self.probe.suffices(reply)


def _without(growths: Growths, channels: Sequence[int]) -> Growths:
    return [None if number in channels else one for number, one in enumerate(growths)]


def _without_channels(
    growing: _Growing, growths: Growths, account: Account
) -> Search[tuple[Growths, list[int]]]:
    """The growths without channels that are not missed, and the others, the least missed first.

    Of those that are not missed one by one, as many as possible go at once, found by bisection.
    """
    probe, num = growing.probe, len(growths)
    if not account.affords(num * probe.num_views):
        return growths, [*range(num)]
    scores: list[float] = []
    for start in range(0, num, AT_ONCE):
        batch = range(num)[start : start + AT_ONCE]
        hidden = [growing.region(_without(growths, [channel])) for channel in batch]
        replies = yield Query(hidden)
        scores += [probe.score(reply.dice) for reply in replies]
    order = sorted(range(num), key=lambda channel: -scores[channel])
    free = [channel for channel in order if scores[channel] >= probe.score_threshold]
    fits, fails = min(1, len(free)), len(free) + 1
    while fails - fits > 1 and account.affords(probe.num_views):
        middle = (fits + fails) // 2
        holds = yield from growing.suffices(_without(growths, free[:middle]))
        fits, fails = (middle, fails) if holds else (fits, middle)
    gone = free[:fits]
    for channel in free[fits + 1 :]:
        if not account.affords(probe.num_views):
            break
        if (yield from growing.suffices(_without(growths, [*gone, channel]))):
            gone.append(channel)
    return _without(growths, gone), [channel for channel in order if channel not in gone]


def _with_less_growth(
    growing: _Growing, growths: Growths, channels: Sequence[int], account: Account
) -> Search[Growths]:
    """The growths, those of some channels made as small as can be, one by one (bisection)."""
    levels, growths = growing.levels, [*growths]
    for channel in channels:
        low, high = -1, len(levels)
        while high - low > 1 and account.affords(growing.probe.num_views):
            middle = (low + high) // 2
            tried = [*growths]
            tried[channel] = levels[middle]
            holds = yield from growing.suffices(tried)
            low, high = (low, middle) if holds else (middle, high)
        if high < len(levels):
            growths[channel] = levels[high]
    return growths


def _searched(
    probe: Probe, reduction: Reduction, grown: SufficientRegion, cell_px: int, account: Account
) -> Search[list[Tensor]]:
    """What a search of cells of single channels finds in the sufficient region; empty if it can't.

    It may spend `_OF_SEARCHING` of what is left.
    """
    own = reduction if isinstance(reduction, (GradientReduction, ForwardReduction)) else None
    search: GradientReduction | ForwardReduction = own or ForwardReduction(grain_px=cell_px)
    share = int(_OF_SEARCHING * account.passes_left(account.limit or 0))
    least = (search.least_shown + 1) * probe.num_views + probe.passes_of_accepting
    if share < least:
        return []
    # counted from here on, so that the search has its shares of what it may spend
    reserved = probe.passes_of_accepting - account.cost.pass_equivalents
    limited = replace(account, reserved_passes=reserved, limit=share, was_short=False)
    found = yield from search.search(probe, grown, limited)
    return [] if found.region is grown.region else [found.region]


def _narrowed(
    probe: Probe, minimal: Tensor, grown: Tensor, account: Account
) -> Search[list[Tensor]]:
    """The minimally sufficient region of all channels in as few of them as suffice; or none."""
    used = grown.flatten(1).any(1).view(-1, *[1] * minimal.ndim)
    everywhere = minimal.expand(probe.shape)
    tried = [everywhere & grown, everywhere & used, everywhere.clone()]
    for region in tried:
        if not account.affords(probe.num_views):
            break
        (reply,) = yield Query([region])
        if probe.suffices(reply):
            return [region]
    return []


def _num_shown(region: Tensor) -> int:
    return int(region.sum())


def _num_blocks(probe: Probe, region: Tensor, cell_px: int) -> int:
    return int(Grid(region, cell_px, probe.sampling_of_regions).inside.sum())
