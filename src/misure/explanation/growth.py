"""Stage 1: the sufficient region, grown from the target until the model predicts the target again.

Show only the target. As long as the Dice of the prediction with the target stays below the
threshold, show more of the surroundings. The region says *how far* the model looks. Hasany,
Mériaudeau, Petitjean, arXiv 2406.12173.

Several searches, since the Dice need not rise with the growth:

- `dilation`: the paper's. One dilation by a 7 x 7 ellipse at a time, tested before each.
- `first`: Euclidean growth by `STEP_PX`, several steps in one batch, up to the first that suffices.
  It ends at the smallest regions (measured in docs/results/search.md).
- `bracket`: Euclidean growth, doubled until it suffices, then bisected down to one pixel. Takes far
  fewer passes if much growth is needed; if the Dice falls again with more growth, it returns a
  larger region than `first`.
- `steps`: Euclidean growth by the fixed `STEPS`, up to the first that suffices: at most eleven
  passes, and the coarsest answer.
- `jumps`: the target, one jump and two bisections along `STEPS`, each shown alone: at most five
  passes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from misure._util.progress import OnStep
from misure.errors import InputError
from misure.explanation.acceptance import holds_on_draws
from misure.explanation.probe import Account, Probe, Query, Reply, Search
from misure.explanation.run_searches import run_searches
from misure.images.regions import dilate, distance_px
from misure.images.spacing import short_side_px
from misure.models.model import SegmentationModel

STEP_PX = 3
"""Growth of a step of `first`, in pixels: that of one dilation."""

STEPS = (0, 1 / 64, 1 / 32, 1 / 16, 1 / 8, 3 / 16, 1 / 4, 3 / 8, 1 / 2)
"""Growths of `steps`, as fractions of the image's short side; the whole image follows."""

LEAST_SHOWN = 3
"""Regions that a search must at least be able to show: the target, it alone, the whole image."""

_STEPS_AT_ONCE = 4
_KEPT = 2  # regions: the one that is found, alone, and the whole image
_NEARLY = 0.7  # Dice of the target by itself, from which the first jump is a short one
_FIRST_JUMP, _FIRST_IF_NEARLY = 4, 2  # of STEPS
_JUMPS = 3


@dataclass(frozen=True, eq=False)
class SufficientRegion:
    """What stage 1 found.

    Attributes:
        region: (*spatial) bool; it contains the target.
        growth_px: how far it reaches beyond the target (Euclidean), 0 for the target itself; in
            units of the smallest side of a voxel.
        dice: when the model sees this region alone; at least the threshold.
        growth: `dilation`, `first`, `bracket`, `steps` or `jumps`.
        stopped_by: `end`, or `max_passes`: a longer search might find a smaller region.
    """

    region: Tensor
    growth_px: float
    dice: float
    growth: str
    stopped_by: str = "end"


def find_sufficient_regions(
    model: SegmentationModel,
    probes: Sequence[Probe],
    *,
    growth: str = "first",
    accounts: Sequence[Account] | None = None,
    on_step: OnStep | None = None,
) -> list[SufficientRegion]:
    """The sufficient region of each probe.

    Each was shown to the model by itself and reached the probe's threshold. For a predicted target
    at least the whole image does.

    Args:
        model: the model to explain.
        probes: targets with their presentations, all images of one shape.
        growth: `dilation`, `first`, `bracket`, `steps` or `jumps`.
        accounts: for each probe, where its passes are counted; a limit of `LEAST_SHOWN` regions or
            more is kept.
        on_step: called once a round.

    Raises:
        InputError: an unknown growth; or even the whole image misses the threshold (a target that
            the model did not predict itself).
    """
    if growth not in GROWTHS:
        raise InputError(f"expected a growth among {', '.join(GROWTHS)}, got {growth!r}.")
    accounts = accounts or [Account() for _ in probes]
    with model.borrowed():
        searches = [GROWTHS[growth](*parts) for parts in zip(probes, accounts, strict=True)]
        grown = run_searches(
            model, probes, searches, doing="growing", accounts=accounts, on_step=on_step
        )
    return [
        SufficientRegion(*found, growth, "max_passes" if account.was_short else "end")
        for found, account in zip(grown, accounts, strict=True)
    ]


Found = tuple[Tensor, float, float]
"""Region, growth in pixels, Dice."""


def _dilation(probe: Probe, account: Account | None = None) -> Search[Found]:
    distance, views = distance_px(probe.target.region, probe.sampling), probe.num_views_of_growth
    grown, account = distance <= probe.edge_px, account or Account()
    while True:
        if not account.affords(LEAST_SHOWN * views):
            return (yield from _settle(probe, distance, [float(distance.max())], account))
        region = probe.within(grown)
        (reply,) = yield Query([region], hidden=True)
        if probe.suffices(reply):
            (reply,) = yield Query([region], alone=True, hidden=True)
        if probe.suffices(reply) and (yield from holds_on_draws(probe, region, account)):
            return region, float(distance[grown].max()), reply.dice
        if bool(grown.all()):
            raise _never(reply, probe)
        grown = dilate(grown, probe.sampling)


