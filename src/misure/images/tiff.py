"""TIFF files that hold a volume: OME-TIFF, ImageJ's, and pages that are said to be slices.

Voxels keep the order in which microscopes write them and tifffile reads them, (Z, Y, X), so that
the axial slices of the volume are its pages. Sizes are of the file's own metadata.
"""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
from PIL import Image

from misure._util.optional import require
from misure._util.quiet import quiet
from misure.errors import InputError
from misure.images.volume_file import VolumeFile

TIFF_SUFFIXES = (".tif", ".tiff")

SLICES = "slices"
"""The value of `frame` by which the pages of a TIFF file become the slices of a volume."""

_MM_OF_UNIT = {
    "m": 1e3,
    "cm": 10.0,
    "mm": 1.0,
    "µm": 1e-3,
    "μm": 1e-3,
    "um": 1e-3,
    "nm": 1e-6,
    "Å": 1e-7,
    "micron": 1e-3,
    "microns": 1e-3,
    "\\u00B5m": 1e-3,
    "inch": 25.4,
    "pixel": 0.0,
}
_MOST_BESIDE_PIXELS = 1 << 16  # bytes
_OF_PAGES = "QISZ"  # how tifffile calls an axis of pages that nothing is said about
_DESCRIPTION = 270


class TiffVolume(VolumeFile):
    """A volume in a TIFF file, opened.

    Attributes:
        shape: (Z, Y, X), or (Z, Y, X, C) with channels.
        affine: to millimetres such that a slice lies as its page: from left to right and down.

    Args:
        path: the file.
        pages: whether pages about which nothing is said are the slices of a volume.
        of: what it holds, for messages.

    Raises:
        InputError: the file is missing, damaged, no volume, or one of several that hold it.
        MissingDependencyError: tifffile is missing.
    """

    def __init__(self, path: str | Path, *, pages: bool = False, of: str = "") -> None:
        super().__init__(Path(path), f"a TIFF volume{of}")
        with self._opened() as tiff:
            series = tiff.series[0]
            self._check_one(tiff)
            axes = series.axes
            if pages and series.kind not in ("ome", "imagej") and len(axes) >= 3:
                axes = re.sub(f"^[{_OF_PAGES}]", "Z", axes)
            self._order, self._shape = self._axes(axes, series.shape)
            self.dtype = np.dtype(series.dtype)
            sides = _of_ome(tiff) if tiff.is_ome else _of_imagej(tiff) if tiff.is_imagej else None
        self.shape = tuple(self._shape[axis] for axis in self._order)
        self.has_spacing = sides is not None
        self.has_grey_levels = self.dtype in (np.uint8, np.uint16)
        z, y, x = sides or (1.0, 1.0, 1.0)
        self.affine = np.array([[0, 0, -x, 0], [0, -y, 0, 0], [z, 0, 0, 0], [0, 0, 0, 1.0]])

    def voxels(self, dtype: type[np.floating[Any]] | None = None) -> np.ndarray:
        with self._opened() as tiff:
            for page in tiff.series[0].pages:
                _check_no_bomb(page)
            array = np.asarray(tiff.series[0].asarray()).reshape(self._shape)
        voxels: np.ndarray = array.transpose(self._order)
        return voxels if dtype is None else voxels.astype(dtype)

    def _axes(self, axes: str, shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Which axes are (Z, Y, X[, C]), and the shape without axes of one.

        Raises:
            InputError: another axis, or none of these.
        """
        kept = [(a, n) for a, n in zip(axes, shape, strict=True) if n > 1 or a in "ZYX"]
        names, sides = "".join(a for a, _ in kept), tuple(n for _, n in kept)
        wanted = "ZYX" + "".join(a for a in names if a in "CS")
        if sorted(names) != sorted(wanted) or len(wanted) > 4:
            raise self.unusable(
                f"its axes are {axes} of {' x '.join(map(str, shape))}, not ZYX or ZYX with "
                "channels. Save one time point and position as OME-TIFF"
            )
        return tuple(names.index(axis) for axis in wanted), sides

    def _check_one(self, tiff: Any) -> None:
        """Raises an InputError if there are other images, or planes in other files."""
        if tiff.is_ome:
            names = {
                one.get("FileName") for one in ET.fromstring(tiff.ome_metadata).iter()  # noqa: S314
                if one.tag.endswith("}UUID") and one.get("FileName")
            }  # fmt: skip
            if names - {self.path.name} and len(names) > 1:
                raise self.unusable("its planes are in several files. Save it as one file")
        if len(tiff.series) > 1:
            raise self.unusable(f"it holds {len(tiff.series)} images. Save the right one")
        missing = sum(page is None for page in tiff.series[0].pages)
        if missing:  # tifffile would fill them with zeros
            raise self.unusable(f"it lacks {missing} of the planes that its metadata name")

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        tifffile = require("tifffile", extra="tiff", purpose="read volumes in TIFF files")
        log, damage = tifffile.logger(), list[str]()

        def keep_damage(record: logging.LogRecord) -> bool:
            """Says nothing, and remembers what is only logged though pages may be lost by it."""
            if record.levelno >= logging.ERROR:
                damage.append(record.getMessage())
            return False

        log.addFilter(keep_damage)
        try:
            with quiet(), tifffile.TiffFile(self.path, _multifile=False) as tiff:
                yield tiff
            if damage:
                raise ValueError(damage[0])
        except InputError:
            raise
        except Exception as error:  # tifffile raises many kinds on damaged files
            raise self.unusable(error) from error
        finally:
            log.removeFilter(keep_damage)


def is_tiff_volume(path: Path) -> bool:
    """Whether a TIFF file says that it holds a volume: OME-TIFF or ImageJ's, with slices.

    Nothing but the first page's tags is read, and no library needed; what is no TIFF is none.
    """
    if path.suffix.lower() not in TIFF_SUFFIXES:
        return False
    try:
        with quiet(), Image.open(path, formats=("TIFF",)) as picture:
            text = str(picture.tag_v2.get(_DESCRIPTION, ""))  # type: ignore[attr-defined]
    except Exception:  # reading it as a picture says why
        return False
    if text.startswith("ImageJ="):
        return bool(re.search(r"^slices=([2-9]|\d\d)", text, re.MULTILINE))
    return "<OME" in text[:2000] and bool(re.search(r'\sSizeZ="0*([2-9]|[1-9]\d)', text))


def _check_no_bomb(page: Any) -> None:
    """Raises a ValueError if a page holds more compressed bytes than its pixels can need.

    Python's own zlib, unlike imagecodecs, gives back all that they become.
    """
    if sum(page.databytecounts) > 2 * page.nbytes + _MOST_BESIDE_PIXELS:
        raise ValueError("a page holds far more bytes than its pixels need")


def _of_ome(tiff: Any) -> tuple[float, float, float] | None:
    """The sides (Z, Y, X) of a voxel in mm; None if OME-XML does not give them all."""
    root = ET.fromstring(tiff.ome_metadata)  # noqa: S314 (expat itself bounds what entities become)
    pixels = next((one for one in root.iter() if one.tag.endswith("}Pixels")), None)
    if pixels is None:
        return None
    return _in_mm(
        [
            (pixels.get(f"PhysicalSize{axis}"), pixels.get(f"PhysicalSize{axis}Unit", "µm"))
            for axis in "ZYX"
        ]
    )


def _of_imagej(tiff: Any) -> tuple[float, float, float] | None:
    """The same of ImageJ's metadata, whose resolutions are pixels a unit."""
    said, tags = tiff.imagej_metadata or {}, tiff.pages[0].tags
    unit = said.get("unit", "pixel")
    sides = [(said.get("spacing"), unit)]
    for name in ("YResolution", "XResolution"):
        above, below = tags[name].value if name in tags else (0, 1)
        sides.append((below / above if above else None, unit))
    return _in_mm(sides)


def _in_mm(sides: list[tuple[Any, str]]) -> tuple[float, float, float] | None:
    try:
        z, y, x = (float(side) * _MM_OF_UNIT.get(unit, 0.0) for side, unit in sides)
    except (TypeError, ValueError):
        return None
    return (z, y, x) if all(0 < side < np.inf for side in (z, y, x)) else None
