"""Forms: instances read by class, or by object (see `misure.models.instances`)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor

from misure._util.words import counted
from misure.errors import InputError, ModelError
from misure.models.binding import FoundObject
from misure.models.instances.detections import (
    LEAST_LOGIT,
    Detections,
    Pixels,
    Reported,
    lead_of,
)
from misure.models.instances.readers import InstanceReader
from misure.models.preprocessing import Preprocessing

LEAST_OVERLAP = 0.1
"""IoU below which an instance is not taken for an object."""

_NOWHERE = -10.0
_NUM_TRIED = 10


@dataclass(frozen=True, eq=False)
class InstanceForm:
    """Reads instances by class: the logits of a class are those of its best proposal.

    Attributes:
        reader: of instances.
        name: of the network.
    """

    reader: InstanceReader
    name: str = "network"
    multilabel: bool = True
    probabilities: bool | None = False

    def read(self, output: Any, inputs: Tensor) -> tuple[Tensor, Self]:
        """Logits (N, K, *spatial) at the pixels of the inputs."""
        sides = tuple(inputs.shape[2:])
        return self.read_pixels(output, inputs, Preprocessing(), sides), self

    def read_pixels(
        self, output: Any, inputs: Tensor, preprocessing: Preprocessing, spatial: Sequence[int]
    ) -> Tensor:
        """Logits (N, K, *spatial) at the pixels of the images.

        Raises:
            InputError: the network sees images in several windows.
            ModelError: not one set of proposals for each image, or one that is none.
        """
        pixels = Pixels(preprocessing, tuple(spatial))
        return torch.stack(
            [
                self._of_image(found, self.reader.reported(found, pixels), pixels)
                for found in self._detections(output, inputs, pixels)
            ]
        )

    def settings(self) -> dict[str, Any]:
        """How the output is read, as plain values."""
        return {
            "multilabel": True,
            "num_classes": self.reader.num_classes,
            **self.reader.settings(),
        }

    def _of_image(self, found: Detections, reported: list[Reported], pixels: Pixels) -> Tensor:
        """Logits (K, *spatial) of an image."""
        rows = list(self._not_reported(found, pixels))
        for one in reported:
            own = one.logits(self.reader.min_score)
            rows[one.class_index] = torch.maximum(rows[one.class_index], own)
        return torch.stack(rows)

    def _not_reported(self, found: Detections, pixels: Pixels) -> Tensor:
        """Logits (K, *spatial) of the likeliest proposal of each class, as if it were too weak."""
        num_classes = self.reader.num_classes
        if not len(found.masks):
            nowhere = found.masks.new_full((num_classes, *pixels.spatial), _NOWHERE)
            return nowhere + found.masks.sum()  # which is 0, but has a gradient
        best = found.scores.argmax(0)
        leads = lead_of(found.scores.gather(0, best[None])[0], self.reader.min_score)
        leads = leads.view(-1, *[1] * (found.masks.ndim - 1))
        at_pixels = pixels(torch.minimum(found.masks[best], leads))
        return at_pixels.clamp(max=-LEAST_LOGIT)

    def _detections(self, output: Any, inputs: Tensor, pixels: Pixels) -> Sequence[Detections]:
        if len(pixels.preprocessing.placement(pixels.spatial).corners) > 1:
            raise InputError(
                f"expected whole images for the instances of {self.name}, got images of "
                f"{pixels.spatial} in several windows. Give input_size, so that it sees one."
            )
        found = self.reader.detections(output, inputs)
        if len(found) != len(inputs):
            raise ModelError(
                f"expected the instances of each of {counted(len(inputs), 'image')}, "
                f"{self.name} gave those "
                f"of {len(found)}."
            )
        for one in found:
            if one.scores.shape[1] != self.reader.num_classes:
                raise ModelError(
                    f"expected scores for {self.reader.num_classes} classes, {self.name} has "
                    f"{one.scores.shape[1]}. Correct class_names or num_classes."
                )
            if not bool(torch.isfinite(one.scores).all() & torch.isfinite(one.masks).all()):
                raise ModelError(
                    f"expected finite scores and masks, {self.name} returned NaN or infinity. "
                    "Check its weights and the scale of the image."
                )
        return found


@dataclass(frozen=True, eq=False)
class ListingForm(InstanceForm):
    """Reads by class, and keeps what is reported on the first image."""

    kept: list[Reported] | None = None

    def _of_image(self, found: Detections, reported: list[Reported], pixels: Pixels) -> Tensor:
        if self.kept is not None:
            self.kept[:] = reported
        return super()._of_image(found, reported, pixels)


@dataclass(frozen=True, eq=False)
class ObjectsForm(InstanceForm):
    """Reads instances by object: one channel for each object that is known.

    Attributes:
        objects: what the network reports on the whole image.
    """

    objects: tuple[FoundObject, ...] = ()

    def moved(self, move: Callable[[Tensor], Tensor]) -> "ObjectsForm":
        """The form for an image whose pixels lie elsewhere.

        Args:
            move: (*spatial) bool -> where these pixels lie then.
        """
        objects = (replace(one, region=move(one.region)) for one in self.objects)
        return replace(self, objects=tuple(objects))

    def _of_image(self, found: Detections, reported: list[Reported], pixels: Pixels) -> Tensor:
        """Logits (M, *spatial) of the known objects on an image."""
        if not self.objects:
            return found.masks.new_zeros((0, *pixels.spatial))
        known = torch.stack([one.region for one in self.objects]).to(found.masks.device)
        if known.shape[1:] != pixels.spatial:
            raise InputError(
                f"expected an image of {tuple(known.shape[1:])}, on which the objects were found, "
                f"got one of {pixels.spatial}."
            )
        numbers = self._matches(known, reported)
        return torch.stack(
            [
                reported[number].logits(self.reader.min_score)
                if number is not None
                else self._missed(found, known[m], self.objects[m].class_index, pixels)
                for m, number in enumerate(numbers)
            ]
        )

    def _matches(self, known: Tensor, reported: list[Reported]) -> list[int | None]:
        """The number of the instance that matches each known object (M, *spatial), or None."""
        if not reported:
            return [None] * len(known)
        overlaps = _iou(known, torch.stack([one.region for one in reported]))
        scores = [float(one.score.detach()) for one in reported]
        matches: list[int | None] = []
        for one, overlap in zip(self.objects, overlaps.tolist(), strict=True):
            numbers = [
                number
                for number, instance in enumerate(reported)
                if instance.class_index == one.class_index and overlap[number] >= LEAST_OVERLAP
            ]
            matches.append(max(numbers, key=lambda i: (overlap[i], scores[i]), default=None))
        return matches

    def _missed(
        self, found: Detections, region: Tensor, class_index: int, pixels: Pixels
    ) -> Tensor:
        """Logits (*spatial) below 0 of the proposal that comes nearest to a region (*spatial).

        It has the largest product of score and overlap, so gradients lead to it.
        """
        if not len(found.masks):
            nowhere = found.masks.new_full(pixels.spatial, _NOWHERE)
            return nowhere + found.masks.sum()
        scores = found.scores[:, class_index]
        with torch.no_grad():
            likely = scores.topk(min(len(scores), _NUM_TRIED)).indices
            overlaps = _iou(region[None], pixels(found.masks[likely]) > 0)[0]
            number = int(likely[(scores[likely] * (overlaps + 1e-3)).argmax()])
        lead = lead_of(scores[number], self.reader.min_score)
        lead = lead - lead.detach().clamp(min=-LEAST_LOGIT) - LEAST_LOGIT
        return torch.minimum(pixels(found.masks[number][None])[0], lead)


def _iou(known: Tensor, found: Tensor) -> Tensor:
    """IoU (M, R) of regions (M, *spatial) bool with regions (R, *spatial) bool."""
    a, b = known.flatten(1).float(), found.flatten(1).float()
    shared = a @ b.T
    return shared / (a.sum(1)[:, None] + b.sum(1)[None] - shared).clamp(min=1)
