"""What a data set is made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from misure.errors import InputError
from misure.image import AS_STORED, ViewingOrder


@dataclass(frozen=True)
class Sample:
    """One image and what a person (or a generator) says is in it.

    Attributes:
        key: name of the sample, unique within its data set.
        image: (C, *spatial) float.
        annotation: (*spatial) int64, the class index of every pixel; None: nobody drew any.
        relevance: (*spatial) bool: what a right explanation of the object at `point` must contain;
            None where that is not known.
        point: a pixel (*spatial) of the object that is to be explained; None: any.
        order: how to lay out a volume in pictures (see `read_viewing_order`).
    """

    key: str
    image: Tensor
    annotation: Tensor | None = None
    relevance: Tensor | None = None
    point: tuple[int, ...] | None = None
    order: ViewingOrder = AS_STORED


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
    if len(set(dataset.keys)) < len(dataset.keys):
        raise InputError(
            "as_dataset: expected samples with different keys, got one key twice. Rename one."
        )
    return dataset
