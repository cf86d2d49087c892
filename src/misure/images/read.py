"""Reading images: anything Pillow reads, NumPy arrays, volumes and slices of them.

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
from misure._util.words import counted
from misure.errors import InputError, MisureWarning, entrance
from misure.images.depth import scaled_levels
from misure.images.intensity import scale_intensity
from misure.images.orientation import lay_out
from misure.images.pictures import read_pixels
from misure.images.volume_file import VolumeFile
from misure.images.volumes import Files, files_of_image, volume_of

VOXEL_LIMIT = 200_000_000
"""Numbers in an array or volume above which it is refused.

For pictures Pillow's own limit holds (`PIL.Image.MAX_IMAGE_PIXELS`, 89 million).
"""

_AS_THEY_ARE = 0  # the depth of an array whose numbers are not scaled


@entrance("read_image")
def read_image(
    path: Files | VolumeFile,
    *,
    num_channels: int | None = None,
    slice_index: int | None = None,
    intensity: str = "",
    volumes_as_they_are: bool = False,
    turned: bool = True,
    frame: int | str | None = None,
    depth: int | None = None,
    series: str | int | None = None,
) -> Tensor:
    """The image (C, *spatial) float32 of a file, or of several that hold its channels.

    - Pictures that Pillow reads: turned as their EXIF tag says, in [0, 1]. Without `num_channels`,
      grey pictures give one channel and all others three; transparency is dropped.
    - `.npy`: (H, W) or (C, *spatial). uint8 and uint16 are scaled to [0, 1] as those of a picture;
      other numbers are taken as they are.
    - `.nii`, `.nii.gz`: a volume (1, I, J, K) in the order it is stored in, numbers scaled as the
      header says; a fourth axis becomes the channels. With `slice_index`, the axial slice
      (C, H, W) of that number, counted from the feet, laid out for viewing: front of the body up,
      its right side on the left, whatever the order in the file.
    - `.nrrd`, `.nhdr`, `.mha`, `.mhd`, and DICOM (a folder with the files of a series, or one
      file): the same, with the axes that NIfTI would have. Rescale slopes of DICOM are applied.
    - OME-TIFF and ImageJ's TIFF with slices: a volume (C, Z, Y, X), as tifffile reads it; uint8 and
      uint16 are scaled to [0, 1] as those of a picture, unless there is an `intensity`.

    Args:
        path: the file; those of the channels, in the order of the channels, as a list or as one
            text with commas between them; or a volume that is open already.
        num_channels: C that the model takes, if known. Pictures are converted to 1 or 3.
        slice_index: the slice to take of a volume, 0 or more; None: the whole volume.
        intensity: the rule that scales the numbers of a volume, and of an array that leaves
            [0, 1], such as `window:LOW:HIGH` (see `misure.images.intensity`), by the numbers of
            the whole volume, even if a slice is taken; empty: none.
        volumes_as_they_are: whether only planes and slices are scaled.
        turned: whether to turn a picture as its EXIF tag says. COCO's annotations, for example,
            are drawn on the pixels as they are stored.
        frame: of a picture with several frames or pages, the number of the one to take, from 0;
            `channels`: its grey frames are the channels of one image; or `slices`: the pages of a
            TIFF file are the slices of a volume.
        depth: bits of grey levels that are stored in more: white is 2**depth - 1. 0 for an array
            whose numbers are to be taken as they are. None: as the file says, or 8 or 16 as it is
            stored.
        series: the `SeriesInstanceUID` or the number of the series to take of a folder with
            several DICOM series.

    Raises:
        InputError: the file is missing, empty, damaged, too large, not finite, has another number
            of channels, several frames without `frame`, or levels of 16 bits or more that are so
            low that the depth has to be given; files of channels do not lie on one grid.
        MissingDependencyError: a volume without the library that reads it.
    """
    files = tuple(path.files) if isinstance(path, VolumeFile) else files_of_image(path)
    for file in files:
        _check_there(file)
    if isinstance(path, VolumeFile):
        volume: VolumeFile | None = path
    else:
        volume = volume_of(path, series=series, frame=frame)
    name = ",".join(map(str, files)) if volume is None else volume.path
    if volume is not None:
        scales = slice_index is not None or not volumes_as_they_are
        image = _read_volume(volume, slice_index, intensity, depth, scales)
    elif slice_index is not None:
        raise InputError(
            f"expected a volume to take a slice of (.nii, .nii.gz, .nrrd, .mha ...), got {name}."
        )
    else:
        alone = num_channels if len(files) == 1 else None
        image = _as_channels(
            [
                _read_plane(
                    file,
                    alone,
                    intensity,
                    volumes_as_they_are=volumes_as_they_are,
                    turned=turned,
                    frame=frame,
                    depth=depth,
                )
                for file in files
            ],
            files,
        )
    if num_channels is not None and len(image) != num_channels:
        raise InputError(
            f"expected {counted(num_channels, 'channel')}, got {len(image)} in {name} "
            f"(read as (C, *spatial) = {tuple(image.shape)})."
        )
    _check_finite(image, name)
    return image


def _check_there(path: Path) -> None:
    if not path.exists():
        raise InputError(f"expected an image file, found none at {path}.")
    if path.is_file() and path.stat().st_size == 0:
        raise InputError(f"expected an image, got an empty file: {path}.")


def _read_plane(
    path: Path,
    num_channels: int | None,
    intensity: str,
    *,
    volumes_as_they_are: bool,
    turned: bool,
    frame: int | str | None,
    depth: int | None,
) -> Tensor:
    """The image (C, *spatial) of a picture or an array."""
    if path.suffix.lower() != ".npy":
        pixels = read_pixels(path, num_channels, turned=turned, frame=frame, depth=depth)
        return torch.from_numpy(pixels)
    image = _read_array(path, _AS_THEY_ARE if intensity and depth is None else depth)
    scales = bool(intensity) and (image.ndim == 3 or not volumes_as_they_are)
    if scales and not (float(image.min()) >= 0 and float(image.max()) <= 1):
        _check_finite(image, path)
        image = scale_intensity(image, intensity)
    return image


def _as_channels(images: list[Tensor], files: tuple[Path, ...]) -> Tensor:
    if len({image.shape[1:] for image in images}) > 1:
        said = ", ".join(
            f"{tuple(one.shape[1:])} in {file}" for one, file in zip(images, files, strict=True)
        )
        raise InputError(f"expected files of one size as the channels of an image, got {said}.")
    return images[0] if len(images) == 1 else torch.cat(images)


def check_image(image: Tensor) -> None:
    """Raises InputError unless the image is (C, *spatial), float and finite."""
    if image.ndim not in (3, 4) or not image.is_floating_point() or 0 in image.shape:
        raise InputError(
            f"expected an image (C, [D,] H, W) of floats, got {image.dtype} {tuple(image.shape)}."
        )
    if not bool(torch.isfinite(image).all()):
        raise InputError("expected a finite image, got NaN or infinity. Replace them.")


def _check_finite(image: Tensor, path: object) -> None:
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


def _read_volume(
    file: VolumeFile,
    slice_index: int | None,
    intensity: str,
    depth: int | None,
    scales: bool,
) -> Tensor:
    _check_size(file.path, file.shape)
    if len(file.shape) not in (3, 4) or 0 in file.shape:
        plane = " A plane is read as .png or .npy." if len(file.shape) == 2 else ""
        raise file.unusable(f"its shape is {file.shape}, not (I, J, K) or (I, J, K, C).{plane}")
    if file.dtype.kind not in "buif":
        raise file.unusable(f"it holds {file.dtype}, no real numbers")
    if file.has_grey_levels:
        levels = file.voxels()
        voxels = _scaled(levels, _AS_THEY_ARE if intensity and depth is None else depth, file.path)
    else:
        voxels = file.voxels(np.float32)
    channels = torch.from_numpy(np.ascontiguousarray(voxels))
    channels = channels.movedim(-1, 0) if channels.ndim == 4 else channels[None]
    if intensity and scales:
        _check_finite(channels, file.path)  # clipping would hide it
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
