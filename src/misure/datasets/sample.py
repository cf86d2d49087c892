"""What a data set is made of."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from torch import Tensor

from misure.errors import InputError
from misure.images.orientation import AS_STORED, ViewingOrder

_SLICE = re.compile(r"[/_]slice\d+(\.\w+)*$")


@dataclass(frozen=True)
class Sample:
    """One image and what a person (or a generator) says is in it.

    Attributes:
        key: name of the sample, unique within its data set.
        image: (C, *spatial) float.
        annotation: (*spatial) int64, the class index of every pixel, -1 where nobody judged it;
            None: nobody drew any.
        objects: the annotated objects one by one, where they are known apart.
        relevance: (*spatial) bool: what a right explanation of the object at `point` must contain;
            None where that is not known.
        point: a pixel (*spatial) of the object that is to be explained; None: any.
        order: how to lay out a volume in pictures (see `read_viewing_order`).
        affine: (4, 4) float64, from the voxel indices of a volume to millimetres (RAS+), of an
            axial slice from those of the volume (1, rows, columns) that it is; None where the image
            is neither.
    """

    key: str
    image: Tensor
    annotation: Tensor | None = None
    relevance: Tensor | None = None
    point: tuple[int, ...] | None = None
    order: ViewingOrder = AS_STORED
    objects: tuple["AnnotatedObject", ...] = ()
    affine: Tensor | None = None


@dataclass(frozen=True)
class AnnotatedObject:
    """One object that somebody drew.

    Attributes:
        class_index: its class, among the data set's.
        region: (*spatial) bool.
        name: of the object in its data set, as `1768` of COCO.
    """

    class_index: int
    region: Tensor
    name: str = ""


@dataclass(frozen=True)
class Reading:
    """How a network wants its images read.

    Attributes:
        num_channels, slice_index, intensity: see `read_image`.
    """

    num_channels: int | None = None
    slice_index: int | None = None
    intensity: str = ""

    @classmethod
    def for_model(cls, model: "TakesImages", slice_index: int | None = None) -> Self:
        """What this model takes; of volumes, where asked for, one axial slice."""
        return cls(model.num_channels, slice_index, model.intensity)


class TakesImages(Protocol):
    """A network, as far as reading images for it goes."""

    num_channels: int | None
    intensity: str


AS_IT_IS = Reading()


class Dataset(Protocol):
    """Samples by number; their keys are known before any of them is read."""

    @property
    def keys(self) -> Sequence[str]:
        """The key of each sample, in order; none twice."""
        ...

    def __getitem__(self, index: int, /) -> Sample:
        """One sample.

        Raises:
            MisureError: it cannot be read; the others may be.
        """
        ...


class SampleList(list[Sample]):
    """Samples in memory, as a data set."""

    @property
    def keys(self) -> list[str]:
        """The key of each sample."""
        return [sample.key for sample in self]


def as_dataset(samples: Dataset | Sequence[Sample]) -> Dataset:
    """A data set as it is; samples in a list or tuple as a data set.

    Raises:
        InputError: two samples with one key.
    """
    dataset: Dataset = samples if hasattr(samples, "keys") else SampleList(samples)
    twice = [key for key, num in Counter(dataset.keys).items() if num > 1]
    if twice:
        raise InputError(
            f"expected samples with different keys, got {twice[0]!r} twice. Rename or remove one."
        )
    return dataset


def case_of(key: str) -> str:
    """Of whom a sample is: its key without the number of the slice.

    >>> case_of("case0008/slice012"), case_of("case0005_slice003.png"), case_of("a.png")
    ('case0008', 'case0005', 'a.png')
    """
    return _SLICE.sub("", key)
