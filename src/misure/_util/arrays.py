"""Arrays in one file: `.npz` without pickle, in both directions."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np

from misure._util.files import durable_file

_UNPACKED_LIMIT_BYTES = 8_000_000_000


def write_arrays(file: str | Path | BinaryIO, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes arrays as a compressed `.npz`, which `np.load` reads; to a path at once or not at all.

    `np.savez_compressed` would do it, but cannot be told to refuse pickle before NumPy 2.

    Args:
        file: a path, or a file open for writing.
        arrays: name -> numbers, bools or text, of any shape.

    Raises:
        ValueError: an array of Python objects.
    """
    if isinstance(file, str | Path):
        with durable_file(Path(file)) as unfinished, unfinished.open("wb") as stream:
            write_arrays(stream, arrays)
        return
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, np.asanyarray(array), allow_pickle=False)


def read_arrays(file: str | Path | BinaryIO) -> dict[str, np.ndarray]:
    """Name -> array, of an `.npz` file from anywhere: nothing in it is unpickled.

    Args:
        file: a path, or a file open for reading that can be read again from its start.

    Raises:
        ValueError: it is no such file, is damaged, holds Python objects, or unpacks to more than
            8 GB.
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
