"""Pictures that Pillow reads: which formats are opened, which frame, and what number is white.

What a file does not say is asked for, never guessed: of several frames the one that is meant, and
the depth of levels that are too low for the type they are stored in.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from misure._util.quiet import quiet
from misure._util.quoted import quoted
from misure.errors import InputError
from misure.images.depth import (
    check_wide,
    counts_from_white,
    has_wide_colours,
    is_white_zero,
    known_depth,
    scaled_floats,
    scaled_levels,
)
from misure.images.numbering import NumberingError

FORMATS = ("PNG", "JPEG", "JPEG2000", "BMP", "DIB", "GIF", "TIFF", "WEBP", "PPM", "TGA")
"""Formats that are opened, by their contents, whatever the name of the file.

None of them is a program, as PostScript is, and none needs another program to be read.
"""

PICTURE_SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".jp2", ".j2k", ".bmp", ".dib", ".gif", ".tif",
    ".tiff", ".webp", ".ppm", ".pgm", ".pbm", ".pnm", ".tga",
)  # fmt: skip

CHANNELS = "channels"
"""The value of `frame` by which the frames of a picture become the channels of the image."""

_MODE_OF_CHANNELS = {1: "L", 3: "RGB"}
_DAMAGE = "Corrupt EXIF|Possibly corrupt EXIF|Truncated|Tag |Invalid APNG"
_SUBFILE = 254  # a tag of TIFF


@contextmanager
def opened_picture(path: Path, expected: str) -> Iterator[Image.Image]:
    """A context with a picture, whose pixels are decoded inside it.

    Args:
        path: the file.
        expected: the beginning of the message if it cannot be read, from "expected" on.

    Raises:
        InputError: the picture is too large, damaged (even if only decoding shows it), or of none
            of `FORMATS`.
    """
    try:
        with (
            quiet(_DAMAGE, path, refused=Image.DecompressionBombWarning),
            Image.open(path, formats=FORMATS) as picture,
        ):
            yield picture
    except InputError:
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise InputError(
            f"expected at most {Image.MAX_IMAGE_PIXELS:,} pixels in {path}, but Pillow says: "
            f"{str(error).rstrip('.')}. Crop or shrink the image."
        ) from error
    except UnidentifiedImageError as error:
        raise InputError(
            f"{expected}, but {path} cannot be read: it is none of {', '.join(FORMATS)}, or it is "
            f"damaged. {how_to_convert(path)}"
        ) from error
    except Exception as error:  # Pillow's readers raise many kinds on damaged files
        raise InputError(f"{expected}, but {path} cannot be read: {quoted(error)}") from error


OTHER_VOLUMES = {".mgz", ".mgh", ".img", ".hdr", ".mnc"}
"""Endings of medical images that are not read."""


def how_to_convert(path: Path) -> str:
    """What to do with a file that is not read, by the ending of its name."""
    if path.suffix.lower() in OTHER_VOLUMES - {".hdr"}:
        return "Convert it to NIfTI (.nii.gz), for example with dcm2niix, SimpleITK or nibabel."
    if path.suffix.lower() == ".hdr":
        return "Convert the .hdr and its .img to NIfTI (.nii.gz), for example with nibabel."
    return "Convert it to PNG."


def read_pixels(
    path: Path,
    num_channels: int | None,
    *,
    turned: bool = True,
    frame: int | str | None = None,
    depth: int | None = None,
) -> np.ndarray:
    """The pixels (C, H, W) float32 in [0, 1] of a picture; see `read_image` for the arguments."""
    expected = (
        "expected a picture that Pillow reads (.png, .jpg, .tif ...), an .npy array or a NIfTI file"
    )
    with opened_picture(path, expected) as picture:
        frames = _chosen_frames(picture, frame, path)
        if frame == CHANNELS:
            return _as_channels(picture, frames, turned, depth, path)
        picture.seek(frames[0])
        return _pixels(picture, num_channels, turned, depth, path)


def _chosen_frames(picture: Image.Image, frame: int | str | None, path: Path) -> list[int]:
    """The numbers of the frames to read, of which `frame` is one or all.

    Raises:
        InputError: there are several, and it is not said which; or no such frame.
    """
    frames = _full_frames(picture)
    if frame is None and len(frames) > 1:
        raise InputError(
            f"expected a picture of one frame, got {len(frames)} frames or pages in {path}. Say "
            f"frame=0 to take the first (--image-option frame=0), or frame={CHANNELS} if they are "
            f"the channels of one image{_or_slices(path)}."
        )
    if frame == CHANNELS:
        return frames
    number = frame or 0
    if not isinstance(number, int) or not 0 <= number < len(frames):
        raise InputError(
            f"expected as frame a number from 0 to {len(frames) - 1} or {CHANNELS}, got {frame!r} "
            f"for {path}."
        )
    return [frames[number]]


def _or_slices(path: Path) -> str:
    is_tiff = path.suffix.lower() in (".tif", ".tiff")
    return ", or frame=slices if they are those of a volume" if is_tiff else ""


def _full_frames(picture: Image.Image) -> list[int]:
    """The numbers of the frames, without previews, smaller copies and masks.

    Telephones keep previews and depths behind a photograph (MPO); it is the first.
    """
    num_frames = int(getattr(picture, "n_frames", 1))
    if picture.format == "MPO":
        return [0]
    if not isinstance(picture, TiffImageFile):
        return list(range(num_frames))
    full = []
    for number in range(num_frames):
        picture.seek(number)
        if not int(picture.tag_v2.get(_SUBFILE, 0)) & 5:
            full.append(number)
    return full or [0]


def _as_channels(
    picture: Image.Image, frames: list[int], turned: bool, depth: int | None, path: Path
) -> np.ndarray:
    planes = []
    for number in frames:
        picture.seek(number)
        planes.append(_pixels(picture, None, turned, depth, path))
    shapes = {plane.shape for plane in planes}
    if len(shapes) > 1 or len(planes[0]) > 1:
        raise InputError(
            f"expected grey frames of one size as channels, got (C, H, W) = "
            f"{', '.join(map(str, sorted(shapes)))} in {path}. Say which frame to take instead."
        )
    return np.concatenate(planes)


def _pixels(
    picture: Image.Image, num_channels: int | None, turned: bool, depth: int | None, path: Path
) -> np.ndarray:
    """The pixels (C, H, W) float32 in [0, 1] of the frame that a picture is at."""
    known, white_is_zero = known_depth(picture), is_white_zero(picture)
    is_wide = has_wide_colours(picture)
    upright = ImageOps.exif_transpose(picture) if turned else picture
    if upright.mode.startswith(("I", "F")):
        levels = np.asarray(upright, np.float64)
        if upright.mode.startswith("F"):
            grey = scaled_floats(levels, depth, path)
        else:
            grey = scaled_levels(levels, depth or known, path)
        grey = 1 - grey if white_is_zero else grey
        return np.repeat(grey[None], 3 if num_channels == 3 else 1, 0).astype(np.float32)
    pixels = byte_pixels(upright, num_channels)
    if is_wide:
        check_wide(pixels, depth, path)
    return pixels.astype(np.float32) / 255


def byte_pixels(picture: Image.Image, num_channels: int | None) -> np.ndarray:
    """The pixels (C, H, W) uint8 of a picture of 8 bits a channel, of one channel or of three.

    Args:
        picture: as it is to be looked at.
        num_channels: 1 for grey levels, any other number for colours; None: as the picture has.
    """
    channels = num_channels or (1 if picture.mode in ("1", "L", "LA") else 3)
    pixels = np.asarray(picture.convert(_MODE_OF_CHANNELS.get(channels, "RGB")))
    return np.atleast_3d(pixels).transpose(2, 0, 1)


def exif_turn(path: Path) -> int:
    """The EXIF orientation of a picture, from 1 (as it is stored) to 8.

    Raises:
        InputError: the picture cannot be read.
    """
    with opened_picture(path, "expected a picture") as picture:
        orientation = picture.getexif().get(ExifTags.Base.Orientation, 1)
        return orientation if isinstance(orientation, int) else 1


def read_class_numbers(path: Path) -> np.ndarray:
    """The numbers (H, W) int64 of a picture of classes, turned as its EXIF tag says.

    Raises:
        InputError: the picture is damaged, too large, of colours, of several frames, or its
            compression changes numbers.
    """
    expected = "expected a picture of class numbers"
    with opened_picture(path, expected) as picture:
        is_lossy = picture.format in ("JPEG", "MPO") or picture.info.get("compression") == "jpeg"
        if is_lossy or picture.mode not in ("1", "L", "P", "I;16", "I;16B", "I;16L", "I"):
            got = "a JPEG, which changes numbers" if is_lossy else picture.mode
            raise NumberingError(
                f"{expected}, in one channel or with a palette, got {got} in {path}. Is "
                "it a picture of colours?"
            )
        if len(_full_frames(picture)) > 1:
            raise NumberingError(
                f"{expected}, got one of several frames: {path}. Save the right one."
            )
        if counts_from_white(picture):
            raise NumberingError(
                f"{expected}, got {path}, whose numbers count down from white. Save it as PNG."
            )
        return np.asarray(ImageOps.exif_transpose(picture)).astype(np.int64)
