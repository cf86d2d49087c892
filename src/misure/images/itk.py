"""Volumes that SimpleITK reads: NRRD and MetaImage, and what DICOM shares with them.

SimpleITK gives geometry as ITK has it, in LPS+; here it is RAS+, as in NIfTI. Of the header of a
file of others only what SimpleITK does not tell is read here: whether it says which way the volume
lies, and the name of the file that holds the voxels, which must be in the folder of the header.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from misure._util.optional import require
from misure._util.quiet import quiet
from misure.errors import InputError
from misure.images.volume_file import VolumeFile, affine_of_itk

ITK_SUFFIXES = (".nrrd", ".nhdr", ".mha", ".mhd")

_IO_OF_SUFFIX = {
    ".nrrd": "NrrdImageIO", ".nhdr": "NrrdImageIO", ".mha": "MetaImageIO", ".mhd": "MetaImageIO",
}  # fmt: skip
_LONGEST_HEADER = 1 << 16
_NAME_OF_DATA = {"N": "data file", "M": "elementdatafile"}
_ORIENTED_SPACES = {
    *("left-posterior-superior", "right-anterior-superior", "left-anterior-superior"),
    *("lps", "ras", "las"),
}
"""Those that ITK turns to its own; of all others it takes the numbers as they are."""

_MM_OF_UNIT = {"mm": 1.0, "cm": 10.0, "m": 1e3, "um": 1e-3, "µm": 1e-3, "nm": 1e-6}


def simpleitk(purpose: str) -> Any:
    """The library, or a MissingDependencyError."""
    return require("SimpleITK", extra="itk", purpose=purpose)


class ItkVolume(VolumeFile):
    """A volume that one call of SimpleITK reads; `reader` knows which files.

    Args:
        path: as of `VolumeFile`.
        what: as of `VolumeFile`.
        reader: an `ImageFileReader` of SimpleITK.

    Raises:
        InputError: the file is missing or damaged.
    """

    def __init__(self, path: Path, what: str, reader: Any) -> None:
        super().__init__(path, what)
        self._reader = reader
        with self._reading():
            reader.ReadImageInformation()
            size = tuple(int(side) for side in reader.GetSize())
            num_components = int(reader.GetNumberOfComponents())
            if len(size) > 3 and num_components > 1:
                raise ValueError("it has both a fourth axis and several numbers a voxel")
            self.shape = (*size, num_components) if num_components > 1 else size
            self.dtype = _dtype_of(reader.GetPixelID(), num_components)
            self.affine = affine_of_itk(
                reader.GetSpacing(), reader.GetDirection(), reader.GetOrigin()
            )

    def voxels(self, dtype: type[np.floating[Any]] | None = None) -> np.ndarray:
        with self._reading():
            return as_stored_by_itk(self._reader.Execute(), dtype)

    def said(self, key: str) -> str:
        """What the header says under a key, such as `0008|0060` in DICOM; empty if nothing."""
        has_it = self._reader.HasMetaDataKey(key)
        return str(self._reader.GetMetaData(key)).strip() if has_it else ""

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with itk_reading(self):
            yield


class ItkFile(ItkVolume):
    """An NRRD file (`.nrrd`, `.nhdr`) or a MetaImage (`.mha`, `.mhd`), opened.

    Attributes:
        shape: (I, J, K), or (I, J, K, C) with channels: the first axis is the one whose neighbours
            lie side by side in the file, as nibabel has it for NIfTI.

    Raises:
        InputError: the file is missing or damaged, or its voxels lie in another folder.
        MissingDependencyError: SimpleITK is missing.
    """

    def __init__(self, path: str | Path, of: str = "") -> None:
        path = Path(path)
        kind = "an NRRD" if path.suffix.lower() in (".nrrd", ".nhdr") else "a MetaImage"
        reader = simpleitk(f"read {path.suffix} files").ImageFileReader()
        reader.SetImageIO(_IO_OF_SUFFIX[path.suffix.lower()])
        reader.SetFileName(str(path))
        self._fields = _header_of(path)
        self.path, self._what = path, f"{kind} volume{of}"
        self._check_data_file()
        axes = self._fields.get("dimension" if self._is_nrrd else "ndims", "")
        if axes.isdecimal() and int(axes) > 5:  # ITK makes room for as many as a header names
            raise self.unusable(f"it has {axes} axes")
        super().__init__(path, self._what, reader)
        self.has_spacing = any(
            name in self._fields
            for name in ("space directions", "spacings", "elementspacing", "elementsize")
        )
        self.affine = np.diag([*[self._unit()] * 3, 1.0]) @ self.affine

    @property
    def files(self) -> list[Path]:
        name = self._data_file()
        return [self.path] if name is None else [self.path, self.path.with_name(name)]

    def check_oriented(self) -> None:
        space = self._fields.get("space", "").lower()
        is_oriented = space in _ORIENTED_SPACES or "transformmatrix" in self._fields
        if not is_oriented:
            wanted = (
                "a space such as left-posterior-superior" if self._is_nrrd else "TransformMatrix"
            )
            raise InputError(
                f"expected a header that says which way the volume lies ({wanted}), {self.path} "
                "has none, so its axial slices are not known. Repair the header."
            )

    @property
    def _is_nrrd(self) -> bool:
        return self.path.suffix.lower() in (".nrrd", ".nhdr")

    def _unit(self) -> float:
        """Millimetres of the unit of the affine: of the first, in all directions."""
        units = re.findall(r'"([^"]*)"', self._fields.get("space units", ""))
        return _MM_OF_UNIT.get(units[0].strip().lower(), 1.0) if units else 1.0

    def _data_file(self) -> str | None:
        """The name of the file of the voxels; None if they follow the header."""
        name = self._fields.get(_NAME_OF_DATA["N" if self._is_nrrd else "M"])
        return None if name is None or (name == "LOCAL" and not self._is_nrrd) else name

    def _check_data_file(self) -> None:
        name = self._data_file()
        if name is None:
            return
        is_one = Path(name).name == name and not re.search(r"%|\s\d+\s+\d+|^LIST", name)
        if not is_one or name in (".", ".."):
            raise self.unusable(
                f"its voxels are in {name!r}, not in one file in the same folder. Write it as one "
                "file (.nrrd, .mha), for example with SimpleITK"
            )
        if not self.path.with_name(name).is_file():
            raise self.unusable(f"there is no file {name!r} beside it, which holds its voxels")


@contextmanager
def itk_reading(file: VolumeFile) -> Iterator[None]:
    """A context in which SimpleITK warns of nothing and its errors are one sentence."""
    switch = simpleitk("read volumes").ProcessObject
    was_on = switch.GetGlobalWarningDisplay()
    switch.SetGlobalWarningDisplay(False)
    try:
        with quiet():
            yield
    except InputError:
        raise
    except Exception as error:
        raise file.unusable(_reason(error)) from error
    finally:
        switch.SetGlobalWarningDisplay(was_on)


def as_stored_by_itk(image: Any, dtype: type[np.floating[Any]] | None = None) -> np.ndarray:
    """The voxels (I, J, K) or (I, J, K, C) of an image of SimpleITK.

    Args:
        image: of SimpleITK.
        dtype: of the result; None: as the image has it.
    """
    array: np.ndarray = simpleitk("read volumes").GetArrayFromImage(image)
    ndim = image.GetDimension()
    voxels = array.transpose(*reversed(range(ndim)), *range(ndim, array.ndim))
    return voxels if dtype is None else voxels.astype(dtype)


def _dtype_of(pixel_id: int, num_components: int) -> np.dtype[Any]:
    sitk = simpleitk("read volumes")
    is_vector = num_components > 1
    one = (
        sitk.Image([1, 1], pixel_id, num_components) if is_vector else sitk.Image([1, 1], pixel_id)
    )
    dtype: np.dtype[Any] = sitk.GetArrayFromImage(one).dtype
    return dtype


def _reason(error: Exception) -> str:
    """What SimpleITK's error says, without where in its source it was raised."""
    said = re.sub(r"\s+", " ", str(error))
    said = re.sub(r"^.*?ITK ERROR: (?:\w+\(0x[0-9a-f]+\): )?", "", said)
    return re.sub(
        r"^.*?Exception thrown in SimpleITK \w+: \S+:\d+( \(\))?: (sitk::ERROR: )?", "", said
    )


def _header_of(path: Path) -> dict[str, str]:
    """The fields of a header, by their names in small letters.

    NRRD's ends at an empty line, that of a MetaImage with the field that names the data.
    """
    fields: dict[str, str] = {}
    try:
        with path.open("rb") as file:
            text = file.read(_LONGEST_HEADER)
    except OSError:
        return fields  # SimpleITK says it
    for raw in text.splitlines():
        line = raw.decode("utf-8", "replace").strip()
        if not line:
            break
        match = re.match(r"([\w\s]+?)\s*(?::=|:|=)\s*(.*)", line)
        if match and not line.startswith("#"):
            fields.setdefault(match[1].lower(), match[2])
            if match[1].lower() == _NAME_OF_DATA["M"]:
                break
    return fields
