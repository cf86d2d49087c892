"""Data sets whose samples can be explained, each in a file of its own, opened by one word.

open_dataset("triangle:30")
"""

from collections.abc import Callable

from misure.datasets.image_files import ImageFiles
from misure.datasets.sample import Dataset, Sample
from misure.datasets.triangle import TriangleDataset
from misure.errors import InputError

_DEFAULT_NUM_SAMPLES = 30


def open_dataset(spec: str) -> Dataset:
    """The data set that a word names.

    Args:
        spec: `triangle` or `triangle:N`, N held-out samples (30 if not said).

    Raises:
        InputError: another word, or a part after the colon that makes no sense.
        MissingDependencyError, MissingDataError: what it is read from is not there.
    """
    name, _, rest = spec.partition(":")
    if name not in DATASETS:
        raise InputError(f"open_dataset: expected one of {', '.join(DATASETS)}, got {spec!r}.")
    return DATASETS[name](rest)


def _triangle(rest: str) -> TriangleDataset:
    if rest and not (rest.isdecimal() and int(rest) > 0):
        raise InputError(
            f"open_dataset: expected triangle:N with a number of samples N, got triangle:{rest}."
        )
    return TriangleDataset(int(rest or _DEFAULT_NUM_SAMPLES))


DATASETS: dict[str, Callable[[str], Dataset]] = {"triangle": _triangle}
"""Name -> what opens it, given the rest of the word."""

__all__ = ["DATASETS", "Dataset", "ImageFiles", "Sample", "TriangleDataset", "open_dataset"]
