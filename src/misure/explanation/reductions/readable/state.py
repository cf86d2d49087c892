"""What a search for readable regions knows: all regions that it showed, and what came out."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from misure.errors import InputError
from misure.explanation.acceptance import hold_under_changes
from misure.explanation.growth import SufficientRegion
from misure.explanation.probe import Account, Probe, Query, Search
from misure.explanation.reductions.readable.trust import Trust
from misure.explanation.response import Response
from misure.explanation.units import Units, compact_groups
from misure.images.regions import area_fraction, broad_parts, distance_px, packed
from misure.images.spacing import short_side_px

_AT_ONCE = 8
_FIRST_GROWTHS = (0, 1 / 64, 1 / 32, 1 / 16, 1 / 8)  # of the short side: anchors to begin with
_FIRST_GROUPS, _FIRST_UNIONS = 16, (2, 4, 8)  # of units, where what is hidden may lie
_HALVED = 3  # of the groups that suffice
_FINEST = {2: (16, 32), 3: (8, 16)}  # cells on the short side, at the target
_ENOUGH_UNITS = 50  # in an anchor; with fewer, smaller cells are taken
_SMALLER = 0.7  # of the best area: what an anchor that does not suffice may have at most
_LOST = 0.6  # deficit from which a region is no anchor
_OF_DEFICIT, _OF_DICE, _OF_DEPTH = 4.0, 10.0, 0.15  # weights against the logarithm of the area
_OF_ROUNDS = 0.3
_IN_A_ROW = 3  # anchors that do not suffice, before the best region has its turn
_RESTARTS = 4


@dataclass(eq=False)
class Seen:
    """A region that was shown, in one bit a pixel, and what came out."""

    bits: np.ndarray
    like: Tensor
    score: float
    suffices: bool
    margins: Tensor
    area: float
    deficit: float
    depth: int = 0
    is_done: bool = False
    rounds_without: int = 0

    @property
    def region(self) -> Tensor:
        """(*spatial) bool, on the device of the target."""
        pixels = np.unpackbits(self.bits, count=self.like.numel()).view(bool)
        return torch.from_numpy(pixels).view(self.like.shape).to(self.like.device)


@dataclass(eq=False)
class State:
    """What one search knows."""

    probe: Probe
    grain_px: int
    max_parts: int
    account: Account
    limit: int
    seen: list[Seen] = field(default_factory=list)

    def __post_init__(self) -> None:
        target, sampling = self.probe.target.region, self.probe.sampling
        self.side = short_side_px(target.shape, sampling)
        self.distance = distance_px(target, sampling)
        self.generator = torch.Generator().manual_seed(0)
        sample, scale = self.probe.sample, torch.tensor(sampling or (1.0,) * target.ndim)
        places = torch.from_numpy(
            np.stack(np.unravel_index(sample.indices.numpy(), target.shape), axis=1)
        )
        divided = [Units(target, self.distance, n, sampling) for n in _FINEST[target.ndim]]
        self.responses = [Response(units, sample, places * scale / units.side) for units in divided]
        self.known: dict[bytes, Seen] = {}
        self.trust = Trust()
        self.gains: dict[str, float] = {}
        self.in_a_row = self.restarts = 0
        self.lost = _LOST

    @property
    def best(self) -> Seen | None:
        """The smallest region that sufficed so far; None if none has."""
        held = (one for one in self.seen if one.suffices)
        return min(held, key=lambda one: one.area, default=None)

    @property
    def best_area(self) -> float:
        """Its share of the image; 1 if none has sufficed yet."""
        best = self.best
        return 1.0 if best is None else best.area

    @property
    def num_left(self) -> int:
        """Regions that may still be shown."""
        return max(0, self.account.passes_left(self.limit)) // self.probe.num_views

    def seen_as(self, region: Tensor) -> Seen | None:
        """A region (*spatial) bool with what came out; None if it was not shown."""
        return self.known.get(packed(region))

    def readable(self, region: Tensor) -> Tensor:
        """What is left of a region when it is opened, in few parts."""
        return broad_parts(
            self.probe.within(region), self.grain_px, self.max_parts, self.probe.sampling
        )

    def trimmed(self, region: Tensor, share: float) -> Tensor:
        """A region without an outline of this share of a grain (1 px at least), made readable."""
        step_px = max(1, share * self.grain_px)
        return self.readable(distance_px(~region, self.probe.sampling) > step_px)

    def begin(self, sufficient: SufficientRegion) -> Search[None]:
        """Shows the sufficient region, made readable, and the first anchors."""
        growths = [share * self.side for share in _FIRST_GROWTHS]
        smaller = [g for g in growths if self.probe.edge_px + g < sufficient.growth_px]
        discs = [self.distance <= self.probe.edge_px + growth_px for growth_px in smaller]
        grown = [self.readable(region) for region in [sufficient.region, *discs]]
        yield from self.show([region for region in grown if bool(region.any())])
        if self.probe.question.hides:
            yield from self._begin_anywhere()
        if self.best_area == 1:
            everything = torch.ones_like(sufficient.region)
            yield from self.show([self.probe.within(everything)])

    def _begin_anywhere(self) -> Search[None]:
        """Shows groups of units all over the image, and together those that help.

        What is hidden may lie anywhere, and may be small: each of the groups that suffice is
        halved as long as one of its halves does, too.
        """
        units, everything = self.responses[0].units, torch.ones_like(self.probe.target.region)
        number = min(_FIRST_GROUPS, self.num_left // 4)
        if not number:
            return
        groups = compact_groups(units, range(len(units.num_px)), number, self.generator)
        pieces = [self.readable(units.region(group, everything)) for group in groups]
        nothing = self.probe.whole_image()
        (before, *after) = yield from self.show([nothing, *pieces])
        if not self.probe.question.loses:
            self.lost = math.inf  # the target is lost to begin with
        helping = sorted(after, key=lambda one: one.deficit)
        helping = [one for one in helping if one.deficit < before.deficit and not one.suffices]
        for number in _FIRST_UNIONS:
            together = torch.stack([nothing, *(one.region for one in helping[:number])]).any(0)
            yield from self.show([self.readable(together)])
        found = sorted((one for one in after if one.suffices), key=lambda one: -one.score)
        for one in found[:_HALVED]:
            yield from self._halve(one)

    def _halve(self, one: Seen) -> Search[None]:
        """Shows halves of a region, and halves of the better one that suffices."""
        while self.num_left:
            response, shares = self.response_for(one.region)
            own = (shares > 0).nonzero().flatten().tolist()
            groups = compact_groups(response.units, own, 2, self.generator)
            if len(groups) < 2:
                return
            halves = [
                self.readable(response.units.region(g, one.region) & one.region) for g in groups
            ]
            seen = yield from self.show([half for half in halves if bool(half.any())])
            sufficing = [half for half in seen if half.suffices and half.area < one.area]
            if not sufficing:
                return
            one = max(sufficing, key=lambda half: half.score)

    def show(self, regions: Sequence[Tensor]) -> Search[list[Seen]]:
        """Shows regions that were not shown before, as far as the budget goes."""
        by_name = {packed(region): region for region in regions}
        waiting = [(name, region) for name, region in by_name.items() if name not in self.known]
        while waiting and self.num_left:
            num = min(_AT_ONCE, self.num_left, len(waiting))
            batch, waiting = waiting[:num], waiting[num:]
            shown, best_area = [region for _, region in batch], self.best_area
            replies = yield Query(shown, content_controls=True, margins=True)
            for (name, region), reply in zip(batch, replies, strict=True):
                if reply.margins is None:
                    raise InputError("expected a reply with margins, got none.")
                for response in self.responses:
                    response.add(region, reply.margins)
                one = Seen(
                    bits=np.frombuffer(name, np.uint8),
                    like=self.probe.target.region,
                    score=self.probe.score(reply.dice),
                    suffices=self.probe.suffices(reply),
                    margins=reply.margins,
                    area=area_fraction(region),
                    deficit=self.probe.sample.deficit(reply.margins / self.responses[0].scale),
                )
                self.known[name] = one
                self.seen.append(one)
            yield from self._accept(self.seen[-num:], best_area)
        return [self.known[name] for name in by_name if name in self.known]

    def _accept(self, new: Sequence[Seen], best_area: float) -> Search[None]:
        """Takes the smallest that holds under small changes too; others did not suffice."""
        promising = [one for one in new if one.suffices and one.area < best_area]
        for one in sorted(promising, key=lambda one: one.area):
            (holds,) = yield from hold_under_changes(self.probe, [one.region], self.account)
            if holds:
                break
            one.suffices = False

    def next_anchor(self) -> Seen | None:
        """What to work on next; None if nothing promises anything any more."""
        found = self._most_promising()
        if found is None and self.restarts < _RESTARTS:
            self.restarts += 1
            for one in self.seen:
                one.is_done = False
                one.rounds_without = min(one.rounds_without, self.restarts)
            found = self._most_promising()
        if found is not None:
            self.in_a_row = 0 if found.suffices else self.in_a_row + 1
        return found

    def _most_promising(self) -> Seen | None:
        best, best_area = self.best, self.best_area
        if best is not None and best.is_done:
            best = None
        if self.in_a_row >= _IN_A_ROW and best is not None:
            return best
        others = [
            one
            for one in self.seen
            if not one.suffices
            and not one.is_done
            and 0 < one.area < _SMALLER * best_area
            and one.deficit < self.lost
        ]
        anchors = others if best is None else [best, *others]
        return min(anchors, key=self.effort, default=None)

    def effort(self, one: Seen) -> float:
        """How far a region is from being a small one that suffices; less is better."""
        if one.area == 0:
            return math.inf  # nothing to work on
        tired = _OF_ROUNDS * one.rounds_without
        if one.suffices:
            return math.log(one.area) + tired
        missing = min(max(0.0, self.probe.score_threshold - one.score), 0.2)
        lost = _OF_DEFICIT * one.deficit + _OF_DICE * missing + _OF_DEPTH * one.depth
        return math.log(one.area) + lost + tired

    def response_for(self, region: Tensor) -> tuple[Response, Tensor]:
        """The response by units that are fine enough for a region, and its share of each."""
        for response in self.responses:
            shares = response.units.shares(region)
            if int((shares > 0).sum()) >= _ENOUGH_UNITS:
                break
        return response, shares
