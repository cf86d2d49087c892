"""NIfTI files beside the image: volumes of labels, and volumes that are written.

Files are taken as hostile: the number of voxels is checked before any is read.
"""

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from misure.dependency import require
from misure.durable_file import durable_file
from misure.errors import InputError
from misure.image import VOXEL_LIMIT, ViewingOrder, as_stored
from misure.nifti_file import opened_nifti, read_voxels

_TOLERANCE = 1e-3  # of a voxel
_LARGEST_LABEL = 65535
_LONGEST_OF_NIFTI_1 = 32767


def read_labels(path: Path) -> tuple[Tensor, np.ndarray]:
    """The labels (I, J, K) int64 of a NIfTI file in the order they are stored in, and its affine.

    Raises:
        InputError: missing, damaged or too large; numbers that are no labels, which are whole
            numbers from 0 to 65535.
    """
    with opened_nifti(path, "read_labels: expected a NIfTI volume of labels") as file:
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
            f"read_labels: expected whole numbers as labels, got others ({numbers.dtype}) in "
            f"{path}. Is it an image?"
        )
    low, high = (int(numbers.min()), int(numbers.max())) if numbers.size else (0, 0)
    if low < 0 or high > _LARGEST_LABEL:
        raise InputError(
            f"read_labels: expected labels from 0 to {_LARGEST_LABEL}, got {low} to {high} in "
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
            f"renumber: expected labels among {_short(sorted(complete))}, got {_short(unknown)} "
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
            f"check_same_place: expected labels of the image's shape {tuple(shape)}, got "
            f"{tuple(other_shape)} in {path}. Resample the labels to the image."
        )
    voxel = np.linalg.norm(affine[:3, :3], axis=0).min()
    difference = np.abs(affine - other_affine)
    if not bool((difference <= _TOLERANCE * voxel).all()):  # NaN is a difference too
        turned = bool((difference[:3, :3] > _TOLERANCE * voxel).any())
        what = "orientation or voxel size" if turned else "position"
        raise InputError(
            f"check_same_place: expected labels that lie on the image, but the {what} in the "
            f"header of {path} differs from the image's by up to {difference.max():.4g}. "
            "Resample the labels to the image, or repair the header."
        )


def affine_as_laid_out(affine: np.ndarray, order: ViewingOrder, shape: Sequence[int]) -> np.ndarray:
    """The affine (4, 4) of a volume after `lay_out`.

    Args:
        affine: of the volume as it is stored.
        order: what it is laid out with.
        shape: (I, J, K), as stored.
    """
    step = np.zeros((4, 4))
    step[3, 3] = 1
    for position, (axis, turn) in enumerate(order):
        step[axis, position] = -1 if turn else 1
        step[axis, 3] = shape[axis] - 1 if turn else 0
    return affine @ step


def affine_of_slice(affine: np.ndarray, number: int) -> np.ndarray:
    """The affine (4, 4) of one slice as a volume (1, rows, columns) of its own.

    Args:
        affine: of the volume (slices, rows, columns) as it is laid out.
        number: of the slice.
    """
    moved = np.array(affine, np.float64)
    moved[:3, 3] += number * moved[:3, 0]
    return moved


def affine_of_axial_slice(
    affine: np.ndarray, order: ViewingOrder, shape: Sequence[int], number: int
) -> np.ndarray:
    """The same, of a slice of a volume (I, J, K) as it is stored.

    Args:
        affine, order, shape: as in `affine_as_laid_out`.
        number: of the slice, counted from the feet.
    """
    return affine_of_slice(affine_as_laid_out(affine, order, shape), number)


def write_volume(path: Path, array: np.ndarray, affine: np.ndarray, description: str = "") -> None:
    """Writes a volume (I, J, K) as NIfTI, at once or not at all.

    Args:
        path: ends in `.nii.gz` or `.nii`.
        array: of a kind that NIfTI knows, such as uint8, int16 or float32.
        affine: (4, 4), from voxel indices to millimetres.
        description: up to 79 characters for the header.
    """
    nibabel = require("nibabel", extra="medical", purpose="write NIfTI files")
    is_long = max(array.shape) > _LONGEST_OF_NIFTI_1
    file = (nibabel.Nifti2Image if is_long else nibabel.Nifti1Image)(array, affine)
    file.header.set_xyzt_units("mm")
    with contextlib.suppress(nibabel.spatialimages.HeaderDataError):  # a sheared one has no qform
        file.set_qform(affine, "scanner", strip_shears=False)
    file.header["descrip"] = description.encode()[:79]
    with durable_file(path) as unfinished:
        name = unfinished.with_name(unfinished.name + path.name[path.name.index(".nii") :])
        try:
            nibabel.save(file, name)
            name.replace(unfinished)
        finally:
            name.unlink(missing_ok=True)


def write_regions(
    tensors: Mapping[str, Tensor], affine: np.ndarray, folder: Path, description: str = ""
) -> None:
    """Writes regions and maps of a volume as `NAME.nii.gz`, to lay over it in any viewer.

    Args:
        tensors: name -> (I, J, K) bool (written as uint8) or float32; a slice (rows, columns) is
            written as a volume with one slice.
        affine: (4, 4) of the volume.
        folder: an existing folder.
        description: up to 79 characters for the header.
    """
    for name, tensor in tensors.items():
        array = tensor.cpu().numpy()
        array = array[None] if array.ndim == 2 else array
        array = array.astype(np.uint8) if array.dtype == bool else array.astype(np.float32)
        write_volume(folder / f"{name}.nii.gz", array, affine, description)


def in_volume(plane: Tensor, slice_index: int, shape: Sequence[int], order: ViewingOrder) -> Tensor:
    """A volume (I, J, K) that is empty but for one axial slice, as stored.

    Args:
        plane: (rows, columns), laid out for viewing.
        slice_index: its number, counted from the feet.
        shape: (I, J, K).
        order: how the volume is laid out (see `read_viewing_order`).
    """
    laid_out = plane.new_zeros([shape[axis] for axis, _ in order])
    laid_out[slice_index] = plane
    return as_stored(laid_out, order)
