"""Volumes of labels: read from NIfTI files, renumbered, and checked to lie on their image.

Files are taken as hostile: the number of voxels is checked before any is read.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from misure.errors import InputError
from misure.images.nifti import NiftiFile
from misure.images.read import VOXEL_LIMIT

_TOLERANCE = 1e-3  # of a voxel
_LARGEST_LABEL = 65535


def read_labels(path: Path) -> tuple[Tensor, np.ndarray]:
    """The labels (I, J, K) int64 of a NIfTI file as they are stored, and its affine (4, 4).

    Raises:
        InputError: the file is missing, damaged or too large, or a voxel is no whole number from 0
            to 65535.
        MissingDependencyError: nibabel is missing.
    """
    file = NiftiFile(path, "a NIfTI volume of labels")
    shape = file.shape[:3] if file.shape[3:] == (1,) else file.shape
    if len(shape) != 3 or 0 in shape:
        raise file.unusable(f"its shape is {file.shape}, not (I, J, K)")
    if np.prod(shape, dtype=float) > VOXEL_LIMIT:
        raise file.unusable(f"its shape is {file.shape}, more than {VOXEL_LIMIT:,} voxels")
    numbers = file.voxels().reshape(shape)
    return torch.from_numpy(as_labels(numbers, path)), file.affine


def as_labels(numbers: np.ndarray, path: Path) -> np.ndarray:
    """Labels int64, of the shape of `numbers`, whatever type these have.

    Args:
        numbers: whole numbers from 0 to 65535.
        path: the file that they are from, for the message.

    Raises:
        InputError: one of them is no such number.
    """
    is_number = numbers.dtype.kind in "buif"
    if not is_number or not bool(np.isfinite(numbers).all()) or bool((numbers % 1 != 0).any()):
        raise InputError(
            f"expected whole numbers as labels, got others ({numbers.dtype}) in {path}. Is it an "
            "image?"
        )
    low, high = (int(numbers.min()), int(numbers.max())) if numbers.size else (0, 0)
    if low < 0 or high > _LARGEST_LABEL:
        raise InputError(
            f"expected labels from 0 to {_LARGEST_LABEL}, got {low} to {high} in {path}. Is it an "
            "image?"
        )
    return numbers.astype(np.int64)


def renumber(labels: Tensor, label_map: Mapping[int, int], path: Path | str) -> Tensor:
    """Class indices (*spatial) int64 of labels; 0 stays 0.

    Args:
        labels: (*spatial) int64, 0 or more.
        label_map: number in the file -> class index.
        path: the file that they are from, for the message.

    Raises:
        InputError: a number that the map does not have.
    """
    complete = {0: 0, **label_map}
    present = [int(number) for number in torch.unique(labels)]
    unknown = [number for number in present if number not in complete]
    if unknown:
        raise InputError(
            f"expected labels among {_first(sorted(complete))}, got {_first(unknown)} in {path}. "
            "Name the label map that the file has."
        )
    table = torch.zeros(max(present, default=0) + 1, dtype=torch.int64)
    for number in present:
        table[number] = complete[number]
    return table[labels]


def _first(numbers: Sequence[int]) -> str:
    text = ", ".join(map(str, numbers[:15]))
    return f"{text} ..." if len(numbers) > 15 else text


def check_aligned(
    image: tuple[Sequence[int], np.ndarray], labels: tuple[Sequence[int], np.ndarray], path: Path
) -> None:
    """Raises an InputError unless labels and image are the same voxels of the same space.

    Args:
        image, labels: shape (I, J, K) and affine (4, 4) of each.
        path: the file of the labels, for the message.
    """
    (shape, affine), (other_shape, other_affine) = image, labels
    if tuple(shape) != tuple(other_shape):
        raise InputError(
            f"expected labels of the image's shape {tuple(shape)}, got {tuple(other_shape)} in "
            f"{path}. Resample the labels to the image."
        )
    voxel = np.linalg.norm(affine[:3, :3], axis=0).min()
    difference = np.abs(affine - other_affine)
    if not bool((difference <= _TOLERANCE * voxel).all()):  # NaN is a difference too
        axes_differ = bool((difference[:3, :3] > _TOLERANCE * voxel).any())
        what = "orientation or voxel size" if axes_differ else "position"
        raise InputError(
            f"expected labels that lie on the image, but the {what} in the "
            f"header of {path} differs from the image's by up to {difference.max():.4g}. "
            "Resample the labels to the image, or repair the header."
        )
