"""The objects that the benchmarks explain: what a real network finds in real photographs."""

from collections.abc import Iterator
from pathlib import Path

from torch import Tensor

import misure

SMALLEST_AREA = 0.01


def photographed_objects(
    model: misure.SegmentationModel, folder: Path, limit: int
) -> Iterator[tuple[str, Tensor, misure.Target]]:
    """(key, image, target): of each photograph in turn the largest object of its largest class.

    The background and objects below `SMALLEST_AREA` of the photograph are left out.
    """
    found = 0
    for path in sorted(folder.glob("*.jpg")):
        if found == limit:
            return
        image = misure.read_image(path, num_channels=3)
        segmentation = misure.segment(model, image)
        classes = [one for one in segmentation.found_classes() if one.class_index != 0]
        if not classes:
            continue
        target = segmentation.target(classes[0].class_index, instance=0)
        if target.region.float().mean() >= SMALLEST_AREA:
            found += 1
            yield f"{path.stem} {target.class_name}", image, target
