"""Robustness: for which share of all baseline images a region answers the question.

No baseline image is neutral, and a search keeps what suits its own. So a region is shown, or
hidden, on many drawn from a stated mixture (see `baseline_draws`), each in one pass, and the share
on which it answers the question gets exact bounds. The draws end early where the answer is clear,
at the price that `sequential` counts in.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from misure._util.records import Count, Fraction, Record
from misure.errors import InputError, entrance
from misure.explanation.answers.baseline_draws import MIXTURE, BaselineDraws
from misure.explanation.answers.sequential import Looks, plan_looks
from misure.explanation.changes import OtherPresentation
from misure.explanation.inpainting import require_library
from misure.explanation.presentation import make_presentations
from misure.explanation.probe import OnStep, Probe, Query, Search
from misure.explanation.question import QUESTIONS
from misure.explanation.run_searches import run_searches
from misure.images.spacing import check_spacing
from misure.models.device import to_device
from misure.models.given_target import AnyTarget, as_target
from misure.models.inputs import AnyImage, as_image, as_model
from misure.models.model import SegmentationModel

NUM_IMAGES = 59
"""Baseline images, at most: if the region holds on all, the share is at least 95 %, at 95 %."""

_DOES = {
    "sufficient": "The region suffices",
    "necessary": "Hiding the region loses the target",
    "blocking": "Hiding the region makes the model draw the target",
}
_CALLED = {
    "other_image": "other images",
    "flat": "flat colours",
    "inpainted": "in-painted",
}
_RULES = {
    True: "looks laid down beforehand, error spent in proportion to the draws, stage-wise order",
    False: "one look, Clopper-Pearson",
}


class HeldOfDrawn(Record, frozen=True, kw_only=True):
    """The draws of one kind of baseline image.

    Attributes:
        held: on how many the region answers the question.
        drawn: how many were drawn.
    """

    held: Count
    drawn: Count


class Robustness(Record, frozen=True, kw_only=True):
    """For which share of the baseline images of a mixture a region answers its question.

    Attributes:
        question: `sufficient`, `necessary` or `blocking`.
        threshold: the Dice that has to be reached, or down to which the target counts as lost.
        share: `held` / `drawn`.
        lower_bound, upper_bound: of the share in the mixture; each by itself holds with the
            confidence.
        confidence: of each bound.
        at_least: the share that was asked about; None: no draws end early.
        held, drawn: baseline images on which the region answers the question, and all.
        by_kind: kind -> those of it.
        left_out: kind -> why none of it was drawn.
        passes: forward passes; a baseline image that comes again is not shown again.
        looks: numbers of draws after which it was to be looked at them.
        rule: how the bounds were found (see `sequential`).
        answer: `yes`: the share is at least `at_least`; `no`: it is below; `unclear`.
        seed: of the draws.
    """

    question: str
    threshold: Fraction
    share: Fraction
    lower_bound: Fraction
    upper_bound: Fraction
    confidence: Fraction
    at_least: Fraction | None
    held: Count
    drawn: Count
    by_kind: dict[str, HeldOfDrawn]
    left_out: dict[str, str]
    passes: Count
    looks: list[Count]
    rule: str
    answer: str
    seed: int

    @property
    def fails_on(self) -> dict[str, HeldOfDrawn]:
        """The kinds on some of which the region does not answer the question."""
        return {kind: one for kind, one in self.by_kind.items() if one.held < one.drawn}

    @property
    def note(self) -> str:
        """What was found, with its figures, in one sentence; a second one says on what it fails."""
        bound = (
            f"at most {_percent(self.upper_bound, up=True)}"
            if self.answer == "no" or self.held == 0
            else f"at least {_percent(self.lower_bound)}"
        )
        counted = f"{_DOES[self.question]} on {self.held} of {self.drawn} baseline images"
        sentences = [f"{counted}: {bound} with {100 * self.confidence:.4g} % confidence."]
        if self.fails_on:
            kinds = [
                f"{one.drawn - one.held} of {one.drawn} ({_CALLED.get(kind, kind)})"
                for kind, one in self.fails_on.items()
            ]
            sentences.append(f"It fails on {_listed(kinds)}.")
        return " ".join(sentences)


def _percent(share: float, *, up: bool = False) -> str:
    """A share as a whole percentage, rounded down, so that it claims no more than the bound."""
    thousandth = round(100 * share, 6)
    return f"{-int(-thousandth // 1) if up else int(thousandth)} %"


def _listed(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def measure_robustness(
    probe: Probe, region: Tensor, draws: BaselineDraws, looks: Looks, at_least: float | None = None
) -> Search[Robustness]:
    """The robustness of a region, as a search (see `run_searches`).

    Args:
        probe: the target, and what is asked of the region.
        region: (*spatial) bool.
        draws: the baseline images.
        looks: after how many draws it is looked at them.
        at_least: the share that the looks were planned for.
    """
    tested = draws.num_tested
    known: dict[tuple[object, ...], bool] = {}
    outcomes: list[tuple[str, bool]] = []
    num_shown = 0
    for look, num in enumerate(looks.nums):
        batch = [draws.draw(number) for number in range(len(outcomes), num)]
        new = {one.key: one.presentation for one in batch if one.key not in known}
        if new:
            shown = [OtherPresentation(one) for one in new.values()]
            replies = yield Query([region] * len(new), changes=shown)
            num_shown += sum(reply.num_forwards for reply in replies)
            suffices = [probe.suffices(reply) for reply in replies]
            known |= dict(zip(new, suffices, strict=True))
        outcomes += [(one.kind, known[one.key]) for one in batch]
        held = sum(holds for _, holds in outcomes)
        if looks.is_clear(look, held):
            break
    lower, upper = looks.bounds(look, held)
    answer = "unclear"
    if at_least is not None and (lower >= at_least or upper < at_least):
        answer = "yes" if lower >= at_least else "no"
    return Robustness(
        question=probe.question.name,
        threshold=probe.dice_threshold,
        share=held / len(outcomes),
        lower_bound=lower,
        upper_bound=upper,
        confidence=looks.confidence,
        at_least=at_least,
        held=held,
        drawn=len(outcomes),
        by_kind=_by_kind(outcomes, draws.kinds),
        left_out=dict(draws.left_out),
        passes=num_shown + draws.num_tested - tested,
        looks=[*looks.nums],
        rule=_RULES[len(looks.nums) > 1],
        answer=answer,
        seed=draws.seed,
    )


def _by_kind(outcomes: list[tuple[str, bool]], kinds: Iterable[str]) -> dict[str, HeldOfDrawn]:
    by_kind = {kind: [holds for other, holds in outcomes if other == kind] for kind in kinds}
    return {
        kind: HeldOfDrawn(held=sum(held), drawn=len(held)) for kind, held in by_kind.items() if held
    }


def check_askable(at_least: float) -> None:
    """Raises an InputError or MissingDependencyError if `robustness` would, before any pass.

    Args:
        at_least: the share that is asked about.
    """
    plan_looks(1, at_least)
    require_library()


@entrance("robustness")
def robustness(
    model: SegmentationModel | nn.Module,
    image: AnyImage,
    target: AnyTarget,
    region: Any,
    *,
    question: str = "sufficient",
    dice_threshold: float = 0.9,
    lost_dice: float = 0.5,
    at_least: float | None = 0.9,
    num_images: int = NUM_IMAGES,
    confidence: float = 0.95,
    kinds: Sequence[str] = MIXTURE,
    other_images: Sequence[Tensor] = (),
    edge_px: int = 0,
    seed: int = 0,
    spacing_mm: Sequence[float] | None = None,
    max_passes: int | None = None,
    on_step: OnStep | None = None,
) -> Robustness:
    """The share of all baseline images on which a region answers its question, with exact bounds.

    Baseline images are drawn from a mixture of kinds, all with the same probability (see
    `misure.explanation.answers.baseline_draws`): other images of the data set, the image blurred,
    noise, a flat colour, and pixels filled or painted in from what is shown. Each takes a forward
    pass; up to 20 more see to it that the class is not in the other images.

    Args:
        model: the model that is shown the region.
        image: (C, *spatial) float, or what stands for it (see `explain`).
        target: what is to be preserved, lost or drawn (see `explain`).
        region: (*spatial) bool.
        question: `sufficient`: the region shown alone preserves the target; `necessary`: hiding it
            loses the target; `blocking`: hiding it makes the model draw the target.
        dice_threshold: Dice from which the target counts as preserved or drawn, in (0, 1].
        lost_dice: Dice down to which it counts as lost, in [0, 1); for `necessary`.
        at_least: the share that is asked about, in (0, 1); draws end early where the answer is
            clear. None: all are drawn, and the bounds are those of Clopper and Pearson.
        num_images: baseline images at most, 1 or more.
        confidence: of each bound, in (0, 1).
        kinds: that are drawn from; also `python:FILE.py:FUNCTION`, an in-painting function of your
            own. The file is run.
        other_images: each (C, *any) float, for the kind `other_image`; read when drawn. Without
            any, that kind is left out, and the result says so.
        edge_px: width of the soft edge, inside the region.
        seed: of the draws.
        spacing_mm: sides of a pixel or voxel; None: they are equal.
        max_passes: forward passes at most; fewer baseline images are then drawn.
        on_step: called with progress.

    Raises:
        InputError: bad arguments, or nothing can be drawn.
        MissingDependencyError: `inpainted` is among the kinds and scikit-image is not installed.
        ModelError: the network fails.
    """
    model = as_model(model)
    own = as_image(image, model)
    if question not in QUESTIONS:
        raise InputError(f"expected a question among {', '.join(QUESTIONS)}, got {question!r}.")
    with torch.inference_mode(False), model.borrowed():
        own_target = as_target(model, own, target).to(model.device)
        shown = torch.as_tensor(region)
        if shown.dtype != torch.bool or shown.shape != own.shape[1:]:
            raise InputError(
                f"expected a region of bool and of the image's shape {tuple(own.shape[1:])}, got "
                f"{shown.dtype} {tuple(shown.shape)}."
            )
        own, spacing = to_device(own, model.device), check_spacing(spacing_mm, own.ndim - 1)
        asked = QUESTIONS[question]
        probe = Probe(
            own_target,
            make_presentations(model, own, edge_px=edge_px, spacing_mm=spacing),
            dice_threshold=lost_dice if asked.loses else dice_threshold,
            question=asked,
            spacing_mm=spacing,
        )
        draws = BaselineDraws(model, probe, tuple(kinds), other_images, seed)
        num = num_images if max_passes is None else min(num_images, max_passes - draws.most_passes)
        if max_passes is not None and num < 1:
            raise InputError(
                f"expected max_passes of {draws.most_passes + 1} or more, got {max_passes}. Fewer "
                "other images need fewer."
            )
        looks = plan_looks(num, at_least, confidence)
        search = measure_robustness(probe, shown.to(model.device), draws, looks, at_least)
        (found,) = run_searches(model, [probe], [search], doing="drawing", on_step=on_step)
    return found
