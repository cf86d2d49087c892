"""DICOM: a series in a folder, or a file, as one volume.

Each slice says itself where it lies. They are put in the order of their places; a slice that is
missing, doubled or turned is refused, for the volume would not be what was scanned.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from misure._util.quoted import quoted
from misure._util.words import counted
from misure.errors import InputError
from misure.images.itk import ItkVolume, as_stored_by_itk, itk_reading, simpleitk
from misure.images.volume_file import VolumeFile, affine_of_itk

DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")

_UNEVEN = 0.1  # of the step between slices: how far a slice may be from its place
_ALIKE = 1e-3
_SHOWN = 8
_SERIES_NUMBER, _DESCRIPTION, _MODALITY = "0020|0011", "0008|103e", "0008|0060"
_PHOTOMETRIC, _BITS, _SAMPLES = "0028|0004", "0028|0100", "0028|0002"
_BIG_ENDIAN, _RLE = "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.5"


class _Slice(ItkVolume):
    """One file of a series."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "a DICOM file", _reader_of(path))
        self.spacing = np.array(self._reader.GetSpacing())
        self.direction = np.array(self._reader.GetDirection())
        self.origin = np.array(self._reader.GetOrigin())

    @property
    def is_one_plane(self) -> bool:
        return len(self.shape) >= 3 and self.shape[2] == 1

    def lies_as(self, other: "_Slice") -> bool:
        """Whether both have the same size, direction and pixels."""
        return (
            self.shape == other.shape
            and np.allclose(self.direction, other.direction, atol=_ALIKE)
            and np.allclose(self.spacing[:2], other.spacing[:2], rtol=_ALIKE)
        )


class DicomSeries(VolumeFile):
    """A DICOM series, opened: all its slices, in the order of their places.

    The first axis runs along the rows of a slice, the second along its columns, the third from
    slice to slice. A rescale slope and intercept are applied, of each slice its own.

    Args:
        path: a folder, or one file.
        series: the `SeriesInstanceUID` or the number of the series to take, if there are several.
        of: what it holds, for messages.

    Raises:
        InputError: no DICOM file, several series without `series`, or slices that make no volume:
            other sizes or directions, a slice missing or twice.
        MissingDependencyError: SimpleITK is missing.
    """

    def __init__(self, path: str | Path, series: object = None, of: str = "") -> None:
        super().__init__(Path(path), f"a DICOM series{of}")
        simpleitk("read DICOM")
        self._files = self._chosen(series) if self.path.is_dir() else [self.path]
        slices = [_Slice(file) for file in self._files]
        first = slices[0]
        for one in slices:
            _check_right(one)
        self.dtype = first.dtype
        if len(slices) == 1:
            self.shape, self.affine = first.shape, first.affine
            return
        self._check_alike(slices)
        normal = np.cross(first.direction[0::3], first.direction[1::3])
        slices.sort(key=lambda one: float(one.origin @ normal))
        self._files = [one.path for one in slices]
        self._check_even(slices, normal)
        self.dtype = np.dtype(np.float32)  # a slope may differ from slice to slice
        self.shape = (*first.shape[:2], len(slices), *first.shape[3:])
        step = (slices[-1].origin - slices[0].origin) / (len(slices) - 1)
        self.affine = affine_of_itk(
            tuple(first.spacing), tuple(first.direction), tuple(slices[0].origin)
        )
        self.affine[:3, 2] = step * (-1, -1, 1)

    @property
    def files(self) -> list[Path]:
        return list(self._files)

    def voxels(self, dtype: type[np.floating[Any]] | None = None) -> np.ndarray:
        sitk = simpleitk("read DICOM")
        with itk_reading(self):
            if len(self._files) == 1:
                return _Slice(self._files[0]).voxels(dtype)
            reader = sitk.ImageSeriesReader()
            reader.SetImageIO("GDCMImageIO")
            reader.SetFileNames([str(file) for file in self._files])
            is_vector = len(self.shape) > 3
            reader.SetOutputPixelType(sitk.sitkVectorFloat32 if is_vector else sitk.sitkFloat32)
            return as_stored_by_itk(reader.Execute(), dtype)

    def _chosen(self, series: object) -> list[Path]:
        sitk = simpleitk("read DICOM")
        with itk_reading(self):
            files = {
                uid: [
                    Path(name)
                    for name in sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(self.path), uid)
                ]
                for uid in sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(self.path))
            }
        if not files:
            raise InputError(
                "expected an image file or a folder with the files of a DICOM series, found no "
                f"DICOM file in {self.path}."
            )
        if series is None:
            if len(files) > 1:
                raise self._several(files)
            return next(iter(files.values()))
        found = [
            uid
            for uid, paths in files.items()
            if str(series) in (uid, _Slice(paths[0]).said(_SERIES_NUMBER))
        ]
        if len(found) != 1:
            raise self._several(files, f" that {series} names" if found else f", none is {series}")
        return files[found[0]]

    def _several(self, files: dict[str, list[Path]], which: str = "") -> InputError:
        lines = [
            f"series={uid} ({_described(paths)})" for uid, paths in sorted(files.items())[:_SHOWN]
        ]
        more = f" and {len(files) - _SHOWN} more" if len(files) > _SHOWN else ""
        return InputError(
            f"expected one DICOM series in {self.path}, got {len(files)} series{which}: "
            f"{', '.join(lines)}{more}. Say which (--image-option series=UID)."
        )

    def _check_alike(self, slices: Sequence[_Slice]) -> None:
        for one in slices:
            if not one.is_one_plane:
                raise one.unusable("it has several frames, but is one of several files of a series")
            if not one.lies_as(slices[0]):
                raise self.unusable(
                    f"{slices[0].path.name} and {one.path.name} differ in size, direction or "
                    "voxel size. Leave one kind in the folder"
                )

    def _check_even(self, slices: Sequence[_Slice], normal: np.ndarray) -> None:
        """Raises an InputError if a slice is missing, twice or beside its place."""
        places = np.array([one.origin for one in slices])
        along = places @ normal
        gaps = np.diff(along)
        step = float(np.median(gaps))
        narrow = int(gaps.argmin())
        if step <= 0 or gaps[narrow] < _ALIKE * step:
            raise self.unusable(
                f"{slices[narrow].path.name} and {slices[narrow + 1].path.name} lie at one place. "
                "Leave one of several phases or echoes in the folder"
            )
        straight = np.linspace(places[0], places[-1], len(places))
        if np.abs(places - straight).max() > _UNEVEN * step:
            far = int(np.abs(gaps - step).argmax())
            raise self.unusable(
                f"its slices are not evenly spaced: {gaps[far]:.4g} mm from "
                f"{slices[far].path.name} to {slices[far + 1].path.name}, else {step:.4g} mm. Is "
                "a slice missing?"
            )


