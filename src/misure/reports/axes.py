"""Drawing: images, outlines and colours, as all pictures have them in common.

Colours are those of Okabe and Ito, which colour-blind people can tell apart; outlines also differ
in their dashes.
"""

from math import ceil
from typing import Any

import numpy as np
from scipy.ndimage import label

from misure.models.prompts import Prompt
from misure.reports.canvas import Axes, LinearSegmentedColormap, Normalize, ScalarMappable
from misure.reports.density import density

TARGET_COLOUR = "#D55E00"  # vermilion, solid
REGION_COLOUR = "#56B4E9"  # sky blue, dashed
CLASS_COLOURS = ("#E69F00", "#009E73", "#0072B2", "#CC79A7", "#F0E442", "#56B4E9", "#D55E00")
MAP_COLOURS = "viridis"

_UNKNOWN_COLOURS = ("#BBBBBB", "#777777")  # between the stripes, and the stripes
_STRIPES = 32  # along the longer side
_CELLS_OF_STRIPE = 12  # at least, from one stripe to the next: a pixel may be larger than a stripe
_MOST_COVER = 0.9  # of the image, by the largest density
_OUTLINED = 40  # parts and holes up to which a region is outlined; more would cover it


def show_image(axes: Axes, image: np.ndarray, dimmed: np.ndarray | None = None) -> None:
    """Draws (H, W) or (H, W, 3) in [0, 1]; pixels of `dimmed` (H, W) bool are made dark."""
    if dimmed is not None:
        image = image.copy()
        image[dimmed] = 0.25 * image[dimmed] + 0.1
    options: dict[str, Any] = {"cmap": "gray", "vmin": 0, "vmax": 1} if image.ndim == 2 else {}
    axes.imshow(image.clip(0, 1), interpolation="nearest", **options)


def draw_outline(axes: Axes, region: np.ndarray, colour: str, style: str) -> None:
    """Draws the outline of a region (H, W) bool, unless its many lines would hide the image."""
    draw_outlines(axes, (region, colour, style))


def draw_outlines(axes: Axes, *outlines: tuple[np.ndarray, str, str]) -> None:
    """Draws outlines, the first at the bottom: where two coincide, a dashed one leaves gaps.

    Args:
        axes: to draw on.
        outlines: for each, a region (H, W) bool, a colour and a line style. A region is left out if
            its many lines would hide the image.
    """
    visible = [outline for outline in outlines if _can_be_outlined(outline[0])]
    for region, _, _ in visible:
        _draw_contour(axes, region, "black", 2.6, "solid")
    for region, colour, style in visible:
        _draw_contour(axes, region, colour, 1.4, style)


def _can_be_outlined(region: np.ndarray) -> bool:
    num_lines = label(region)[1] + label(~region)[1]
    return bool(region.any() and not region.all() and num_lines <= _OUTLINED)


def _draw_contour(axes: Axes, region: np.ndarray, colour: str, width: float, style: str) -> None:
    padded = np.pad(region.astype(float), 1)  # so that outlines close at the frame
    rows, columns = np.arange(-1, region.shape[0] + 1), np.arange(-1, region.shape[1] + 1)
    axes.contour(
        columns, rows, padded, levels=[0.5], colors=[colour], linewidths=width, linestyles=style
    )
    axes.set_xlim(-0.5, region.shape[1] - 0.5)
    axes.set_ylim(region.shape[0] - 0.5, -0.5)


def draw_density(axes: Axes, image: np.ndarray, region: np.ndarray) -> None:
    """Draws (H, W) or (H, W, 3) in [0, 1] in grey, the density of a region over it in colour.

    Args:
        axes: to draw on; a bar beside them gives the scale.
        image: below the density.
        region: (H, W) bool.
    """
    grey = image.mean(-1) if image.ndim == 3 else image
    show_image(axes, 0.5 * grey + 0.5 * float(grey.mean()))
    share = density(region)
    norm = Normalize(0, max(1e-9, float(share.max())))
    covered = np.empty((*region.shape, 4))
    covered[...] = (*rgb(REGION_COLOUR), 1.0)
    covered[..., 3] = _MOST_COVER * norm(share)
    axes.imshow(covered, interpolation="nearest")
    colours = LinearSegmentedColormap.from_list("density", ["#808080", REGION_COLOUR])
    label = "share of the pixels around that is shown"
    axes.figure.colorbar(ScalarMappable(norm, colours), ax=axes, shrink=0.8, label=label)


def draw_hatched(axes: Axes, region: np.ndarray) -> None:
    """Covers a region (H, W) bool with grey diagonal stripes: nothing is known there."""
    if not region.any():
        return
    height, width = region.shape
    finer = max(1, ceil(_STRIPES * _CELLS_OF_STRIPE / max(height, width)))  # cells along a pixel
    is_there = region.repeat(finer, 0).repeat(finer, 1)
    rows, columns = np.indices(is_there.shape)
    period = max(is_there.shape) // _STRIPES
    is_stripe = (rows + columns) % period < period / 3
    covered = np.zeros((*is_there.shape, 4))
    for cells, colour in zip(
        (is_there & ~is_stripe, is_there & is_stripe), _UNKNOWN_COLOURS, strict=True
    ):
        covered[cells] = (*rgb(colour), 1.0)
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
