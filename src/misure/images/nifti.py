"""NIfTI files, opened: nibabel's many errors are one sentence, and what gzip guards is looked at.

nibabel stops reading where the last voxel ends, so the checksum that follows, which alone tells of
damage in the middle, would never be seen; nor would a file that was cut off within it.
"""

import gzip
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from misure._util.optional import require
from misure.errors import InputError

_CHUNK = 1 << 20
_MOST_AFTER_VOXELS = 1 << 26
"""Bytes after the last voxel (extensions stand before the first): more is no image."""


@contextmanager
def opened_nifti(path: str | Path, expected: str) -> Iterator[Any]:
    """Nibabel's image of a file, whose voxels are read in this context; nibabel logs nothing.

    Args:
        path: the file.
        expected: the beginning of the sentence for a file that cannot be read.

    Raises:
        InputError: missing or damaged, also where reading its voxels finds it out.
        MissingDependencyError: nibabel is missing.
    """
    nibabel = require("nibabel", extra="medical", purpose="read NIfTI files")
    log = logging.getLogger("nibabel.global")
    log.addFilter(_say_nothing)  # nibabel's own suppressor never gives the handlers back
    try:
        yield nibabel.load(path)
    except InputError:
        raise
    except Exception as error:  # nibabel raises many kinds on damaged files
        raise InputError(f"{expected}, but {path} cannot be used: {error}") from error
    finally:
        log.removeFilter(_say_nothing)


def read_voxels(file: Any, dtype: type[np.floating[Any]] | None = None) -> np.ndarray:
    """All voxels of an opened file, scaled as its header says; compressed ones are read to the end.

    Args:
        file: as `opened_nifti` gives it.
        dtype: None: as they come.

    Raises:
        ValueError, OSError, EOFError, zlib.error: damaged; `opened_nifti` makes a sentence of it.
    """
    voxels: np.ndarray = (
        np.asanyarray(file.dataobj) if dtype is None else file.get_fdata(dtype=dtype)
    )
    path = Path(file.get_filename())
    if path.suffix.lower() == ".gz":
        end = file.dataobj.offset + voxels.size * file.get_data_dtype().itemsize
        _read_to_the_end(path, end + _MOST_AFTER_VOXELS)
    return voxels


def read_affine(path: str | Path) -> np.ndarray:
    """The affine (4, 4) float64 of a NIfTI file, from voxel indices to millimetres (RAS+).

    Raises:
        InputError: the file cannot be read.
    """
    with opened_nifti(path, "expected a NIfTI file") as file:
        return np.asarray(file.affine, np.float64)


def check_oriented(path: str | Path) -> None:
    """Raises an InputError where a header does not say which way a volume lies.

    nibabel would take one direction for granted, and left might be right.
    """
    with opened_nifti(path, "expected a NIfTI file") as file:
        if not (int(file.header["sform_code"]) or int(file.header["qform_code"])):
            raise InputError(
                f"expected a header that says which way the volume lies (sform or "
                f"qform), {path} has neither, so its axial slices are not known. Repair the header."
            )


def read_shape(path: str | Path) -> tuple[int, ...]:
    """The shape (I, J, K) of a NIfTI file.

    Raises:
        InputError: the file cannot be read.
    """
    with opened_nifti(path, "expected a NIfTI file") as file:
        return tuple(int(side) for side in file.shape[:3])


def read_description(path: str | Path) -> str:
    """What the header of a NIfTI file says in words; empty where it says nothing.

    Raises:
        InputError: the file cannot be read.
    """
    with opened_nifti(path, "expected a NIfTI file") as file:
        return bytes(file.header["descrip"]).split(b"\0")[0].decode("utf-8", "replace")


def _say_nothing(_record: logging.LogRecord) -> bool:
    return False


def _read_to_the_end(path: Path, limit: int) -> None:
    """Raises what gzip raises where the checksum is wrong or missing."""
    num_bytes = 0
    with gzip.open(path) as stream:
        while chunk := stream.read(_CHUNK):
            num_bytes += len(chunk)
            if num_bytes > limit:
                raise ValueError("it goes on long after its last voxel")


def is_nifti(path: str | Path) -> bool:
    """Whether the file's name says NIfTI."""
    return Path(path).name.lower().endswith((".nii", ".nii.gz"))
