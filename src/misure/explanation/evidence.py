"""Evidence: whether a region speaks for the target by its content, or by its outline alone.

The region is shown as before, but with its content replaced (see `content_controls`): by its own
mean colour and by noise (*silhouette Dice*), and by another image (*transfer Dice*). A model that
still predicts the target does not read what the region shows of the image: weak evidence.
With the baseline image `filled` a region of one colour fills the whole image, and has no outline.

A region may also lean on one baseline image. So it is shown on the others too, each in one pass.
And it may hold by chance at this pixel alone. So it is shown under small changes that no search has
seen (see `changes`).

Part of the growth in stage 1 only repairs the damage of a hard edge and a flat colour. So
`sufficiency_by_presentation` grows the target in each of several presentations; growth that one of
them does without was not context.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from torch import Tensor

from misure._util.progress import OnStep
from misure._util.records import Record
from misure.errors import InputError
from misure.explanation.changes import Change
from misure.explanation.content_controls import CONTENT_CONTROLS
from misure.explanation.growth import GROWTHS, Found
from misure.explanation.presentation import Presentation, make_presentation
from misure.explanation.probe import Account, Probe, Search
from misure.explanation.run_searches import run_searches
from misure.explanation.show import try_regions
from misure.images.regions import area_fraction
from misure.images.spacing import in_mm, short_side_px
from misure.models.model import SegmentationModel

COMPARED_BASELINE_IMAGES = ("mean", "blurred", "noise", "filled")
"""Baseline images on which every minimal region is shown; one flat colour stands for all."""

_COMPARED_EDGE = 1 / 64  # of the short side

SHOWN_CHANGES = ("shift", "noise", "soft_edge")
"""Kinds of small changes under which every minimal region is shown (see `changes`)."""

PASSES_OF_SMALL_CHANGES = len(SHOWN_CHANGES) + 2
"""Passes with one presentation: those that the region takes, and the whole image where it moves."""

NUM_COMPARED = 2 * len(COMPARED_BASELINE_IMAGES)
"""Presentations that are compared: each baseline image with a hard edge and with a soft one."""


def content_dices(
    model: SegmentationModel, probe: Probe, region: Tensor, account: Account | None = None
) -> dict[str, float]:
    """Dice of the target for each of `CONTENT_CONTROLS`, in [0, 1], in the first presentation.

    An empty region has no content, so all are the Dice when the model sees nothing.

    Args:
        model: the model that is shown the region.
        probe: the target, how regions are shown, and the contents.
        region: (*spatial) bool.
        account: where the passes are counted.
    """
    if probe.content_controls is None:
        return {}
    first = probe.presentations[0]
    return {
        content: _dice(
            model,
            probe,
            replace(first, image=probe.content_controls.replace(content, region)),
            region,
            account,
        )
        for content in CONTENT_CONTROLS
    }


def other_baseline_images(names: Iterable[str]) -> list[str]:
    """The `COMPARED_BASELINE_IMAGES` that are not among these."""
    return [kind for kind in COMPARED_BASELINE_IMAGES if kind not in set(names)]


def dice_by_presentation(
    model: SegmentationModel,
    probe: Probe,
    presentations: Sequence[Presentation],
    region: Tensor,
    account: Account | None = None,
) -> dict[str, float]:
    """Dice of the target, in [0, 1], for each presentation of the region, by its name.

    Args:
        model: the model that is shown the region.
        probe: the target.
        presentations: ways in which the region is shown.
        region: (*spatial) bool.
        account: where the passes are counted.
    """
    return {
        presentation.name: _dice(model, probe, presentation, region, account)
        for presentation in presentations
    }


def hidden_dice(
    model: SegmentationModel, probe: Probe, region: Tensor, account: Account | None = None
) -> float | None:
    """Dice of the target, in [0, 1], when a region (*spatial) bool is hidden and all else shown.

    None if the probe does not ask for it.
    """
    if probe.hidden_presentation is None:
        return None
    question = replace(probe.question, hides=not probe.question.hides)
    asked = replace(probe, question=question, hidden_presentation=None)
    return _dice(model, asked, probe.hidden_presentation, region, account)


def dice_under_small_changes(
    model: SegmentationModel, probe: Probe, region: Tensor, account: Account | None = None
) -> tuple[dict[str, float], dict[str, float]]:
    """Dice of the target, in [0, 1], under a small change of each kind of `SHOWN_CHANGES`.

    The changes are those held out of every search; with several presentations the least counts.

    Args:
        model: the model that is shown the region.
        probe: the target, and its small changes.
        region: (*spatial) bool.
        account: where the passes are counted.

    Returns:
        The Dice of the region by kind; and that of the whole image, for changes that move it. The
        latter is empty if the region is hidden, for nothing is required of it then.
    """
    held_out = probe.changes.held_out
    kinds = [kind for kind in SHOWN_CHANGES if kind in held_out]
    dices = {kind: _dice_after(model, probe, held_out[kind], region, account) for kind in kinds}
    of_whole_image = {
        kind: _dice_after(model, probe, held_out[kind], probe.whole_image(), account)
        for kind in kinds
        if held_out[kind].moves_whole_image and not probe.question.hides
    }
    return dices, of_whole_image


def _dice_after(
    model: SegmentationModel,
    probe: Probe,
    change: Change,
    region: Tensor,
    account: Account | None,
) -> float:
    """Dice of the target when a region is shown after a small change."""
    replies = try_regions(model, [(probe.under(change), probe.region_under(change, region))])
    if account is not None:
        account.add(replies)
    return replies[0].dice


def _dice(
    model: SegmentationModel,
    probe: Probe,
    presentation: Presentation,
    region: Tensor,
    account: Account | None,
) -> float:
    """Dice of the target when the region is shown in one presentation."""
    replies = try_regions(model, [(replace(probe, presentations=(presentation,)), region)])
    if account is not None:
        account.add(replies)
    return replies[0].dice


class PresentedSufficiency(Record, frozen=True, kw_only=True):
    """What a target needs to be shown when removed pixels are presented in one way.

    Attributes:
        baseline_image: name of what stands where pixels are removed.
        edge_px: width of the soft edge.
        growth_px: how far the sufficient region reaches beyond the target in this presentation; at
            least `edge_px`, which means no growth.
        area_fraction, dice: of that region.
        passes: forward passes that finding it took; they are part of the explanation's cost.
        growth_mm: the growth in millimetres; None if the spacing is not known.
    """

    baseline_image: str
    edge_px: int
    growth_px: float
    area_fraction: float
    dice: float
    passes: int
    growth_mm: float | None = None


def sufficiency_by_presentation(
    model: SegmentationModel,
    probes: Sequence[Probe],
    *,
    growth: str,
    seed: int = 0,
    accounts: Sequence[Account] | None = None,
    on_step: OnStep | None = None,
) -> list[list[PresentedSufficiency]]:
    """For each probe, what its target needs in each of eight presentations.

    The four `COMPARED_BASELINE_IMAGES`, each with a hard edge and with a soft edge of 1/64 of the
    short side. A presentation in which even the whole image misses the threshold is
    left out, and one whose search does not end within its part of the budget.

    Args:
        model: the model to explain.
        probes: targets; only the image of their own presentations is used.
        growth: the search (see `find_sufficient_regions`).
        seed: of the baseline image `noise`.
        accounts: for each probe, where the passes are counted; its limit is shared out equally.
        on_step: called once a round.
    """
    made: dict[tuple[int, str], Presentation] = {}
    apart: list[tuple[int, Probe]] = []
    for i, probe in enumerate(probes):
        image = probe.presentations[0].image
        soft_px = max(1, round(_COMPARED_EDGE * short_side_px(image.shape[1:], probe.sampling)))
        for kind in COMPARED_BASELINE_IMAGES:
            if (id(image), kind) not in made:
                hard = make_presentation(
                    model, image, baseline_image=kind, seed=seed, spacing_mm=probe.spacing_mm
                )
                made[id(image), kind] = hard
            for edge_px in (0, soft_px):
                shown = (replace(made[id(image), kind], edge_px=edge_px),)
                alone = replace(
                    probe,
                    presentations=shown,
                    excluded_contents=(),
                    hidden_presentation=None,
                    draws=None,
                )
                apart.append((i, alone))
    accounts = accounts or [Account() for _ in probes]
    parts = [Account(limit=_share(accounts[i])) for i, _ in apart]
    searches = [
        _or_none(GROWTHS[growth](probe, part), part)
        for (_, probe), part in zip(apart, parts, strict=True)
    ]
    results = run_searches(
        model,
        [probe for _, probe in apart],
        searches,
        doing="comparing",
        accounts=parts,
        on_step=on_step,
    )
    by_probe: list[list[PresentedSufficiency]] = [[] for _ in probes]
    for (i, probe), grown, part in zip(apart, results, parts, strict=True):
        accounts[i].cost.forward_passes += part.cost.forward_passes
        if grown is not None:
            region, growth_px, dice = grown
            by_probe[i].append(
                PresentedSufficiency(
                    baseline_image=probe.presentations[0].name,
                    edge_px=probe.edge_px,
                    growth_px=growth_px,
                    area_fraction=area_fraction(region),
                    dice=dice,
                    passes=part.cost.forward_passes,
                    growth_mm=in_mm(growth_px, probe.spacing_mm),
                )
            )
    return by_probe


def _share(account: Account) -> int | None:
    """The part of what is left of a budget that one presentation may spend."""
    if account.limit is None:
        return None
    return max(0, account.passes_left(account.limit)) // NUM_COMPARED


def _or_none(search: Search[Found], account: Account) -> Search[Found | None]:
    """What a search of stage 1 finds; None if even the whole image misses the threshold.

    None too if its budget ended it: a larger region than needed would be no answer.
    """
    try:
        found = yield from search
    except InputError:
        return None
    return None if account.was_short else found
