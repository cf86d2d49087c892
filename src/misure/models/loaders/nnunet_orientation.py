"""From the axes of a file to those of nnU-Net, and the distances between its voxels.

misure reads a volume as (I, J, K), in the order of the file; nnU-Net's readers turn that into
(K, J, I), some after turning the volume to right-anterior-superior. Its plans may put the axis of
thick slices first.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from misure._util.optional import require
from misure.errors import InputError, MisureWarning
from misure.models.loaders.nnunet_folder import PICTURE_READER, TURNING_READERS, ResultFolder

_PICTURE_SPACING = (999.0, 1.0, 1.0)  # what nnU-Net gives to pictures
_OF_BYTES = "RGBTo01Normalization"
_TURNS_FIRST = "TotalSegmentator"  # in the names of data sets whose library turns images to RAS
_SCALE_FREE = ("ZScoreNormalization", "RescaleTo01Normalization")


@dataclass(frozen=True, kw_only=True)
class Axes:
    """How the axes of an image become the three axes of nnU-Net.

    Attributes:
        order: for each axis of nnU-Net, that of the image; a picture (H, W) counts as (1, H, W).
        turned: axes of the image that run the other way.
        is_picture: whether the image is a picture.
        scale: what its numbers are multiplied by: 255 where nnU-Net saw the bytes of a picture.
    """

    order: tuple[int, ...]
    turned: tuple[int, ...] = ()
    is_picture: bool = False
    scale: float = 1.0

    def shape(self, spatial: Sequence[int]) -> tuple[int, ...]:
        """The shape of an image of shape (*spatial) along the axes of nnU-Net."""
        sides = (1, *spatial) if self.is_picture else tuple(spatial)
        return tuple(sides[axis] for axis in self.order)

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, C, *spatial) along the axes of nnU-Net."""
        volumes = images[:, :, None] if self.is_picture else images
        volumes = volumes.flip([axis + 2 for axis in self.turned]) if self.turned else volumes
        moved = volumes.permute(0, 1, *(axis + 2 for axis in self.order))
        return moved if self.scale == 1 else moved * self.scale

    def backward(self, volumes: Tensor) -> Tensor:
        """Logits (N, K, *spatial) of logits along the axes of nnU-Net."""
        order = [int(axis) + 2 for axis in np.argsort(self.order)]
        moved = volumes.permute(0, 1, *order)
        moved = moved.flip([axis + 2 for axis in self.turned]) if self.turned else moved
        return (moved[:, :, 0] if self.is_picture else moved).contiguous()


def axes_of(
    folder: ResultFolder, image: Tensor, affine: "np.ndarray | Tensor | None"
) -> tuple[Axes, tuple[float, ...]]:
    """How the axes of an image become those of nnU-Net, and the spacing along the latter.

    Args:
        folder: the network's plans.
        image: (C, *spatial).
        affine: (4, 4), from voxel indices to millimetres; pictures need none.

    Raises:
        InputError: an image of another dimension, or a volume without a usable affine.
    """
    reader = folder.reader
    if reader == PICTURE_READER:
        return _of_picture(folder, image)
    if image.ndim != 4:
        raise InputError(
            f"expected a volume (C, I, J, K), since this nnU-Net reads volumes ({reader}), got "
            f"{tuple(image.shape)}. Give the whole volume, without --slice."
        )
    matrix = _checked(affine)
    norms = np.linalg.norm(matrix[:3, :3], axis=0).astype(np.float32)  # as NIfTI stores them
    stored, turned = [0, 1, 2], []
    if reader in TURNING_READERS:
        orientations = require("nibabel.orientations", extra="nnunet", purpose="orient volumes")
        found = orientations.io_orientation(matrix)
        if not np.isfinite(found).all():
            raise _unusable(matrix)
        stored = [int(axis) for axis in np.argsort(found[:, 0])]
        turned = [axis for axis in range(3) if found[axis, 1] < 0]
    elif _TURNS_FIRST in folder.dataset_name:
        _warn_unless_canonical(matrix)
    of_reader = stored[::-1]
    order = tuple(of_reader[axis] for axis in folder.transpose)
    return Axes(order=order, turned=tuple(turned)), tuple(float(norms[axis]) for axis in order)


def _warn_unless_canonical(matrix: np.ndarray) -> None:
    orientations = require("nibabel.orientations", extra="nnunet", purpose="orient volumes")
    found = "".join(str(letter) for letter in orientations.aff2axcodes(matrix))
    if found != "RAS":
        warnings.warn(
            f"the axes of the volume are {found}; TotalSegmentator turns images to RAS before it "
            "shows them to nnU-Net, which is not done here, so the segmentation may be worse than "
            "its own. Give the volume turned by nibabel.as_closest_canonical.",
            MisureWarning,
            stacklevel=2,
        )


def _of_picture(folder: ResultFolder, image: Tensor) -> tuple[Axes, tuple[float, ...]]:
    if image.ndim != 3:
        raise InputError(
            "expected a picture (C, H, W), since this nnU-Net was trained on pictures "
            f"({PICTURE_READER}), got {tuple(image.shape)}."
        )
    order = tuple(folder.transpose)
    axes = Axes(order=order, is_picture=True, scale=_scale_of_picture(folder, image))
    return axes, tuple(_PICTURE_SPACING[axis] for axis in order)


def _scale_of_picture(folder: ResultFolder, image: Tensor) -> float:
    """255 if nnU-Net has to see the bytes of a picture whose numbers are in [0, 1]."""
    schemes = set(folder.configuration.normalization_schemes) - {*_SCALE_FREE}
    if not schemes or not (float(image.min()) >= 0 and float(image.max()) <= 1):
        return 1.0
    if schemes != {_OF_BYTES}:
        raise InputError(
            f"expected the numbers of the picture as its file holds them, since {min(schemes)} "
            "depends on their scale, got numbers in [0, 1]. Give an array of floats, such as "
            "255 * image."
        )
    return 255.0


def _checked(affine: "np.ndarray | Tensor | None") -> np.ndarray:
    if affine is None:
        raise InputError(
            "expected to know the voxel spacing, since an nnU-Net resamples each image to its own; "
            "got an image without an affine. Give the NIfTI file instead of its numbers, or "
            "affine=..., e.g. numpy.diag([1, 1, 3, 1]) for 1 × 1 × 3 mm."
        )
    matrix = np.asarray(affine, dtype=float)
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
        raise _unusable(matrix)
    if not (np.linalg.norm(matrix[:3, :3], axis=0) > 0).all():
        raise _unusable(matrix)
    return matrix


def _unusable(matrix: np.ndarray) -> InputError:
    return InputError(
        "expected an affine (4, 4) that gives each axis a length and a direction, got "
        f"{matrix.tolist()}. Repair the header."
    )
