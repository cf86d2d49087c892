"""Showing regions to a model: the images of a probe, in batches, and what the model predicts.

Each view gives the Dice of its target and, if asked for, the direction in which a loss falls. The
loss sums softplus(-z) over the target and softplus(z) over all other considered pixels. z is the
margin of the class over its strongest rival, in units of `_SHARPNESS` standard deviations of the
margins: pixels that are safe do not count, and the scale of the logits does not matter. Only the
derivative of the loss is needed, sigmoid(-z) and sigmoid(z), and only that is computed.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import chain

import torch
from torch import Tensor

from misure.errors import ModelError
from misure.explanation.presentation import Presentation, show_each
from misure.explanation.probe import Probe, Query, Reply
from misure.models.logits import all_finite, class_margin, class_region
from misure.models.model import SegmentationModel

_SHARPNESS = 0.3
_JUST_DICE = Query([])


def try_regions(
    model: SegmentationModel,
    shown: Sequence[tuple[Probe, Tensor]],
    query: Query = _JUST_DICE,
    on_batch: Callable[[], None] | None = None,
) -> list[Reply]:
    """The reply for each of these regions: what the model predicts when it sees only that.

    Args:
        model: the model that is shown the regions.
        shown: pairs of a probe and a region (*spatial) bool, or a visibility (*spatial) float; all
            images of one shape.
        query: whether gradients and controls are wanted; its regions are not used.
        on_batch: called before each batch.

    Raises:
        ModelError: a gradient is NaN or infinite, or the network fails.
    """
    views = [
        replace(view, owner=owner)
        for owner, (probe, region) in enumerate(shown)
        for view in _views_of(probe, region, query)
    ]

    def show(part: slice) -> list[Reply]:
        if on_batch:
            on_batch()
        return _show(model, views[part], query)

    spatial = shown[0][1].shape if shown else ()
    batches = model.in_batches(show, len(views), spatial)
    seen_by_region: list[list[tuple[_View, Reply]]] = [[] for _ in shown]
    for view, reply in zip(views, chain.from_iterable(batches), strict=True):
        seen_by_region[view.owner].append((view, reply))
    return [_summed_up(seen) for seen in seen_by_region]


@dataclass(frozen=True)
class _View:
    """One image to be shown: a region of a probe in one presentation, or with another content.

    Attributes:
        hides: whether the region is hidden, and all else shown.
        max_dice: the largest Dice that is allowed, of a control; None: it is none.
    """

    probe: Probe
    region: Tensor
    presentation: Presentation
    hides: bool
    max_dice: float | None = None
    owner: int = 0


def _views_of(probe: Probe, region: Tensor, query: Query) -> Iterator[_View]:
    hides = probe.question.hides
    for presentation in probe.presentations:
        yield _View(probe, region, presentation, hides)
    if query.content_controls and probe.content_controls is not None:
        first = probe.presentations[0]
        for content in probe.excluded_contents:
            image = probe.content_controls.replace(content, region)
            yield _View(probe, region, replace(first, image=image), hides, probe.max_content_dice)
    if (query.content_controls or query.hidden) and probe.hidden_presentation is not None:
        yield _View(probe, region, probe.hidden_presentation, not hides, probe.max_hidden_dice)


def _summed_up(seen: list[tuple[_View, Reply]]) -> Reply:
    gradients = [reply.gradient for _, reply in seen if reply.gradient is not None]
    _, least = min(
        ((view, reply) for view, reply in seen if view.max_dice is None),
        key=lambda pair: pair[0].probe.score(pair[1].dice),
    )
    return Reply(
        dice=least.dice,
        excess_dice=max(
            (reply.dice - view.max_dice for view, reply in seen if view.max_dice is not None),
            default=0.0,
        ),
        gradient=reduce(torch.add, gradients) if gradients else None,
        num_forwards=sum(reply.num_forwards for _, reply in seen),
        num_backwards=sum(reply.num_backwards for _, reply in seen),
        margins=least.margins,
    )


def _show(model: SegmentationModel, views: Sequence[_View], query: Query) -> list[Reply]:
    """The reply for each view of one batch, with gradients and margins if asked for."""
    with_gradient = query.gradient
    with torch.set_grad_enabled(with_gradient):
        inside = _stacked([view.presentation.visibility(view.region) for view in views])
        inside.requires_grad_(with_gradient)
        images = show_each([view.presentation for view in views], _visibility(inside, views))
        if not with_gradient:
            inside = inside.new_empty(len(views))  # its memory is free while images are shown
        classes = [view.probe.target.logit_index for view in views]
        if not with_gradient and not query.margins:
            judged = None if model.windows is None else _judged(views)
            dices = _dices(model.predicted_regions(images, classes, judged), views)
            return [Reply(dice, num_forwards=1) for dice in dices]
        decided = model.deciding_logits(images, classes)
        known = [(logits.detach(), place) for logits, place in decided]
        predicted = [
            class_region(logits, place, view.probe.target.multilabel)[0]
            for (logits, place), view in zip(known, views, strict=True)
        ]
        dices = _dices(predicted, views)
        sampled = _sampled(known, views) if query.margins else [None] * len(views)
        has_gradient = decided[0][0].requires_grad  # a network may ignore the image
        if has_gradient:
            margins = [
                class_margin(logits, place, view.probe.target.multilabel)[0]
                for (logits, place), view in zip(decided, views, strict=True)
            ]
            falls = [_fall_of_loss(*seen) for seen in zip(margins, views, dices, strict=True)]
            (gradients,) = torch.autograd.grad(margins, inside, falls)
            if not all_finite(gradients):
                raise ModelError(
                    f"expected finite gradients, {model.name} gave NaN or infinity. Use "
                    "a preset that needs none (readable, quick, sufficient_region)."
                )
        else:
            gradients = torch.zeros_like(inside)
    return [
        Reply(
            dice,
            gradient=gradient if with_gradient else None,
            num_forwards=1,
            num_backwards=int(has_gradient),
            margins=margins_there,
        )
        for dice, gradient, margins_there in zip(dices, gradients, sampled, strict=True)
    ]


def _judged(views: Sequence[_View]) -> Tensor:
    """Pixels (N, *spatial) bool that count in the Dice of each view (see `_dices`)."""
    judged = []
    for view in views:
        counts = view.probe.considered
        judged.append(
            counts & ((view.region == 0) | view.probe.target.region) if view.hides else counts
        )
    return _stacked(judged)


def _stacked(tensors: list[Tensor]) -> Tensor:
    """Tensors (...) as one (N, ...); a single one is not copied."""
    return tensors[0][None] if len(tensors) == 1 else torch.stack(tensors)


def _visibility(inside: Tensor, views: Sequence[_View]) -> Tensor:
    """How visible each pixel is (N, *spatial), by how far it lies inside the view's region."""
    hides = [view.hides for view in views]
    if not any(hides):
        return inside
    is_hidden = torch.tensor(hides, device=inside.device).view(-1, *[1] * (inside.ndim - 1))
    return torch.where(is_hidden, 1 - inside, inside)


