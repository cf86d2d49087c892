"""A data set with images corrupted in a known way; its annotations stay."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from misure._util.seeds import seed_of
from misure.datasets.registry import dataset, open_dataset
from misure.datasets.sample import Dataset, Reading, Sample, files_of
from misure.errors import InputError
from misure.images.corruption import CORRUPTIONS, Corruption


class CorruptedDataset:
    """The samples of another data set, under the same keys, with corrupted images.

    Args:
        dataset: the samples.
        corruption: what is done to each image; its seed comes from the sample's key.
    """

    def __init__(self, dataset: Dataset, corruption: Corruption) -> None:
        self._dataset, self._corruption = dataset, corruption

    @property
    def keys(self) -> Sequence[str]:
        """The keys of the other data set."""
        return self._dataset.keys

    @property
    def class_names(self) -> Sequence[str]:
        """The class names of the other data set; empty if it has none."""
        return getattr(self._dataset, "class_names", ())

    def __len__(self) -> int:
        return len(self._dataset.keys)

    def files(self, index: int) -> list[Path]:
        """The files of the sample that is corrupted."""
        return files_of(self._dataset, index)

    def __getitem__(self, index: int) -> Sample:
        sample = self._dataset[index]
        return replace(sample, image=self._corruption(sample.image, seed_of(sample.key)))


@dataset("corrupted", usage="corrupted:KIND=STRENGTH,SPEC")
def open_corrupted(rest: str, reading: Reading) -> CorruptedDataset:
    """Another data set with corrupted images, as `corrupted:noise=0.1,triangle:200`."""
    corruption, spec = read_corruption(rest)
    return CorruptedDataset(open_dataset(spec, reading), corruption)


def read_corruption(rest: str) -> tuple[Corruption, str]:
    """The corruption, and the spec of the data set to corrupt.

    Args:
        rest: of the spec, after `corrupted:`, such as `noise=0.1,triangle:200`.

    Raises:
        InputError: not of this form, an unknown corruption or a strength outside [0, 1].

    >>> read_corruption("blur=0.02,coco:photographs")
    (Corruption(kind='blur', strength=0.02), 'coco:photographs')
    """
    first, _, spec = rest.partition(",")
    kind, _, number = first.partition("=")
    try:
        strength = float(number)
    except ValueError:
        strength = float("nan")
    if not spec or strength != strength:  # noqa: PLR0124
        raise InputError(
            f"expected corrupted:KIND=STRENGTH,SPEC with a kind among {', '.join(CORRUPTIONS)}, "
            f"got corrupted:{rest}."
        )
    return Corruption(kind, strength), spec
