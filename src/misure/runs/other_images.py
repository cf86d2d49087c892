"""Another image for each sample of a data set: what the transfer Dice puts into a region.

It is that of the next sample in order, of another case if the data set has several (the next slice
of the same volume would show the same body), and the first sample follows the last. So it depends
on the data set alone, whoever explains the sample. A sample that cannot be read, or is no image of
as many channels and axes, is passed over.
"""

from collections.abc import Iterator

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
        self._read: tuple[int, Tensor | None] = (-1, None)

    def of(self, index: int, image: Tensor) -> tuple[Tensor, str] | None:
        """Another image (C, *any) on the CPU, and the key of its sample; None if there is none.

        Args:
            index: number of the sample whose image it is to replace.
            image: (C, *spatial) float, that image.
        """
        own = image.cpu()
        for number in self._candidates(index):
            other = self._image(number)
            if other is None or not fits(other, own):
                continue
            if other.shape != own.shape or not torch.equal(other.to(own), own):
                return other, self._dataset.keys[number]
        return None

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

    def _image(self, number: int) -> Tensor | None:
        """The image of a sample; None if it cannot be read. The last one is kept."""
        if self._read[0] != number:
            try:
                image: Tensor | None = self._dataset[number].image
            except Exception:  # of a data set of the user's own too; its own record says why
                image = None
            self._read = number, image
        return self._read[1]
