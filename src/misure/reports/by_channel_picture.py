"""A picture of regions by channel: a panel for each channel, in greys under its name."""

from pathlib import Path
from textwrap import fill

import numpy as np
from torch import Tensor

from misure._util.words import share
from misure.explanation.by_channel_record import RegionOfChannel
from misure.explanation.explanation import Explanation
from misure.explanation.summary import by_channel_sentences
from misure.images.orientation import AS_STORED, ViewingOrder
from misure.images.planes import as_colours, grey_range, viewing_plane
from misure.images.volumes import name_of
from misure.reports.axes import REGION_COLOUR, TARGET_COLOUR, draw_outline, show_image
from misure.reports.canvas import Figure, write_figure
from misure.reports.channels_picture import (
    CHARACTERS_OF_AN_INCH,
    LINE,
    MOST_PANELS,
    PANEL,
    columns_of,
    draw_region,
    most_of_it,
)


def save_by_channel_picture(
    explanation: Explanation, pixels: Tensor, path: Path, *, order: ViewingOrder = AS_STORED
) -> None:
    """Writes a PNG with a panel for each channel: its greys, the target, and its two regions.

    Of more than 12 channels, those that are shown at the most places are drawn. A volume is shown
    by the slice with most of the regions.

    Args:
        explanation: with regions by channel.
        pixels: (C, *spatial) float, of the image.
        path: of the PNG.
        order: how to lay out a volume as axial slices.
    """
    record, regions = explanation.values.by_channel, explanation.tensors_by_channel()
    if record is None or not regions:
        return
    sufficient, minimal = regions.values()
    target = explanation.target.region
    chosen = _chosen(record.channels)
    columns = columns_of(len(chosen))
    rows = -(-len(chosen) // columns)
    take, note = viewing_plane(most_of_it(target, minimal), order)
    height, width = take(target).shape
    panel = float(np.clip(PANEL * height / width, 1.6, 5.5))
    said, image = " ".join(by_channel_sentences(explanation.values)), explanation.values.image
    across = max(columns, 2) * PANEL
    title = (f"{name_of(image)}: {said}" if image else said) + note
    lines = fill(title, int(across * CHARACTERS_OF_AN_INCH))
    tall = rows * (panel + 3 * LINE) + 0.22 * (lines.count("\n") + 3)
    figure = Figure(figsize=(across, tall), layout="constrained")
    figure.suptitle(lines, fontsize=11, parse_math=False)
    grid = figure.subplots(rows, columns, squeeze=False).flatten()
    for axes, of_channel in zip(grid, chosen, strict=False):
        number = of_channel.number
        greys = pixels[number : number + 1].cpu()
        show_image(axes, as_colours(take(greys), *grey_range(greys)))
        draw_region(axes, take(minimal[number]).numpy())
        draw_outline(axes, take(sufficient[number]).numpy(), REGION_COLOUR, "dotted")
        draw_outline(axes, take(target).numpy(), TARGET_COLOUR, "solid")
        axes.set_title(_title(of_channel), fontsize=9, parse_math=False)
    for axes in grid:
        axes.set_axis_off()
    left_out = len(record.channels) - len(chosen)
    more = f"; {left_out} other channels, shown at fewer places" if left_out else ""
    what = (
        "target outlined; blue: minimally sufficient region by channel; dotted: sufficient region"
    )
    figure.supxlabel(what + more, fontsize=9)
    write_figure(figure, path)


def _chosen(channels: list[RegionOfChannel]) -> list[RegionOfChannel]:
    """The channels to draw, in their order: those that are shown at the most places."""
    ranked = sorted(channels, key=lambda one: -one.area_fraction)
    return sorted(ranked[:MOST_PANELS], key=lambda one: one.number)


def _title(channel: RegionOfChannel) -> str:
    if channel.growth_px is None:
        return f"{channel.name}\nnot shown"
    return (
        f"{channel.name}\n{share(channel.area_fraction)} shown (sufficient: "
        f"{share(channel.sufficient_area_fraction)})"
    )
