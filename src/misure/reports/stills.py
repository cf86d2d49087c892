"""Stills: single pictures without any text, as they are put into HTML."""

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from misure.images.cuts import Cut
from misure.reports.backdrop import Backdrop
from misure.reports.canvas import Axes, Figure, canvas_pixels
from misure.reports.layout import Scale
from misure.reports.panels import Panel, draw_picture

_DPI = 100
_FIRST, *_SMALLER = [(1.0, 85), (1.0, 70), (0.75, 65), (0.6, 55), (0.45, 45), (0.3, 35), (0.15, 30)]
_LOWEST, _HIGHEST = 0.2, 5.0  # height of a still divided by its width


@dataclass(frozen=True)
class Still:
    """A picture with what is said of it.

    Attributes:
        picture: of the size at which it is best seen.
        title, detail: what it shows, and what is to be known of it.
        scale: of its colours; None: it has none.
    """

    picture: Image.Image
    title: str = ""
    detail: str = ""
    scale: Scale | None = None


def still_of(
    panel: Panel,
    cut: Cut,
    backdrop: Backdrop,
    side_px: int,
    *,
    title: str = "",
    detail: str | None = None,
    is_marked: bool = False,
) -> Still:
    """A panel of one cut.

    Args:
        panel: what is drawn.
        cut: of which slice.
        backdrop: the image.
        side_px: of the longer side.
        title, detail: instead of the panel's own.
        is_marked: draw the scale in mm, and letters for left and right, where they are known.
    """
    height, width = cut.take(backdrop.pixels).shape[-2:]
    ratio = float(np.clip(cut.aspect * height / width, _LOWEST, _HIGHEST))

    def draw(axes: Axes) -> None:
        draw_picture(axes, panel, cut, (height, width), is_marked=is_marked)

    picture = drawn(draw, ratio, side_px)
    said = panel.detail if detail is None else detail
    return Still(picture, title or panel.title, said, panel.scale)


def drawn(draw: Callable[[Axes], None], ratio: float, side_px: int) -> Image.Image:
    """What is drawn on axes that fill a picture.

    Args:
        draw: draws it.
        ratio: height divided by width.
        side_px: of the longer side.
    """
    width, height = (side_px, side_px * ratio) if ratio <= 1 else (side_px / ratio, side_px)
    figure = Figure(figsize=(max(1, width) / _DPI, max(1, height) / _DPI), dpi=_DPI)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    draw(axes)
    return Image.fromarray(canvas_pixels(figure))


def addresses(pictures: Sequence[Image.Image], most_characters: int) -> list[str]:
    """Data addresses of pictures, which together take at most some characters.

    If they take more, all are compressed further, and then made smaller.

    Args:
        pictures: RGB.
        most_characters: of all addresses.
    """
    found = [_address(picture, *_FIRST) for picture in pictures]
    for scale, quality in _SMALLER:
        if sum(map(len, found)) <= most_characters:
            break
        found = [_address(picture, scale, quality) for picture in pictures]
    return found


def _address(picture: Image.Image, scale: float, quality: int) -> str:
    if scale < 1:
        width, height = (max(1, round(scale * side)) for side in picture.size)
        picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    picture.convert("RGB").save(file, "JPEG", quality=quality, subsampling=0)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
