"""Pictures of an object for the report, packed as text.

Each object carries its planes as one small PNG: red is the saliency map, blue the number of nested
regions that hold a pixel, green the sum of 1 for the target, 2 for the sufficient, 4 for the
minimally sufficient region, 8 for what the map knows nothing about, 16 for the necessary region, 32
for that of the surroundings, 64 for other reasons, and 128 for the annotation.
"""

import base64
import io
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from misure.errors import RunFolderError
from misure.explanation.dust import is_dust
from misure.explanation.nested import map_value
from misure.images.maps import fill_unknown
from misure.images.orientation import AS_STORED
from misure.images.planes import as_colours, grey_range, in_bytes, viewing_plane
from misure.reports.density import density
from misure.runs.answers import answered_regions
from misure.runs.folder import RunFolder
from misure.runs.images import RunImages
from misure.runs.record import DoneObject, ExplainedObject

_SHOWN = 0.4  # share of a small pixel from which a region is drawn there
_SHADES = 15  # of the map; more would be noise that does not compress
_ARRAYS = ("target", "sufficient_region", "minimally_sufficient_region")
_FURTHER = ("necessary", "surroundings", "reasons", "annotation")
_DENSITY = 1 / 4  # of the sides of the other pictures: a density has no finer detail
_MOST_DENSITY_PX = 1024


def object_pictures(
    folder: RunFolder, record: DoneObject, size_px: float, annotation: Tensor | None = None
) -> dict[str, Any]:
    """The `planes` of one object as a PNG in base64; of dust also the `densities`.

    `size` has the height and the width of what they show, in pixels of the image, `shape` all sides
    of the image.

    Args:
        folder: of the run.
        record: of the object.
        size_px: longer side of the PNG, at most; math.inf: that of the image.
        annotation: (*spatial) bool, the annotated pixels of the object; None: it has none.

    Raises:
        RunFolderError: the object's map is missing or damaged.
    """
    arrays = folder.read_map(record.map)
    _check_own(arrays, record, folder)
    arrays |= answered_regions(folder, record, arrays["target"].shape)
    if annotation is not None:
        arrays["annotation"] = annotation
    take, _ = viewing_plane(arrays["target"], record.viewing_order or AS_STORED)
    pictures: dict[str, Any] = {
        "planes": encoded_planes(arrays, record, size_px),
        "size": list(take(arrays["target"]).shape),
        "shape": list(arrays["target"].shape),
    }
    if isinstance(record, ExplainedObject) and is_dust(record):
        pictures["densities"] = encoded_densities(arrays, record, size_px)
    return pictures


def encoded_planes(arrays: Mapping[str, torch.Tensor], record: DoneObject, size_px: float) -> str:
    """The planes of one object as a PNG in base64; of a volume the slice with most of it.

    Args:
        arrays: the regions and the saliency map of the object, and those of its answers.
        record: of the object.
        size_px: longer side of the PNG, at most.
    """
    saliency_map = arrays["saliency_map"]
    take, _ = viewing_plane(arrays["target"], record.viewing_order or AS_STORED)
    curve = record.sufficiency_curve if isinstance(record, ExplainedObject) else []
    levels = [map_value(point.dice_threshold) for point in curve]
    height, width = take(arrays["target"]).shape
    scale = min(1.0, size_px / max(height, width))
    sides = [max(1, round(scale * side)) for side in (height, width)]

    def share(region: torch.Tensor) -> np.ndarray:
        """Of each small pixel, in [0, 1]."""
        picture = Image.fromarray(take(region).numpy().astype(np.uint8) * 255)
        return np.asarray(picture.resize(sides[::-1], Image.Resampling.BOX)) / np.float32(255)

    flags = np.zeros(sides, np.uint8)
    for bit, name in enumerate(_ARRAYS):
        if name in arrays:
            flags |= (share(arrays[name]) >= _SHOWN).astype(np.uint8) << bit
    nested = np.zeros(sides, np.uint8)
    for level in levels:
        nested += share(saliency_map >= level) >= _SHOWN
    flags |= (share(saliency_map.isnan()) > 1 - _SHOWN).astype(np.uint8) << len(_ARRAYS)
    for bit, name in enumerate(_FURTHER, len(_ARRAYS) + 1):
        if name in arrays:
            flags |= (share(arrays[name]) >= _SHOWN).astype(np.uint8) << bit
    plane = Image.fromarray(take(fill_unknown(saliency_map).clamp(min=0)).float().numpy())
    values = np.asarray(plane.resize(sides[::-1], Image.Resampling.BOX))
    levels_shown = (_SHADES * values / max(float(values.max()), 1e-30)).round()
    brightness = (255 / _SHADES * levels_shown).round().astype(np.uint8)
    return _encoded(Image.fromarray(np.stack([brightness, flags, nested], 2)), "PNG")


