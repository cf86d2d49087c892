"""Label maps of volumes, with the tables that name their numbers, for 3D Slicer and ITK-SNAP."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from misure.images.label_tables import MapLabel, write_label_tables
from misure.images.nifti_write import write_volume
from misure.reports.axes import CLASS_COLOURS, REGION_COLOUR, TARGET_COLOUR

_INSIDE, _OUTSIDE, _REST, _GROWN = 1, 2, 3, 4
_OUTSIDE_COLOUR, _GROWN_COLOUR, _SHARED_COLOUR = "#0072B2", "#009E73", "#BBBBBB"
_PALE = 0.55  # of white, where an object is not needed


def region_labels(tensors: Mapping[str, Tensor]) -> Tensor:
    """The label map (*spatial) uint8 of one object.

    1: in the minimally sufficient region and the target; 2: in that region alone, outside of the
    target; 3: the rest of the target; 4: the rest of the sufficient region; 0: none of them.

    Args:
        tensors: `target`, `sufficient_region` and `minimally_sufficient_region`, (*spatial) bool.
    """
    target, small = tensors["target"], tensors["minimally_sufficient_region"]
    labels = torch.zeros_like(target, dtype=torch.uint8)
    labels[tensors["sufficient_region"]] = _GROWN
    labels[target] = _REST
    labels[small & ~target] = _OUTSIDE
    labels[small & target] = _INSIDE
    return labels


def labels_of_regions(class_name: str) -> list[MapLabel]:
    """What the numbers of `region_labels` mean."""
    beginning = f"{class_name}: " if class_name else ""
    return [
        MapLabel(_INSIDE, f"{beginning}minimally sufficient, in the target", REGION_COLOUR),
        MapLabel(_OUTSIDE, f"{beginning}minimally sufficient, outside the target", _OUTSIDE_COLOUR),
        MapLabel(_REST, f"{beginning}rest of the target", TARGET_COLOUR),
        MapLabel(_GROWN, f"{beginning}rest of the sufficient region", _GROWN_COLOUR),
    ]


def write_region_labels(
    tensors: Mapping[str, Tensor], affine: np.ndarray, folder: Path, class_name: str
) -> None:
    """Writes `labels.nii.gz`, `labels.ctbl` and `labels.txt` of one object of a volume.

    Args:
        tensors: as of `region_labels`; a slice (rows, columns) is a volume with one slice.
        affine: (4, 4) of the volume, from voxel indices to millimetres (RAS+).
        folder: an existing folder.
        class_name: of the object.
    """
    path = folder / "labels.nii.gz"
    write_volume(path, _as_volume(region_labels(tensors)), affine, "misure: see labels.txt")
    write_label_tables(labels_of_regions(class_name), path)


class CaseLabels:
    """The label map of a case: all its objects, two numbers for each.

    The n-th object has 2n - 1 where its minimally sufficient region is, in or outside of its
    target, and 2n on the rest of its target. Where a target is, other objects whose region reaches
    there are left out: a single region of the whole volume would cover all else. Voxels of several
    targets, and those outside of all targets in several regions, have the last number.

    Args:
        shape: (*spatial) of the case.
    """

    def __init__(self, shape: Sequence[int]) -> None:
        self._labels = torch.zeros(tuple(shape), dtype=torch.int32)
        self._is_target = torch.zeros(tuple(shape), dtype=torch.bool)
        self._is_shared = torch.zeros(tuple(shape), dtype=torch.bool)
        self._names: list[str] = []

    def add(self, name: str, target: Tensor, small: Tensor) -> int:
        """Adds an object, and gives the first of its two numbers.

        Args:
            name: of the object.
            target, small: (*spatial) bool, the target and the minimally sufficient region.
        """
        self._names.append(name)
        number = 2 * len(self._names) - 1
        outside = small & ~target & ~self._is_target
        self._is_shared |= outside & (self._labels > 0)
        self._is_shared[target] = self._is_target[target]
        self._is_target |= target
        self._labels[target] = number + 1
        self._labels[outside | (small & target)] = number
        return number

    def labels(self) -> list[MapLabel]:
        """What the numbers mean."""
        found = []
        for place, name in enumerate(self._names):
            colour = CLASS_COLOURS[place % len(CLASS_COLOURS)]
            found.append(MapLabel(2 * place + 1, f"{name}: minimally sufficient", colour))
            found.append(MapLabel(2 * place + 2, f"{name}: rest of the target", _pale(colour)))
        found.append(MapLabel(len(found) + 1, "claimed by several objects", _SHARED_COLOUR))
        return found

    def write(self, path: Path, affine: np.ndarray) -> None:
        """Writes `NAME.nii.gz` with its tables beside it.

        Args:
            path: of the map.
            affine: (4, 4) of the volume, from voxel indices to millimetres (RAS+).
        """
        labels = self.labels()
        numbers = torch.where(self._is_shared, len(labels), self._labels)
        kind = np.uint8 if len(labels) < 256 else np.uint16
        array = _as_volume(numbers).astype(kind)
        write_volume(path, array, affine, "misure: see the .txt beside it")
        write_label_tables(labels, path)


def _as_volume(labels: Tensor) -> np.ndarray:
    array: np.ndarray = labels.cpu().numpy()
    return array[None] if array.ndim == 2 else array


def _pale(colour: str) -> str:
    parts = bytes.fromhex(colour.removeprefix("#"))
    return "#" + bytes(round(_PALE * 255 + (1 - _PALE) * part) for part in parts).hex().upper()
