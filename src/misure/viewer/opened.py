"""An image that is open: its pixels, what the network drew, and the objects in it."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from misure.datasets.sample import Sample
from misure.errors import InputError
from misure.images.cuts import Lie
from misure.images.planes import grey_range
from misure.images.regions import component_numbers
from misure.images.spacing import known_spacing
from misure.images.volume_file import VolumeFile
from misure.models.segmentation import Segmentation
from misure.models.target import Target
from misure.reports.folders import lie_of
from misure.viewer.cache import Cache
from misure.viewer.planes import Planes

_TARGETS_MB = 150

MOST_OBJECTS = 1000
"""Objects of an image that are numbered, the largest; a pixel of any other can be asked about."""


@dataclass(frozen=True, kw_only=True)
class FoundObject:
    """One object that the network drew.

    Attributes:
        class_index, instance: name it for `Segmentation.target` and `misure explain`.
        num_pixels: of it.
        score: the network's, if it reports objects.
        centre: the pixel (*spatial) of it that is nearest to its centre of gravity.
        box: first pixel and end along each stored axis.
    """

    class_index: int
    instance: int
    num_pixels: int
    score: float | None
    centre: tuple[int, ...]
    box: tuple[slice, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class Opened:
    """An image with its segmentation.

    Attributes:
        number, name: among the images of the session.
        path: as `misure explain` takes it.
        sample: as it was read.
        volume: that it is, or is a slice of.
        pixels: (C, *spatial) float, on the device of the network.
        segmentation: of it; None: there is no network.
        objects: that were found, the largest first.
        labels: (*spatial) int32 on the CPU, number of the object + 1, 0 where there is none.
        num_left_out: objects beyond `MOST_OBJECTS`.
    """

    number: int
    name: str
    path: Path
    sample: Sample
    volume: VolumeFile | None
    pixels: Tensor
    segmentation: Segmentation | None
    objects: list[FoundObject]
    labels: Tensor
    num_left_out: int
    _targets: Cache[int, Target] = field(default_factory=lambda: Cache(_TARGETS_MB))

    @classmethod
    def of(
        cls,
        number: int,
        path: Path,
        sample: Sample,
        volume: VolumeFile | None,
        segmentation: Segmentation | None,
        pixels: Tensor,
    ) -> "Opened":
        """The image with its objects."""
        objects, num_objects = _objects(segmentation) if segmentation else ([], 0)
        found = sorted(objects, key=lambda one: -one[0].num_pixels)
        kept = found[:MOST_OBJECTS]
        labels = torch.zeros(pixels.shape[1:], dtype=torch.int32)
        for label, (each, inside) in enumerate(kept, start=1):  # a small one lies on a large one
            labels[each.box][torch.from_numpy(inside)] = label
        return cls(
            number=number,
            name=sample.key,
            path=path,
            sample=sample,
            volume=volume,
            pixels=pixels,
            segmentation=segmentation,
            objects=[each for each, _ in kept],
            labels=labels,
            num_left_out=num_objects - len(kept),
        )

    @cached_property
    def planes(self) -> Planes:
        """What of it can be looked at."""
        return Planes(tuple(self.labels.shape), self.sample.order)

    @cached_property
    def shown_range(self) -> tuple[float, float]:
        """The numbers shown as black and as white."""
        return grey_range(self.pixels)

    @cached_property
    def value_range(self) -> tuple[float, float]:
        """The least and the largest number of the image."""
        return float(self.pixels.min()), float(self.pixels.max())

    @property
    def is_colour(self) -> bool:
        """Whether the channels are the colours of a picture; those of a volume are shown singly."""
        return len(self.pixels) == 3 and not self.planes.is_volume

    @property
    def spacing_mm(self) -> tuple[float, ...] | None:
        """Sides of a pixel or voxel along each stored axis; None: not known."""
        return known_spacing(self.sample.spacing_mm)

    @cached_property
    def lie(self) -> Lie:
        """How it lies, as pictures of it say."""
        return lie_of(self.sample.order, self.volume, self.labels.ndim, self.spacing_mm)

    @property
    def plane_labels(self) -> list[str]:
        """What the planes are called; where nobody knows how a volume lies, by the stored axis."""
        if not self.planes.is_volume or self.lie.is_known:
            return self.planes.names
        return [f"axis {axis}" for axis, _ in self.sample.order]

    @property
    def num_bytes(self) -> int:
        """What it takes in memory."""
        classes = 8 * self.labels.numel()  # int64, unless classes overlap
        return 4 * self.pixels.numel() + 4 * self.labels.numel() + classes

    @property
    def drawn(self) -> Segmentation:
        """What the network drew.

        Raises:
            LookupError: there is no network.
        """
        if self.segmentation is None:
            raise LookupError("expected a viewer with a network, this one was started without.")
        return self.segmentation

    def object(self, number: int) -> FoundObject:
        """The object with this number.

        Raises:
            LookupError: there is none.
        """
        if not 0 <= number < len(self.objects):
            raise LookupError(f"expected an object below {len(self.objects)}, got {number}.")
        return self.objects[number]

    def target(self, number: int) -> Target:
        """The target that an object is."""
        chosen = self.object(number)
        known = self._targets.get(number)
        if known is None:
            known = self.drawn.target(chosen.class_index, instance=chosen.instance)
            self._targets.put(number, known, 2 * known.region.numel())
        return known

    def target_at(self, point: tuple[int, ...]) -> Target:
        """The target at a stored pixel, of any class."""
        return self.drawn.target(point=point)

    def record(self) -> dict[str, Any]:
        """What the page needs to know of the image and its objects."""
        planes, spacing = self.planes, self.spacing_mm
        model = self.segmentation.model if self.segmentation else None
        numbers = range(len(self.pixels))
        return {
            "number": self.number,
            "name": self.name,
            "shape": planes.shape,
            "channels": [model.channel_name(i) if model else f"channel {i}" for i in numbers],
            "spacing_mm": None if spacing is None else planes.as_laid_out(spacing),
            "is_volume": planes.is_volume,
            "is_colour": self.is_colour,
            "order": [[axis, is_turned] for axis, is_turned in planes.order],
            "planes": planes.names,
            "plane_labels": self.plane_labels,
            "is_oriented": self.lie.is_known,
            "value_range": [*self.value_range],
            "shown_range": [*self.shown_range],
            "objects": [self._record_of(i, one) for i, one in enumerate(self.objects)],
            "left_out": self.num_left_out,
        }

    def _record_of(self, number: int, one: FoundObject) -> dict[str, Any]:
        planes = self.planes
        first = planes.point_laid_out([side.start for side in one.box])
        last = planes.point_laid_out([side.stop - 1 for side in one.box])
        ends = [sorted(pair) for pair in zip(first, last, strict=True)]
        return {
            "number": number,
            "class_index": one.class_index,
            "class_name": self.drawn.model.class_name(one.class_index),
            "instance": one.instance,
            "pixels": one.num_pixels,
            "area_fraction": one.num_pixels / self.labels.numel(),
            "score": one.score,
            "centre": planes.point_laid_out(one.centre),
            "box": [int(low) for low, _ in ends] + [int(high) + 1 for _, high in ends],
        }

    def checked_point(self, point: Any) -> tuple[int, ...]:
        """A point as laid out that the page sent, as it is stored.

        Raises:
            InputError: none.
        """
        if not isinstance(point, list) or not all(type(place) is int for place in point):
            raise InputError("expected a point of whole numbers.")
        return self.planes.point_stored(point)


def _objects(segmentation: Segmentation) -> tuple[list[tuple[FoundObject, np.ndarray]], int]:
    """Objects with the pixels of their boxes that they have, and how many there are.

    Background is none. Of a class with more than `MOST_OBJECTS` parts they are the largest.
    """
    found, num_objects = list[tuple[FoundObject, np.ndarray]](), 0
    everywhere = torch.ones(segmentation.spatial, dtype=torch.bool)
    for class_index in segmentation.num_pixels_by_class(everywhere):
        if class_index < 0 or segmentation.model.is_background(class_index):
            continue
        instances = segmentation.instances_of(class_index)
        if instances:
            for number, reported in enumerate(instances):
                if bool(reported.region.any()):
                    region = reported.region.cpu().numpy()
                    (box,) = ndimage.find_objects(region.astype(np.uint8))
                    found.append(_object(class_index, number, box, region[box], reported.score))
                    num_objects += 1
            continue
        numbers = component_numbers(segmentation.class_region(class_index)).cpu().numpy()
        boxes = ndimage.find_objects(numbers, max_label=MOST_OBJECTS)
        num_objects += int(numbers.max())
        for number, box in enumerate(boxes):
            if box is not None:
                found.append(_object(class_index, number, box, numbers[box] == number + 1, None))
    return found, num_objects


def _object(
    class_index: int,
    instance: int,
    box: tuple[slice, ...],
    inside: np.ndarray,
    score: float | None,
) -> tuple[FoundObject, np.ndarray]:
    places = np.argwhere(inside)
    nearest = places[np.square(places - places.mean(0)).sum(1).argmin()]
    centre = tuple(int(side.start + at) for side, at in zip(box, nearest, strict=True))
    return (
        FoundObject(
            class_index=class_index,
            instance=instance,
            num_pixels=len(places),
            score=score,
            centre=centre,
            box=box,
        ),
        inside,
    )
