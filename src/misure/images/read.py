"""Reading images: anything Pillow reads, NumPy arrays, NIfTI volumes and slices of them.

Files are taken as hostile: no pickle, and a limit on the number of pixels checked before any pixel
is decoded.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from misure.errors import InputError, entrance
from misure.images.intensity import scale_intensity
from misure.images.nifti import NiftiFile, is_nifti
from misure.images.orientation import lay_out

VOXEL_LIMIT = 200_000_000
"""Numbers in an array or volume above which it is refused.

For pictures Pillow's own limit holds (`PIL.Image.MAX_IMAGE_PIXELS`, 89 million).
"""

_MODE_OF_CHANNELS = {1: "L", 3: "RGB"}


@entrance("read_image")
def read_image(
    path: str | Path | NiftiFile,
    *,
    num_channels: int | None = None,
    slice_index: int | None = None,
    intensity: str = "",
    turned: bool = True,
) -> Tensor:
    """The image (C, *spatial) float32 of a file.

    - Pictures that Pillow reads: turned as their EXIF tag says, in [0, 1] (8 and 16 bit alike).
      Without `num_channels`, grey pictures give one channel and all others three; transparency is
      dropped.
    - `.npy`: (H, W) or (C, *spatial), numbers as they are.
    - `.nii`, `.nii.gz`: a volume (1, I, J, K) in the order it is stored in, numbers scaled as the
      header says; a fourth axis becomes the channels. With `slice_index`, the axial slice
      (C, H, W) of that number, counted from the feet, laid out for viewing: front of the body up,
      its right side on the left, whatever the order in the file.

    Args:
        path: the file; a NIfTI file may be open already.
        num_channels: C that the model takes, if known. Pictures are converted to 1 or 3.
        slice_index: the slice to take of a NIfTI volume, 0 or more; None: the whole volume.
        intensity: the rule that scales the numbers of a NIfTI file, `window:LOW:HIGH` or
            `percentiles:LOW:HIGH` (of the whole volume, even if a slice is taken); empty: none.
        turned: whether to turn a picture as its EXIF tag says. COCO's annotations, for example,
            are drawn on the pixels as they are stored.

    Raises:
        InputError: the file is missing, empty, damaged, too large, not finite, or has another
            number of channels.
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
        image = _read_nifti(volume or NiftiFile(path), slice_index, intensity)
    elif path.suffix.lower() == ".npy":
        image = _read_array(path)
    else:
        image = _read_picture(path, num_channels, turned)
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


def _read_picture(path: Path, num_channels: int | None, turned: bool) -> Tensor:
    expected = (
        "expected a picture that Pillow reads (.png, .jpg, .tif ...), an .npy array or a NIfTI file"
    )
    with opened_picture(path, expected) as picture:
        upright = ImageOps.exif_transpose(picture) if turned else picture
        if upright.mode.startswith(("I", "F")):
            return _read_deep_grey(upright, path, num_channels)
        is_grey = upright.mode in ("1", "L", "LA")
        channels = num_channels or (1 if is_grey else 3)
        pixels = np.asarray(upright.convert(_MODE_OF_CHANNELS.get(channels, "RGB")))
    return torch.from_numpy(np.atleast_3d(pixels).transpose(2, 0, 1).astype(np.float32) / 255)


@contextmanager
def opened_picture(path: Path, expected: str) -> Iterator[Image.Image]:
    """A context with a picture, whose pixels are decoded inside it.

    Args:
        path: the file.
        expected: the beginning of the message if it cannot be read, from "expected" on.

    Raises:
        InputError: the picture is too large or damaged, even if only decoding shows it.
    """
    try:
        with _open_picture(path) as picture:
            yield picture
    except InputError:
        raise
    except Exception as error:  # Pillow's readers raise many kinds on damaged files
        raise InputError(f"{expected}, but {path} cannot be read: {error}") from error


def _open_picture(path: Path) -> Image.Image:
    """The picture, its pixels not decoded yet; pictures that Pillow warns about are refused."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            return Image.open(path)
        except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
            raise InputError(
                f"expected at most {Image.MAX_IMAGE_PIXELS:,} pixels in {path}, but Pillow says: "
                f"{str(error).rstrip('.')}. Crop or shrink the image."
            ) from error


def _read_deep_grey(picture: Image.Image, path: Path, num_channels: int | None) -> Tensor:
    grey: np.ndarray = np.asarray(picture, np.float32)
    if not picture.mode.startswith("F"):
        grey = grey / 65535
    if grey.max() > 1 or grey.min() < 0:
        raise InputError(
            "expected 16-bit grey levels or floats in [0, 1], got "
            f"{grey.min():g} to {grey.max():g} in {path}. Save the numbers as .npy instead."
        )
    return torch.from_numpy(grey)[None].repeat(3 if num_channels == 3 else 1, 1, 1)


def _read_array(path: Path) -> Tensor:
    try:
        array = np.lib.format.open_memmap(path, mode="r")  # reads no pickle
        if array.dtype.kind not in "buif" or array.ndim not in (2, 3, 4) or 0 in array.shape:
            raise ValueError(f"it holds {array.dtype} of shape {array.shape}")
        _check_size(path, array.shape)
        numbers: np.ndarray = np.array(array, dtype=np.float32)
    except InputError:
        raise
    except (OSError, EOFError, ValueError, SyntaxError) as error:
        raise InputError(
            f"expected an .npy array of numbers (H, W) or (C, *spatial), but {path} "
            f"cannot be used: {error}"
        ) from error
    return torch.from_numpy(numbers if numbers.ndim > 2 else numbers[None])


def _read_nifti(file: NiftiFile, slice_index: int | None, intensity: str) -> Tensor:
    _check_size(file.path, file.shape)
    if len(file.shape) not in (3, 4) or 0 in file.shape:
        raise file.unusable(f"its shape is {file.shape}, not (I, J, K) or (I, J, K, C)")
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
    if not 0 <= slice_index < axial.shape[1]:
        raise InputError(
            f"expected a slice from 0 to {axial.shape[1] - 1}, got {slice_index} for {file.path}."
        )
    return axial[:, slice_index].contiguous()
