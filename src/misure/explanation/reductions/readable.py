"""Stage 2 for people: few, broad parts, found by forward passes alone.

Every region that is shown is opened first: it has at most `max_parts` parts, each of them at least
`grain_px` broad, and it is shown hard. So whatever suffices is a valid result, at any moment.

The search works on one region at a time, its *anchor*: the smallest region that suffices, or a
smaller one that nearly does (the target itself, say, which often misses the threshold by a little).
A round:

1. *Screening*: the anchor is shown without some of its pieces, with some neighbours added, and with
   its outline moved in and out. Pieces are compact while the anchor is large; later each screening
   hides several small ones, far from each other.
2. *Learning*: from all that was shown, `Response` learns what each piece does to the margins.
3. *Planning*: pieces are added until the target should be preserved, then removed in the order of
   the expected loss for their area. The farthest plan that should hold is shown. If it does, the
   next one goes farther, else less far.

The best anchor by area and what it misses comes next. Why it is built like this, what was tried
and what failed: docs/results/search.md.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from misure.errors import InputError
from misure.explanation.growth import SufficientRegion
from misure.explanation.probe import Account, Probe, Query, Search
from misure.explanation.reduction import (
    MinimallySufficientRegion,
    SearchingReduction,
    check_search_options,
    smallest_that_holds,
)
from misure.explanation.response import Around, Response
from misure.explanation.units import Units, compact_groups, scattered_groups
from misure.images.grid import default_grain_px
from misure.images.regions import broad_parts, distance_px
from misure.images.spacing import short_side_px

_GRAINS = 32  # grains on the short side
_AT_ONCE = 8
_FIRST_GROWTHS = (0, 1 / 64, 1 / 32, 1 / 16, 1 / 8)  # of the short side: anchors to begin with
_FINEST = {2: (16, 32), 3: (8, 16)}  # cells on the short side, at the target
_ENOUGH_UNITS = 50  # in an anchor; with fewer, smaller cells are taken
_LARGE = 0.03  # of the image: from here on pieces are compact
_SCREENED_SMALL, _PIECES_LARGE, _SCREENED_LARGE = 16, 9, 6
_ADDED = 4  # groups of neighbours that are added to an anchor that suffices, 3 times to others
_MORE = 1.6  # times as many after a round without progress
_MOST = 40
_PROGRESS = 0.04
_ROUNDS_WITHOUT = 3
_PLANS, _MISSES = 4, 3
_UNIT = 0.15  # of the loss, in standard deviations of the margins
_REPAIRS = 40  # units, in a plan
_STEP = 0.05  # of the units, removed together in a plan
_FORWARD, _BACK = 0.02, 0.02  # how the wanted Dice of a plan moves
_HOPELESS = 0.25  # a plan that should miss the threshold by more is not shown
_SMALLER = 0.7  # of the best area: what an anchor that does not suffice may have at most
_LOST = 0.6  # deficit from which a region is no anchor
_OF_DEFICIT, _OF_DICE, _OF_DEPTH = 4.0, 10.0, 0.15  # weights against the logarithm of the area
_IN_A_ROW = 3  # anchors that do not suffice, before the best region has its turn
_RESTARTS = 4
_KEPT_FOR_RESULT = 3


@dataclass(eq=False)
class _Seen:
    """A region that was shown, in one bit a pixel, and what came out."""

    bits: np.ndarray
    like: Tensor
    dice: float
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


@dataclass(frozen=True)
class ReadableReduction(SearchingReduction):
    """The smallest region of few, broad parts that forward passes find within a budget.

    The region need not lie inside the sufficient region, and where no such region suffices but the
    whole image, that is the result.

    Attributes:
        grain_px: the least breadth of every part, and side of the smallest pieces; 0: 1/32 of the
            short side.
        max_parts: the largest number of connected parts.
    """

    grain_px: int = 0
    max_parts: int = 10

    doing: ClassVar[str] = "removing"
    needs_gradients: ClassVar[bool] = False
    usual_passes: ClassVar[int] = 160
    least_shown: ClassVar[int] = 1

    def __post_init__(self) -> None:
        check_search_options(self.grain_px)
        if self.max_parts < 1:
            raise InputError(f"expected max_parts of 1 or more, got {self.max_parts}.")

    def search(
        self, probe: Probe, sufficient: SufficientRegion, account: Account
    ) -> Search[MinimallySufficientRegion]:
        spatial = probe.target.region.shape
        grain_px = self.grain_px or default_grain_px(spatial, probe.sampling, _GRAINS)
        nothing = torch.zeros_like(sufficient.region)
        (reply,) = yield Query([nothing], content_controls=True)
        candidates, held, is_done = [nothing], list[_Seen](), True
        if not probe.suffices(reply):
            limit = self.limit_of(account)
            state = _State(probe, grain_px, self.max_parts, account, limit)
            held = yield from _walk(state, sufficient)
            candidates = [one.region for one in held[:_KEPT_FOR_RESULT]]
            is_done = state.num_left > 0
        region, dice = yield from smallest_that_holds(
            probe, [*candidates, torch.ones_like(nothing)], sufficient, account
        )
        return MinimallySufficientRegion(
            region=region,
            dice=dice,
            grain_px=grain_px,
            stopped_by="end" if is_done else "max_passes",
            order=_order(region, held),
        )


def _walk(state: "_State", sufficient: SufficientRegion) -> Search[list[_Seen]]:
    """What sufficed on the way, the smallest region first."""
    yield from state.begin(sufficient)
    while state.num_left:
        anchor = state.next_anchor()
        if anchor is None:
            break
        yield from _round(state, anchor)
    return sorted((one for one in state.seen if one.suffices), key=lambda one: one.area)


def _order(region: Tensor, held: Sequence[_Seen]) -> Tensor:
    """The order in which pixels come and go: those that many sufficient regions hold go last."""
    order = region.float()
    for one in held:
        order += one.region
    return order / order.max().clamp(min=1)


@dataclass(eq=False)
class _State:
    """What one search knows."""

    probe: Probe
    grain_px: int
    max_parts: int
    account: Account
    limit: int
    seen: list[_Seen] = field(default_factory=list)

    def __post_init__(self) -> None:
        target, sampling = self.probe.target.region, self.probe.sampling
        self.side = short_side_px(target.shape, sampling)
        self.distance = distance_px(target, sampling)
        self.generator = torch.Generator().manual_seed(0)
        sample, scale = self.probe.sample, torch.tensor(sampling or (1.0,) * target.ndim)
        places = torch.stack(torch.unravel_index(sample.indices, target.shape), dim=1)
        self.responses = [
            Response(
                Units(target, self.distance, number, sampling), sample, places * scale / self.side
            )
            for number in _FINEST[target.ndim]
        ]
        self.known: dict[bytes, _Seen] = {}
        self.in_a_row = self.restarts = 0

    @property
    def best(self) -> _Seen | None:
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

    def readable(self, region: Tensor) -> Tensor:
        """What is left of a region when it is opened, in few parts."""
        return broad_parts(region, self.grain_px, self.max_parts, self.probe.sampling)

    def begin(self, sufficient: SufficientRegion) -> Search[None]:
        """Shows the sufficient region, made readable, and the first anchors."""
        growths = [share * self.side for share in _FIRST_GROWTHS]
        smaller = [g for g in growths if self.probe.edge_px + g < sufficient.growth_px]
        discs = [self.distance <= self.probe.edge_px + growth_px for growth_px in smaller]
        grown = [self.readable(region) for region in [sufficient.region, *discs]]
        yield from self.show([region for region in grown if bool(region.any())])
        if self.best_area == 1:
            yield from self.show([torch.ones_like(sufficient.region)])

    def show(self, regions: Sequence[Tensor]) -> Search[list[_Seen]]:
        """Shows regions that were not shown before, as far as the budget goes."""
        result = []
        new = {}
        for region in regions:
            name = np.packbits(region.cpu().numpy()).tobytes()
            if name in self.known:
                result.append(self.known[name])
            else:
                new[name] = region
        waiting = list(new.items())
        while waiting and self.num_left:
            num = min(_AT_ONCE, self.num_left)
            batch, waiting = waiting[:num], waiting[num:]
            shown = [region for _, region in batch]
            replies = yield Query(shown, content_controls=True, margins=True)
            for (name, region), reply in zip(batch, replies, strict=True):
                if reply.margins is None:
                    raise InputError("expected a reply with margins, got none.")
                for response in self.responses:
                    response.add(region, reply.margins)
                one = _Seen(
                    bits=np.frombuffer(name, np.uint8),
                    like=self.probe.target.region,
                    dice=reply.dice,
                    suffices=self.probe.suffices(reply),
                    margins=reply.margins,
                    area=float(region.float().mean()),
                    deficit=self.probe.sample.deficit(reply.margins / self.responses[0].scale),
                )
                self.known[name] = one
                self.seen.append(one)
                result.append(one)
        return result

    def next_anchor(self) -> _Seen | None:
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

    def _most_promising(self) -> _Seen | None:
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
            and one.deficit < _LOST
        ]
        anchors = others if best is None else [best, *others]
        return min(anchors, key=self.effort, default=None)

    def effort(self, one: _Seen) -> float:
        """How far a region is from being a small one that suffices; less is better."""
        tired = 0.3 * one.rounds_without
        if one.suffices:
            return math.log(one.area) + tired
        missing = min(max(0.0, self.probe.dice_threshold - one.dice), 0.2)
        lost = _OF_DEFICIT * one.deficit + _OF_DICE * missing + _OF_DEPTH * one.depth
        return math.log(one.area) + lost + tired

    def response_for(self, region: Tensor) -> tuple[Response, Tensor]:
        """The response by units that are fine enough for a region, and its share of each."""
        for response in self.responses:
            shares = response.units.shares(region)
            if int((shares > 0).sum()) >= _ENOUGH_UNITS:
                break
        return response, shares


class _Workplace:
    """An anchor, and the units of which it can lose or gain some."""

    def __init__(self, state: _State, anchor: _Seen) -> None:
        self.state, self.anchor, self.region = state, anchor, anchor.region
        self.response, self.shares = state.response_for(self.region)
        units, is_finest = self.response.units, self.response is state.responses[-1]
        self.own = (self.shares > 0).nonzero().flatten().tolist()
        reach_px = state.grain_px * (1 if anchor.suffices and is_finest else 2)
        near = distance_px(self.region, state.probe.sampling) <= reach_px
        is_near = (units.shares(near) > 0.3) & (self.shares < 0.5)
        self.neighbours: list[int] = is_near.nonzero().flatten().tolist()

    @property
    def is_large(self) -> bool:
        """Whether its pieces are compact."""
        return self.anchor.area >= _LARGE

    def changed(self, without: Sequence[int], added: Sequence[int]) -> Tensor:
        """The anchor without some units and with others, made readable."""
        units, region = self.response.units, self.region
        kept = region & ~units.region(without, region)
        return self.state.readable(kept | units.region(added, region))

    def around(self) -> Around:
        """What the response says around the anchor by now."""
        return self.response.around(self.shares, self.anchor.margins)

    def worth(self, around: Around, margins: Tensor) -> Tensor:
        """How much the loss falls (U,) when a unit becomes visible, at these margins."""
        unit = _UNIT * self.response.scale
        return around.effects @ self.state.probe.sample.fall_of_loss(margins, unit)

    def groups(self) -> list[list[int]]:
        """Groups of own units for a screening: the most promising ones if there are many."""
        units, generator = self.response.units, self.state.generator
        more = _MORE**self.anchor.rounds_without
        if not self.is_large:
            number = min(_MOST, int(_SCREENED_SMALL * more))
            return scattered_groups(units, self.own, number, generator)
        number = min(_MOST, int(_SCREENED_LARGE * more))
        groups = compact_groups(units, self.own, max(_PIECES_LARGE, number), generator)
        worth = self.worth(self.around(), self.anchor.margins) * self.shares
        visible = units.num_px * self.shares

        def promise(group: list[int]) -> float:
            area = visible[group].sum()
            by_area = worth[group].sum() / area * 0.2 * units.num_px.sum()
            return float(by_area - (units.distances * visible)[group].sum() / area)

        return sorted(groups, key=promise)[:number]


def _round(state: _State, anchor: _Seen) -> Search[None]:
    """One round of screening and planning around an anchor."""
    place = _Workplace(state, anchor)
    num_seen, area_before = len(state.seen), state.best_area
    groups = place.groups()
    yield from state.show(list(_screening(place, groups)))
    yield from _plans(place, groups)
    new = state.seen[num_seen:]
    for one in new:
        one.depth = 0 if one.suffices else anchor.depth + 1
    if not anchor.suffices:
        anchor.is_done = True
        for one in new:
            one.is_done = state.effort(one) > state.effort(anchor) - 0.05
    elif state.best_area > area_before * (1 - _PROGRESS):
        anchor.rounds_without += 1
        is_done = anchor.rounds_without >= _ROUNDS_WITHOUT or len(groups) >= len(place.own)
        for one in (anchor, state.best or anchor):
            one.rounds_without, one.is_done = anchor.rounds_without, is_done


def _screening(place: _Workplace, groups: list[list[int]]) -> Iterator[Tensor]:
    """The anchor without each group, with neighbours added, and with its outline moved."""
    state, anchor = place.state, place.anchor
    yield from (place.changed(group, []) for group in groups)
    suffices_barely = anchor.suffices and anchor.dice < state.probe.dice_threshold + 0.03
    if place.neighbours and (not anchor.suffices or suffices_barely):
        number = _ADDED if anchor.suffices else 3 * _ADDED
        added = compact_groups(place.response.units, place.neighbours, number, state.generator)
        yield from (place.changed([], group) for group in added)
    step_px, sampling = max(1, state.grain_px / 4), state.probe.sampling
    outside = distance_px(place.region, sampling)
    for times in (1,) if anchor.suffices else (1, 2, 4):
        yield state.readable(outside <= times * step_px)
    if not bool(place.region.all()):
        yield state.readable(distance_px(~place.region, sampling) > step_px)


def _plans(place: _Workplace, groups: list[list[int]]) -> Search[None]:
    """Shows what should hold, farther and farther, or less far."""
    state, threshold = place.state, place.state.probe.dice_threshold
    wanted, shown, misses, repeated = threshold, 0, 0, 0
    while state.num_left and shown < _PLANS and misses < _MISSES and repeated < 12:
        around = place.around()
        path = _path(place, around, wanted, groups)
        total = place.response.units.num_px
        areas = [float((shares * total).sum() / total.sum()) for shares, _ in path]
        small_enough = 0.99 * state.best_area
        usable = [i for i, area in enumerate(areas) if area < small_enough]
        if not usable:
            return
        holding = [i for i in usable if path[i][1] >= wanted]
        chosen = holding[-1] if holding else max(usable, key=lambda i: path[i][1])
        shares, expected = path[chosen]
        if expected < threshold - _HOPELESS:
            return
        change = shares - place.shares
        region = place.changed(
            (change < -1e-6).nonzero().flatten().tolist(),
            (change > 1e-6).nonzero().flatten().tolist(),
        )
        num_seen = len(state.seen)
        results = yield from state.show([region])
        if len(state.seen) == num_seen:
            wanted, repeated = wanted + 0.015, repeated + 1
        elif results[0].suffices:
            wanted, shown = max(0.8, min(wanted, expected) - _FORWARD), shown + 1
        else:
            wanted, shown, misses = min(0.99, wanted + _BACK), shown + 1, misses + 1


def _path(
    place: _Workplace, around: Around, wanted: float, groups: list[list[int]]
) -> list[tuple[Tensor, float]]:
    """Visible shares (U,) and expected Dice: repaired first, then with less and less."""
    shares, margins = _repaired(place, around, wanted)
    steps, margins_of_steps = [shares.clone()], [margins]
    waiting = [torch.tensor(group) for group in groups]
    while bool((shares > 0).any()):
        worth, total = place.worth(around, margins) * shares, place.response.units.num_px * shares
        if place.is_large:
            waiting = [group for group in waiting if bool((shares[group] > 0).any())]
            if not waiting:
                break
            gone = min(waiting, key=lambda group: float(worth[group].sum() / total[group].sum()))
        else:
            left = (shares > 0).nonzero().flatten()
            number = max(1, int(_STEP * len(left)))
            gone = left[(worth[left] / total[left]).argsort()[:number]]
        margins = margins - shares[gone] @ around.effects[gone]
        shares[gone] = 0
        steps.append(shares.clone())
        margins_of_steps.append(margins)
    expected = around.dices(torch.stack(steps), torch.stack(margins_of_steps))
    return list(zip(steps, expected, strict=True))


def _repaired(place: _Workplace, around: Around, wanted: float) -> tuple[Tensor, Tensor]:
    """The anchor with units added, or removed where they harm, until it should be preserved."""
    shares, margins = place.shares.clone(), place.anchor.margins.clone()
    free = torch.zeros_like(shares, dtype=torch.bool)
    free[place.own + place.neighbours] = True
    for _ in range(_REPAIRS):
        if around.dices(shares[None], margins[None])[0] >= wanted + 0.01:
            break
        worth = place.worth(around, margins)
        gains = torch.where(shares > 0.5, -worth * shares, worth * (1 - shares))
        best = int(gains.where(free, -torch.inf).argmax())
        if not gains[best] > 0:
            break
        change = -shares[best] if shares[best] > 0.5 else 1 - shares[best]
        margins = margins + change * around.effects[best]
        shares[best] += change
    return shares, margins
