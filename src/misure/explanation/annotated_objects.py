"""The annotated objects of a sample, and models that are prompted by them."""

from collections.abc import Iterator

from torch import Tensor

from misure.datasets.sample import AnnotatedObject, Dataset, Sample
from misure.errors import InputError
from misure.images.numbering import needs_regions
from misure.images.regions import component_numbers
from misure.models.model import SegmentationModel
from misure.models.prompted_objects import (
    is_prompted_by_annotations,
    with_class_names,
    with_objects,
)


def model_for_dataset(model: SegmentationModel, dataset: Dataset) -> SegmentationModel:
    """A model that is prompted by annotations, with the data set's classes; others as they are."""
    return with_class_names(model, getattr(dataset, "class_names", ()))


def model_for_sample(model: SegmentationModel, sample: Sample) -> SegmentationModel:
    """A model that is prompted by annotations, for one sample; others as they are.

    Raises:
        InputError: the sample is not annotated.
    """
    if not is_prompted_by_annotations(model):
        return model
    objects = annotated_objects(sample, model)
    listed = [(one.class_index, one.region) for one in objects if bool(one.region.any())]
    return with_objects(model, listed)


def annotated_objects(sample: Sample, model: SegmentationModel) -> list[AnnotatedObject]:
    """The annotated objects of a sample, or the connected parts of each class but 0.

    Class 0 of classes that overlap is like the others.
    """
    if sample.objects:
        return list(sample.objects)
    if not sample.is_annotated:
        if model.multilabel:
            raise InputError(needs_regions(f"the annotation of {sample.key}"))
        raise InputError(
            f"expected samples with annotations, {sample.key} has none. Name a data set with "
            "annotations, such as coco:FOLDER."
        )
    return [
        AnnotatedObject(class_index, part)
        for class_index in sample.annotated_classes()
        if class_index > 0 or sample.regions is not None
        for part in _parts(sample.annotated_region(class_index))
    ]


def _parts(mask: Tensor) -> Iterator[Tensor]:
    """The connected parts of a mask (*spatial) bool, each by itself."""
    parts = component_numbers(mask)
    for number in range(1, int(parts.max()) + 1):
        yield parts == number
