"""Files of volumes, whatever their format: what is asked of each, once it is open."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import numpy as np

from misure._util.quoted import quoted
from misure.errors import InputError
from misure.images.orientation import ViewingOrder, viewing_order

_TOLERANCE = 1e-3  # of a voxel


class VolumeFile(ABC):
    """A volume in a file, or in several, opened: what its header says, and its voxels.

    Args:
        path: the file, or the folder of a DICOM series; for messages, if there are several.
        what: what is expected of it, as it reads after "expected" in a message.

    Attributes:
        path: as given.
        shape: of the voxels as they are stored: (I, J, K), or (I, J, K, C) with channels.
        affine: (4, 4) float64, from voxel indices to millimetres (RAS+).
        dtype: of the voxels in the file, before they are scaled.
        has_spacing: whether the file gives its voxels a size; else that of `affine` is 1 mm.
        has_grey_levels: whether whole numbers are levels from black to white, as in a picture.
    """

    shape: tuple[int, ...]
    affine: np.ndarray
    dtype: np.dtype[Any]
    has_spacing = True
    has_grey_levels = False

    def __init__(self, path: Path, what: str) -> None:
        self.path, self._what = path, what

    @property
    def order(self) -> ViewingOrder:
        """How to lay the volume out as axial slices.

        Raises:
            InputError: the affine is not finite, or gives an axis no direction.
        """
        return viewing_order(self.affine, self.path)

    def check_oriented(self) -> None:  # noqa: B027
        """Raises an InputError unless the header says which way the volume lies."""

    @property
    def files(self) -> list[Path]:
        """The files that the volume is read from."""
        return [self.path]

    @abstractmethod
    def voxels(self, dtype: type[np.floating[Any]] | None = None) -> np.ndarray:
        """All voxels (*shape), scaled as the header says.

        Args:
            dtype: of the result; None: what the file and its scaling give.

        Raises:
            InputError: the file is damaged.
        """

    def unusable(self, reason: object) -> InputError:
        """The error that says what was expected of the file, and why it cannot be used."""
        said = quoted(reason)
        return InputError(f"expected {self._what}, but {self.path} cannot be used: {said}")


def check_aligned(
    image: tuple[tuple[int, ...], np.ndarray],
    other: tuple[tuple[int, ...], np.ndarray],
    path: Path,
    what: str = "labels",
) -> None:
    """Raises an InputError unless an image and another volume are the same voxels of one space.

    Args:
        image, other: shape (I, J, K) and affine (4, 4) of each.
        path: the file of the other one, for the message.
        what: what the other one holds, in the plural.
    """
    (shape, affine), (other_shape, other_affine) = image, other
    if tuple(shape) != tuple(other_shape):
        raise InputError(
            f"expected {what} of the image's shape {tuple(shape)}, got {tuple(other_shape)} in "
            f"{path}. Resample the {what} to the image."
        )
    voxel = np.linalg.norm(affine[:3, :3], axis=0).min()
    difference = np.abs(affine - other_affine)
    if not bool((difference <= _TOLERANCE * voxel).all()):  # NaN is a difference too
        axes_differ = bool((difference[:3, :3] > _TOLERANCE * voxel).any())
        which = "orientation or voxel size" if axes_differ else "position"
        raise InputError(
            f"expected {what} that lie on the image, but the {which} in the "
            f"header of {path} differs from the image's by up to {difference.max():.4g}. "
            f"Resample the {what} to the image, or repair the header."
        )


def affine_of_itk(
    spacing: tuple[float, ...], direction: tuple[float, ...], origin: tuple[float, ...]
) -> np.ndarray:
    """The affine (4, 4) float64 to millimetres RAS+ of ITK's geometry, which is LPS+.

    Args:
        spacing: of each axis; only the first three axes count.
        direction: a matrix, row by row.
        origin: of the first voxel.
    """
    ndim = len(spacing)
    num = min(ndim, 3)
    affine = np.eye(4)
    affine[:num, :num] = np.reshape(direction, (ndim, ndim))[:num, :num] * np.array(spacing[:num])
    affine[:num, 3] = origin[:num]
    turned: np.ndarray = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    return turned
