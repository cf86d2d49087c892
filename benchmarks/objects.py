"""The objects that the benchmarks explain: what a real network finds in images."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

import misure
from misure.datasets import Reading, open_dataset
from misure.models.preprocessing import resize
from misure.runs.other_images import OtherImages

SMALLEST_AREA = 0.01


@dataclass(frozen=True, eq=False)
class FoundObject:
    """An object that a network found in an image.

    Attributes:
        key: the image and the class.
        image: (C, *spatial) float.
        target: the object.
        other_image: (C, *any) float, of the next image that fits, and its name; None: no such.
        spacing_mm: sides of a pixel or voxel; None: not known.
    """

    key: str
    image: Tensor
    target: misure.Target
    other_image: tuple[Tensor, str] | None = None
    spacing_mm: tuple[float, ...] | None = None


def objects_of(
    model: misure.SegmentationModel, data: str, limit: int, size: tuple[int, int] | None = None
) -> Iterator[FoundObject]:
    """Of each image in turn the largest object of its largest class.

    Args:
        model: finds the objects; class 0 is the background and left out.
        data: a folder of photographs, or the spec of a data set. Of photographs, objects below
            `SMALLEST_AREA` of the image are left out; objects of a whole image always.
        limit: objects at most.
        size: that images are resized to; None: they stay as they are.
    """
    is_folder = Path(data).is_dir()
    dataset = open_dataset(data, Reading.for_model(model))
    others, found = OtherImages(dataset), 0
    for index, name in enumerate(dataset.keys):
        if found == limit:
            return
        sample = dataset[index]
        image = sample.image
        if size:
            image = resize(image[None], size)[0].clamp(0, 1)
        segmentation = misure.segment(model, image)
        classes = [one for one in segmentation.found_classes() if one.class_index != 0]
        if not classes:
            continue
        target = segmentation.target(classes[0].class_index, instance=0)
        if (SMALLEST_AREA if is_folder else 0) <= target.region.float().mean() < 1:
            found += 1
            yield FoundObject(
                f"{Path(name).stem if is_folder else name} {target.class_name}",
                image,
                target,
                others.of(index, image),
                sample.spacing_mm,
            )


def photographed_objects(
    model: misure.SegmentationModel,
    folder: Path,
    limit: int,
    size: tuple[int, int] | None = None,
) -> Iterator[tuple[str, Tensor, misure.Target]]:
    """(key, image, target) of each object that `objects_of` finds in a folder of photographs."""
    for found in objects_of(model, str(folder), limit, size):
        yield found.key, found.image, found.target
