"""Further reasons: regions apart from the first that suffice for the same target.

A sufficient region is one reason. All else is shown, without the regions found so far: if the model
still draws the target, there is room for another reason, and it is searched for outside them.

Most networks need some pixels of the target itself, whatever else they look at. So where nothing
suffices without the first region, its part outside the target alone is left out: reasons are then
apart in the surroundings, and share the target. If the target is not drawn without that part
either, no other reason was searched for, and that is the answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from misure._util.drawing import Pictured
from misure._util.progress import OnStep, shown_progress
from misure._util.records import Count, Fraction, Record
from misure._util.seeds import seed_device
from misure._util.short_repr import ShortRepr
from misure._util.words import counted, share
from misure.errors import InputError, entrance
from misure.explanation.explain import choose_preset
from misure.explanation.explanation import Explanation
from misure.explanation.growth import GROWTHS, SufficientRegion
from misure.explanation.pipeline import Explainer
from misure.explanation.presets import Preset
from misure.explanation.probe import Account, Probe, Query, Search
from misure.explanation.record import CostRecord
from misure.explanation.reduction import SearchingReduction
from misure.explanation.run_searches import run_searches
from misure.images.regions import area_fraction, component_numbers
from misure.models.given_target import as_asked
from misure.models.inputs import AnyImage
from misure.models.model import SegmentationModel
from misure.models.target import Target

_LEAST_PASSES = 8  # for one more reason, besides what accepting it takes


class ReasonRecord(Record, frozen=True, kw_only=True):
    """One sufficient region of several.

    Attributes:
        area_fraction: of the image, in [0, 1].
        dice: with the target when the model sees this region alone.
        dice_without: with the target when all is shown but this region, or but its part outside the
            target if reasons share that.
        num_parts: connected parts.
        is_reduced: whether it is smaller than what it was searched in.
    """

    area_fraction: Fraction
    dice: Fraction
    dice_without: Fraction
    num_parts: Count
    is_reduced: bool


class ReasonsRecord(Record, frozen=True, kw_only=True):
    """The reasons that were found for a target.

    Attributes:
        reasons: the first is the explanation's own region; all are apart from each other.
        share_target: whether they are apart in the surroundings of the target only.
        dice_of_rest: with the target when all is shown but the reasons, or but their parts outside
            the target if they share that.
        stopped_by: `rest`: without these reasons the target is not drawn, so no other was searched
            for; `max_reasons` or `max_passes`; `empty`: the first reason is the empty region.
        cost: passes and seconds, besides those of the explanation.
    """

    reasons: list[ReasonRecord]
    share_target: bool
    dice_of_rest: Fraction
    stopped_by: str
    cost: CostRecord


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Reasons(Pictured, ShortRepr):
    """Regions that suffice for one target, each by itself and apart from the others.

    Attributes:
        regions: (*spatial) bool each, in the order in which they were found.
        values: everything else.
        target: of which they are reasons.
        image: (C, *spatial) float on the CPU, the image that was asked about.
    """

    regions: list[Tensor]
    values: ReasonsRecord
    target: Target = field(repr=False)
    image: Tensor | None = field(default=None, compare=False, repr=False)

    @property
    def sentence(self) -> str:
        """How many reasons there are, in one sentence with its figures."""
        return reasons_sentence(self.values)


@entrance("find_reasons")
def find_reasons(
    model: SegmentationModel | nn.Module,
    image: AnyImage,
    explanation: Explanation,
    *,
    max_reasons: int = 3,
    max_passes: int | None = None,
    on_step: OnStep | None = None,
    progress: bool | None = None,
    class_names: str | Sequence[str] = (),
) -> Reasons:
    """Sufficient regions apart from that of an explanation, found by the same preset.

    Args:
        model: the model that was explained.
        image: (C, *spatial) float, the image that was explained, or what stands for it.
        explanation: its minimally sufficient region is the first reason.
        max_reasons: reasons at most, the first included.
        max_passes: pass equivalents at most, in all; None: as many as each search usually takes.
        on_step: called with progress: what is being done, steps done, steps in all or None.
        progress: whether a bar is shown (see `explain`).
        class_names: of a torch module (see `explain`).

    Raises:
        InputError: an explanation with a baseline image that was given as a tensor, by a preset
            without a search of its own (`paper`, `sufficient_region`), or of another image.
        ModelError: the network fails.
    """
    check_max_reasons(max_reasons)
    if max_passes is not None and max_passes < 2:
        raise InputError(f"expected max_passes of 2 or more, got {max_passes}.")
    model, pixels, _ = as_asked(model, image, explanation.target, class_names=class_names)
    settings = explanation.settings | {
        "max_passes": None,
        "max_hidden_dice": 1.0,
        "channels": "together",
    }
    chosen = choose_preset(model, explanation.preset, settings)
    reduction = chosen.search("an explanation by a preset that searches")
    spacing = explanation.values.spacing_mm
    explainer = Explainer(
        model=model,
        preset=chosen,
        dice_threshold=explanation.dice_threshold,
        seed=explanation.values.seed,
        spacing_mm=None if spacing is None else tuple(spacing),
        on_step=None,
    )
    first = explanation.minimally_sufficient_region.to(model.device)
    account = Account(limit=max_passes)
    with (
        torch.inference_mode(False),
        model.borrowed(),
        model.counting() as spent,
        shown_progress(progress, on_step, spent, max_passes) as told,
    ):
        seed_device(model.device, explanation.values.seed)  # undone by `borrowed`
        (probe,) = explainer.probes([pixels], [explanation.target], [account])
        own = first, explanation.dice, explanation.is_reduced
        search = _search(probe, chosen, reduction, own, max_reasons, account)
        (found,) = run_searches(
            model, [probe], [search], doing="other reasons", accounts=[account], on_step=told
        )
    return Reasons(
        regions=[region.cpu() for region, *_ in found.reasons],
        values=ReasonsRecord(
            reasons=[
                ReasonRecord(
                    area_fraction=area_fraction(region),
                    dice=dice,
                    dice_without=without,
                    num_parts=int(component_numbers(region.cpu()).max()),
                    is_reduced=is_reduced,
                )
                for region, dice, is_reduced, without in found.reasons
            ],
            share_target=found.share_target,
            dice_of_rest=found.dice_of_rest,
            stopped_by=found.stopped_by,
            cost=CostRecord.of(spent),
        ),
        target=explanation.target,
        image=pixels.cpu(),
    )


def check_max_reasons(max_reasons: int) -> None:
    """Raises an InputError unless it is a number of 1 or more."""
    if not isinstance(max_reasons, int) or max_reasons < 1:
        raise InputError(f"expected max_reasons of 1 or more, got {max_reasons!r}.")


@dataclass(frozen=True, eq=False)
class _Found:
    """Regions with their Dice when shown, whether reduced, their Dice when all else is shown."""

    reasons: list[tuple[Tensor, float, bool, float]]
    share_target: bool
    dice_of_rest: float
    stopped_by: str


def _search(
    probe: Probe,
    preset: Preset,
    reduction: SearchingReduction,
    first: "_Reason",
    max_reasons: int,
    account: Account,
) -> Search[_Found]:
    """More and more reasons, as long as the rest of the image suffices without them."""
    found, stopped_by, rest = [first], "", 0.0
    target, share_target = probe.target.region, False
    while not stopped_by:
        taken = torch.stack([region for region, *_ in found]).any(0)
        if share_target:
            taken = taken & ~target
        (reply,) = yield Query([~taken], alone=True)
        rest = reply.dice
        if not bool(first[0].any()):
            stopped_by = "empty"
        elif not probe.suffices(reply):
            is_shareable = bool((taken & target).any()) and bool((taken & ~target).any())
            if len(found) == 1 and not share_target and is_shareable:
                share_target = True
            else:
                stopped_by = "rest"
        elif len(found) == max_reasons:
            stopped_by = "max_reasons"
        elif not account.affords(_LEAST_PASSES + probe.passes_of_accepting + len(found) + 2):
            stopped_by = "max_passes"
        else:
            apart = replace(probe, forbidden=taken)
            another = yield from _next(apart, preset, reduction, len(found), account)
            found.append(another)
    withouts = [rest]
    if len(found) > 1:
        parts = [region & ~target if share_target else region for region, *_ in found]
        replies = yield Query([~part for part in parts])
        withouts = [reply.dice for reply in replies]
    reasons = [(*one, without) for one, without in zip(found, withouts, strict=True)]
    return _Found(reasons, share_target, rest, stopped_by)


def _next(
    probe: Probe,
    preset: Preset,
    reduction: SearchingReduction,
    num_found: int,
    account: Account,
) -> Search["_Reason"]:
    """Another region that suffices, both stages, within its share of the budget."""
    limit = account.cost.pass_equivalents + reduction.usual_passes
    limited = replace(  # both accounts count together, for they share their cost
        account,
        limit=limit if account.limit is None else min(limit, account.limit),
        reserved_passes=probe.passes_of_accepting + num_found + 2,
        was_short=False,
    )
    grown = yield from GROWTHS[preset.growth](probe, limited)
    start = SufficientRegion(*grown, preset.growth)
    small = yield from reduction.search(probe, start, limited)
    return small.region, small.dice, int(small.region.sum()) < int(start.region.sum())


_Reason = tuple[Tensor, float, bool]
"""A region, its Dice when it is shown alone, and whether it was reduced."""


def reasons_sentence(record: ReasonsRecord) -> str:
    """How many reasons there are, in one sentence with its figures.

    Args:
        record: what was found.
    """
    number, rest = len(record.reasons), record.dice_of_rest
    hidden = "its part outside the target hidden" if record.share_target else "it hidden"
    if record.stopped_by == "empty":
        return "The target is drawn from nothing, so there is no reason in the image."
    if number == 1 and record.stopped_by == "rest":
        return (
            f"No other reason was searched for, because with {hidden} and all else shown, the Dice "
            f"is {rest:.2f}."
        )
    if number == 1:
        return (
            f"Other reasons are possible, but were not searched for ({record.stopped_by}): with "
            f"{hidden} and all else shown, the Dice is {rest:.2f}."
        )
    others = record.reasons[1:]
    if not any(reason.is_reduced for reason in others):
        return (
            f"With {hidden}, the rest of the image still suffices (Dice {others[-1].dice:.2f}); no "
            f"smaller reason was found there within "
            f"{counted(record.cost.pass_equivalents, 'pass equivalent')}."
        )
    areas = ", ".join(share(reason.area_fraction) for reason in record.reasons)
    least = min(reason.dice_without for reason in record.reasons)
    apart = "apart outside the target" if record.share_target else "without a common pixel"
    what = "the part outside the target of" if record.share_target else ""
    any_one, all_of = f"{what} any one of them".strip(), f"{what} all of them".strip()
    return (
        f"There are at least {number} reasons: regions {apart} that suffice, each shown alone "
        f"({areas} of the image). With {any_one} hidden, the Dice is at least {least:.2f}; with "
        f"{all_of} hidden, {rest:.2f}."
    )
