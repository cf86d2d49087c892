"""Annotated objects of a data set that a model does not draw."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import nn

from misure._util.progress import counted, is_wanted
from misure._util.short_repr import ShortRepr
from misure.datasets.sample import Dataset, Sample, as_dataset
from misure.errors import InputError, entrance
from misure.explanation.annotated_objects import (
    annotated_objects,
    model_for_dataset,
    model_for_sample,
)
from misure.images.regions import dice
from misure.models.background import is_named_background
from misure.models.inputs import as_model
from misure.models.model import SegmentationModel
from misure.models.segmentation import Segmentation, segment
from misure.models.target import Target


@dataclass(frozen=True, eq=False, repr=False)
class MissedObject(ShortRepr):
    """An annotated object of which a model draws next to nothing.

    Attributes:
        key: of the sample, the class, and the name or number of the object in it.
        sample: whose object it is.
        segmentation: of the sample's image.
        target: what the model should have drawn.
        drawn_dice: Dice of the object with what the model gives to its class there, in [0, 1].
    """

    key: str
    sample: Sample
    segmentation: Segmentation
    target: Target
    drawn_dice: float


@entrance("missed_objects")
def missed_objects(
    model: SegmentationModel | nn.Module,
    samples: Dataset | Sequence[Sample],
    *,
    classes: Sequence[str] = (),
    min_area: float = 0.01,
    max_dice: float = 0.1,
    progress: bool | None = None,
    class_names: str | Sequence[str] = (),
) -> Iterator[MissedObject]:
    """The annotated objects that a model misses, sample by sample; one pass each.

    An object is missed if its Dice with what the model gives to its class *on the object's own
    pixels* is at most `max_dice`. Objects are those of the data set, or the connected parts of each
    class where it does not know them apart.

    Args:
        model: the model; its classes and those of the data set are matched by name if both have
            names.
        samples: a data set with annotations, or samples in memory.
        classes: names or numbers of the model's classes; empty: all but the background.
        min_area: area of the smallest object, as a share of the image, in [0, 1).
        max_dice: see above, in [0, 1).
        progress: whether a bar counts the samples; None: in a terminal or a notebook.
        class_names: of a torch module (see `explain`).

    Raises:
        InputError: bad arguments, no annotations or one of another shape, no class of the data set
            is the model's, or a sample that cannot be read.
        ModelError: the network fails.
    """
    if not 0 <= min_area < 1 or not 0 <= max_dice < 1:
        raise InputError(
            f"expected min_area and max_dice in [0, 1), got {min_area} and {max_dice}."
        )
    dataset = as_dataset(samples)
    model = model_for_dataset(as_model(model, class_names), dataset)
    asked = {model.find_class(name) for name in classes}
    class_of = _classes(model, getattr(dataset, "class_names", ()))
    is_shown = is_wanted(progress)
    return _of_samples(model, dataset, asked, class_of, min_area, max_dice, is_shown)


def _of_samples(
    model: SegmentationModel,
    dataset: Dataset,
    asked: set[int],
    class_of: dict[int, int] | None,
    min_area: float,
    max_dice: float,
    is_shown: bool,
) -> Iterator[MissedObject]:
    for index in counted(range(len(dataset.keys)), "looking for what is missed", is_shown):
        sample = dataset[index]
        segmentation = None
        for number, annotated in enumerate(annotated_objects(sample, model)):
            own = annotated.class_index
            class_index = own if class_of is None else class_of.get(own, -1)
            is_asked = class_index in asked if asked else class_index > 0 or model.multilabel
            if class_index < 0 or not is_asked:
                continue
            region = annotated.region
            if float(region.float().mean()) < max(min_area, 1 / region.numel()):
                continue
            segmentation = segmentation or segment(
                model_for_sample(model, sample), sample.image, affine=sample.affine
            )
            _check_number(sample, segmentation)
            target = segmentation.missed(region, class_index, made_from="the annotation")
            drawn = segmentation.class_region(class_index).to(region.device) & region
            if (drawn_dice := dice(drawn, region)) <= max_dice:
                name = annotated.name or str(number)
                key = f"{sample.key} {target.class_name or class_index} {name}"
                yield MissedObject(key, sample, segmentation, target, drawn_dice)


def _check_number(sample: Sample, segmentation: Segmentation) -> None:
    """Raises an InputError unless a sample has regions of all classes of the model, or none."""
    if sample.regions is None:
        return
    num, num_classes = len(sample.regions), segmentation.num_classes
    if num != num_classes:
        raise InputError(
            f"expected annotated regions of the {num_classes} classes of "
            f"{segmentation.model.name}, got {num} of {sample.key}."
        )


def _classes(model: SegmentationModel, names: Sequence[str]) -> dict[int, int] | None:
    """Class of the data set -> class of the model, without the background; None: the same numbers.

    Raises:
        InputError: both have names, and none is the same.
    """
    if not names or not model.class_names:
        return None
    numbers = {name: number for number, name in enumerate(model.class_names)}
    found = {
        number: numbers[name]
        for number, name in enumerate(names)
        if name in numbers and not is_named_background(name)
    }
    if not found:
        raise InputError(
            f"expected classes of the data set ({', '.join(names[:5])}, ...) among those of the "
            f"model ({', '.join(model.class_names[:5])}, ...), got none. Rename either."
        )
    return found
