"""Thumbnails: the image of a record, small, for the report."""

import numpy as np

from misure.datasets.sample import Sample
from misure.images.planes import as_colours, grey_range, in_bytes, viewing_plane
from misure.models.preprocessing import resize
from misure.models.target import Target


def thumbnail(sample: Sample, target: Target, side_px: int) -> np.ndarray:
    """The image as (H, W) or (H, W, 3) uint8; of a volume the slice with most of the target.

    Args:
        sample: whose image it is.
        target: of the image.
        side_px: of the longer side, at most.
    """
    take, _ = viewing_plane(target.region, sample.order)
    plane, (low, high) = take(sample.image).float().cpu(), grey_range(sample.image)
    scale = min(1.0, side_px / max(plane.shape[1:]))
    sides = [max(1, round(scale * side)) for side in plane.shape[1:]]
    return in_bytes(as_colours(resize(plane[None], sides)[0], low, high))