def is_dicom(path: Path) -> bool:
    """Whether a file is DICOM by its ending, or by the mark at its beginning if it has none."""
    if path.suffix.lower() in DICOM_SUFFIXES:
        return True
    if path.suffix and not path.suffix[1:].isdecimal():  # such as 1.2.840.113.12
        return False
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def _check_right(one: _Slice) -> None:
    """Raises an InputError for what is read, but not as it is meant.

    By comparison of GDCM, which SimpleITK reads DICOM with, with pydicom on the files that come
    with pydicom.
    """
    bits, syntax = one.said(_BITS), _transfer_syntax(one.path)
    colours_of_16_bits = one.said(_SAMPLES) not in ("", "1") and bits not in ("8", "")
    if one.said(_PHOTOMETRIC) == "MONOCHROME1":
        why = "its numbers count down from white (MONOCHROME1)"
    elif bits == "1":
        why = "it has a single bit for each voxel"
    elif (syntax == _BIG_ENDIAN and bits in ("32", "64")) or (
        syntax == _RLE and colours_of_16_bits
    ):
        why = f"the numbers of {bits} bits in it (transfer syntax {syntax}) are read wrongly"
    else:
        return
    raise one.unusable(f"{why}. Convert it, for example with pydicom or dcm2niix")


def _transfer_syntax(path: Path) -> str:
    """How the numbers of a DICOM file are stored, as a UID; empty if it does not say."""
    with path.open("rb") as file:
        match = re.search(rb"\x02\x00\x10\x00UI(..)([\d.]+)", file.read(1024), re.DOTALL)
    return match[2].decode("ascii") if match else ""


def _reader_of(path: Path) -> Any:
    reader = simpleitk("read DICOM").ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(path))
    return reader


def _described(paths: Sequence[Path]) -> str:
    first = _Slice(paths[0])
    tags = [first.said(tag) for tag in (_MODALITY, _DESCRIPTION, _SERIES_NUMBER)]
    words = [quoted(word, 40) for word in tags[:2] if word]
    number = [f"number {quoted(tags[2], 20)}"] if tags[2] else []
    return ", ".join([*words, *number, f"{counted(len(paths), 'file')}"])
