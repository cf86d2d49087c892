"""Stage 2 for people: few, broad parts, found by forward passes alone.

Every region that is shown is opened first: it has at most `max_parts` parts, each of them at least
`grain_px` broad, and it is shown hard. So whatever suffices is a valid result, at any moment.

The search works on one region at a time, its *anchor*: the smallest region that suffices, or a
smaller one that nearly does (the target itself, say, which often misses the threshold by a little).
From all that was shown, `Response` learns what each piece does to the margins. A region that
suffices is improved by what promises the most (`improvement`), or screened piece by piece, and
plans are made of what came out (`screening`): whichever gained more lately. Others are screened.
The best anchor by area and what it misses comes next. Why it is built like this, what was tried and
what failed: docs/results/search.md.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch

from misure.explanation.growth import SufficientRegion
from misure.explanation.probe import Account, Probe, Query, Search
from misure.explanation.reduction import (
    MinimallySufficientRegion,
    SearchingReduction,
    check_search_options,
    order_of,
    smallest_that_holds,
)
from misure.explanation.reductions.readable.improvement import improve
from misure.explanation.reductions.readable.screening import screen
from misure.explanation.reductions.readable.state import Seen, State
from misure.explanation.reductions.readable.workplace import Workplace
from misure.images.grid import default_grain_px

_GRAINS = 32  # grains on the short side
_KEPT_FOR_RESULT = 3
_PROGRESS = 0.04
_ROUNDS_WITHOUT = 3
_SMALL = 0.25  # of the image
_USUAL_GAINS = {
    True: {"improvement": 0.03, "screening": 0.01},
    False: {"screening": 0.02, "improvement": 0.0},
}
"""Whether an anchor is small -> kind of round -> log area a pass, as long as it was not tried."""


@dataclass(frozen=True)
class ReadableReduction(SearchingReduction):
    """The smallest region of few, broad parts that forward passes find within a budget.

    The region need not lie inside the sufficient region. Where no such region is found, the
    sufficient region is the result.

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
        check_search_options(self.grain_px, self.max_parts)

    def search(
        self, probe: Probe, sufficient: SufficientRegion, account: Account
    ) -> Search[MinimallySufficientRegion]:
        spatial = probe.target.region.shape
        grain_px = self.grain_px or default_grain_px(spatial, probe.sampling, _GRAINS)
        nothing = torch.zeros_like(sufficient.region)
        (reply,) = yield Query([nothing], content_controls=True)
        candidates, held, is_done = [nothing], list[Seen](), True
        if not probe.suffices(reply):
            limit = self.limit_of(account)
            state = State(probe, grain_px, self.max_parts, account, limit)
            held = yield from _walk(state, sufficient)
            candidates = [one.region for one in held[:_KEPT_FOR_RESULT]]
            is_done = state.num_left > 0
        region, dice = yield from smallest_that_holds(probe, candidates, sufficient, account)
        return MinimallySufficientRegion(
            region=region,
            dice=dice,
            grain_px=grain_px,
            stopped_by="end" if is_done else "max_passes",
            order=order_of(region, (one.region for one in held)),
        )


def _walk(state: State, sufficient: SufficientRegion) -> Search[list[Seen]]:
    """What sufficed on the way but the whole image, the smallest region first."""
    yield from state.begin(sufficient)
    while state.num_left:
        anchor = state.next_anchor()
        if anchor is None:
            break
        yield from _round(state, anchor)
    held = (one for one in state.seen if one.suffices and one.area < 1)
    return sorted(held, key=lambda one: one.area)


def _round(state: State, anchor: Seen) -> Search[None]:
    """One round around an anchor: of improvements or of screening, whichever gained more lately."""
    is_finest = False
    num_seen, area_before = len(state.seen), state.best_area
    passes_before = state.account.cost.pass_equivalents
    kind = _kind(state, anchor)
    if kind == "improvement":
        yield from improve(state)
    else:
        place = Workplace(state, anchor)
        num_pieces = yield from screen(place)
        is_finest = num_pieces >= len(place.own)
    if anchor.suffices:
        passes = max(1, state.account.cost.pass_equivalents - passes_before)
        state.gains.pop(kind, None)  # to the end: the latest
        state.gains[kind] = math.log(area_before / state.best_area) / passes
    new = state.seen[num_seen:]
    for one in new:
        one.depth = 0 if one.suffices else anchor.depth + 1
    if not anchor.suffices:
        anchor.is_done = True
        for one in new:
            one.is_done = state.effort(one) > state.effort(anchor) - 0.05
    elif state.best_area > area_before * (1 - _PROGRESS):
        anchor.rounds_without += 1
        is_done = anchor.rounds_without >= _ROUNDS_WITHOUT or is_finest
        for one in (anchor, state.best or anchor):
            one.rounds_without, one.is_done = anchor.rounds_without, is_done


def _kind(state: State, anchor: Seen) -> str:
    """The kind of round that gained the most, in log area a pass, when it was last tried.

    Of two that gain nothing, the one that was not tried last.
    """
    if not anchor.suffices:
        return "screening"
    usual = _USUAL_GAINS[anchor.area <= _SMALL]
    gains = {kind: state.gains.get(kind, usual[kind]) for kind in [*state.gains, *usual]}
    return max(gains, key=gains.__getitem__)
