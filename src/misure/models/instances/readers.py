"""Readers: how proposals are read from the output of a network, and which of them it reports."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor

from misure.errors import ModelError
from misure.models.instances.detections import Detections, Pixels, Reported


class InstanceReader(Protocol):
    """How instances are read from the output of a network.

    Attributes:
        num_classes: K.
        min_score: least score of what the network reports, in (0, 1).
    """

    @property
    def num_classes(self) -> int: ...

    @property
    def min_score(self) -> float: ...

    def detections(self, output: Any, inputs: Tensor) -> Sequence[Detections]:
        """The proposals on each of N images, of what the network returned for inputs (N, ...)."""
        ...

    def reported(self, found: Detections, pixels: Pixels) -> list[Reported]:
        """What the network reports of its proposals on an image, as its library does."""
        ...

    def settings(self) -> dict[str, Any]:
        """How the output is read, as plain values."""
        ...


@dataclass(frozen=True, eq=False)
class ThresholdReader:
    """Reports every proposal with a score for a class of at least `min_score`, and with a pixel.

    Masks come to the image's pixels as logits do, and are the object where they are positive.

    Attributes:
        instances: (what the network returned) -> the proposals on each of its images, as
            `Detections`, or as triples (class index, score, mask).
        num_classes: K.
        min_score: see above.
        mask_logits: whether the masks of triples are logits; else they are in [0, 1].
    """

    instances: Callable[[Any], Sequence[Any]]
    num_classes: int
    min_score: float = 0.5
    mask_logits: bool = False

    def detections(self, output: Any, inputs: Tensor) -> list[Detections]:
        """The proposals on each of N images, of what the network returned for inputs (N, ...)."""
        return [self._of_image(found, inputs) for found in self.instances(output)]

    def reported(self, found: Detections, pixels: Pixels) -> list[Reported]:
        """What the network reports of its proposals on an image."""
        pairs = (found.scores >= self.min_score).nonzero().tolist()
        each = [
            Reported(k, found.scores[q, k], partial(self._draw, found, q, pixels)) for q, k in pairs
        ]
        return [one for one in each if bool(one.region.any())]

    def settings(self) -> dict[str, Any]:
        """How the output is read, as plain values."""
        return {
            "instances": getattr(self.instances, "__qualname__", type(self.instances).__name__),
            "min_score": self.min_score,
            "mask_logits": self.mask_logits,
        }

    def _draw(self, found: Detections, number: int, pixels: Pixels) -> Tensor:
        return pixels(found.masks[number][None])[0]

    def _of_image(self, found: Any, inputs: Tensor) -> Detections:
        if isinstance(found, Detections):
            return found
        triples = list(found)
        if not all(isinstance(one, (tuple, list)) and len(one) == 3 for one in triples):
            raise ModelError(
                "expected instances as Detections, or as triples (class index, score, mask) for "
                f"each image, got {type(found).__name__}."
            )
        if not triples:
            no_masks = inputs[0, :0]  # with the gradients of the inputs
            return Detections(inputs.new_zeros((0, self.num_classes)), no_masks)
        classes, scores, masks = zip(*triples, strict=True)
        return Detections.of(
            [int(index) for index in classes],
            torch.stack([torch.as_tensor(one, device=inputs.device).float() for one in scores]),
            torch.stack([torch.as_tensor(one, device=inputs.device).float() for one in masks]),
            self.num_classes,
            probabilities=not self.mask_logits,
        )
