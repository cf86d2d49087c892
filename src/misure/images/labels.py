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


def read_labels(
    path: Path, ignore: Sequence[int] | None = None, *, channels: bool = False
) -> tuple[Tensor, np.ndarray]:
    """The labels (I, J, K) int64 of a volume as they are stored, and its affine (4, 4).

    Args:
        path: the file.
        ignore: numbers that are allowed though they are no labels, such as -1.
        channels: whether the volume may have several channels; its labels are then (C, I, J, K).

    Raises:
        InputError: the file is missing, damaged or too large, or a voxel is no whole number from 0
            to 65535 (up to 0.001, which is rounded).
        MissingDependencyError: nibabel, SimpleITK or tifffile is missing.
    """
    file = open_volume(path, of=" of labels")
    shape = file.shape[:3] if file.shape[3:] == (1,) else file.shape
    is_channels = channels and len(shape) == 4
    if (len(shape) != 3 and not is_channels) or 0 in shape:
        also = " or (I, J, K, C)" if channels else ""
        raise file.unusable(f"its shape is {file.shape}, not (I, J, K){also}")
    if np.prod(shape, dtype=float) > VOXEL_LIMIT:
        raise file.unusable(f"its shape is {file.shape}, more than {VOXEL_LIMIT:,} voxels")
    numbers = file.voxels().reshape(shape)
    labels = torch.from_numpy(as_labels(numbers, path, ignore))
    return (labels.movedim(-1, 0).contiguous() if is_channels else labels), file.affine
