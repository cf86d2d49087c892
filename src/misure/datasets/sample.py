"""What a data set is made of."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Sample:
    """One image and what a person (or a generator) says is in it.

    Attributes:
        key: name of the sample, unique within its data set.
        image: (C, *spatial) float.
        annotation: (*spatial) int64, the class index of every pixel.
    """

    key: str
    image: Tensor
    annotation: Tensor
