"""Drawing: images, outlines and colours, as all pictures have them in common.

Colours are those of Okabe and Ito, which colour-blind people can tell apart; outlines also differ
in their dashes.
"""

from math import ceil
from typing import Any

import numpy as np
from scipy.ndimage import label

from misure.images.planes import in_bytes
from misure.models.prompts import Prompt
from misure.reports.canvas import (
    Axes,
    DrawnNormally,
    Line,
    Normalize,
    PathPatch,
    Stroke,
    colormaps,
)
from misure.reports.layout import Scale, size_of

TARGET_COLOUR = "#D55E00"  # vermilion, solid
REGION_COLOUR = "#56B4E9"  # sky blue, dashed
CLASS_COLOURS = ("#E69F00", "#009E73", "#0072B2", "#CC79A7", "#F0E442", "#56B4E9", "#D55E00")
MAP_COLOURS = "viridis"

_DARK, _LIGHT = "#111111", "#FFFFFF"  # below the colour of an outline
_USUAL_SIDE, _THINNEST = 3.0, 0.6  # inches of a picture with full lines, least share of them
_DASHES = (0, (3.0, 2.0))
_DIMMED = 0.3  # of the brightness
_BLENDED = 0.55  # opacity of a map over its image
_PALE = (0.15, 0.6)  # the image under a map: its black, and what white is more
_SIDES_OF_A_PIXEL = (
    ((-1, 0), (0, 0), (1, 0)),
    ((0, 1), (1, 0), (1, 1)),
    ((1, 0), (1, 1), (0, 1)),
    ((0, -1), (0, 1), (0, 0)),
)  # rows down and columns across to the neighbour, and the corners (x, y) where its side lies
_LUMA = (0.299, 0.587, 0.114)  # Rec. 601
_SMALL = 150  # pixels of the longer side, up to which each is drawn as a square
_UNKNOWN_COLOURS = ("#BBBBBB", "#777777")  # between the stripes, and the stripes
_STRIPES = 32  # along the longer side
_CELLS_OF_STRIPE = 12  # at least, from one stripe to the next: a pixel may be larger than a stripe
_MOST_COVER = 0.9  # of the image, by the largest density
_OUTLINED = 40  # parts and holes up to which a region is outlined; more would cover it


def show_image(axes: Axes, image: np.ndarray, dimmed: np.ndarray | None = None) -> None:
    """Draws (H, W) or (H, W, 3) in [0, 1]; pixels of `dimmed` (H, W) bool are made dark."""
    if dimmed is not None:
        image = image.copy()
        image[dimmed] *= _DIMMED
    options: dict[str, Any] = {"cmap": "gray", "vmin": 0, "vmax": 255} if image.ndim == 2 else {}
    # In bytes, as a figure keeps its pictures: floats of a large photograph take gigabytes.
    axes.imshow(in_bytes(image.clip(0, 1)), interpolation=interpolation(image), **options)


def interpolation(image: np.ndarray) -> str:
    """How (H, W, ...) is drawn: small ones as squares, others smoothly where they are shrunk."""
    return "nearest" if max(image.shape[:2]) <= _SMALL else "antialiased"


def grey_of(image: np.ndarray) -> np.ndarray:
    """The greys (H, W) of (H, W) or (H, W, 3) in [0, 1], as bright as the eye sees the colours."""
    return image @ np.array(_LUMA, image.dtype) if image.ndim == 3 else image


def draw_outline(axes: Axes, region: np.ndarray, colour: str, style: str) -> None:
    """Draws the outline of a region (H, W) bool, unless its many lines would hide the image."""
    draw_outlines(axes, (region, colour, style))


def draw_outlines(axes: Axes, *outlines: tuple[np.ndarray, str, str]) -> None:
    """Draws outlines, the first at the bottom: where two coincide, a dashed one leaves gaps.

    Each has a dark line and a light one below its own colour, so that it is seen on any picture.

    Args:
        axes: to draw on.
        outlines: for each, a region (H, W) bool, a colour and a line style. A region is left out if
            its many lines would hide the image.
    """
    thin = float(np.clip(min(size_of(axes)) / _USUAL_SIDE, _THINNEST, 1))
    visible = [outline for outline in outlines if can_be_outlined(outline[0])]
    for below, width in ((_DARK, 4.4), (_LIGHT, 3.0)):
        for region, _, _ in visible:
            _draw_contour(axes, region, below, thin * width, "solid")
    for region, colour, style in visible:
        _draw_contour(axes, region, colour, thin * 1.4, _DASHES if style == "dashed" else style)


