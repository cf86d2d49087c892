"""Trials: is a target preserved when the model sees only this region?

Every search of misure asks this question and no other. A search is a generator: it yields the
regions it wants tried and is sent an `Answer` for each: the Dice and, if it asked for it, the
direction in which to change the region. `run_searches` takes many searches at once, gathers what
they ask into batches, and so the result of one does not depend on its neighbours.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from misure.contents import Contents
from misure.cost import Cost
from misure.errors import InputError, ModelError
from misure.logits import all_finite, class_margin, class_region
from misure.model import SegmentationModel
from misure.presentation import Presentation
from misure.target import Target

R = TypeVar("R")

OnStep = Callable[[str, int, int | None], None]
"""Told of progress: what is being done, steps done, steps in all where that is known."""

_SHARPNESS = 0.3  # of the loss: its unit is this part of the margins' standard deviation


@dataclass(frozen=True, eq=False)
class Trial:
    """A target, how regions are shown, and the Dice from which the target counts as preserved.

    Attributes:
        target: what is to be preserved.
        presentations: the image and what stands where pixels are removed; with several, a region
            is shown in all of these ways and the least Dice counts.
        dice_threshold: in (0, 1].
        contents: what can stand in a region in place of the image; needed for `controls` only.
        controls: names of contents with which the target must *not* appear.
        max_control_dice: the largest Dice that is allowed with them, in [0, 1].
        reserved_passes: of a search's budget, what the work after it will take.
        cost: the passes made for this trial so far; it grows.

    Raises:
        InputError: a threshold is out of range, or target and image differ in shape.
    """

    target: Target
    presentations: tuple[Presentation, ...]
    dice_threshold: float = 0.9
    contents: Contents | None = None
    controls: tuple[str, ...] = ()
    max_control_dice: float = 1.0
    reserved_passes: int = 0
    cost: Cost = field(default_factory=Cost)

    def __post_init__(self) -> None:
        if not 0 < self.dice_threshold <= 1:
            raise InputError(
                f"explain: expected a dice_threshold above 0 and at most 1, got "
                f"{self.dice_threshold}."
            )
        if not 0 <= self.max_control_dice <= 1:
            raise InputError(
                f"explain: expected a max_control_dice in [0, 1], got {self.max_control_dice}."
            )
        image = self.presentations[0].image
        if image.shape[1:] != self.target.region.shape:
            raise InputError(
                f"explain: expected a target of the image's shape {tuple(image.shape[1:])}, got "
                f"{tuple(self.target.region.shape)}. Take it from this image."
            )

    @property
    def edge_px(self) -> int:
        """Width of the soft edge, the same in all presentations."""
        return self.presentations[0].edge_px

    @property
    def num_views(self) -> int:
        """How many images are shown for one region, if it is asked about with the controls."""
        return len(self.presentations) + len(self.controls)

    def passes_left(self, max_passes: int) -> int:
        """Pass equivalents that a search may still spend of its budget."""
        return max_passes - self.reserved_passes - self.cost.pass_equivalents

    def suffices(self, answer: "Answer") -> bool:
        """Whether a region with this answer preserves the target, and its controls do not."""
        return answer.dice >= self.dice_threshold and answer.control_dice <= self.max_control_dice


@dataclass(frozen=True)
class Answer:
    """What came out when a region was shown.

    Attributes:
        dice: Dice with the target; with several presentations the least.
        control_dice: the same with the contents of the trial's controls, the largest; 0 where they
            were not asked for.
        gradient: (*spatial) float32, how much the loss falls, to first order, when a pixel gets
            visible that is not (or rises when one is removed that is); None where not asked for.
    """

    dice: float
    control_dice: float = 0.0
    gradient: Tensor | None = None


@dataclass(frozen=True)
class Ask:
    """What a search wants to know about each of these regions.

    Attributes:
        regions: each (*spatial) bool; or a visibility, (*spatial) float, to ask for a gradient.
        alone: each in a batch of its own. A network's numbers differ in the last digits with the
            size of the batch; a Dice that is to be returned is asked for alone, as a stranger
            would who shows the region again.
        gradient: the direction too, by a backward pass.
        controlled: the controls of the trial too.
    """

    regions: list[Tensor]
    alone: bool = False
    gradient: bool = False
    controlled: bool = False


_JUST_DICE = Ask([])

Search = Generator[Ask, list[Answer], R]


def run_searches(
    model: SegmentationModel,
    trials: Sequence[Trial],
    searches: Sequence[Search[R]],
    *,
    doing: str,
    on_step: OnStep | None = None,
) -> list[R]:
    """What each search returns; all advance together, one batch of regions a round.

    Args:
        model: the model that is shown the regions.
        trials: for each search, what its regions are tried on; all images of one shape.
        searches: generators that have not begun yet.
        doing: what they do, for `on_step`.
        on_step: told of every round.
    """
    results: dict[int, R] = {}
    asked: dict[int, Ask] = {}
    answers: dict[int, list[Answer] | None] = dict.fromkeys(range(len(searches)))
    for num_rounds in count():
        if not answers:
            break
        if on_step:
            on_step(doing, num_rounds, None)
        for i, answer in answers.items():
            try:
                asked[i] = searches[i].send(answer)  # type: ignore[arg-type]  # None begins it
            except StopIteration as stop:
                results[i] = stop.value
                asked.pop(i, None)
        answers = dict(_answers(model, trials, asked))
    return [results[i] for i in range(len(searches))]


def _answers(
    model: SegmentationModel, trials: Sequence[Trial], asked: dict[int, Ask]
) -> Iterator[tuple[int, list[Answer]]]:
    """The answers to each search, by its number."""
    batches: dict[tuple[bool, bool], list[int]] = {}
    for i, ask in asked.items():
        if ask.alone:
            yield i, [try_regions(model, [(trials[i], region)], ask)[0] for region in ask.regions]
        else:
            batches.setdefault((ask.gradient, ask.controlled), []).append(i)
    for together in batches.values():
        shown = [(trials[i], region) for i in together for region in asked[i].regions]
        found = iter(try_regions(model, shown, asked[together[0]]))
        for i in together:
            yield i, [next(found) for _ in asked[i].regions]


def try_regions(
    model: SegmentationModel, shown: Sequence[tuple[Trial, Tensor]], ask: Ask = _JUST_DICE
) -> list[Answer]:
    """What comes out when the model sees each of these regions.

    Args:
        shown: pairs of a trial and a region (*spatial) bool; all images of one shape.
        ask: whether gradients and controls are wanted (its regions are not looked at).
    """
    views = [
        replace(view, owner=owner)
        for owner, (trial, region) in enumerate(shown)
        for view in _views_of(trial, region, ask.controlled)
    ]

    def show(part: slice) -> list[Answer]:
        return _show(model, views[part], ask.gradient)

    spatial = shown[0][1].shape if shown else ()
    batches = model.in_batches(show, len(views), spatial)
    of_each: list[list[tuple[_View, Answer]]] = [[] for _ in shown]
    for view, answer in zip(views, (one for batch in batches for one in batch), strict=True):
        of_each[view.owner].append((view, answer))
    return [_summed_up(seen) for seen in of_each]


@dataclass(frozen=True)
class _View:
    """One image to be shown: a region of a trial in one presentation, or with another content."""

    trial: Trial
    region: Tensor
    presentation: Presentation
    is_control: bool = False
    owner: int = 0


def _views_of(trial: Trial, region: Tensor, controlled: bool) -> Iterator[_View]:
    for presentation in trial.presentations:
        yield _View(trial, region, presentation)
    if controlled and trial.contents is not None:
        first = trial.presentations[0]
        for content in trial.controls:
            image = trial.contents.replace(content, region)
            yield _View(trial, region, replace(first, image=image), is_control=True)


def _summed_up(seen: list[tuple[_View, Answer]]) -> Answer:
    gradients = [answer.gradient for _, answer in seen if answer.gradient is not None]
    return Answer(
        dice=min(answer.dice for view, answer in seen if not view.is_control),
        control_dice=max((answer.dice for view, answer in seen if view.is_control), default=0.0),
        gradient=torch.stack(gradients).sum(0) if gradients else None,
    )


def _show(model: SegmentationModel, views: Sequence[_View], with_gradient: bool) -> list[Answer]:
    """The Dice of each view, and the gradient of its loss if it is wanted; one batch."""
    with torch.set_grad_enabled(with_gradient):
        visibility = torch.stack([view.presentation.visibility(view.region) for view in views])
        visibility.requires_grad_(with_gradient)
        images = _stacked([view.presentation.image for view in views])
        baseline_images = _stacked([view.presentation.baseline_image for view in views])
        logits = model(torch.lerp(baseline_images, images, visibility[:, None]))
        dices = _dices(logits.detach(), views)
        gradients = torch.zeros_like(visibility)
        has_gradient = logits.requires_grad  # a network may ignore the image
        if has_gradient:
            loss = _loss(logits, views, dices)
            (gradients,) = torch.autograd.grad(loss, visibility)
            if not all_finite(gradients):
                raise ModelError(
                    f"explain: expected finite gradients, {model.name} gave NaN or infinity. Use "
                    "a preset that needs none (forward_only, sufficient_region)."
                )
    for view in views:  # last, since a batch that does not fit into memory is shown again
        view.trial.cost.forward_passes += 1
        view.trial.cost.backward_passes += int(has_gradient)
    if not with_gradient:
        return [Answer(dice) for dice in dices]
    return [
        Answer(dice, gradient=-gradient) for dice, gradient in zip(dices, gradients, strict=True)
    ]


def _stacked(tensors: list[Tensor]) -> Tensor:
    """Tensors (...) as one (N, ...); not copied where all are the same."""
    first = tensors[0]
    if all(tensor is first for tensor in tensors):
        return first.expand(len(tensors), *first.shape)
    return torch.stack(tensors)


def _dices(logits: Tensor, views: Sequence[_View]) -> list[float]:
    """Dice of each view's target with what the model draws (ignored pixels left out)."""
    targets = [view.trial.target for view in views]
    drawn = torch.cat(
        [
            class_region(logits[i : i + 1], target.class_index, target.multilabel)
            for i, target in enumerate(targets)
        ]
    )
    region = _stacked([target.region for target in targets]).to(drawn.device)
    ignored = _stacked([target.ignored for target in targets]).to(drawn.device)
    both = (drawn & region).flatten(1).sum(1)
    total = (drawn & ~ignored).flatten(1).sum(1) + region.flatten(1).sum(1)
    counts = torch.stack([both, total]).tolist()  # the only copy to the host of a step
    return [2 * b / t for b, t in zip(*counts, strict=True)]


def _loss(logits: Tensor, views: Sequence[_View], dices: list[float]) -> Tensor:
    """How far the model is from drawing the targets, and from not drawing those of controls.

    softplus(-z) summed over the target plus softplus(z) over all other considered pixels, relative
    to the target's size; z is the margin of the class over its best rival in units of
    `_SHARPNESS` of the margins' own standard deviation, so that pixels which are safe do not count
    and the scale of the logits does not matter. Of a control softplus(z) over the target, while its
    Dice is too large.
    """
    loss = logits.new_zeros(())
    for i, view in enumerate(views):
        target = view.trial.target
        margin = class_margin(logits[i : i + 1], target.class_index, target.multilabel)[0]
        unit = _SHARPNESS * margin.detach().std(correction=0) + torch.finfo(margin.dtype).eps
        region = target.region.to(margin.device)
        if view.is_control:
            if dices[i] > view.trial.max_control_dice:
                loss = loss + (F.softplus(margin / unit) * region).sum() / region.sum()
            continue
        considered = ~target.ignored.to(margin.device)
        wanted = torch.where(region, -margin, margin) / unit
        loss = loss + (F.softplus(wanted) * considered).sum() / region.sum()
    return loss
