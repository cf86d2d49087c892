"""Pictures that the page asks for: planes of images, labels, regions and maps as PNG or JPEG."""

import io
import struct
import warnings

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from misure.errors import InputError
from misure.explanation.answers.pieces import divide

_FAST = 1  # zlib: three times as fast as the usual 6, and a sixth larger
_QUALITY = 90
_SUPERPIXELS, _SUPERPIXELS_PX = 250, 400


def encoded(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    """Pixels uint8 (H, W), (H, W, 2) with alpha or (H, W, 3) as a PNG or a JPEG."""
    buffer = io.BytesIO()
    options = {"compress_level": _FAST} if kind == "PNG" else {"quality": _QUALITY}
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, kind, **options)
    return buffer.getvalue()


def picture_of(
    plane: Tensor, low: float, high: float, channel: int | None, max_side: int | None
) -> tuple[bytes, str]:
    """A plane of an image as a picture, and its media type.

    Full size is a PNG, without loss; smaller ones are JPEG.

    Args:
        plane: (C, H, W) float.
        low, high: the numbers shown as black and as white.
        channel: shown in grey; None: the three channels as colours.
        max_side: of the picture, at most; None: every pixel.
    """
    chosen = plane if channel is None else plane[channel : channel + 1]
    longer = max(chosen.shape[1:])
    if max_side is None or longer <= max_side:
        return encoded(_in_bytes(chosen, low, high)), "image/png"
    if (step := longer // max_side) > 1:
        chosen = F.avg_pool2d(chosen[None], step, ceil_mode=True)[0]
    picture = Image.fromarray(_in_bytes(chosen, low, high))
    picture.thumbnail((max_side, max_side), Image.Resampling.BOX)
    return encoded(np.asarray(picture), "JPEG"), "image/jpeg"


def _in_bytes(plane: Tensor, low: float, high: float) -> np.ndarray:
    """A plane (C, H, W) float of one channel or three as uint8, (H, W) or (H, W, 3)."""
    scaled = (plane - low).mul_(255 / (high - low)).add_(0.5).clamp_(0, 255).to(torch.uint8)
    pixels: np.ndarray = (scaled.movedim(0, -1) if len(scaled) == 3 else scaled[0]).numpy()
    return pixels


def labels_of(plane: Tensor) -> bytes:
    """Numbers (H, W) from 0 to 65535 as a PNG, red + 256 x green."""
    numbers = plane.numpy().astype(np.uint16)
    parts = [numbers & 255, numbers >> 8, np.zeros_like(numbers)]
    return encoded(np.stack(parts, 2).astype(np.uint8))


def mask_of(plane: Tensor) -> bytes:
    """A region (H, W) bool as a PNG of 0 and 255."""
    return encoded(plane.numpy().astype(np.uint8) * 255)


def map_of(plane: Tensor, largest: float) -> bytes:
    """A map (H, W) with NaN as a PNG of grey, 1 to 255, and alpha, 0 where nothing is known.

    Args:
        plane: of the map, 0 or more where it is known.
        largest: number that is shown as 255.
    """
    known = ~plane.isnan()
    scaled = plane.nan_to_num(0).clamp(min=0) / max(largest, 1e-30)
    grey = 1 + (254 * scaled.clamp(max=1)).round()
    pixels = torch.stack([torch.where(known, grey, 0), 255 * known], -1)
    return encoded(pixels.numpy().astype(np.uint8))


def superpixels(plane: Tensor) -> Tensor:
    """The number (H, W) int64 of the superpixel of each pixel of (C, H, W), from 1 on.

    They are made on a picture of `_SUPERPIXELS_PX` at most on its longer side, so that a large one
    takes no longer.
    """
    rows, columns = plane.shape[1:]
    scale = min(1.0, _SUPERPIXELS_PX / max(rows, columns))
    size = [max(1, round(scale * side)) for side in (rows, columns)]
    small = F.interpolate(plane[None], size, mode="area")[0]
    pieces = divide(torch.ones(size, dtype=torch.bool), _SUPERPIXELS, image=small)
    numbers = torch.zeros(size)
    for number, piece in enumerate(pieces, start=1):
        numbers[piece.box][torch.from_numpy(piece.mask)] = number
    return F.interpolate(numbers[None, None], (rows, columns), mode="nearest")[0, 0].long()


def _size_of_png(data: bytes) -> tuple[int, int]:
    """Rows and columns that the header of a PNG gives, before anything of it is decoded.

    Raises:
        InputError: it is no PNG.
    """
    if len(data) < 33 or data[:8] != b"\x89PNG\r\n\x1a\n" or data[12:16] != b"IHDR":
        raise InputError("expected a PNG of 8-bit grey, got something else.")
    columns, rows = struct.unpack(">II", data[16:24])
    return rows, columns


def visibility_of(data: bytes, shape: tuple[int, int]) -> Tensor:
    """What a person painted, (H, W) bool, from a PNG: 128 to 255 is shown.

    Args:
        data: the PNG, 8-bit grey.
        shape: that it must have.

    Raises:
        InputError: no such PNG, or another size; nothing is decoded then.
    """
    rows, columns = _size_of_png(data)
    if (rows, columns) != shape:
        raise InputError(
            f"expected a mask of {shape[0]} rows and {shape[1]} columns, got {rows} and {columns}."
        )
    if data[24:26] != b"\x08\x00":
        raise InputError("expected a PNG of 8-bit grey, got one of colours or of other bits.")
    try:
        with warnings.catch_warnings():  # the size is the image's own
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=["PNG"]) as picture:
                pixels = np.array(picture)
    except (OSError, ValueError, SyntaxError, struct.error, Image.DecompressionBombError) as error:
        raise InputError(f"expected a PNG of 8-bit grey, got none: {error}.") from error
    if pixels.shape != shape:
        raise InputError("expected a PNG of 8-bit grey, got another.")
    return torch.from_numpy(pixels >= 128)
