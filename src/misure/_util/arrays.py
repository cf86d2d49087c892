"""Arrays in one file: `.npz` without pickle, in both directions."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np

from misure._util.files import durable_file

_UNPACKED_LIMIT_BYTES = 8_000_000_000


def write_arrays(file: str | Path | BinaryIO, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes arrays compressed, to a path at once or not at all."""
    if isinstance(file, str | Path):
        with durable_file(Path(file)) as unfinished, unfinished.open("wb") as opened:
            write_arrays(opened, arrays)
    else:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def read_arrays(file: str | Path | BinaryIO) -> dict[str, np.ndarray]:
    """The arrays of a file that anybody may have made.

    Raises:
        ValueError: it is none, is damaged, or unpacks to more than 8 GB.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > _UNPACKED_LIMIT_BYTES:
                raise ValueError("it unpacks to more than 8 GB")
        if not isinstance(file, str | Path):
            file.seek(0)
        with np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays}
    except Exception as error:  # damaged archives raise many kinds
        raise ValueError(str(error) or type(error).__name__) from error
