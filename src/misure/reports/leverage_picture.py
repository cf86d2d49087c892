"""A picture of leverage: the parts of a target, in colours of what the rest loses without them."""

from pathlib import Path
from textwrap import fill

import numpy as np
import torch
from torch import Tensor

from misure._util.words import counted
from misure.explanation.answers.leverage import Leverage
from misure.images.orientation import AS_STORED, ViewingOrder
from misure.images.planes import as_colours, grey_range, viewing_plane
from misure.images.volumes import name_of
from misure.reports.axes import MAP_COLOURS, REGION_COLOUR, TARGET_COLOUR, draw_outline, show_image
from misure.reports.canvas import Drawing, Figure, Normalize, ScalarMappable, write_figure

_TITLE_CHARACTERS = 90  # of a line
_LEAST_RANGE = 0.1  # of the colours, so that differences of nothing look like nothing


def save_leverage_picture(
    leverage: Leverage,
    pixels: Tensor,
    path: Path,
    *,
    image: str = "",
    order: ViewingOrder = AS_STORED,
    dpi: float = 110,
) -> None:
    """Writes the figure of `plot_leverage`.

    Args:
        leverage, pixels, image, order: as of `plot_leverage`.
        path: of the file, which ends in one of PICTURE_KINDS.
        dpi: dots per inch.
    """
    figure = plot_leverage(leverage, pixels, image=image, order=order)
    write_figure(figure, path, dpi=dpi)


def plot_leverage(
    leverage: Leverage, pixels: Tensor, *, image: str = "", order: ViewingOrder = AS_STORED
) -> Figure:
    """A figure of two panels: the target, and the leverage of its parts.

    The part with the most leverage is outlined. A volume is shown by the slice with most of it.

    Args:
        leverage: what to draw.
        pixels: (C, *spatial) float, of the image.
        image: name of the image.
        order: how to lay out a volume as axial slices.
    """
    target, values = leverage.target.region, leverage.map()
    strongest = torch.zeros_like(target)
    if leverage.pieces:
        strongest = leverage.pieces[0].region(target.shape)
    take, note = viewing_plane(strongest if leverage.pieces else target, order)
    picture = as_colours(take(pixels), *grey_range(pixels))
    height, width = picture.shape[:2]
    panel = float(np.clip(5.2 * height / width, 2.8, 7.0))
    figure = Drawing(figsize=(11.5, panel + 1.0), layout="constrained")
    said = f"{name_of(image)}: {leverage.sentence()}" if image else leverage.sentence()
    figure.suptitle(fill(said, _TITLE_CHARACTERS) + note, fontsize=12, parse_math=False)
    first, second = figure.subplots(1, 2)
    show_image(first, picture)
    first.set_title("image, target outlined")
    grey = picture.mean(-1) if picture.ndim == 3 else picture
    show_image(second, 0.5 * grey + 0.5 * float(grey.mean()))
    plane = take(values).numpy()
    if leverage.pieces:
        low, high = float(np.nanmin(values)), float(np.nanmax(values))
        norm = Normalize(min(0.0, low), max(_LEAST_RANGE, high))
        shown = np.ma.masked_invalid(plane)
        second.imshow(shown, cmap=MAP_COLOURS, norm=norm, interpolation="nearest")
        label = "Dice that the rest loses without this part"
        figure.colorbar(ScalarMappable(norm, MAP_COLOURS), ax=second, shrink=0.8, label=label)
    second.set_title(f"leverage of {counted(len(leverage.parts), 'part')}, the largest outlined")
    draw_outline(second, take(strongest).numpy(), REGION_COLOUR, "dashed")
    for axes in (first, second):
        axes.set_axis_off()
        draw_outline(axes, take(target).numpy(), TARGET_COLOUR, "solid")
    return figure
