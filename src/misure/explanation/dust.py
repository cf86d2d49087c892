"""Dust: a region of many small parts, none of which a person could point at.

The region is verified like any other. But a search for the smallest region keeps the best of many
tries, and so finds what one network makes of one baseline image.
"""

from typing import Protocol

from torch import Tensor

from misure.explanation.record import MinimallySufficientRegionRecord
from misure.images.regions import broad_parts
from misure.images.spacing import Sampling, short_side_px

_BREADTH = 1 / 64  # of the image's short side: what is not as broad is narrow
_LEAST_BREADTH_PX = 2
_MOST_PARTS = 20
_MOSTLY = 0.5


class Found(Protocol):
    """What says what a minimal region is like: of an explanation or of a run."""

    @property
    def minimally_sufficient_region(self) -> MinimallySufficientRegionRecord: ...


def narrow_fraction(region: Tensor, sampling: Sampling | None = None) -> float:
    """The share of a region that lies in no square (3D: cube) inside it, in [0, 1].

    The side of the square is 1/64 of the image's short side, and at least two pixels. An empty
    region gives 0.

    Args:
        region: (*spatial) bool.
        sampling: sides of a voxel relative to the smallest; None: they are equal.
    """
    breadth_px = max(_LEAST_BREADTH_PX, round(_BREADTH * short_side_px(region.shape, sampling)))
    num_pixels = int(region.sum())
    broad = broad_parts(region, breadth_px, region.numel(), sampling)
    return 1 - int(broad.sum()) / num_pixels if num_pixels else 0.0


def is_dust(record: Found) -> bool:
    """Whether the minimal region has more than 20 parts and is narrow for the most part."""
    small = record.minimally_sufficient_region
    return small.num_parts > _MOST_PARTS and small.narrow_fraction > _MOSTLY


def dust_note(record: Found) -> str:
    """What a region of dust is evidence of, in two sentences; empty for any other region."""
    if not is_dust(record):
        return ""
    small = record.minimally_sufficient_region
    own = " and ".join(small.dice_by_baseline_image)
    return (
        f"The region is dust: {small.num_parts:,} narrow specks. It is verified like any region, "
        f"but as evidence about this network on this baseline image ({own}); it is no part that a "
        "person could point at, and --preset readable looks for such parts."
    )
