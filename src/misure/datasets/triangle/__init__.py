"""Triangle: pictures in which only the arrangement tells foreground from distractor."""

from misure.datasets.triangle.dataset import (
    CLASS_NAMES,
    MEAN,
    STROKE_GREY,
    TriangleDataset,
    TriangleSample,
    read_options,
)

__all__ = [
    "CLASS_NAMES",
    "MEAN",
    "STROKE_GREY",
    "TriangleDataset",
    "TriangleSample",
    "read_options",
]
