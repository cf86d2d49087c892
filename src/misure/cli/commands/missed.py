"""The object that a network missed, by its annotation in a file."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from misure.datasets.coco_choice import coco_annotation, split_id
from misure.datasets.coco_files import read_photograph
from misure.datasets.sample import Reading
from misure.errors import InputError
from misure.images.numbering import Numbering
from misure.images.pictures import read_class_numbers
from misure.images.read import read_image
from misure.images.regions import check_point, component_numbers
from misure.images.volumes import is_volume
from misure.models.segmentation import Segmentation
from misure.models.target import Target


def is_coco(annotation: Path) -> bool:
    """Whether a path names COCO annotations, `FILE.json` or `FILE.json#ID`."""
    return split_id(annotation)[0].suffix.lower() == ".json"


def missed_in_coco(
    segmentation: Segmentation,
    annotation: Path,
    class_index: int | None,
    point: tuple[int, ...] | None,
    *,
    image: Path,
    pixels: Tensor,
    reading: Reading,
) -> Target:
    """What the network should have drawn, by an annotation of COCO.

    Args:
        segmentation: of the image.
        annotation: `FILE.json` or `FILE.json#ID`.
        class_index: the class that the object should have; None: that of the annotation.
        point: a pixel of the object.
        image: the photograph, which the annotations list by its name.
        pixels: (C, H, W) float, as it was read.
        reading: how it was read.

    Raises:
        InputError: no such annotation, or several; or one of other pixels.
        MissingDependencyError: pycocotools is missing.
    """
    file, number = split_id(annotation)
    found = coco_annotation(
        file,
        image,
        segmentation.model.class_names,
        class_index=class_index,
        number=number,
        point=point,
    )
    height, width = found.region.shape
    same = replace(reading, num_channels=len(pixels))
    if not torch.equal(read_photograph(image, (height, width), same), pixels.cpu()):
        raise InputError(
            f"expected a photograph that lies as it was annotated, but its EXIF tag turns {image}. "
            "Save it without the tag."
        )
    return segmentation.missed(
        found.region, found.class_index or 0, made_from=f"the annotation {found.number}"
    )


def _mask(numbers: Tensor, class_index: int, numbering: Numbering, annotation: Path) -> Tensor:
    """The pixels (*spatial) bool of a class, by numbers (C, *spatial)."""
    if len(numbers) > 1:
        return numbering.channel_regions(numbers, annotation)[0][class_index]
    alone = numbers[0]
    values = {*torch.unique(alone).tolist()}
    are_labels = 1 in {number for region in numbering.regions or () for number in region}
    if values == {0, 255} or (values == {0, 1} and not are_labels):
        return alone != 0
    if numbering.overlapping:
        return numbering.class_regions(alone, annotation)[0][class_index]
    return alone == class_index


def missed_in_file(
    segmentation: Segmentation,
    annotation: Path,
    class_index: int,
    point: tuple[int, ...] | None,
    *,
    slice_index: int | None,
    numbering: Numbering,
) -> Target:
    """What the network should have drawn, by a picture or NIfTI labels.

    A file of the numbers 0 and 1, or 0 and 255, is a mask; in any other the class's pixels are
    those of its number. Where classes overlap, they are those of the class's numbers, or of its
    channel. With a point, the connected object there.

    Args:
        segmentation: of the image.
        annotation: a picture of class numbers or a mask, or NIfTI labels.
        class_index: the class that the object should have.
        point: a pixel of the object.
        slice_index: the slice to take of NIfTI labels.
        numbering: which numbers each class has, where classes overlap.

    Raises:
        InputError: a file of another shape or without the class, or a point outside of it.
    """
    if is_volume(annotation):
        numbers = read_image(annotation, slice_index=slice_index).round().long()
    else:
        numbers = torch.from_numpy(read_class_numbers(annotation))[None]
    values = np.unique(numbers.numpy()).tolist()
    if not 0 <= class_index < segmentation.num_classes:
        raise InputError(
            f"expected a class from 0 to {segmentation.num_classes - 1}, got {class_index}."
        )
    known = replace(numbering, num_classes=segmentation.num_classes)
    mask = _mask(numbers, class_index, known, annotation)
    if not bool(mask.any()):
        raise InputError(
            f"expected an annotation with the class {class_index}, got {annotation} with the "
            f"numbers {', '.join(map(str, values[:12]))}. A mask has 0 and 1, or 0 and 255."
        )
    if tuple(mask.shape) != segmentation.spatial:
        raise InputError(
            f"expected an annotation of the image's shape {segmentation.spatial}, got "
            f"{tuple(mask.shape)} in {annotation}."
        )
    if point is not None:
        place = check_point(mask.shape, point)
        if not bool(mask[place]):
            raise InputError(f"expected a --point on the annotated object, got {point} beside it.")
        parts = component_numbers(mask)
        mask = parts == parts[place]
    return segmentation.missed(mask.bool(), class_index, made_from="the annotation")
