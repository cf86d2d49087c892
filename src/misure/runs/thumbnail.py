"""Thumbnails: the image of a record, small, for the report."""

import numpy as np

from misure.datasets.sample import Sample
from misure.images.planes import as_colours, grey_range, viewing_plane
from misure.models.preprocessing import resize
from misure.models.target import Target

SIDE_PX = 384
"""Of the longer side, at most."""


def thumbnail(sample: Sample, target: Target) -> np.ndarray:
    """The image as (H, W) or (H, W, 3) uint8; of a volume the slice with most of the target."""
    take, _ = viewing_plane(target.region, sample.order)
    plane, (low, high) = take(sample.image).float().cpu(), grey_range(sample.image)
    scale = min(1.0, SIDE_PX / max(plane.shape[1:]))
    sides = [max(1, round(scale * side)) for side in plane.shape[1:]]
    pixels: np.ndarray = (as_colours(resize(plane[None], sides)[0], low, high) * 255).round()
    return pixels.astype(np.uint8)
