"""Reading images: anything Pillow reads, NumPy arrays, NIfTI volumes and slices of them.

Files are taken as hostile: no pickle, and a limit on the number of pixels checked before any pixel
is decoded.
"""

import tokenize
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from misure._util.quoted import quoted
from misure.errors import InputError, MisureWarning, entrance
from misure.images.depth import scaled_levels
from misure.images.intensity import scale_intensity
from misure.images.nifti import NiftiFile, is_nifti
from misure.images.orientation import lay_out
from misure.images.pictures import read_pixels

VOXEL_LIMIT = 200_000_000
"""Numbers in an array or volume above which it is refused.

For pictures Pillow's own limit holds (`PIL.Image.MAX_IMAGE_PIXELS`, 89 million).
"""

_AS_THEY_ARE = 0  # the depth of an array whose numbers are not scaled


@entrance("read_image")
def read_image(
    path: str | Path | NiftiFile,
    *,
    num_channels: int | None = None,
    slice_index: int | None = None,
    intensity: str = "",
    volumes_as_they_are: bool = False,
    turned: bool = True,
    frame: int | str | None = None,
    depth: int | None = None,
) -> Tensor:
    """The image (C, *spatial) float32 of a file.

    - Pictures that Pillow reads: turned as their EXIF tag says, in [0, 1]. Without `num_channels`,
      grey pictures give one channel and all others three; transparency is dropped.
    - `.npy`: (H, W) or (C, *spatial). uint8 and uint16 are scaled to [0, 1] as those of a picture;
      other numbers are taken as they are.
    - `.nii`, `.nii.gz`: a volume (1, I, J, K) in the order it is stored in, numbers scaled as the
      header says; a fourth axis becomes the channels. With `slice_index`, the axial slice
      (C, H, W) of that number, counted from the feet, laid out for viewing: front of the body up,
      its right side on the left, whatever the order in the file.

    Args:
        path: the file; a NIfTI file may be open already.
        num_channels: C that the model takes, if known. Pictures are converted to 1 or 3.
        slice_index: the slice to take of a NIfTI volume, 0 or more; None: the whole volume.
        intensity: the rule that scales the numbers of a NIfTI file, and of an array that leaves
            [0, 1], such as `window:LOW:HIGH` (see `misure.images.intensity`), by the numbers of
            the whole volume, even if a slice is taken; empty: none.
        volumes_as_they_are: whether only planes and slices are scaled.
        turned: whether to turn a picture as its EXIF tag says. COCO's annotations, for example,
            are drawn on the pixels as they are stored.
        frame: of a picture with several frames or pages, the number of the one to take, from 0; or
            `channels`: its grey frames are the channels of one image.
        depth: bits of grey levels that are stored in more: white is 2**depth - 1. 0 for an array
            whose numbers are to be taken as they are. None: as the file says, or 8 or 16 as it is
            stored.

    Raises:
        InputError: the file is missing, empty, damaged, too large, not finite, has another number
            of channels, several frames without `frame`, or levels of 16 bits or more that are so
            low that the depth has to be given.
        MissingDependencyError: NIfTI without nibabel.
    """
    volume = path if isinstance(path, NiftiFile) else None
    path = path.path if isinstance(path, NiftiFile) else Path(path)
    if not path.is_file():
        raise InputError(f"expected an image file, found none at {path}.")
    if path.stat().st_size == 0:
        raise InputError(f"expected an image, got an empty file: {path}.")
    if slice_index is not None and not is_nifti(path):
        raise InputError(f"expected a .nii or .nii.gz file to take a slice of, got {path}.")
    if is_nifti(path):
        scales = slice_index is not None or not volumes_as_they_are
        image = _read_nifti(volume or NiftiFile(path), slice_index, intensity if scales else "")
    elif path.suffix.lower() == ".npy":
        image = _read_array(path, _AS_THEY_ARE if intensity and depth is None else depth)
        scales = bool(intensity) and (image.ndim == 3 or not volumes_as_they_are)
        if scales and not (float(image.min()) >= 0 and float(image.max()) <= 1):
            _check_finite(image, path)
            image = scale_intensity(image, intensity)
    else:
        pixels = read_pixels(path, num_channels, turned=turned, frame=frame, depth=depth)
        image = torch.from_numpy(pixels)
    if num_channels is not None and len(image) != num_channels:
        raise InputError(
            f"expected {num_channels} channels, got {len(image)} in {path} "
            f"(read as (C, *spatial) = {tuple(image.shape)})."
        )
    _check_finite(image, path)
    return image


