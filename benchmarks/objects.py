"""The objects that the benchmarks explain: what a real network finds in real photographs."""

from collections.abc import Iterator
from pathlib import Path

from torch import Tensor

import misure
from misure.models.preprocessing import resize

SMALLEST_AREA = 0.01


def photographed_objects(
    model: misure.SegmentationModel,
    folder: Path,
    limit: int,
    size: tuple[int, int] | None = None,
) -> Iterator[tuple[str, Tensor, misure.Target]]:
    """(key, image, target): of each photograph in turn the largest object of its largest class.

    With a size the photographs are resized to it. The background, objects of the whole image and
    objects below `SMALLEST_AREA` of it are left out.
    """
    found = 0
    for path in sorted(folder.glob("*.jpg")):
        if found == limit:
            return
        image = misure.read_image(path, num_channels=3)
        if size:
            image = resize(image[None], size)[0].clamp(0, 1)
        segmentation = misure.segment(model, image)
        classes = [one for one in segmentation.found_classes() if one.class_index != 0]
        if not classes:
            continue
        target = segmentation.target(classes[0].class_index, instance=0)
        if SMALLEST_AREA <= target.region.float().mean() < 1:
            found += 1
            yield f"{path.stem} {target.class_name}", image, target
