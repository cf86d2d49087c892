"""A round of improvements: what promises the most is shown, over and over.

All that was shown leaves room for many responses of the network. For each of several that are
drawn from the posterior (Thompson, Biometrika 25, 1933), the units of the best region are ordered
by the loss to expect for their area, and each beginning of that order is one candidate for removal.
A candidate's worth is its *expected improvement* (Jones, Schonlau and Welch, J. Global Optimization
13, 1998): how much it would gain, times the probability that it holds. How far predictions can be
trusted is learnt from those that were tried. Of a batch, those are taken that remove different
pixels: together they say more, and what each may lose, the next batch removes together.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from misure.explanation.probe import Search
from misure.explanation.reductions.readable.state import State
from misure.explanation.reductions.readable.workplace import Workplace
from misure.explanation.response import Around
from misure.images.regions import area_fraction

_BATCHES, _AT_ONCE = 2, 4
_SAMPLES = 8  # responses: the expected one, and others that are drawn
_TRIMMED_SAMPLES = 2  # of them, those whose candidates are also tried with a narrower outline
_TRIMMED = (1 / 4, 1 / 2)  # of the grain, from the outline
_STEP, _MOST_STEPS = 0.06, 26  # of the units, removed together
_LEAST_GAIN = 0.005  # of the area
_MOST_LOG_GAIN = 0.6  # what a candidate can gain, in log area; more would be a gamble
_LEAST_WORTH = 1e-4
_DIFFERENT = 1.5  # exponent of what a candidate does not share with those taken


@dataclass(frozen=True, eq=False)
class _Candidate:
    """A region to show.

    Attributes:
        region: (*spatial) bool.
        gone: (*spatial) bool, what it lacks of the anchor.
        changed: the pixels in which they differ, relative to the anchor's.
        score: to expect.
        worth: expected improvement.
    """

    region: Tensor
    gone: Tensor
    changed: float
    score: float
    worth: float


def improve(state: State) -> Search[None]:
    """One round around the best region."""
    for _ in range(_BATCHES):
        best = state.best
        if best is None or not state.num_left:
            return
        place = Workplace(state, best)
        taken = _different(list(_candidates(place)))[: state.num_left]
        if not taken:
            return
        shown = yield from state.show([one.region for one in taken])
        for candidate, seen in zip(taken, shown, strict=False):
            state.trust.learn(candidate.score, candidate.changed, seen.score)


def _different(candidates: list[_Candidate]) -> list[_Candidate]:
    """The candidates of the most worth that remove different pixels."""
    taken: list[_Candidate] = []
    worths = [one.worth for one in candidates]
    while len(taken) < min(_AT_ONCE, len(candidates)):
        first = max(range(len(worths)), key=worths.__getitem__)
        if worths[first] <= _LEAST_WORTH:
            break
        chosen = candidates[first]
        taken.append(chosen)
        for i, other in enumerate(candidates):
            shared, either = (other.gone & chosen.gone).sum(), (other.gone | chosen.gone).sum()
            worths[i] *= (1 - float(shared / either.clamp(min=1))) ** _DIFFERENT
        worths[first] = 0.0
    return taken


def _candidates(place: Workplace) -> Iterator[_Candidate]:
    """For each drawn response the most promising region, and some with a narrower outline."""
    state, around = place.state, place.around()
    for number in range(_SAMPLES):
        drawn = around.drawn(state.generator) if number else around
        region = _most_promising(place, around, drawn)
        regions = [] if region is None else [region]
        if number == 0:
            regions.append(place.region)
        trimmed = _TRIMMED if number < _TRIMMED_SAMPLES else ()
        narrower = [state.trimmed(one, share) for one in regions for share in trimmed]
        for one in [*regions, *narrower]:
            if bool(one.any()) and state.seen_as(one) is None:
                candidate = _candidate(place, around, one)
                if candidate is not None:
                    yield candidate


def _candidate(place: Workplace, around: Around, region: Tensor) -> _Candidate | None:
    """A region with what it promises; None if it is not smaller than the best one."""
    area = area_fraction(region)
    if area > (1 - _LEAST_GAIN) * place.anchor.area:
        return None
    shares = place.response.units.shares(region)
    margins = place.anchor.margins + (shares - place.shares) @ around.effects
    score = around.scores(shares[None], margins[None])[0]
    changed = area_fraction(region ^ place.region) / place.anchor.area
    return _Candidate(
        region=region,
        gone=place.region & ~region,
        changed=changed,
        score=score,
        worth=_worth(place, score, changed, area),
    )


def _worth(place: Workplace, score: float, changed: float, area: float) -> float:
    state = place.state
    gain = min(_MOST_LOG_GAIN, math.log(place.anchor.area / area))
    return gain * state.trust.probability(score, changed, state.probe.score_threshold)


def _most_promising(place: Workplace, around: Around, drawn: Around) -> Tensor | None:
    """The region that is left when units go in the order of a drawn response, and when to stop."""
    shares = torch.stack([place.shares, *_removals(place, drawn)])
    margins = place.anchor.margins + (shares - place.shares) @ around.effects
    areas = place.response.units.areas(shares)
    worths = [
        _worth(place, score, 1 - area / place.anchor.area, area) if area > 0 else 0.0
        for area, score in zip(areas, around.scores(shares, margins), strict=True)
    ]
    best = max(range(1, len(worths)), key=worths.__getitem__, default=0)
    if best == 0:
        return None
    gone = ((place.shares > 0) & (shares[best] == 0)).nonzero().flatten().tolist()
    return place.changed(gone, [])


def _removals(place: Workplace, drawn: Around) -> Iterator[Tensor]:
    """Visible shares (U,) of fewer and fewer units, those go first that cost the least area."""
    shares, margins = place.shares.clone(), place.anchor.margins.clone()
    for _ in range(_MOST_STEPS):
        left = (shares > 0).nonzero().flatten()
        if not len(left):
            return
        cost = place.worth(drawn, margins) / place.response.units.num_px
        gone = left[cost[left].argsort()[: max(1, int(_STEP * len(left)))]]
        margins = margins - shares[gone] @ drawn.effects[gone]
        shares = shares.clone()
        shares[gone] = 0
        yield shares
