"""Other images for each sample of a data set: what the transfer Dice puts into a region.

They are also among the baseline images on which it is measured how robust a region is.

It is that of the next sample in order, of another case if the data set has several (the next slice
of the same volume would show the same body), and the first sample follows the last. So it depends
on the data set alone, whoever explains the sample. A sample that cannot be read, or is no image of
as many channels and axes, is passed over.
"""

from collections.abc import Iterator, Sequence
from typing import overload

import torch
from torch import Tensor

from misure.datasets.sample import Dataset, case_of
from misure.explanation.content_controls import fits

_LOOKED_AT = 1000  # keys, for one of another case
_TRIES = 3  # samples that are read


class OtherImages:
    """The other images of a data set.

    Args:
        dataset: where they come from.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._read: dict[int, Tensor | None] = {}  # the last few, by number

    def of(self, index: int, image: Tensor) -> tuple[Tensor, str] | None:
        """Another image (C, *any) on the CPU, and the key of its sample; None if there is none.

        Args:
            index: number of the sample whose image it is to replace.
            image: (C, *spatial) float, that image.
        """
        own = image.cpu()
        for number in self._candidates(index):
            other = self.image(number)
            if other is None or not fits(other, own):
                continue
            if other.shape != own.shape or not torch.equal(other.to(own), own):
                return other, self._dataset.keys[number]
        return None

    def some(self, index: int) -> Sequence[Tensor]:
        """Up to three other images (C, *any), each read when it is asked for; see `of`.

        One that cannot be read is an empty tensor.

        Args:
            index: number of the sample whose image they are to replace.
        """
        return _SomeImages(self, list(self._candidates(index)))

    def _candidates(self, index: int) -> Iterator[int]:
        """Numbers of samples to take the image of, the best first."""
        keys = self._dataset.keys
        following = [
            (index + step) % len(keys) for step in range(1, min(len(keys), _LOOKED_AT + 1))
        ]
        case = case_of(keys[index])
        of_other_cases = [number for number in following if case_of(keys[number]) != case]
        if not of_other_cases:  # the farthest is the least alike
            of_other_cases = [(index + len(keys) // 2) % len(keys)] if following else []
        yield from of_other_cases[:_TRIES]

    def image(self, number: int) -> Tensor | None:
        """The image of a sample; None if it cannot be read. The last ones are kept."""
        if number not in self._read:
            try:
                image: Tensor | None = self._dataset[number].image
            except Exception:  # of a data set of the user's own too; its own record says why
                image = None
            self._read[number] = image
            if len(self._read) > _TRIES:
                del self._read[next(iter(self._read))]
        return self._read[number]


class _SomeImages(Sequence[Tensor]):
    """Images of some samples, read when they are asked for."""

    def __init__(self, others: OtherImages, numbers: Sequence[int]) -> None:
        self._others, self._numbers = others, numbers

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, place: int) -> Tensor: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Tensor]: ...

    def __getitem__(self, place: int | slice) -> Tensor | Sequence[Tensor]:
        if isinstance(place, slice):
            return _SomeImages(self._others, self._numbers[place])
        image = self._others.image(self._numbers[place])
        return torch.empty(0) if image is None else image.cpu()
