"""Interventions: a region is hidden, all else shown, and what is left of a target is measured.

What the model draws on hidden pixels outside the target is left out, as for hidden regions (see
`hidden`): what stands there instead may look like anything.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor

from misure._util.progress import OnStep
from misure.errors import InputError
from misure.explanation.presentation import Presentation
from misure.models.model import SegmentationModel
from misure.models.target import Target


@dataclass(frozen=True)
class HiddenOutcome:
    """What the model draws of a target while something is hidden.

    Attributes:
        dice: of the target, in [0, 1].
        share_left: share of the target's pixels that are still drawn, in [0, 1].
        added: pixels drawn outside of the target, ignored and hidden ones left out, as a share of
            its size.
    """

    dice: float
    share_left: float
    added: float

    @classmethod
    def of(cls, target: Target, drawn: Tensor) -> "HiddenOutcome":
        """The outcome for a target of what is now drawn (*spatial) bool of its class."""
        size = int(target.region.sum())
        left, considered = drawn & target.region, drawn & ~target.ignored
        num_left, num_drawn = int(left.sum()), int(considered.sum())
        return cls(
            2 * num_left / (num_drawn + size), num_left / size, (num_drawn - num_left) / size
        )

    @classmethod
    def mean(cls, outcomes: "Sequence[HiddenOutcome]") -> "HiddenOutcome":
        """The means of several outcomes."""
        total = len(outcomes)
        return cls(
            sum(outcome.dice for outcome in outcomes) / total,
            sum(outcome.share_left for outcome in outcomes) / total,
            sum(outcome.added for outcome in outcomes) / total,
        )


@dataclass(frozen=True, eq=False)
class Hiding:
    """One region to hide, and the target to be measured while it is hidden.

    Attributes:
        region: makes the region (*spatial) bool; called when it is shown, so that many regions
            need not be kept.
        target: makes the target.
    """

    region: Callable[[], Tensor]
    target: Callable[[], Target]


def hide_each(
    model: SegmentationModel,
    presentations: Sequence[Presentation],
    hidings: Sequence[Hiding],
    on_step: OnStep | None = None,
) -> list[HiddenOutcome]:
    """The outcome of each hiding, by one forward pass a presentation, in batches.

    Args:
        model: the model that is shown the images.
        presentations: ways to hide; with several, the outcome is their mean. The soft edge lies
            inside the hidden region, so that no pixel outside of it changes.
        hidings: what to hide.
        on_step: called before each batch.
    """
    views = [(way, hiding) for hiding in hidings for way in presentations]

    def show(part: slice) -> list[HiddenOutcome]:
        if on_step:
            on_step("hiding", part.start, len(views))
        regions = [hiding.region().to(way.image.device) for way, hiding in views[part]]
        images = [
            way.show(1 - way.visibility(region)[None])
            for (way, _), region in zip(views[part], regions, strict=True)
        ]
        targets = [hiding.target() for _, hiding in views[part]]
        with torch.no_grad():
            decided = model.deciding_logits(torch.cat(images), [t.logit_index for t in targets])
        outcomes = []
        for target, region, (logits, place) in zip(targets, regions, decided, strict=True):
            drawn = model.class_region(logits, place)[0].to(target.region.device)
            judged = ~region.to(drawn.device) | target.region
            outcomes.append(HiddenOutcome.of(target, drawn & judged))
        return outcomes

    spatial = presentations[0].image.shape[1:]
    outcomes = list(chain.from_iterable(model.in_batches(show, len(views), spatial)))
    num = len(presentations)
    return [HiddenOutcome.mean(outcomes[i : i + num]) for i in range(0, len(outcomes), num)]


def check_fits(image: Tensor, target: Target) -> None:
    """Raises an InputError if a target has not the shape of the image (C, *spatial)."""
    if image.shape[1:] != target.region.shape:
        raise InputError(
            f"expected a target of the image's shape {tuple(image.shape[1:])}, got "
            f"{tuple(target.region.shape)}. Take it from this image."
        )
