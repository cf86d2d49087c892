"""The depth of pictures: which level is white, as their format tells it or the user says it."""

from pathlib import Path

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from misure.errors import InputError

DIM = 2**14 - 1
"""Levels of 16 bits that are nowhere above this may be levels of fewer bits."""

_BITS, _WHITE_IS_ZERO, _LARGEST = 258, 262, 281  # tags of TIFF


def scaled_levels(levels: np.ndarray, depth: int | None, path: Path) -> np.ndarray:
    """Grey levels in [0, 1].

    Args:
        levels: whole numbers from 0 on, of more than 8 bits.
        depth: bits, the level of white being 2**depth - 1; None: 16, if any level is above `DIM`.
        path: the file, for the message.

    Raises:
        InputError: the depth is not known, or a level is below black or above white.
    """
    low, high = int(levels.min()), int(levels.max())
    if depth is None and 0 < high <= DIM:
        bits = next(bits for bits in (1, 8, 10, 12, 14) if high < 2**bits)
        raise InputError(
            f"expected grey levels of a known depth, but the largest of {path} is {high}, which "
            f"may be bright in {bits} bits and is dark in 16. Say depth={bits} or depth=16 "
            f"(--image-option depth={bits})."
        )
    depth = 16 if depth is None else _checked(depth)
    white = 2**depth - 1
    if low < 0 or high > white:
        raise InputError(
            f"expected {depth}-bit grey levels from 0 to {white}, got {low} to {high} in {path}. "
            "Say the depth of white (--image-option depth=BITS), or save the numbers as .npy."
        )
    scaled: np.ndarray = levels / white
    return scaled


def _checked(depth: int) -> int:
    if isinstance(depth, bool) or not isinstance(depth, int) or not 1 <= depth <= 32:
        raise InputError(f"expected a depth from 1 to 32 bits for a picture, got {depth!r}.")
    return depth


def scaled_floats(levels: np.ndarray, depth: int | None, path: Path) -> np.ndarray:
    """Floats in [0, 1], divided by the level of white if a depth is given.

    Raises:
        InputError: one of them is outside.
    """
    if depth:
        levels = levels / (2 ** _checked(depth) - 1)
    low, high = float(levels.min()), float(levels.max())
    if not (low >= 0 and high <= 1):
        raise InputError(
            f"expected floats in [0, 1], got {low:g} to {high:g} in {path}. Say which level is "
            "white, as 8 bits do by 255 (--image-option depth=8), or save the numbers as .npy."
        )
    return levels


def known_depth(picture: Image.Image) -> int | None:
    """The depth of the levels that Pillow gives, where the format tells it."""
    if picture.format in ("PPM", "JPEG2000"):
        return 16  # Pillow scales levels of any depth
    if not isinstance(picture, TiffImageFile):
        return None
    bits = max(_numbers(picture.tag_v2.get(_BITS, 1)))
    largest = max(_numbers(picture.tag_v2.get(_LARGEST, 0)))
    if bits < 16:
        return bits
    is_power = largest > 255 and (largest + 1).bit_count() == 1
    return largest.bit_length() if is_power else None


def counts_from_white(picture: Image.Image) -> bool:
    """Whether the levels of a file count from white, as 0, to black."""
    if not isinstance(picture, TiffImageFile):
        return False
    return bool(picture.tag_v2.get(_WHITE_IS_ZERO) == 0)


def is_white_zero(picture: Image.Image) -> bool:
    """Whether Pillow gives such levels as they are, which it does of more than 8 bits."""
    return picture.mode.startswith(("I", "F")) and counts_from_white(picture)


def has_wide_colours(picture: Image.Image) -> bool:
    """Whether these are colours of 16 bits, of which Pillow keeps the upper 8."""
    if picture.mode.startswith(("I", "F")):
        return False
    if isinstance(picture, TiffImageFile):
        return max(_numbers(picture.tag_v2.get(_BITS, 1))) > 8
    tiles = getattr(picture, "tile", [])
    return picture.format == "PNG" and any("16B" in str(tile[3]) for tile in tiles)


def check_wide(pixels: np.ndarray, depth: int | None, path: Path) -> None:
    """Raises an InputError if colours of 16 bits use so little of them that 8 hold too few."""
    high = 257 * int(pixels.max())
    if depth not in (None, 16) or (depth is None and 0 < high <= DIM):
        raise InputError(
            f"expected 16-bit colours that reach white, but those of {path} are at most about "
            f"{high} of 65535, and only their upper 8 bits are read. Save them as .npy, or say "
            "depth=16 if they are meant to be dark (--image-option depth=16)."
        )


def _numbers(value: object) -> tuple[int, ...]:
    values = value if isinstance(value, tuple) else (value,)
    return tuple(int(number) for number in values if isinstance(number, int | float)) or (0,)
