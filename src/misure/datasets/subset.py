"""A part of a data set."""

from collections.abc import Sequence
from pathlib import Path

from misure.datasets.sample import Dataset, Sample, files_of


class Subset:
    """Chosen samples of a data set, as a data set.

    Args:
        dataset: that they are from.
        indices: the numbers of the chosen samples, in this order.
    """

    def __init__(self, dataset: Dataset, indices: Sequence[int]) -> None:
        self._dataset, self._indices = dataset, list(indices)
        keys = dataset.keys
        self.keys = [keys[index] for index in self._indices]

    def __len__(self) -> int:
        return len(self._indices)

    def files(self, index: int) -> list[Path]:
        """The files of the sample in the whole data set."""
        return files_of(self._dataset, self._indices[index])

    def __getitem__(self, index: int) -> Sample:
        return self._dataset[self._indices[index]]
