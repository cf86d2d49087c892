"""The raw files of the Synapse benchmark: NIfTI volumes and labels, named by case."""

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

from misure.datasets.nifti import two_paths
from misure.datasets.pairing import Pair, find_pairs
from misure.errors import InputError
from misure.images.nifti import NiftiFile

PHANTOM_NOTE = "PHANTOM.txt"
"""A file with this name says that a folder holds phantoms, not patients."""

PHANTOM_DESCRIPTION = "misure phantom"
"""The header of a phantom's volume says so too, wherever the file is copied to."""


def find_cases(source: str | Path) -> list[Pair]:
    """The images with their labels, named `case0001` by the last number in the image's name.

    A name without a number stays as it is.

    Args:
        source: a folder in one of the usual layouts (see `pairing`); or `IMAGES,LABELS`, two
            folders or two files.

    Raises:
        MissingDataError: there are none.
        InputError: an image without labels, labels without image, or two files with one number.
    """
    pairs = [
        replace(pair, case=case_name(pair.case)) for pair in find_pairs(*two_paths(str(source)))
    ]
    twice = [case for case, num in Counter(pair.case for pair in pairs).items() if num > 1]
    if twice:
        files = [pair.channels[0] for pair in pairs if pair.case == twice[0]]
        raise InputError(
            f"expected files with different numbers, got {files[0]} and {files[1]}. Rename one."
        )
    return pairs


def case_name(name: str) -> str:
    """`case0001` for a name whose last number is 1.

    >>> case_name("img0012"), case_name("BTCV_7"), case_name("ct")
    ('case0012', 'case0007', 'ct')
    """
    numbers = re.findall(r"\d+", name)
    return f"case{int(numbers[-1]):04d}" if numbers else name


def is_phantom(folder: Path) -> bool:
    """Whether a folder, raw or prepared, has the note that it holds phantoms."""
    return (folder / PHANTOM_NOTE).is_file()


def is_phantom_file(path: Path) -> bool:
    """Whether the header of a NIfTI file says that it holds a phantom."""
    return NiftiFile(path).description.startswith(PHANTOM_DESCRIPTION)
