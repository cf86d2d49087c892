"""Which files are volumes, and opening them, whatever their format; several are channels of one.

A volume is known by the ending of its name, a TIFF file by what it says of itself, and a DICOM
series by its folder.
"""

import contextlib
import re
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from misure.errors import InputError, MisureError
from misure.images.dicom import DICOM_SUFFIXES, DicomSeries, is_dicom
from misure.images.itk import ITK_SUFFIXES, ItkFile
from misure.images.nifti import NiftiFile
from misure.images.orientation import ViewingOrder
from misure.images.tiff import SLICES, TIFF_SUFFIXES, TiffVolume, is_tiff_volume
from misure.images.volume_file import VolumeFile, check_aligned

VOLUME_SUFFIXES = (".nii", ".nii.gz", *ITK_SUFFIXES, *DICOM_SUFFIXES)
"""Endings of files that are volumes by their names alone."""

Files = str | PathLike[str] | Sequence[str | PathLike[str]]
"""The file of an image, or those of its channels: a list, or one text with commas between them."""


def files_of_image(image: Files) -> tuple[Path, ...]:
    """The files of an image, one for all channels or one for each.

    Raises:
        InputError: none, or one twice.

    >>> [path.name for path in files_of_image("a_0000.nii.gz,a_0001.nii.gz")]
    ['a_0000.nii.gz', 'a_0001.nii.gz']
    """
    if isinstance(image, (str, PathLike)):
        text = str(image)
        is_one = "," not in text or Path(text).exists()
        files = (Path(text),) if is_one else tuple(Path(part.strip()) for part in text.split(","))
    else:
        files = tuple(Path(path) for path in image)
    if not files or len({str(path) for path in files}) < len(files) or Path() in files[1:]:
        raise InputError(
            "expected the file of an image, or different files of its channels, got "
            f"{', '.join(map(str, files)) or 'none'}."
        )
    return files


def is_volume(path: Path, frame: int | str | None = None) -> bool:
    """Whether a file, or a folder, is read as a volume.

    Args:
        path: the file, or the folder of a DICOM series.
        frame: as of `read_image`.
    """
    if path.is_dir() or path.name.lower().endswith(VOLUME_SUFFIXES):
        return True
    if path.suffix.lower() in TIFF_SUFFIXES:
        return frame == SLICES or (frame is None and is_tiff_volume(path))
    return is_dicom(path)


def open_volume(
    path: Path, *, series: object = None, frame: int | str | None = None, of: str = ""
) -> VolumeFile:
    """The volume in a file, or in the folder of a DICOM series.

    Args:
        path: of which `is_volume` is true.
        series: as of `DicomSeries`.
        frame: as of `read_image`.
        of: what it holds, for messages.

    Raises:
        InputError: it is missing, damaged, or makes no volume.
        MissingDependencyError: the library that reads its format is missing.
    """
    name = path.name.lower()
    if path.is_dir() or is_dicom(path):
        return DicomSeries(path, series, of)
    if name.endswith(ITK_SUFFIXES):
        return ItkFile(path, of)
    if name.endswith(TIFF_SUFFIXES):
        return TiffVolume(path, pages=frame == SLICES, of=of)
    return NiftiFile(path, f"a NIfTI volume{of}")


def volume_of(
    image: Files, *, series: object = None, frame: int | str | None = None
) -> VolumeFile | None:
    """The volume that an image is, or is a slice of, opened; None for pictures and arrays.

    Args:
        image: its file, or those of its channels.
        series, frame: as of `open_volume`.

    Raises:
        InputError: as of `open_volume`; some files are volumes and others are not; files of several
            channels do not lie on one grid.
    """
    files = files_of_image(image)
    which = [is_volume(path, frame) for path in files]
    if not any(which):
        return None
    if not all(which):
        raise InputError(
            f"expected volumes alone or pictures alone as channels, got {files[which.index(True)]} "
            f"and {files[which.index(False)]}."
        )
    volumes = [open_volume(path, series=series, frame=frame) for path in files]
    return volumes[0] if len(volumes) == 1 else ChannelVolumes(volumes)


class ChannelVolumes(VolumeFile):
    """Several volumes on one grid as the channels of one, in the order given.

    Args:
        volumes: of one channel each.

    Raises:
        InputError: one has several channels, or another shape, place, orientation or voxel size.
    """

    def __init__(self, volumes: Sequence[VolumeFile]) -> None:
        first = volumes[0]
        super().__init__(Path(",".join(str(one.path) for one in volumes)), "channels of one image")
        for one in volumes:
            if len(one.shape) != 3 and one.shape[3:] != (1,):
                raise one.unusable(f"its shape is {one.shape}, not (I, J, K) of a single channel")
            check_aligned(
                (first.shape[:3], first.affine), (one.shape[:3], one.affine), one.path, "channels"
            )
        self._volumes = list(volumes)
        self.shape = (*first.shape[:3], len(volumes))
        self.affine = first.affine
        self.dtype = np.result_type(*(one.dtype for one in volumes))
        self.has_spacing = all(one.has_spacing for one in volumes)
        self.has_grey_levels = all(one.has_grey_levels for one in volumes)

    @property
    def order(self) -> ViewingOrder:
        return self._volumes[0].order

    @property
    def files(self) -> list[Path]:
        return [path for one in self._volumes for path in one.files]

    def check_oriented(self) -> None:
        for one in self._volumes:
            one.check_oriented()

    def voxels(self, dtype: type[np.floating[Any]] | None = None) -> np.ndarray:
        channels = [one.voxels(dtype).reshape(self.shape[:3]) for one in self._volumes]
        return np.stack(channels, axis=-1)


def name_of(image: str) -> str:
    """The name of an image in titles: that of its file, or those of the files of its channels.

    >>> name_of("a/b.png"), name_of("a/c_0000.nii.gz,a/c_0001.nii.gz")
    ('b.png', 'c_0000.nii.gz, c_0001.nii.gz')
    """
    return ", ".join(path.name for path in files_of_image(image)) if image else ""


def stem_of(path: str | PathLike[str]) -> str:
    """A path without the ending of its name, if that is one of an image.

    >>> stem_of("a/b.c.nii.gz"), stem_of("HEAD.NRRD"), stem_of("a/head.v2.png")
    ('a/b.c', 'HEAD', 'a/head.v2')
    """
    text = str(path)
    return re.sub(r"(\.nii\.gz|\.ome\.tiff?|(?<=[^/])\.\w+)$", "", text, flags=re.IGNORECASE)


def source_files(path: Path) -> list[Path]:
    """The files whose content decides what is read of a path: all of a folder, and a header's."""
    if path.is_dir():
        return [file for file in sorted(path.iterdir()) if file.is_file() and file.name[0] != "."]
    if path.suffix.lower() in (".mhd", ".nhdr"):
        with contextlib.suppress(MisureError):
            return ItkFile(path).files
    return [path]
