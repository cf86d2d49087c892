"""The regions of COCO's annotations, of polygons and run lengths."""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from misure._util.optional import require
from misure._util.quiet import quiet
from misure._util.quoted import quoted
from misure.errors import InputError, MisureWarning


def draw_region(drawn: Any, shape: tuple[int, int], name: str) -> Tensor | None:
    """The region (H, W) bool of an annotation; None if it is but points and lines.

    Args:
        drawn: its `segmentation`, whatever the file holds.
        shape: (H, W).
        name: of the annotation, for messages.

    Raises:
        InputError: it cannot be drawn.
        MissingDependencyError: pycocotools is missing.
    """
    masks = require("pycocotools.mask", extra="coco", purpose="read COCO annotations")
    drawn = _with_area(drawn, name)
    if drawn == []:
        return None
    try:
        if isinstance(drawn, Mapping):
            return torch.from_numpy(_from_runs(drawn, shape))
        _check_polygons(drawn, shape)
        with quiet():  # pycocotools with NumPy 2
            mask: np.ndarray = masks.decode(masks.merge(masks.frPyObjects(drawn, *shape)))
    except Exception as error:  # whatever polygons and runs a file holds
        raise InputError(
            f"expected polygons or run lengths in {name}, but they cannot be drawn: {quoted(error)}"
        ) from error
    return torch.from_numpy(mask.astype(bool))


def _with_area(drawn: Any, name: str) -> Any:
    """What an annotation draws, without polygons of one or two points, which have no pixels."""
    if not isinstance(drawn, list):
        return drawn
    if not drawn:
        warnings.warn(
            f"{name} has no polygon, only a box perhaps, and is left out.",
            MisureWarning,
            stacklevel=2,
        )
    kept = [polygon for polygon in drawn if not _is_line(polygon)]
    if len(kept) < len(drawn):
        warnings.warn(
            f"{name} has a polygon of fewer than three points, which is left out.",
            MisureWarning,
            stacklevel=2,
        )
    return kept


def _is_line(polygon: Any) -> bool:
    return isinstance(polygon, list) and len(polygon) in (0, 2, 4)


def _check_polygons(polygons: Any, shape: tuple[int, int]) -> None:
    """Raises a ValueError where pycocotools would crash, or draw something else."""
    for polygon in polygons:
        points = np.asarray(polygon, float)
        if points.ndim != 1 or len(points) < 6 or len(points) % 2:
            raise ValueError("a polygon needs three points or more, x and y of each.")
        sides = np.resize(shape[::-1], len(points))
        if not ((points >= -sides) & (points <= 2 * sides)).all():  # NaN is not inside either
            raise ValueError("a polygon lies far outside of the photograph.")


def _from_runs(segmentation: Mapping[str, Any], shape: tuple[int, int]) -> np.ndarray:
    """The region (H, W) bool of run lengths, column by column, plain or compressed.

    Raises:
        ValueError: they are of another size, or do not fill it.
    """
    counts = segmentation["counts"]
    runs = _uncompressed(counts) if isinstance(counts, str) else [int(count) for count in counts]
    if list(segmentation["size"]) != list(shape):
        raise ValueError(f"the run lengths are of {segmentation['size']}, not {list(shape)}.")
    if min(runs, default=-1) < 0 or sum(runs) != shape[0] * shape[1]:
        raise ValueError(f"the run lengths do not add up to {shape[0]} × {shape[1]}.")
    region: np.ndarray = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return np.ascontiguousarray(region.reshape(shape[::-1]).T)


def _uncompressed(text: str) -> list[int]:
    """Run lengths of COCO's text: five bits a character, from the third on less the last but one.

    The sixth bit says that a number goes on, the fifth of its last character that it is negative.
    """
    runs: list[int] = []
    number = shift = 0
    for character in text:
        bits = ord(character) - 48
        number |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            number -= 1 << shift
        runs.append(number + (runs[-2] if len(runs) > 2 else 0))
        number = shift = 0
    return runs
