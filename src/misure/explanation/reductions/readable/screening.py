"""A round of screening: what does the anchor lose without each of its pieces?

The anchor is shown without some of its pieces, with some neighbours added, and with its outline
moved in and out. Pieces are compact while the anchor is large; later each screening hides several
small ones, far from each other. Then plans are made from all that is known: pieces are added until
the region should suffice, then removed in the order of the expected loss for their area. The
farthest plan that should hold is shown. If it does, the next one goes farther, else less far.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from misure.explanation.probe import Search
from misure.explanation.reductions.readable.workplace import Workplace
from misure.explanation.response import Around
from misure.explanation.units import compact_groups
from misure.images.regions import distance_px

_ADDED = 4  # groups of neighbours that are added to an anchor that suffices, 3 times to others
_OUTLINE = 1 / 4  # of the grain, by which the outline is moved
_PLANS, _MISSES = 4, 3
_REPAIRS = 40  # units, in a plan
_STEP = 0.05  # of the units, removed together in a plan
_FORWARD, _BACK = 0.02, 0.02  # how the wanted score of a plan moves
_LEAST = 0.1  # it falls to this much below the threshold at most
_BARELY = 0.03  # above the threshold
_HOPELESS = 0.25  # a plan that should miss the threshold by more is not shown


def screen(place: Workplace) -> Search[int]:
    """One round around an anchor; the number of pieces that it was divided into."""
    groups = place.groups()
    pieces = [(group, place.changed(group, [])) for group in groups]
    yield from place.state.show([*(region for _, region in pieces), *_moved(place)])
    if place.anchor.suffices:
        yield from _without_harmless(place, pieces)
    yield from _plans(place, groups)
    return len(groups)


def _without_harmless(place: Workplace, pieces: list[tuple[list[int], Tensor]]) -> Search[None]:
    """The anchor without all pieces that together should cost no more score than it can spare.

    The response takes effects for additive. Where a region matters as a whole, it blames all pieces
    near the one that was missed, and what each of them did alone says more.

    Args:
        place: the anchor.
        pieces: groups of units, and the anchor without each, as it was shown.
    """
    state, falls = place.state, list[tuple[float, list[int]]]()
    for group, region in pieces:
        seen = state.seen_as(region)
        if seen is not None and seen.suffices:
            falls.append((place.anchor.score - seen.score, group))
    falls.sort(key=lambda fall: fall[0])
    spare, chosen = place.anchor.score - state.probe.score_threshold, list[list[int]]()
    for fall, group in falls:
        spare -= fall
        if spare < 0:
            break
        chosen.append(group)
    removed, waiting = list[list[int]](), [chosen] if len(chosen) > 1 else []
    while waiting and state.num_left:
        groups = waiting.pop()
        region = place.changed([unit for group in [*removed, *groups] for unit in group], [])
        yield from state.show([region])
        seen = state.seen_as(region)
        if seen is not None and seen.suffices:
            removed += groups
        elif len(groups) > 1:
            half = len(groups) // 2
            waiting += [groups[half:], groups[:half]]


def _moved(place: Workplace) -> Iterator[Tensor]:
    """The anchor with neighbours added, and with its outline moved."""
    state, anchor = place.state, place.anchor
    suffices_barely = anchor.suffices and anchor.score < state.probe.score_threshold + _BARELY
    if place.neighbours and (not anchor.suffices or suffices_barely):
        number = _ADDED if anchor.suffices else 3 * _ADDED
        added = compact_groups(place.response.units, place.neighbours, number, state.generator)
        yield from (place.changed([], group) for group in added)
    step_px = max(1, _OUTLINE * state.grain_px)
    outside = distance_px(place.region, state.probe.sampling)
    for times in (1,) if anchor.suffices else (1, 2, 4):
        yield state.readable(outside <= times * step_px)
    if not bool(place.region.all()):
        yield state.trimmed(place.region, _OUTLINE)


def _plans(place: Workplace, groups: list[list[int]]) -> Search[None]:
    """Shows what should hold, farther and farther, or less far."""
    state, threshold = place.state, place.state.probe.score_threshold
    wanted, shown, misses, repeated = threshold, 0, 0, 0
    while state.num_left and shown < _PLANS and misses < _MISSES and repeated < 12:
        around = place.around()
        path = _path(place, around, wanted, groups)
        areas = place.response.units.areas(torch.stack([shares for shares, _ in path]))
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
            wanted, shown = max(threshold - _LEAST, min(wanted, expected) - _FORWARD), shown + 1
        else:
            wanted, shown, misses = min(0.99, wanted + _BACK), shown + 1, misses + 1


def _path(
    place: Workplace, around: Around, wanted: float, groups: list[list[int]]
) -> list[tuple[Tensor, float]]:
    """Shares (U,) and expected score: repaired first, then with less and less."""
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
    expected = around.scores(torch.stack(steps), torch.stack(margins_of_steps))
    return list(zip(steps, expected, strict=True))


def _repaired(place: Workplace, around: Around, wanted: float) -> tuple[Tensor, Tensor]:
    """The anchor with units added, or removed where they harm, until it should suffice."""
    shares, margins = place.shares.clone(), place.anchor.margins.clone()
    free = torch.zeros_like(shares, dtype=torch.bool)
    free[place.own + place.neighbours] = True
    for _ in range(_REPAIRS):
        if around.scores(shares[None], margins[None])[0] >= wanted + 0.01:
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
