"""Finding hidden regions: necessary and blocking ones (see `hidden`)."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from misure._util.progress import OnStep, shown_progress
from misure._util.seeds import seed_device
from misure._version import __version__
from misure.errors import InputError, entrance
from misure.explanation.acceptance import holds_on_draws
from misure.explanation.answers.classes_there import PASSES_OF_CLASSES, classes_there
from misure.explanation.answers.hidden import ON_ONE_FILL, HiddenRegion, HiddenRegionRecord
from misure.explanation.evidence import (
    SHOWN_CHANGES,
    dice_by_presentation,
    dice_under_small_changes,
    other_baseline_images,
)
from misure.explanation.explain import choose_preset
from misure.explanation.growth import GROWTHS, SufficientRegion
from misure.explanation.pipeline import Explainer, with_seconds
from misure.explanation.presets import DEFAULT_PRESET, Preset, make_preset
from misure.explanation.probe import Account, Probe, Query, Search
from misure.explanation.question import BLOCKING, NECESSARY, NECESSARY_OUTSIDE, Question
from misure.explanation.record import CostRecord, TargetRecord
from misure.explanation.reduction import SearchingReduction
from misure.explanation.reductions.gradient import GradientReduction
from misure.explanation.removal import Minimality, measure_minimality
from misure.explanation.robust.measured import passes_for
from misure.explanation.run_searches import run_searches
from misure.images.regions import area_fraction, component_numbers, distance_px
from misure.images.spacing import check_spacing, short_side_px
from misure.models.given_target import AnyTarget, as_asked
from misure.models.inputs import AnyImage
from misure.models.model import SegmentationModel
from misure.models.target import Target

_SOME_GROWTHS = (0, 1 / 32, 1 / 8, 1 / 4)  # of the short side
_NUM_DRAWS = 3  # of other fills: blurred, noise and flat, once each
_LEAST_PASSES = 8  # besides what is reserved: nothing hidden, everything, and some regions


@entrance("necessary_region")
def necessary_region(
    model: SegmentationModel | nn.Module,
    image: AnyImage,
    target: AnyTarget,
    *,
    lost_dice: float = 0.5,
    outside_target: bool = False,
    preset: str | None = None,
    seed: int = 0,
    spacing_mm: Sequence[float] | None = None,
    other_images: Sequence[Tensor] = (),
    on_step: OnStep | None = None,
    progress: bool | None = None,
    class_names: str | Sequence[str] = (),
    **options: Any,
) -> HiddenRegion:
    """The smallest region found that, hidden, loses a target; all else is shown.

    It was hidden by itself, and the Dice fell to `lost_dice` or less. If the model draws the target
    even when everything is hidden, or no such region is found, `is_found` is False.

    Args:
        model: the model to explain, or a torch module that takes images as they are.
        image: (C, *spatial) float, or what stands for it (see `as_image`).
        target: what is to be lost (see `predicted_target`); or a class, or a mask (*spatial) of
            bool (see `as_target`).
        lost_dice: Dice down to which the target counts as lost, in [0, 1).
        outside_target: hide no pixel of the target: what of its surroundings is needed?
        preset: name of the preset whose search is used (see `PRESETS`); by default `readable`.
        seed: seed of all noise.
        spacing_mm: sides of a pixel or voxel along each axis; None: they are equal.
        other_images: among the baseline images of `robust` (see `misure.robustness`).
        on_step: called with progress: what is being done, steps done, steps in all or None.
        progress: whether a bar is shown (see `explain`).
        class_names: of a torch module (see `explain`).
        options: options of the preset to change, such as `max_passes=100`. The baseline image is
            `filled` if none is named: what is hidden is filled in from what is shown, for a patch
            of one colour would be a new object in the image. It has to be lost on a blurred, a
            noisy and a flat one, too (`num_draws`).

    Raises:
        InputError: bad arguments, or a preset whose search finds sufficient regions only.
        ModelError: the network fails.
    """
    model, pixels, asked = as_asked(model, image, target, class_names=class_names)
    most = _usual_passes(preset, options)
    with model.counting() as cost, shown_progress(progress, on_step, cost, most) as told:
        return find_hidden_regions(
            model,
            pixels,
            [asked],
            NECESSARY_OUTSIDE if outside_target else NECESSARY,
            threshold=lost_dice,
            preset=preset,
            seed=seed,
            spacing_mm=spacing_mm,
            other_images=other_images,
            on_step=told,
            **options,
        )[0]


@entrance("blocking_region")
def blocking_region(
    model: SegmentationModel | nn.Module,
    image: AnyImage,
    target: Target,
    *,
    drawn_dice: float = 0.7,
    preset: str | None = None,
    seed: int = 0,
    spacing_mm: Sequence[float] | None = None,
    other_images: Sequence[Tensor] = (),
    on_step: OnStep | None = None,
    progress: bool | None = None,
    class_names: str | Sequence[str] = (),
    **options: Any,
) -> HiddenRegion:
    """The smallest region found that, hidden, makes the model draw what it missed.

    It was hidden by itself, and the Dice rose to `drawn_dice` or more. If no such region is
    found, `is_found` is False: within its budget, the search saw nothing that stands in the way.

    Args:
        model: the model to explain, or a torch module that takes images as they are.
        image: (C, *spatial) float, or what stands for it (see `as_image`).
        target: what the model should have drawn (see `missed_target`).
        drawn_dice: Dice from which the target counts as drawn, in (0, 1]. It is lower than the
            threshold of `explain`, for a network seldom draws just the outline of an annotation.
        preset: name of the preset whose search is used (see `PRESETS`); by default `readable`.
        seed: seed of all noise.
        spacing_mm: sides of a pixel or voxel along each axis; None: they are equal.
        other_images: among the baseline images of `robust` (see `misure.robustness`).
        on_step: called with progress: what is being done, steps done, steps in all or None.
        progress: whether a bar is shown (see `explain`).
        class_names: of a torch module (see `explain`).
        options: options of the preset to change, such as `max_passes=100`; the baseline image is
            `filled` if none is named, as of `necessary_region`.

    Raises:
        InputError: bad arguments, a preset whose search finds sufficient regions only, or a target
            that the model draws already.
        ModelError: the network fails.
    """
    model, pixels, asked = as_asked(model, image, target, class_names=class_names)
    most = _usual_passes(preset, options)
    with model.counting() as cost, shown_progress(progress, on_step, cost, most) as told:
        return find_hidden_regions(
            model,
            pixels,
            [asked],
            BLOCKING,
            threshold=drawn_dice,
            preset=preset,
            seed=seed,
            spacing_mm=spacing_mm,
            other_images=other_images,
            on_step=told,
            **options,
        )[0]


def find_hidden_regions(
    model: SegmentationModel,
    image: Tensor,
    targets: Sequence[Target],
    question: Question,
    *,
    threshold: float,
    preset: str | None = None,
    seed: int = 0,
    spacing_mm: Sequence[float] | None = None,
    other_images: Sequence[Tensor] = (),
    on_step: OnStep | None = None,
    **options: Any,
) -> list[HiddenRegion]:
    """The hidden region of each of several targets of one image, worked on in common batches.

    Args:
        model: the model to explain.
        image: (C, *spatial) float.
        targets: what is to be lost, or to be drawn.
        question: `NECESSARY`, `NECESSARY_OUTSIDE` or `BLOCKING`.
        threshold: Dice down to which a target counts as lost, or from which it counts as drawn.
        preset, seed, spacing_mm, other_images, on_step, options: as of `necessary_region`.

    Raises:
        InputError, ModelError: as of `necessary_region` and `blocking_region`.
    """
    usual = {"baseline_image": "filled", "num_draws": _NUM_DRAWS, "thresholds": []}
    if options.get("channels", "together") != "together":
        raise InputError(
            "expected channels=together for a region that is hidden, got "
            f"{options['channels']!r}: for sufficient regions only."
        )
    chosen = choose_preset(model, preset, usual | options)
    reduction = chosen.search("a preset whose search can hide regions")
    _check_hideable(chosen)
    if isinstance(reduction, GradientReduction):  # alone it would stay near where it begins
        reduction = replace(reduction, after_readable=True)
        chosen = replace(chosen, reduction=reduction)
    explainer = Explainer(
        model=model,
        preset=chosen,
        dice_threshold=float(threshold),
        seed=seed,
        spacing_mm=check_spacing(spacing_mm, image.ndim - 1),
        on_step=on_step,
        other_images=other_images,
    )
    start = time.perf_counter()
    with torch.inference_mode(False), model.borrowed():
        seed_device(model.device, seed)  # undone by `borrowed`
        accounts = [_account(chosen, question) for _ in targets]
        probes = list(explainer.probes([image] * len(targets), targets, accounts, question))
        searches = [
            _search(probe, chosen, reduction, explainer.minimality_cell_px(probe), account)
            for probe, account in zip(probes, accounts, strict=True)
        ]
        found = run_searches(
            model, probes, searches, doing="hiding", accounts=accounts, on_step=on_step
        )
        on_cpu = image.cpu()
        regions = [
            replace(_put_together(explainer, *parts), image=on_cpu)
            for parts in zip(probes, found, accounts, strict=True)
        ]
    return with_seconds(regions, time.perf_counter() - start)


def _usual_passes(preset: str | None, options: Mapping[str, Any]) -> int | None:
    """Pass equivalents that a search for a region to hide may take, or takes as a rule."""
    return make_preset(preset or DEFAULT_PRESET, {**options, "thresholds": []}).about_passes


def _check_hideable(preset: Preset) -> None:
    """Raises an InputError for options that mean nothing for a region that is hidden."""
    asked = {
        "one_minimal": preset.one_minimal,
        "compare_presentations": preset.compare_presentations,
        "max_content_dice": preset.max_content_dice < 1,
        "max_hidden_dice": preset.asks_hidden,
    }
    if wrong := [option for option, is_asked in asked.items() if is_asked]:
        raise InputError(
            f"expected options for a region that is hidden, got {' and '.join(wrong)}: for "
            "sufficient regions only."
        )


@dataclass(frozen=True, eq=False)
class _Found:
    """What a search came to.

    Attributes:
        with_nothing, with_all: Dice with nothing hidden, and with everything.
        region: (*spatial) bool, what is hidden; None: nothing was found.
        dice: with the target when it is hidden.
        grain_px, stopped_by: as of `MinimallySufficientRegion`.
        minimality: how far it can still be reduced.
    """

    with_nothing: float
    with_all: float
    region: Tensor | None = None
    dice: float | None = None
    grain_px: int = 1
    stopped_by: str = "end"
    minimality: Minimality | None = None


def _account(preset: Preset, question: Question) -> Account:
    """The account of a target: what follows the search is reserved."""
    names = preset.names_of_baseline_images
    num_ways, num_others = len(names), len(other_baseline_images(names))
    evidence = num_others + num_ways * ((num_ways > 1) + len(SHOWN_CHANGES))
    evidence += PASSES_OF_CLASSES if question == BLOCKING else 0
    tests = preset.num_minimality_tests * num_ways
    following = evidence + tests + passes_for(preset.robust)
    account = Account(
        reserved_passes=preset.passes_of_accepting + following, limit=preset.max_passes
    )
    least = account.reserved_passes + _LEAST_PASSES * num_ways
    if account.limit is not None and account.limit < least:
        raise InputError(
            f"expected max_passes of {least} or more for hidden regions with these settings, got "
            f"{account.limit}. num_minimality_tests=0 takes less."
        )
    return account


def _search(
    probe: Probe,
    preset: Preset,
    reduction: SearchingReduction,
    cell_px: int,
    account: Account,
) -> Search[_Found]:
    """Nothing hidden, everything hidden, then both stages as for sufficient regions."""
    nothing, everything = probe.whole_image(), probe.within(~probe.whole_image())
    (before,) = yield Query([nothing], alone=True)
    (after,) = yield Query([everything], alone=True)
    outcome = _Found(before.dice, after.dice)
    if probe.suffices(before):
        expected, other = (
            ("a target that the model draws", "blocking_region asks about what it missed")
            if probe.question.loses
            else (
                "a target that the model does not draw",
                "necessary_region explains what is drawn",
            )
        )
        raise InputError(
            f"expected {expected}, it reaches a Dice of {before.dice:.3f} with the whole image. "
            f"{other}."
        )
    if probe.question.loses and probe.suffices(after):
        if not (yield from holds_on_draws(probe, everything, account)):
            return replace(outcome, stopped_by=ON_ONE_FILL)
        grown = yield from GROWTHS[preset.growth](probe, account)
        start = SufficientRegion(*grown, preset.growth)
    elif probe.question.loses:
        some = yield from _some_growth(probe)
        if some is None:
            return outcome
        start = SufficientRegion(*some, preset.growth)
    else:
        around = ~probe.target.region
        (reply,) = yield Query([around], alone=True)
        if not probe.suffices(reply):
            around, reply = everything, after
        start = SufficientRegion(around, 0.0, reply.dice, preset.growth)
    account.was_short = False
    found = yield from reduction.search(probe, start, account)
    falls_short = probe.score(found.dice) < probe.score_threshold  # what it fell back on
    if falls_short or not (yield from holds_on_draws(probe, found.region)):
        return replace(outcome, stopped_by=found.stopped_by)
    minimality = None
    if preset.num_minimality_tests:
        num_tests = preset.num_minimality_tests
        minimality = yield from measure_minimality(probe, found.region, cell_px, num_tests)
    return replace(
        outcome,
        region=found.region,
        dice=found.dice,
        grain_px=found.grain_px,
        stopped_by=found.stopped_by,
        minimality=minimality,
    )


def _some_growth(probe: Probe) -> Search[tuple[Tensor, float, float] | None]:
    """The first of a few growths that loses the target, though hiding everything does not.

    A network may draw from nothing what it does not draw without the target's own pixels.
    """
    distance = distance_px(probe.target.region, probe.sampling)
    side = short_side_px(distance.shape, probe.sampling)
    for growth_px in [probe.edge_px + share * side for share in _SOME_GROWTHS]:
        region = probe.within(distance <= growth_px)
        if bool(region.any()):
            (reply,) = yield Query([region], alone=True)
            if probe.suffices(reply):
                return region, growth_px, reply.dice
    return None


def _put_together(
    explainer: Explainer, probe: Probe, found: _Found, account: Account
) -> HiddenRegion:
    """The hidden region with its evidence, which is shown here."""
    model, preset, robust = explainer.model, explainer.preset, None
    by_name: dict[str, float] = {}
    on_others: dict[str, float] = {}
    under_changes: dict[str, float] = {}
    region = torch.zeros_like(probe.target.region)
    if found.region is not None:
        region, ways = found.region, probe.presentations
        by_name = (
            dice_by_presentation(model, probe, ways, region, account)
            if len(ways) > 1
            else {ways[0].name: float(found.dice or 0)}
        )
        on_others = dice_by_presentation(model, probe, probe.other_presentations, region, account)
        under_changes, _ = dice_under_small_changes(model, probe, region, account)
        robust = explainer.robustness(probe, region, account)
    classes = {} if probe.question != BLOCKING else _classes(model, probe, found, account)
    settings, target, num = preset.settings(), probe.target.to("cpu"), int(region.sum())
    values = HiddenRegionRecord(
        misure_version=__version__,
        question=probe.question.name,
        outside_target=probe.question.outside,
        image="",
        model=model.name,
        preset=preset.name,
        baseline_image=settings["baseline_image"],
        threshold=probe.dice_threshold,
        seed=probe.seed,
        target=TargetRecord.of(target, probe.spacing_mm),
        is_found=found.region is not None,
        dice=found.dice,
        dice_with_nothing_hidden=found.with_nothing,
        dice_with_all_hidden=found.with_all,
        area_fraction=area_fraction(region),
        relative_area=num / int(target.region.sum()),
        outside_target_fraction=int((region & ~probe.target.region).sum()) / max(1, num),
        dice_by_baseline_image=by_name,
        dice_on_other_baseline_images=on_others,
        dice_under_small_changes=under_changes,
        grain_px=found.grain_px,
        num_parts=int(component_numbers(region.cpu()).max()),
        stopped_by=found.stopped_by,
        minimality=found.minimality,
        robustness=robust,
        settings=settings,
        model_settings=model.settings(),
        shape=list(target.region.shape),
        spacing_mm=None if probe.spacing_mm is None else list(probe.spacing_mm),
        cost=CostRecord.of(account.cost),
        **classes,
    )
    return HiddenRegion(target=target, region=region.cpu(), values=values)


def _classes(
    model: SegmentationModel, probe: Probe, found: _Found, account: Account
) -> dict[str, dict[str, float]]:
    """What the model draws on the target's pixels, with nothing hidden and with the region."""
    hidden = {"classes_before": probe.whole_image()}
    if found.region is not None:
        hidden["classes_after"] = found.region
    target, way = probe.target, probe.presentations[0]
    return {
        name: classes_there(model, target, way, region, account) for name, region in hidden.items()
    }