def can_be_outlined(region: np.ndarray) -> bool:
    """Whether a region (H, W) bool has an outline, of few enough lines that it can be read."""
    num_lines = label(region)[1] + label(~region)[1]
    return bool(region.any() and not region.all() and num_lines <= _OUTLINED)


def _draw_contour(axes: Axes, region: np.ndarray, colour: str, width: float, style: Any) -> None:
    """Draws the border of the pixels of a region, corner by corner."""
    loops = [Line(loop, closed=True) for loop in borders(region)]
    border = Line.make_compound_path(*loops)
    axes.add_patch(
        PathPatch(border, fill=False, edgecolor=colour, linewidth=width, linestyle=style)
    )
    axes.set_xlim(-0.5, region.shape[1] - 0.5)
    axes.set_ylim(region.shape[0] - 0.5, -0.5)


def borders(region: np.ndarray) -> list[np.ndarray]:
    """The closed lines (N, 2) of x and y around the pixels of a region (H, W) bool.

    The last point of each is its first; only corners are points.

    >>> borders(np.array([[True, True]]))[0].tolist()
    [[-0.5, -0.5], [1.5, -0.5], [1.5, 0.5], [-0.5, 0.5], [-0.5, -0.5]]
    """
    inside = np.pad(region, 1)
    followers: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for (down, across), begin, end in _SIDES_OF_A_PIXEL:  # clockwise around each pixel
        is_side = inside & ~np.roll(inside, (-down, -across), (0, 1))
        for row, column in np.argwhere(is_side).tolist():
            start = column + begin[0], row + begin[1]
            followers.setdefault(start, []).append((column + end[0], row + end[1]))
    loops = []
    while followers:
        first = point = next(iter(followers))
        loop = [first]
        while point in followers:
            ends = followers[point]
            following = ends.pop()
            if not ends:
                del followers[point]
            if len(loop) > 1 and _is_straight(loop[-2], point, following):
                loop.pop()
            loop.append(following)
            point = following
        loops.append(np.array(loop) - 1.5)  # of the padding, and from corners to pixels
    return loops


def _is_straight(*points: tuple[int, int]) -> bool:
    (x0, y0), (x1, y1), (x2, y2) = points
    return (x1 - x0) * (y2 - y1) == (y1 - y0) * (x2 - x1)


def draw_density(axes: Axes, image: np.ndarray, share: np.ndarray, top: float) -> None:
    """Draws (H, W) or (H, W, 3) in [0, 1] in grey, the density of a region over it in colour.

    Args:
        axes: to draw on.
        image: below the density.
        share: (H, W) in [0, 1] (see `density`).
        top: what is drawn in full colour.
    """
    grey = grey_of(image)
    show_image(axes, 0.5 * grey + 0.5 * float(grey.mean()))
    covered = np.empty((*share.shape, 4), np.uint8)
    covered[..., :3] = in_bytes(np.array(rgb(REGION_COLOUR)))
    covered[..., 3] = in_bytes(_MOST_COVER * (share / max(top, 1e-9)).clip(0, 1))
    axes.imshow(covered, interpolation=interpolation(covered))


def density_scale(top: float) -> Scale:
    """The scale of `draw_density`."""
    colours = np.linspace((0.5, 0.5, 0.5), rgb(REGION_COLOUR), 256)
    return Scale(colours, "0 % of the pixels around", f"{100 * top:.0f} % of them shown")


def draw_overlay(axes: Axes, image: np.ndarray, values: np.ndarray, top: float) -> None:
    """Draws (H, W) or (H, W, 3) in [0, 1] in grey, a map blended over it.

    Args:
        axes: to draw on.
        image: below the map. Where the map knows nothing it is seen as it is, in greys.
        values: (H, W) float, NaN where nothing is known.
        top: what is drawn in the last colour; 0 and less in the first.
    """
    grey, is_known = grey_of(image), ~np.isnan(values)
    show_image(axes, np.where(is_known, _PALE[0] + _PALE[1] * grey, grey))
    scale = Normalize(0, max(1e-9, top), clip=True)
    covered = colormaps[MAP_COLOURS](scale(np.nan_to_num(values, nan=0.0)), bytes=True)
    covered[..., 3] = np.where(is_known, round(_BLENDED * 255), 0)
    axes.imshow(covered, interpolation=interpolation(covered))