Deciding = Sequence[tuple[Tensor, int]]
"""For each view, logits (1, k, *spatial) that decide about its class, and its place there."""


def _dices(regions: Sequence[Tensor], views: Sequence[_View]) -> list[float]:
    """Dice of each view's target with the region that the model predicts, without ignored pixels.

    So is what it draws on hidden pixels outside the target, if the view's region is hidden: what
    stands there instead may look like anything.
    """
    counts = []
    for region, view in zip(regions, views, strict=True):
        probe, target, predicted = view.probe, view.probe.target, region
        both = predicted & target.region.to(predicted.device)
        if not probe.considers_all:
            predicted = predicted & probe.considered.to(predicted.device)
        if view.hides:
            judged = (view.region == 0) | target.region
            predicted = predicted & judged.to(predicted.device)
        counts.append(torch.stack([torch.count_nonzero(both), torch.count_nonzero(predicted)]))
    counted = torch.stack(counts).tolist()  # the only copy to the host of a step
    return [
        2 * both / (predicted + view.probe.num_target_pixels)
        for (both, predicted), view in zip(counted, views, strict=True)
    ]


def _sampled(decided: Deciding, views: Sequence[_View]) -> list[Tensor]:
    """The margins (n,) of each view at the pixels of its probe's sample, on the CPU."""
    margins = []
    for (logits, place), probe in zip(decided, [view.probe for view in views], strict=True):
        there = logits.flatten(2)[:, :, probe.sample.indices.to(logits.device)]
        margins.append(class_margin(there, place, probe.target.multilabel)[0])
    sizes = [len(each) for each in margins]
    return list(torch.split(torch.cat(margins).float().cpu(), sizes))


def _fall_of_loss(margin: Tensor, view: _View, dice: float) -> Tensor:
    """How much the loss of a view falls when the margin (*spatial) of a pixel rises a little.

    A control wants the target's margins to fall as long as its Dice is too large.
    """
    margin = margin.detach()
    unit = _SHARPNESS * margin.std(correction=0) + torch.finfo(margin.dtype).eps
    wanted = view.probe.wanted.to(margin.device)
    if view.max_dice is not None:
        wanted = -wanted.clamp(min=0) if dice > view.max_dice else torch.zeros_like(wanted)
    falls = (wanted * margin).mul_(-1 / unit).sigmoid_()
    return falls.mul_(wanted).mul_(1 / (unit * view.probe.num_target_pixels))
