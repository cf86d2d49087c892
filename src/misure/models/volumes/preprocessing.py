"""The preprocessing of one image by steps, whose numbers it fixes."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from misure.errors import InputError
from misure.models.outputs import SMALLEST_PROBABILITY
from misure.models.preprocessing import Placement, Preprocessing
from misure.models.volumes.box import Boxed
from misure.models.volumes.grid import Resampled
from misure.models.volumes.resized import Interpolated
from misure.models.volumes.scaled import Scaled
from misure.models.volumes.step import Part, Shape, Step

_NOTHING = 1e-3  # probabilities whose sum is below it were padded
_NO_CLASS = -8.0  # the logit of a class at a pixel that is left out: a probability of 1 / 3000


@dataclass(frozen=True)
class StepsPreprocessing(Preprocessing):
    """The preprocessing of one image: steps, and what follows them.

    Attributes:
        spatial: shape of the image that the steps were made for.
        steps: in their order.
        after: what happens to the prepared image.
        brings_back: what is interpolated on the way back: `logits`, or `softmax` or `sigmoid` of
            them, as some pipelines do.
        multilabel: whether each class has a sigmoid of its own: then a pixel that no step brings
            logits back to has no class, else it is class 0.
        least_logit: the logit from which on a pixel belongs to a class: of multilabel classes, or
            of the second of two.
    """

    spatial: Shape = ()
    steps: tuple[Step, ...] = ()
    after: Preprocessing = field(default_factory=Preprocessing)
    brings_back: str = "logits"
    multilabel: bool = False
    least_logit: float = 0.0

    @property
    def mean_colour(self) -> tuple[float, ...] | None:
        scalings = [step.scaling for step in self.steps if isinstance(step, Scaled)]
        if not scalings:
            return self.after.mean
        colour = self.after.mean or (0.0,)
        for scaling in reversed(scalings):
            colour = scaling.undone(colour)
        return colour

    def placement(self, spatial: Sequence[int]) -> Placement:
        return self.after.placement(self._shapes(spatial)[-1])

    def to_input(self, images: Tensor) -> Tensor:
        self._shapes(images.shape[2:])
        for step in self.steps:
            images = step.forward(images)
        return self.after.to_input(images)

    def to_image(self, logits: Tensor, spatial: Sequence[int]) -> Tensor:
        shapes = self._shapes(spatial)
        values = self.after.to_image(logits, shapes[-1])
        values = self._brought_back(values, shapes)
        return values if not self.least_logit else self._from_least(values)

    def _from_least(self, logits: Tensor) -> Tensor:
        """Logits whose threshold is 0."""
        if self.multilabel:
            return logits - self.least_logit
        half = logits.new_tensor([self.least_logit / 2, -self.least_logit / 2])
        return logits + half.view(-1, *[1] * (logits.ndim - 2))

    def _brought_back(self, values: Tensor, shapes: list[Shape]) -> Tensor:
        if len(shapes) > 1 and self.brings_back != "logits":
            values = values.softmax(1) if self.brings_back == "softmax" else values.sigmoid()
        for step, before in zip(reversed(self.steps), reversed(shapes[:-1]), strict=True):
            values = step.back(values, before)
            if self.brings_back != "logits" and isinstance(step, Boxed):
                values = values.nan_to_num(0)
        if len(shapes) > 1 and self.brings_back == "sigmoid":
            return values.logit(SMALLEST_PROBABILITY)
        if len(shapes) > 1 and self.brings_back == "softmax":
            is_outside = values.sum(1, keepdim=True) < _NOTHING
            values = values.clamp(min=SMALLEST_PROBABILITY).log()
            values = values.masked_fill(is_outside, torch.nan)
        return self._filled(values)

    def _filled(self, logits: Tensor) -> Tensor:
        """The logits with those of background where no step brought any."""
        is_outside = logits.isnan()
        if not bool(is_outside.any()):
            return logits
        fill = torch.full((1, logits.shape[1], *[1] * (logits.ndim - 2)), _NO_CLASS)
        if not self.multilabel:
            fill[:, 0] = -_NO_CLASS
        return torch.where(is_outside, fill.to(logits), logits)

    def _shapes(self, spatial: Sequence[int]) -> list[Shape]:
        if tuple(spatial) != self.spatial:
            raise InputError(
                f"expected images of the shape {self.spatial} that the network was bound to, got "
                f"{tuple(spatial)}. Bind it to the new image: model.for_image(image, affine)."
            )
        shapes = [self.spatial]
        for step in self.steps:
            shapes.append(step.shape(shapes[-1]))
        return shapes


@dataclass(frozen=True)
class UnboundPreprocessing(Preprocessing):
    """The preprocessing of a model that is not bound to an image: it takes none.

    Attributes:
        words: what depends on the image, in words, for messages.
        takes_planes: whether planes need no binding.
    """

    words: str = ""
    takes_planes: bool = False

    def to_input(self, images: Tensor) -> Tensor:
        if self.takes_planes and images.ndim == 4:
            return super().to_input(images)
        raise InputError(
            f"expected a model bound to its image, since {self.words} depends on the image. Call "
            f"model.for_image(image, affine) first; got images {tuple(images.shape)}."
        )


def bound_preprocessing(
    parts: Sequence[Part],
    image: Tensor,
    affine: "Tensor | np.ndarray | None",
    after: Preprocessing,
    *,
    brings_back: str = "logits",
    nearest: bool = False,
    multilabel: bool = False,
    least_logit: float = 0.0,
) -> StepsPreprocessing:
    """The preprocessing of an image by parts in their order, with its own numbers.

    Args:
        parts: what is done to it.
        image: (C, *spatial) float.
        affine: (4, 4) from voxel indices to millimetres (RAS+); None: not known.
        after, brings_back, multilabel, least_logit: see `StepsPreprocessing`.
        nearest: whether resampled logits come back from the nearest voxel, not linearly.

    Raises:
        InputError: a part needs an affine and got none, or cannot take such an image.
    """
    known = None if affine is None else np.asarray(affine, np.float64)
    steps, seen = list[Step](), image.detach().float()
    for part in parts:
        before = known
        step, known = part.bind(seen, known)
        follow = getattr(part, "follow", None)
        seen = step.forward(seen[None])[0] if follow is None else follow(seen, before)
        if nearest and isinstance(step, (Resampled, Interpolated)):
            step = replace(step, nearest_back=True)
        steps.append(step)
    return StepsPreprocessing(
        **arguments_of(after),
        spatial=tuple(image.shape[1:]),
        steps=tuple(steps),
        after=after,
        brings_back=brings_back,
        multilabel=multilabel,
        least_logit=least_logit,
    )


def plain(preprocessing: Preprocessing) -> Preprocessing:
    """The part of a preprocessing that depends on no image: that of its own arguments."""
    return Preprocessing(**arguments_of(preprocessing))


def arguments_of(preprocessing: Preprocessing) -> dict[str, Any]:
    """The arguments of `Preprocessing` that a preprocessing holds."""
    return {each.name: getattr(preprocessing, each.name) for each in fields(Preprocessing)}