def map_scale(*, is_blended: bool = False) -> Scale:
    """The scale of a map, or of one that is blended over an image."""
    colours = colormaps[MAP_COLOURS](np.linspace(0, 1, 256))[:, :3]
    if is_blended:
        colours = _BLENDED * colours + (1 - _BLENDED) * (_PALE[0] + _PALE[1] / 2)
    return Scale(colours, "matters less", "matters more")


def draw_scale(axes: Axes, shape: tuple[int, int], pixel_mm: tuple[float, float]) -> None:
    """Draws a bar with its length in mm in the lower left corner.

    Args:
        axes: to draw on.
        shape: (H, W) of the picture.
        pixel_mm: height and width of a pixel.
    """
    across = shape[1] * pixel_mm[1]
    power = 10.0 ** np.floor(np.log10(across * 0.3))
    length = max(step * power for step in (1, 2, 5) if step * power <= across * 0.3)
    x0, x1 = shape[1] * 0.05 - 0.5, shape[1] * 0.05 - 0.5 + length / pixel_mm[1]
    y = shape[0] * 0.95 - 0.5
    for colour, width in ((_DARK, 4.0), (_LIGHT, 2.0)):
        axes.plot([x0, x1], [y, y], color=colour, linewidth=width, solid_capstyle="butt")
    _write_over(axes, (x0 + x1) / 2, y, f"{length:g} mm", (0, 4), "center", "bottom")


def draw_letters(axes: Axes, letters: str) -> None:
    """Writes which way is left, right, up and down, at the sides of a picture.

    Args:
        axes: to draw on, with limits set.
        letters: of left, right, top and bottom.
    """
    (x0, x1), (y1, y0) = axes.get_xlim(), axes.get_ylim()
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    _write_over(axes, x0, y, letters[0], (3, 0), "left", "center")
    _write_over(axes, x1, y, letters[1], (-3, 0), "right", "center")
    _write_over(axes, x, y0, letters[2], (0, -2), "center", "top")
    _write_over(axes, x, y1, letters[3], (0, 2), "center", "bottom")


def _write_over(
    axes: Axes, x: float, y: float, text: str, shift: tuple[float, float], ha: str, va: str
) -> None:
    """Writes white letters with a dark edge on a picture."""
    axes.annotate(
        text, (x, y), xytext=shift, textcoords="offset points", ha=ha, va=va, fontsize=8,
        color=_LIGHT, fontweight="bold", parse_math=False,
        path_effects=[Stroke(linewidth=2, foreground=_DARK), DrawnNormally()],
    )  # fmt: skip


def draw_hatched(axes: Axes, region: np.ndarray) -> None:
    """Covers a region (H, W) bool with grey diagonal stripes: nothing is known there."""
    if not region.any():
        return
    height, width = region.shape
    finer = max(1, ceil(_STRIPES * _CELLS_OF_STRIPE / max(height, width)))  # cells along a pixel
    is_there = region.repeat(finer, 0).repeat(finer, 1)
    rows, columns = (np.arange(side, dtype=np.int32) for side in is_there.shape)
    period = max(is_there.shape) // _STRIPES
    is_stripe = (rows[:, None] + columns) % period < period / 3
    covered = np.zeros((*is_there.shape, 4), np.uint8)
    for cells, colour in zip(
        (is_there & ~is_stripe, is_there & is_stripe), _UNKNOWN_COLOURS, strict=True
    ):
        covered[cells] = in_bytes(np.array((*rgb(colour), 1.0)))
    extent = (-0.5, width - 0.5, height - 0.5, -0.5)
    axes.imshow(covered, interpolation="nearest", extent=extent)


def rgb(colour: str) -> tuple[float, ...]:
    """A colour #rrggbb as three numbers in [0, 1]."""
    return tuple(int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))


def draw_prompt(axes: Axes, prompt: Prompt, colour: str, width: float) -> None:
    """Marks the points and the box of a prompt; texts have no place."""
    edge: dict[str, Any] = {"markeredgecolor": "black", "markeredgewidth": 0.5}
    size = 4 + 3 * width
    for points, marker in ((prompt.points, "o"), (prompt.outside, "X")):
        for row, column in points:
            axes.plot(column, row, marker=marker, color=colour, markersize=size, **edge)
    if prompt.box is not None:
        top, left, bottom, right = (side - 0.5 for side in prompt.box)
        rows, columns = (top, top, bottom, bottom, top), (left, right, right, left, left)
        axes.plot(columns, rows, color=colour, linewidth=width)
