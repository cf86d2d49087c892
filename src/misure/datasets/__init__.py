"""Data sets whose samples can be explained, each in a file of its own, opened by a spec.

open_dataset("triangle:30")
"""

# The order of these names is the order of the registry, and of every table.
from misure.datasets.triangle import specs  # noqa: F401  # isort: skip
from misure.datasets import nifti, coco, coco_panoptic, corrupted  # noqa: F401  # isort: skip
from misure.datasets.synapse import dataset as _synapse  # noqa: F401  # isort: skip

from misure.datasets.coco import CocoDataset
from misure.datasets.coco_choice import CocoAnnotation, coco_annotation
from misure.datasets.coco_panoptic import CocoPanopticDataset
from misure.datasets.corrupted import CorruptedDataset
from misure.datasets.image_files import ImageFiles
from misure.datasets.registry import DATASETS, DatasetKind, dataset, open_dataset
from misure.datasets.sample import AnnotatedObject, Dataset, Reading, Sample, SampleList, as_dataset
from misure.datasets.triangle.dataset import TriangleDataset

__all__ = [
    "DATASETS",
    "AnnotatedObject",
    "CocoAnnotation",
    "CocoDataset",
    "CocoPanopticDataset",
    "CorruptedDataset",
    "Dataset",
    "DatasetKind",
    "ImageFiles",
    "Reading",
    "Sample",
    "SampleList",
    "TriangleDataset",
    "as_dataset",
    "coco_annotation",
    "dataset",
    "open_dataset",
]