def encoded_densities(
    arrays: Mapping[str, torch.Tensor], record: ExplainedObject, size_px: float
) -> str:
    """The densities of one object's nested regions as a PNG in base64, or of its minimal region.

    They stand one below the other, the lowest threshold first; each is relative to its largest
    value.

    Args:
        arrays: the regions and the saliency map of the object.
        record: of the object.
        size_px: longer side of the object's other pictures, at most.
    """
    take, _ = viewing_plane(arrays["target"], record.viewing_order or AS_STORED)
    levels = [map_value(point.dice_threshold) for point in record.sufficiency_curve]
    regions = [arrays["saliency_map"] >= level for level in levels]
    densities = []
    for region in regions or [arrays["minimally_sufficient_region"]]:
        plane = take(region).numpy()
        scale = min(1.0, _DENSITY * min(size_px, _MOST_DENSITY_PX) / max(plane.shape))
        sides = [max(1, round(scale * side)) for side in plane.shape]
        picture = Image.fromarray(plane.astype(np.uint8) * 255)
        shares = np.asarray(picture.resize(sides[::-1], Image.Resampling.BOX)) / np.float32(255)
        values = density(shares)
        densities.append((_SHADES * values / max(float(values.max()), 1e-30)).round())
    stacked = (255 / _SHADES * np.concatenate(densities)).round().astype(np.uint8)
    return _encoded(Image.fromarray(stacked), "PNG")


def _check_own(arrays: Mapping[str, torch.Tensor], record: DoneObject, folder: RunFolder) -> None:
    """Raises a RunFolderError unless a map is that of its record."""
    num_pixels = int(arrays["target"].sum())
    missing = set(_ARRAYS) - set(arrays) if isinstance(record, ExplainedObject) else set()
    if num_pixels != record.target.pixels or missing:
        wrong = f"it has no {min(missing)}" if missing else f"its target has {num_pixels:,} pixels"
        raise RunFolderError(
            f"expected the map of {record.key}, an object of {record.target.pixels:,} pixels, in "
            f"{record.map} of {folder.address}, but {wrong}."
        )


def encoded_full_image(folder: RunFolder, record: DoneObject, images: RunImages) -> str:
    """The image of an object as the address of a picture of all its pixels.

    For a volume it shows the slice with most of the object. Greys are a PNG, colours a JPEG with
    little loss. If the image is gone or has changed, the thumbnail is returned.

    Args:
        folder: of the run.
        record: of the object.
        images: of the run.

    Raises:
        RunFolderError: a file of the run is missing or damaged.
    """
    target = folder.read_map(record.map)["target"]
    found = images.of(record, tuple(target.shape))
    if found.is_thumbnail:
        return encoded_image(folder, record.thumbnail, math.inf)
    take, _ = viewing_plane(target, record.viewing_order or AS_STORED)
    plane = take(found.pixels).float().cpu()
    picture = Image.fromarray(in_bytes(as_colours(plane, *grey_range(found.pixels))))
    if picture.mode == "L":
        return _address(_encoded(picture, "PNG"), "PNG")
    return _address(_encoded(picture, "JPEG", quality=95, subsampling=0), "JPEG")


def encoded_image(folder: RunFolder, name: str, size_px: float) -> str:
    """A thumbnail of a run as the address of a JPEG, its longer side at most `size_px`.

    Raises:
        RunFolderError: the file is missing or damaged.
    """
    try:
        with Image.open(io.BytesIO(folder.storage.read(name)), formats=["JPEG"]) as picture:
            if size_px < max(picture.size):
                picture.thumbnail((size_px, size_px), Image.Resampling.BOX)
            return _address(_encoded(picture, "JPEG"), "JPEG")
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise RunFolderError(
            f"expected an image in {name} of {folder.address}, but {error}."
        ) from error


def _address(encoded: str, kind: str) -> str:
    return f"data:image/{kind.lower()};base64,{encoded}"


def _encoded(picture: Image.Image, kind: str, **options: int) -> str:
    buffer = io.BytesIO()
    usual = {"quality": 75} if kind == "JPEG" else {"compress_level": 7}
    picture.save(buffer, kind, **{**usual, **options})
    return base64.b64encode(buffer.getvalue()).decode()
