"""What a network proposes on an image, what it reports of that, and where its masks lie."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from misure.errors import ModelError
from misure.models.outputs import SMALLEST_PROBABILITY
from misure.models.preprocessing import Preprocessing

LEAST_LOGIT = 1e-4
"""How far a logit is at least from 0, on the side that says whether something is reported."""


@dataclass(frozen=True, eq=False)
class Detections:
    """What a network proposes on one image: Q masks with their scores, reported or not.

    Attributes:
        scores: (Q, K) float in [0, 1], of each proposal for each class.
        masks: (Q, *any) float logits, positive on the object; they cover the network's whole input.
    """

    scores: Tensor
    masks: Tensor

    def __post_init__(self) -> None:
        if self.scores.ndim != 2 or len(self.scores) != len(self.masks):
            raise ModelError(
                "expected scores (Q, K) and masks (Q, *any) of Q proposals, got "
                f"{tuple(self.scores.shape)} and {tuple(self.masks.shape)}."
            )

    @classmethod
    def of(
        cls,
        classes: Tensor | Sequence[int],
        scores: Tensor,
        masks: Tensor,
        num_classes: int,
        *,
        probabilities: bool = False,
    ) -> "Detections":
        """Detections of one class each.

        Args:
            classes: (Q,) whole numbers, 0 to K - 1.
            scores: (Q,) float in [0, 1].
            masks: (Q, *any) float.
            num_classes: K.
            probabilities: whether masks are in [0, 1], the object above 0.5, and not logits.

        Raises:
            ModelError: a class that is none, or masks that are no probabilities.
        """
        indices = torch.as_tensor(classes, dtype=torch.int64, device=scores.device)
        if len(indices) and not 0 <= int(indices.min()) <= int(indices.max()) < num_classes:
            raise ModelError(
                f"expected classes from 0 to {num_classes - 1}, the network reports "
                f"{int(indices.min())} to {int(indices.max())}. Say num_classes=... if there are "
                "more."
            )
        if probabilities:
            numbers = masks.detach()
            if masks.numel() and not 0 <= float(numbers.min()) <= float(numbers.max()) <= 1:
                raise ModelError(
                    "expected masks in [0, 1], the network returned numbers from "
                    f"{float(numbers.min()):g} to {float(numbers.max()):g}. Say mask_logits=True "
                    "if they are logits."
                )
            masks = logit_of(masks.float())
        is_class = torch.arange(num_classes, device=scores.device) == indices[:, None]
        return cls(scores.float()[:, None] * is_class, masks.float())


@dataclass(frozen=True, eq=False)
class Pixels:
    """How masks come to the pixels of the user's image.

    Attributes:
        preprocessing: how the image came to the network.
        spatial: (*spatial) of the image.
    """

    preprocessing: Preprocessing
    spatial: tuple[int, ...]

    def __call__(self, masks: Tensor) -> Tensor:
        """Masks (n, *spatial) of masks (n, *any) that cover the network's input."""
        return self.preprocessing.to_image(masks[None], self.spatial)[0]


class Reported:
    """An instance that the network reports on an image.

    Args:
        class_index: 0 to K - 1.
        score: scalar in [0, 1], the network's.
        draw: its logits (*spatial) at the image's pixels, positive where the network draws it.
        region: (*spatial) bool, where that is; None: `draw` is asked.
    """

    def __init__(
        self,
        class_index: int,
        score: Tensor,
        draw: Callable[[], Tensor],
        region: Tensor | None = None,
    ) -> None:
        self.class_index, self.score, self._draw, self._region = class_index, score, draw, region

    def logits(self, least: float) -> Tensor:
        """Logits (*spatial): the smaller of mask and score, whose sign is the mask's."""
        lead = lead_of(self.score, least)
        return torch.minimum(self._draw(), lead.clamp(min=LEAST_LOGIT))

    @cached_property
    def region(self) -> Tensor:
        """(*spatial) bool, where the network draws it."""
        if self._region is not None:
            return self._region
        with torch.no_grad():
            return self._draw() > 0


def logit_of(probability: Tensor) -> Tensor:
    """Logits of probabilities, finite for 0 and 1."""
    return probability.clamp(SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY).logit()


def lead_of(score: Tensor, least: float) -> Tensor:
    """By how much the logit of a score is above that of the least one."""
    return logit_of(score) - float(logit_of(torch.tensor(least)))


def signed(logits: Tensor, region: Tensor) -> Tensor:
    """Logits (*any) that are positive in a region (*any) bool alone; gradients are the old ones."""
    right = torch.where(region, LEAST_LOGIT, -LEAST_LOGIT)
    return torch.where((logits > 0) == region, logits, logits - logits.detach() + right)
