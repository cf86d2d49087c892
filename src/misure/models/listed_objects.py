"""The objects of a segmentation as a list: what each is called, how large, and a pixel inside."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from misure.images.regions import component_numbers, innermost
from misure.models.background import is_named_background
from misure.models.segmentation import FoundClass, Segmentation

MOST_OF_A_CLASS = 20
"""Objects that are listed of each class, the largest."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ListedObject:
    """One object of a class.

    Attributes:
        instance: its number in its class, 0 the largest.
        num_pixels: area.
        area_fraction: share of the image, in [0, 1].
        centre: (*spatial) the innermost pixel that names it, together with its class; None if every
            pixel of it lies in a likelier object of its class too.
        score: the network's, in [0, 1]; None of a connected part.
        place: the smallest box that holds it.
        mask: (*spatial of the box) bool.
    """

    instance: int
    num_pixels: int
    area_fraction: float
    centre: tuple[int, ...] | None
    score: float | None
    place: tuple[slice, ...]
    mask: np.ndarray


@dataclass(frozen=True, kw_only=True)
class ListedClass:
    """A class that the network finds, and its largest objects.

    Attributes:
        found: the class as a whole.
        objects: the largest first; none of a background.
        num_more: objects that are left out, the smaller ones.
    """

    found: FoundClass
    objects: Sequence[ListedObject]
    num_more: int


def list_objects(segmentation: Segmentation, most: int = MOST_OF_A_CLASS) -> list[ListedClass]:
    """The objects of each class, by area: what the network reports, else connected parts.

    A class 0 that is named as a background has no objects.

    Args:
        segmentation: of an image.
        most: objects of a class; the largest are taken.
    """
    classes = []
    for found in segmentation.found_classes():
        index = found.class_index
        model = segmentation.model
        if model.is_background(index) and is_named_background(found.class_name):
            objects: list[ListedObject] = []
            num_more = 0
        else:
            reported = segmentation.instances_of(index)
            objects = (
                _reported(segmentation, index, most)
                if reported
                else _connected(segmentation, index, most)
            )
            num_more = found.num_objects - len(objects)
        classes.append(ListedClass(found=found, objects=objects, num_more=num_more))
    return classes


def _connected(segmentation: Segmentation, class_index: int, most: int) -> list[ListedObject]:
    numbers = component_numbers(segmentation.class_region(class_index)).cpu().numpy()
    numbers[numbers > most] = 0
    listed = []
    for instance, place in enumerate(ndimage.find_objects(numbers)):
        mask = numbers[place] == instance + 1
        listed.append(_listed(instance, place, mask, mask, numbers.size, None))
    return listed


def _reported(segmentation: Segmentation, class_index: int, most: int) -> list[ListedObject]:
    reported = segmentation.instances_of(class_index)
    listed = []
    for instance, found in enumerate(reported[:most]):
        region = found.region.cpu().numpy()
        named = region.copy()
        for number, other in enumerate(reported):
            if (other.score, instance) > (found.score, number):  # then a pixel names the other
                named &= ~other.region.cpu().numpy()
        (place,) = ndimage.find_objects(region.astype(np.uint8))
        listed.append(
            _listed(instance, place, region[place], named[place], region.size, found.score)
        )
    return listed


def _listed(
    instance: int,
    place: tuple[slice, ...],
    mask: np.ndarray,
    named: np.ndarray,
    size: int,
    score: float | None,
) -> ListedObject:
    """An object by its mask (*spatial of the box), and those of its pixels that name it."""
    num_pixels = int(mask.sum())
    centre = None
    if named.any():
        starts = [side.start for side in place]
        inside = innermost(named)
        centre = tuple(start + step for start, step in zip(starts, inside, strict=True))
    return ListedObject(
        instance=instance,
        num_pixels=num_pixels,
        area_fraction=num_pixels / size,
        centre=centre,
        score=score,
        place=place,
        mask=mask,
    )
