"""NIfTI files, each opened once: its header when it is opened, its voxels when they are asked for.

nibabel's many errors become one sentence, and it logs nothing here. It also stops reading where the
last voxel ends, so it never sees the checksum that follows in a compressed file, which alone shows
damage in the middle; here compressed files are read to their end.
"""

import gzip
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from misure._util.optional import require
from misure._util.quiet import quiet
from misure.errors import InputError
from misure.images.orientation import ViewingOrder, viewing_order
from misure.images.volume_file import VolumeFile

_CHUNK = 1 << 20
_MOST_AFTER_VOXELS = 1 << 26
"""Bytes after the last voxel (extensions stand before the first): more is no image."""

_MM_OF_UNIT = {"meter": 1e3, "micron": 1e-3}  # all others are millimetres, or not known


class NiftiFile(VolumeFile):
    """A NIfTI file, opened: what its header says, and its voxels.

    Args:
        path: the file.
        what: what is expected of it, as it reads after "expected" in a message.

    Attributes:
        path: the file.
        shape: of the voxels as they are stored: (I, J, K), or (I, J, K, C) with channels.
        affine: (4, 4) float64, from voxel indices to millimetres (RAS+).
        dtype: of the voxels in the file, before they are scaled.

    Raises:
        InputError: the file is missing or damaged.
        MissingDependencyError: nibabel is missing.
    """

    def __init__(self, path: str | Path, what: str = "a NIfTI volume") -> None:
        super().__init__(Path(path), what)
        nibabel = require("nibabel", extra="medical", purpose="read NIfTI files")
        with self._reading():
            self._file: Any = nibabel.load(self.path)
            self.shape = tuple(int(side) for side in self._file.shape)
            self.affine = self._in_mm(np.asarray(self._file.affine, np.float64))
            self.dtype = np.dtype(self._file.get_data_dtype())

    def _in_mm(self, affine: np.ndarray) -> np.ndarray:
        """The affine to millimetres, in whatever unit the header has it."""
        unit = self._file.header.get_xyzt_units()[0]
        scale = _MM_OF_UNIT.get(unit, 1.0)
        in_mm: np.ndarray = np.diag([scale, scale, scale, 1.0]) @ affine
        return in_mm

    @property
    def description(self) -> str:
        """The header's free text; empty if it has none."""
        with self._reading():
            return bytes(self._file.header["descrip"]).split(b"\0")[0].decode("utf-8", "replace")

    @property
    def order(self) -> ViewingOrder:
        """How to lay the volume out as axial slices.

        Raises:
            InputError: the affine is not finite, or gives an axis no direction; sform and qform
                give an axis another one each.
        """
        self._check_one_orientation()
        return viewing_order(self.affine, self.path)

    def _check_one_orientation(self) -> None:
        """Raises an InputError if sform and qform put left and right, say, on other sides.

        Programs differ in which of the two they take.
        """
        with self._reading():
            header = self._file.header
            has_both = int(header["sform_code"]) > 0 and int(header["qform_code"]) > 0
            forms = (header.get_sform(), header.get_qform()) if has_both else ()
        names = [_directions(form, self.path) for form in forms]
        if len(set(names)) > 1:
            raise InputError(
                "expected an sform and a qform that agree, but the axes run to "
                f"{names[0]} by the sform of {self.path} and to {names[1]} by its qform. Find out "
                "which is right and set the code of the other to 0, for example with nibabel."
            )

    def check_oriented(self) -> None:
        """Raises an InputError unless the header says which way the volume lies.

        Without this nibabel takes one direction for granted, and left may be right.
        """
        with self._reading():
            header = self._file.header
            is_oriented = bool(int(header["sform_code"]) or int(header["qform_code"]))
        if not is_oriented:
            raise InputError(
                "expected a header that says which way the volume lies (sform or qform), "
                f"{self.path} has neither, so its axial slices are not known. Repair the header."
            )

    def voxels(self, dtype: type[np.floating[Any]] | None = None) -> np.ndarray:
        """All voxels (*shape), scaled as the header says.

        Args:
            dtype: of the result; None: what the file and its scaling give.

        Raises:
            InputError: the file is damaged.
        """
        with self._reading():
            voxels: np.ndarray = (
                np.asanyarray(self._file.dataobj)
                if dtype is None
                else self._file.get_fdata(dtype=dtype, caching="unchanged")
            )
            if self.path.suffix.lower() == ".gz":
                end = self._file.dataobj.offset + voxels.size * self.dtype.itemsize
                _read_to_the_end(self.path, end + _MOST_AFTER_VOXELS)
        return voxels

    @contextmanager
    def _reading(self) -> Iterator[None]:
        log = logging.getLogger("nibabel.global")
        log.addFilter(_say_nothing)  # nibabel's own suppressor never gives the handlers back
        try:
            with quiet():
                yield
        except Exception as error:  # nibabel raises many kinds on damaged files
            raise self.unusable(error) from error
        finally:
            log.removeFilter(_say_nothing)


def _directions(affine: np.ndarray, path: Path) -> str:
    """Where the three axes of a volume run to, such as `left, back, up`."""
    order = viewing_order(affine, path)
    along = {axis: (world, turned) for world, (axis, turned) in enumerate(order)}
    names = (("up", "down"), ("back", "front"), ("left", "right"))  # of slices, rows, columns
    return ", ".join(names[along[axis][0]][along[axis][1]] for axis in range(3))


def _say_nothing(_record: logging.LogRecord) -> bool:
    return False


def _read_to_the_end(path: Path, limit: int) -> None:
    """Raises what gzip raises if the checksum is wrong or missing; ValueError beyond the limit."""
    num_bytes = 0
    with gzip.open(path) as stream:
        while chunk := stream.read(_CHUNK):
            num_bytes += len(chunk)
            if num_bytes > limit:
                raise ValueError("it goes on long after its last voxel")


def is_nifti(path: str | Path) -> bool:
    """Whether the name of a file ends as that of a NIfTI file does.

    >>> is_nifti("head.nii.gz"), is_nifti("HEAD.NII"), is_nifti("head.png")
    (True, True, False)
    """
    return Path(path).name.lower().endswith((".nii", ".nii.gz"))