def _first(probe: Probe, account: Account | None = None) -> Search[Found]:
    distance, account = distance_px(probe.target.region, probe.sampling), account or Account()
    views = probe.num_views_of_growth
    growths = _growths(probe, distance, STEP_PX)
    for start in [0, *range(1, len(growths), _STEPS_AT_ONCE)]:
        steps = growths[start : start + _STEPS_AT_ONCE] if start else growths[:1]
        num = account.affordable(len(steps), views, kept=_KEPT * views)
        tried = [probe.within(distance <= step) for step in steps[:num]]
        replies = (yield Query(tried, hidden=True)) if tried else []
        likely = [s for s, reply in zip(steps, replies, strict=False) if probe.suffices(reply)]
        if likely:
            rest = likely + growths[start + len(steps) :]
            return (yield from _settle(probe, distance, rest, account))
        if num < len(steps):
            return (yield from _settle(probe, distance, growths[-1:], account))
    raise _never(replies[-1], probe)


def _bracket(probe: Probe, account: Account | None = None) -> Search[Found]:
    distance, account = distance_px(probe.target.region, probe.sampling), account or Account()
    needed = LEAST_SHOWN * probe.num_views_of_growth
    growths = _growths(probe, distance, 1)
    misses, suffices, step = -1, len(growths) - 1, 0
    while misses < step < suffices and account.affords(needed):
        (reply,) = yield Query([probe.within(distance <= growths[step])], hidden=True)
        if probe.suffices(reply):
            suffices = step
        else:
            misses, step = step, max(1, 2 * step)
    while suffices - misses > 1 and account.affords(needed):
        middle = (misses + suffices) // 2
        (reply,) = yield Query([probe.within(distance <= growths[middle])], hidden=True)
        misses, suffices = (misses, middle) if probe.suffices(reply) else (middle, suffices)
    return (yield from _settle(probe, distance, growths[suffices:], account))


def _steps(probe: Probe, account: Account | None = None) -> Search[Found]:
    distance, account = distance_px(probe.target.region, probe.sampling), account or Account()
    views = probe.num_views_of_growth
    side, farthest = short_side_px(distance.shape, probe.sampling), float(distance.max())
    growths = [probe.edge_px + share * side for share in STEPS]
    growths = [*(g for g in growths if g < farthest), max(farthest, probe.edge_px)]
    for i, growth_px in enumerate(growths[:-1]):
        if not account.affords(LEAST_SHOWN * views):
            break
        (reply,) = yield Query([probe.within(distance <= growth_px)], hidden=True)
        if probe.suffices(reply):
            return (yield from _settle(probe, distance, growths[i:], account))
    return (yield from _settle(probe, distance, growths[-1:], account))


def _jumps(probe: Probe, account: Account | None = None) -> Search[Found]:
    """The least of a few growths that suffices, each shown alone: at most five passes."""
    account, views = account or Account(), probe.num_views_of_growth
    distance = distance_px(probe.target.region, probe.sampling)
    side, farthest = short_side_px(distance.shape, probe.sampling), float(distance.max())
    growths = [probe.edge_px + share * side for share in STEPS]
    growths = [growth_px for growth_px in growths if growth_px < farthest]
    found: Found | None = None
    misses, suffices, step = -1, len(growths), 0
    for num_shown in range(1 + _JUMPS):
        if not misses < step < suffices or not account.affords(_KEPT * views):
            break
        region = probe.within(distance <= growths[step])
        (reply,) = yield Query([region], alone=True, hidden=True)
        if probe.suffices(reply) and (yield from holds_on_draws(probe, region, account)):
            suffices, found = step, (region, growths[step], reply.dice)
        else:
            misses = step
        step = (misses + suffices) // 2
        if num_shown == 0:
            first = _FIRST_IF_NEARLY if reply.dice >= _NEARLY else _FIRST_JUMP
            step = min(first, len(growths) - 1)
    if found is not None:
        return found
    growth_px = max(farthest, probe.edge_px)
    region = probe.within(distance <= growth_px)
    (reply,) = yield Query([region], alone=True, hidden=True)
    if not probe.suffices(reply):
        raise _never(reply, probe)
    return region, growth_px, reply.dice


def _settle(
    probe: Probe, distance: Tensor, growths: list[float], account: Account
) -> Search[Found]:
    """The first of these growths that suffices when shown alone; the last is the whole image."""
    for growth_px in growths:
        is_last = growth_px == growths[-1]
        if not is_last and not account.affords(_KEPT * probe.num_views_of_growth):
            continue
        region = probe.within(distance <= growth_px)
        (reply,) = yield Query([region], alone=True, hidden=True)
        if not probe.suffices(reply):
            continue
        if is_last or (yield from holds_on_draws(probe, region, account)):
            return region, growth_px, reply.dice
    raise _never(reply, probe)


def _growths(probe: Probe, distance: Tensor, step_px: int) -> list[float]:
    """The growths to try, in pixels: from the edge's width in steps until the image is full."""
    farthest = float(distance.max())
    growths: list[float] = [probe.edge_px]
    while growths[-1] < farthest:
        growths.append(growths[-1] + step_px)
    return growths


def _never(reply: Reply, probe: Probe) -> InputError:
    if reply.dice >= probe.dice_threshold:
        return InputError(
            f"expected the target to be lost when the whole image is hidden, its Dice is then "
            f"{reply.excess_dice + probe.max_hidden_dice:.3f}. The model draws it without seeing "
            "anything, so no region is needed: leave out max_hidden_dice."
        )
    return InputError(
        f"expected the whole image to reach a Dice of "
        f"{probe.dice_threshold:g} with the target, it reaches {reply.dice:.3f}. The target is "
        "not what the model predicts: take it with predicted_target, or lower the dice_threshold."
    )


GROWTHS: dict[str, Callable[..., Search[Found]]] = {
    "dilation": _dilation,
    "first": _first,
    "bracket": _bracket,
    "steps": _steps,
    "jumps": _jumps,
}
