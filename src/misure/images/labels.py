"""Volumes of labels: read from files.

Files are taken as hostile: the number of voxels is checked before any is read.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from misure.images.numbering import as_labels
from misure.images.read import VOXEL_LIMIT
from misure.images.volumes import open_volume


def read_labels(path: Path, ignore: Sequence[int] | None = None) -> tuple[Tensor, np.ndarray]:
    """The labels (I, J, K) int64 of a volume as they are stored, and its affine (4, 4).

    Args:
        path: the file.
        ignore: numbers that are allowed though they are no labels, such as -1.

    Raises:
        InputError: the file is missing, damaged or too large, or a voxel is no whole number from 0
            to 65535 (up to 0.001, which is rounded).
        MissingDependencyError: nibabel, SimpleITK or tifffile is missing.
    """
    file = open_volume(path, of=" of labels")
    shape = file.shape[:3] if file.shape[3:] == (1,) else file.shape
    if len(shape) != 3 or 0 in shape:
        raise file.unusable(f"its shape is {file.shape}, not (I, J, K)")
    if np.prod(shape, dtype=float) > VOXEL_LIMIT:
        raise file.unusable(f"its shape is {file.shape}, more than {VOXEL_LIMIT:,} voxels")
    numbers = file.voxels().reshape(shape)
    return torch.from_numpy(as_labels(numbers, path, ignore)), file.affine
