"""Surroundings: the parts of an image, outside of a target, that can be hidden one by one.

They are what the model itself draws there (each other class, and each of its connected objects),
and superpixels of all that is left: most of them near the target, a few over the rest of the image,
since a network may well look at a mark in a corner.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from misure.explanation.answers.pieces import Piece, divide
from misure.explanation.summary import named
from misure.images.regions import component_numbers, distance_px
from misure.images.spacing import Sampling, short_side_px
from misure.models.segmentation import Segmentation
from misure.models.target import Target

CLASS, OBJECT, SUPERPIXEL, BACKGROUND = "class", "object", "superpixel", "background"

_REACH = 1 / 4  # of the short side: what is near the target
_NEAR = 2 / 3  # of the superpixels


@dataclass(frozen=True, eq=False)
class Surrounding:
    """A part of the surroundings.

    Attributes:
        kind: `class`, `object`, `superpixel` or `background`.
        name: how a sentence names it.
        piece: its pixels, none of them the target's.
        class_index: of a class, an object, the background; None for superpixels.
        number: of an object among those of its class, 0 the largest; of a superpixel; None for the
            others.
    """

    kind: str
    name: str
    piece: Piece
    class_index: int | None = None
    number: int | None = None


def surroundings_of(
    segmentation: Segmentation,
    image: Tensor,
    target: Target,
    *,
    num_superpixels: int,
    min_area: float,
    sampling: Sampling | None = None,
    seed: int = 0,
    max_parts: int | None = None,
) -> list[Surrounding]:
    """All parts of the surroundings of a target.

    Args:
        segmentation: the model's own, of the image.
        image: (C, *spatial) float, whose colours divide the background.
        target: whose pixels belong to no part.
        num_superpixels: at most as many; 0: none.
        min_area: share of the image that a class or an object must have; smaller ones belong to the
            superpixels.
        sampling: sides of a voxel relative to the smallest; None: they are equal.
        seed: of the superpixels.
        max_parts: at most as many parts, if there are not more classes and objects, which are all
            in it; then come the background as a whole and superpixels. None: all.
    """
    spatial = target.region.shape
    outside = ~target.region.cpu()
    drawn = list(_drawn(segmentation, target, outside, min_area))
    background = outside.clone()
    for part in drawn:
        background[part.piece.box] &= torch.from_numpy(~part.piece.mask)
    spare = num_superpixels + 1 if max_parts is None else max(0, max_parts - len(drawn))
    whole = [_whole_background(segmentation, background)] if spare and background.any() else []
    num_superpixels = min(num_superpixels, max(0, spare - 1))
    near = distance_px(target.region.cpu(), sampling) <= _REACH * short_side_px(spatial, sampling)
    num_near = max(1, round(_NEAR * num_superpixels)) if num_superpixels else 0
    num_far = num_superpixels - num_near
    if not (background & ~near).any():
        num_near, num_far = num_superpixels, 0
    pieces = [
        piece
        for region, number in ((background & near, num_near), (background & ~near, num_far))
        if number
        for piece in divide(region, number, image=image, sampling=sampling, seed=seed)
    ]
    return [*drawn, *whole, *(_superpixel(*numbered) for numbered in enumerate(pieces))]


def _drawn(
    segmentation: Segmentation, target: Target, outside: Tensor, min_area: float
) -> Iterator[Surrounding]:
    """The other classes and objects that the model draws, and what is left of the target's own."""
    model, least_px = segmentation.model, max(1.0, min_area * outside.numel())
    for found in segmentation.found_classes():
        index, name = found.class_index, named(found.class_name)
        if model.is_background(index):
            continue
        whole = segmentation.class_region(index).cpu()
        own, is_own = whole & outside, index == target.class_index
        if int(own.sum()) < least_px:
            continue
        rest = f"the rest of {name}" if is_own else name
        yield Surrounding(CLASS, rest, Piece.of(own), index)
        objects = list(_objects_of(segmentation, index, whole)) if found.num_objects > 1 else []
        for number, drawn in enumerate(objects):
            region = drawn & outside
            if least_px <= int(region.sum()) < int(own.sum()):
                label = f"object {number} of {name}"
                yield Surrounding(OBJECT, label, Piece.of(region), index, number)


def _objects_of(segmentation: Segmentation, index: int, whole: Tensor) -> Iterator[Tensor]:
    """The objects (*spatial) bool of a class: those that the network reports, or connected ones."""
    if segmentation.objects:
        yield from (one.region.cpu() for one in segmentation.instances_of(index))
        return
    numbers = component_numbers(whole)
    yield from (numbers == number for number in range(1, int(numbers.max()) + 1))


def _whole_background(segmentation: Segmentation, region: Tensor) -> Surrounding:
    index = 0 if segmentation.model.is_background(0) else None
    return Surrounding(BACKGROUND, "the whole background", Piece.of(region), index)


def _superpixel(number: int, piece: Piece) -> Surrounding:
    place = ", ".join(map(str, piece.centre))
    return Surrounding(SUPERPIXEL, f"the superpixel at ({place})", piece, number=number)
