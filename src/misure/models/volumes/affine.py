"""The affine of a volume, where something needs it."""

import numpy as np
from torch import Tensor

from misure.errors import InputError


def needed_affine(
    image: Tensor, affine: np.ndarray | None, what: str, *, planes: bool = False
) -> np.ndarray:
    """The affine, if it is there and the image is a volume.

    Args:
        image: (C, *spatial).
        affine: (4, 4), or None.
        what: what needs it, for messages.
        planes: whether an axial slice will do.

    Raises:
        InputError: none, another shape, not invertible, or an image of another dimension.
    """
    if image.ndim != 4 and not (planes and image.ndim == 3):
        raise InputError(
            f"expected a volume (C, I, J, K) for {what}, got an image {tuple(image.shape)}. Leave "
            "it out for planes."
        )
    if affine is None:
        raise InputError(
            f"expected the affine of the image for {what}, got none. Give a NIfTI file, or "
            "affine=..., (4, 4) from voxel indices to millimetres (RAS+), to segment or "
            "model.for_image."
        )
    if affine.shape != (4, 4) or not np.isfinite(affine).all() or not _is_regular(affine):
        raise InputError(
            f"expected an invertible affine (4, 4) for {what}, got {affine.tolist()}. Repair the "
            "header."
        )
    return affine


def _is_regular(affine: np.ndarray) -> bool:
    sides = np.linalg.norm(affine[:3, :3], axis=0)
    return bool((sides > 0).all()) and abs(np.linalg.det(affine[:3, :3] / sides)) > 1e-6
