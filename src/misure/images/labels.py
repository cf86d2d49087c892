"""NIfTI files beside the image: volumes of labels, and volumes that are written.

Files are taken as hostile: the number of voxels is checked before any is read.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from misure.errors import InputError
from misure.images.nifti import opened_nifti, read_voxels
from misure.images.read import VOXEL_LIMIT

_TOLERANCE = 1e-3  # of a voxel
_LARGEST_LABEL = 65535


def read_labels(path: Path) -> tuple[Tensor, np.ndarray]:
    """The labels (I, J, K) int64 of a NIfTI file in the order they are stored in, and its affine.

    Raises:
        InputError: missing, damaged or too large; numbers that are no labels, which are whole
            numbers from 0 to 65535.
    """
    with opened_nifti(path, "expected a NIfTI volume of labels") as file:
        shape = file.shape[:3] if file.shape[3:] == (1,) else file.shape
        if len(shape) != 3 or 0 in shape:
            raise ValueError(f"its shape is {file.shape}, not (I, J, K)")
        if np.prod([int(n) for n in shape], dtype=float) > VOXEL_LIMIT:
            raise ValueError(f"its shape is {file.shape}, more than {VOXEL_LIMIT:,} voxels")
        numbers = read_voxels(file).reshape(shape)
        affine = np.asarray(file.affine, np.float64)
    return torch.from_numpy(as_labels(numbers, str(path))), affine


def as_labels(numbers: np.ndarray, path: str) -> np.ndarray:
    """Numbers of any kind as int64.

    Raises:
        InputError: one of them is no whole number from 0 to 65535.
    """
    is_number = numbers.dtype.kind in "buif"
    if not is_number or not bool(np.isfinite(numbers).all()) or bool((numbers % 1 != 0).any()):
        raise InputError(
            f"expected whole numbers as labels, got others ({numbers.dtype}) in "
            f"{path}. Is it an image?"
        )
    low, high = (int(numbers.min()), int(numbers.max())) if numbers.size else (0, 0)
    if low < 0 or high > _LARGEST_LABEL:
        raise InputError(
            f"expected labels from 0 to {_LARGEST_LABEL}, got {low} to {high} in "
            f"{path}. Is it an image?"
        )
    return numbers.astype(np.int64)


def renumber(labels: Tensor, label_map: Mapping[int, int], path: Path | str) -> Tensor:
    """Labels (*spatial) int64 by a map from the file's numbers to classes; 0 stays 0.

    Raises:
        InputError: a number that the map does not know.
    """
    complete = {0: 0, **label_map}
    present = [int(one) for one in torch.unique(labels)]
    unknown = [one for one in present if one not in complete]
    if unknown:
        raise InputError(
            f"expected labels among {_short(sorted(complete))}, got {_short(unknown)} "
            f"in {path}. Say which label map it has."
        )
    table = torch.zeros(max(present, default=0) + 1, dtype=torch.int64)
    for one in present:
        table[one] = complete[one]
    return table[labels]


def _short(numbers: Sequence[int]) -> str:
    text = ", ".join(map(str, numbers[:15]))
    return f"{text} ..." if len(numbers) > 15 else text


def check_same_place(
    image: tuple[Sequence[int], np.ndarray], labels: tuple[Sequence[int], np.ndarray], path: Path
) -> None:
    """Raises an InputError unless labels lie voxel by voxel on an image.

    Args:
        image, labels: shape (I, J, K) and affine (4, 4) of each.
        path: of the labels.
    """
    (shape, affine), (other_shape, other_affine) = image, labels
    if tuple(shape) != tuple(other_shape):
        raise InputError(
            f"expected labels of the image's shape {tuple(shape)}, got "
            f"{tuple(other_shape)} in {path}. Resample the labels to the image."
        )
    voxel = np.linalg.norm(affine[:3, :3], axis=0).min()
    difference = np.abs(affine - other_affine)
    if not bool((difference <= _TOLERANCE * voxel).all()):  # NaN is a difference too
        turned = bool((difference[:3, :3] > _TOLERANCE * voxel).any())
        what = "orientation or voxel size" if turned else "position"
        raise InputError(
            f"expected labels that lie on the image, but the {what} in the "
            f"header of {path} differs from the image's by up to {difference.max():.4g}. "
            "Resample the labels to the image, or repair the header."
        )
