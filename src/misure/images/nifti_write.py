"""NIfTI files, written: volumes, and regions and maps that lie on the voxels of their volume."""

import contextlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from torch import Tensor

from misure._util.files import durable_file
from misure._util.optional import require

_LONGEST_OF_NIFTI_1 = 32767


def write_volume(path: Path, array: np.ndarray, affine: np.ndarray, description: str = "") -> None:
    """Writes a volume (I, J, K) as NIfTI, at once or not at all.

    Args:
        path: ends in `.nii.gz` or `.nii`.
        array: (I, J, K), or (I, J, K, C) with a number for each channel; of a type that NIfTI
            knows, such as uint8, int16 or float32.
        affine: (4, 4), from voxel indices to millimetres (RAS+).
        description: at most 79 bytes for the header; the rest is cut off.

    Raises:
        MissingDependencyError: nibabel is missing.
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
    """Writes regions and maps of a volume as `NAME.nii.gz`, to be laid over it in any viewer.

    Args:
        tensors: name -> (I, J, K) or (I, J, K, C) bool (written as uint8) or float32; a slice
            (rows, columns) is written as a volume with one slice.
        affine: (4, 4) of the volume, from voxel indices to millimetres (RAS+).
        folder: an existing folder.
        description: at most 79 bytes for the header; the rest is cut off.
    """
    for name, tensor in tensors.items():
        array = tensor.cpu().numpy()
        array = array[None] if array.ndim == 2 else array
        array = array.astype(np.uint8) if array.dtype == bool else array.astype(np.float32)
        write_volume(folder / f"{name}.nii.gz", array, affine, description)
