"""What a region has to withstand before a search accepts it: see `changes` and `robust`."""

from collections.abc import Sequence

from torch import Tensor

from misure.explanation.changes import Change, number_of
from misure.explanation.probe import Account, Probe, Query, Search


def hold_under_changes(
    probe: Probe, regions: Sequence[Tensor], account: Account | None = None, *, alone: bool = False
) -> Search[list[bool]]:
    """Whether each region holds on drawn baseline images, and under small changes.

    As many as the probe asks for: they are drawn anew for each region (see `robust.draws` and
    `changes`), and shown one after the other: a region that does not hold under one is not shown
    under the next. A region takes one pass for each baseline image, and `num_changes` for each
    presentation, or fewer; the whole image is shown, once under each small change, if a region
    misses the threshold there. What was shown before is not shown again.

    Args:
        probe: the target that must be preserved.
        regions: (*spatial) bool, those that suffice as they are.
        account: whose limit is kept; what it does not afford does not hold. None: no limit.
        alone: each in a batch of its own.
    """
    changes = [
        [
            *(probe.draws.changes(region) if probe.draws else []),
            *(probe.changes.draw(region, index) for index in range(probe.num_changes)),
        ]
        for region in regions
    ]
    return (yield from _withstand(probe, regions, changes, account, alone=alone))


def holds_on_draws(probe: Probe, region: Tensor, account: Account | None = None) -> Search[bool]:
    """The same of one region and the drawn baseline images alone; True if none are asked for."""
    changes = probe.draws.changes(region) if probe.draws else []
    (holds,) = yield from _withstand(probe, [region], [changes], account, alone=False)
    return holds


def _withstand(
    probe: Probe,
    regions: Sequence[Tensor],
    changes: Sequence[Sequence[Change]],
    account: Account | None,
    *,
    alone: bool,
) -> Search[list[bool]]:
    """Whether each region holds under all of its changes, which are tried in their order."""
    held = [*range(len(regions))]
    for number in range(max((len(own) for own in changes), default=0)):
        drawn = [(regions[i], changes[i][number]) for i in held]
        scores = yield from _under_changes(probe, drawn, account, alone=alone, otherwise=0)
        whole_images = [1.0] * len(held)
        doubtful = [
            place
            for place, (_, change) in enumerate(drawn)
            if change.moves_whole_image
            and not probe.question.hides
            and scores[place]
            and not probe.holds(change, scores[place])
        ]
        everything = [(probe.whole_image(), drawn[place][1]) for place in doubtful]
        shown = yield from _under_changes(probe, everything, account, alone=alone, otherwise=1)
        for place, score in zip(doubtful, shown, strict=True):
            whole_images[place] = score
        held = [
            i
            for i, (_, change), *scores_of in zip(held, drawn, scores, whole_images, strict=True)
            if probe.holds(change, *scores_of)
        ]
    return [i in held for i in range(len(regions))]


def _under_changes(
    probe: Probe,
    drawn: Sequence[tuple[Tensor, Change]],
    account: Account | None,
    *,
    alone: bool,
    otherwise: float,
) -> Search[list[float]]:
    """The score of each region under its change; `otherwise` if the account does not afford it."""
    known = probe.changes.known
    keys = [(number_of(region), change) for region, change in drawn]
    new = [*{key: place for place, key in enumerate(keys) if key not in known}.values()]
    if account is not None:
        new = new[: account.affordable(len(new), len(probe.presentations))]
    if new:
        regions, changes = zip(*(drawn[place] for place in new), strict=True)
        replies = yield Query([*regions], alone=alone, changes=changes)
        known.update((keys[i], reply.dice) for i, reply in zip(new, replies, strict=True))
    return [probe.score(known[key]) if key in known else otherwise for key in keys]