def check_image(image: Tensor) -> None:
    """Raises InputError unless the image is (C, *spatial), float and finite."""
    if image.ndim not in (3, 4) or not image.is_floating_point() or 0 in image.shape:
        raise InputError(
            f"expected an image (C, [D,] H, W) of floats, got {image.dtype} {tuple(image.shape)}."
        )
    if not bool(torch.isfinite(image).all()):
        raise InputError("expected a finite image, got NaN or infinity. Replace them.")


def _check_finite(image: Tensor, path: Path) -> None:
    if not bool(torch.isfinite(image).all()):
        raise InputError(f"expected finite numbers, got NaN or infinity in {path}. Replace them.")


def _check_size(path: Path, shape: tuple[int, ...]) -> None:
    if np.prod([int(n) for n in shape], dtype=float) > VOXEL_LIMIT:
        raise InputError(
            f"expected at most {VOXEL_LIMIT:,} numbers, got "
            f"{' x '.join(map(str, shape))} in {path}. Crop or shrink the image."
        )


def _read_array(path: Path, depth: int | None) -> Tensor:
    try:
        array = np.lib.format.open_memmap(path, mode="r")  # reads no pickle
        if array.dtype.kind not in "buif" or array.ndim not in (2, 3, 4) or 0 in array.shape:
            raise ValueError(f"it holds {array.dtype} of shape {array.shape}")
        _check_size(path, array.shape)
        numbers = _scaled(np.asarray(array), depth, path)
    except InputError:
        raise
    except (
        *(OSError, EOFError, ValueError, TypeError, SyntaxError),
        *(tokenize.TokenError, RecursionError, MemoryError),
    ) as error:  # of the header, which NumPy reads as Python text
        raise InputError(
            f"expected an .npy array of numbers (H, W) or (C, *spatial), but {path} "
            f"cannot be used: {quoted(error)}"
        ) from error
    return torch.from_numpy(numbers if numbers.ndim > 2 else numbers[None])


def _scaled(array: np.ndarray, depth: int | None, path: Path) -> np.ndarray:
    """The numbers float32 of an array: grey levels in [0, 1], all others as they are."""
    with np.errstate(all="ignore"):  # what becomes infinite is refused
        numbers: np.ndarray = array.astype(np.float32)
        if depth == _AS_THEY_ARE or array.dtype.kind == "b":
            return numbers
        if depth is not None or array.dtype == np.uint16:
            return scaled_levels(array, depth, path).astype(np.float32)
        high = float(numbers.max())
        if array.dtype == np.uint8 and high == 1:
            raise InputError(
                f"expected grey levels of 8 bits, but none in {path} is above 1. Say depth=1 if 1 "
                "is white, or depth=8 (--image-option depth=1)."
            )
        if array.dtype == np.uint8:
            return numbers / 255
        if 1 < high <= 255 and float(numbers.min()) >= 0 and not (numbers % 1).any():
            warnings.warn(
                f"{path} holds whole numbers up to {high:g}, which are taken as they are. If they "
                "are grey levels, say depth=8 (--image-option depth=8), else depth=0.",
                MisureWarning,
                stacklevel=2,
            )
    return numbers


def _read_nifti(file: NiftiFile, slice_index: int | None, intensity: str) -> Tensor:
    _check_size(file.path, file.shape)
    if len(file.shape) not in (3, 4) or 0 in file.shape:
        plane = " A plane is read as .png or .npy." if len(file.shape) == 2 else ""
        raise file.unusable(f"its shape is {file.shape}, not (I, J, K) or (I, J, K, C).{plane}")
    if file.dtype.kind not in "buif":
        raise file.unusable(f"it holds {file.dtype}, no real numbers")
    channels = torch.from_numpy(np.ascontiguousarray(file.voxels(np.float32)))
    channels = channels.movedim(-1, 0) if channels.ndim == 4 else channels[None]
    if intensity:  # clipping would hide it
        _check_finite(channels, file.path)
        channels = scale_intensity(channels, intensity)
    if slice_index is None:
        return channels
    file.check_oriented()
    axial = lay_out(channels, file.order)
    if 1 in axial.shape[2:] and axial.shape[1] > 1:
        raise InputError(
            f"expected axial slices of more than one row and column, got (slices, rows, columns) = "
            f"{tuple(axial.shape[1:])} in {file.path}. If it is a plane, save it as .png or .npy."
        )
    if not 0 <= slice_index < axial.shape[1]:
        raise InputError(
            f"expected a slice from 0 to {axial.shape[1] - 1}, got {slice_index} for {file.path}."
        )
    return axial[:, slice_index].contiguous()
