"""Volumes of labels: read from NIfTI files, and checked to lie on their image.

Files are taken as hostile: the number of voxels is checked before any is read.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from misure.errors import InputError
from misure.images.nifti import NiftiFile
from misure.images.numbering import as_labels
from misure.images.read import VOXEL_LIMIT

_TOLERANCE = 1e-3  # of a voxel


def read_labels(path: Path, ignore: Sequence[int] | None = None) -> tuple[Tensor, np.ndarray]:
    """The labels (I, J, K) int64 of a NIfTI file as they are stored, and its affine (4, 4).

    Args:
        path: the file.
        ignore: numbers that are allowed though they are no labels, such as -1.

    Raises:
        InputError: the file is missing, damaged or too large, or a voxel is no whole number from 0
            to 65535 (up to 0.001, which is rounded).
        MissingDependencyError: nibabel is missing.
    """
    file = NiftiFile(path, "a NIfTI volume of labels")
    shape = file.shape[:3] if file.shape[3:] == (1,) else file.shape
    if len(shape) != 3 or 0 in shape:
        raise file.unusable(f"its shape is {file.shape}, not (I, J, K)")
    if np.prod(shape, dtype=float) > VOXEL_LIMIT:
        raise file.unusable(f"its shape is {file.shape}, more than {VOXEL_LIMIT:,} voxels")
    numbers = file.voxels().reshape(shape)
    return torch.from_numpy(as_labels(numbers, path, ignore)), file.affine


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
