"""A picture of channels: each in greys under its name, with what it does for the target."""

from pathlib import Path
from textwrap import fill

import numpy as np
from torch import Tensor

from misure.explanation.answers.channel_effects import ChannelEffect, ChannelEffects
from misure.explanation.answers.channel_regions import ChannelRegions
from misure.images.orientation import AS_STORED, ViewingOrder
from misure.images.planes import as_colours, grey_range, viewing_plane
from misure.images.volumes import name_of
from misure.reports.axes import REGION_COLOUR, TARGET_COLOUR, draw_outline, rgb, show_image
from misure.reports.canvas import Axes, Drawing, Figure, write_figure

MOST_PANELS, _IN_A_ROW = 12, 4
PANEL, LINE = 3.4, 0.17  # inches
CHARACTERS_OF_AN_INCH = 9.0
_COVER = 0.45  # of the region's colour


def save_channels_picture(
    effects: ChannelEffects,
    pixels: Tensor,
    path: Path,
    *,
    regions: ChannelRegions | None = None,
    image: str = "",
    order: ViewingOrder = AS_STORED,
    dpi: float = 110,
) -> None:
    """Writes the figure of `plot_channels`.

    Args:
        effects, pixels, regions, image, order: as of `plot_channels`.
        path: of the file, which ends in one of PICTURE_KINDS.
        dpi: dots per inch.
    """
    figure = plot_channels(effects, pixels, regions=regions, image=image, order=order)
    write_figure(figure, path, dpi=dpi)


def plot_channels(
    effects: ChannelEffects,
    pixels: Tensor,
    *,
    regions: ChannelRegions | None = None,
    image: str = "",
    order: ViewingOrder = AS_STORED,
) -> Figure:
    """A figure with a panel for each channel: its greys, the target, and its part of a region.

    Of more than 12 channels, those with the strongest effects, and of the smallest set, are shown.
    A volume is shown by the slice with most of the target.

    Args:
        effects: of the channels.
        pixels: (C, *spatial) float, of the image.
        regions: by channel, of the same target; None: no region is drawn.
        image: name of the image.
        order: how to lay out a volume as axial slices.
    """
    chosen = _chosen(effects)
    columns = columns_of(len(chosen))
    rows = -(-len(chosen) // columns)
    target = effects.target.region
    take, note = viewing_plane(
        most_of_it(target, None if regions is None else regions.region), order
    )
    height, width = take(target).shape
    panel = float(np.clip(PANEL * height / width, 1.6, 5.5))
    said = " ".join(effects.sentences()[:1] + ([regions.sentence()] if regions else []))
    title = f"{name_of(image)}: {said}" if image else said
    across = max(columns * PANEL, 2 * PANEL)
    lines = fill(title + note, int(across * CHARACTERS_OF_AN_INCH))
    titles = LINE * (3 if regions else 2)
    tall = rows * (panel + titles) + 0.22 * (lines.count("\n") + 3)
    figure = Drawing(figsize=(across, tall), layout="constrained")
    figure.suptitle(lines, fontsize=11, parse_math=False)
    grid = figure.subplots(rows, columns, squeeze=False).flatten()
    for axes, effect in zip(grid, chosen, strict=False):
        of_channel = pixels[effect.number : effect.number + 1]
        picture = as_colours(take(of_channel), *grey_range(of_channel))
        show_image(axes, picture)
        if regions is not None:
            draw_region(axes, take(regions.region[effect.number]).numpy())
        draw_outline(axes, take(target).numpy(), TARGET_COLOUR, "solid")
        axes.set_title(_title(effect, effects, regions), fontsize=9, parse_math=False)
    for axes in grid:
        axes.set_axis_off()
    what = "target outlined" + ("; shown of each channel in blue" if regions else "")
    left_out = len(effects.effects) - len(chosen)
    more = f"; {left_out} other channels, whose effects are smaller" if left_out else ""
    figure.supxlabel(what + more, fontsize=9)
    return figure


def _chosen(effects: ChannelEffects) -> list[ChannelEffect]:
    """The channels to draw, in their order: those that suffice, then the strongest."""
    needed = {channel for one in effects.sets[:1] for channel in one.channels}
    ranked = sorted(effects.effects, key=lambda effect: effect.number not in needed)
    return sorted(ranked[:MOST_PANELS], key=lambda effect: effect.number)


def columns_of(num: int) -> int:
    """Panels in a row, so that no row is nearly empty."""
    rows = -(-num // _IN_A_ROW)
    return -(-num // rows)


def most_of_it(target: Tensor, region: Tensor | None) -> Tensor:
    """How much each voxel counts for the choice of a slice: each channel of a region alike.

    Args:
        target: (*spatial) bool; it counts if there is no region.
        region: (C, *spatial) bool, or None.
    """
    if region is None or not region.any():
        return target
    sizes = region.flatten(1).sum(1).clamp(min=1)
    return (region / sizes.view(-1, *[1] * target.ndim)).sum(0)


def _title(effect: ChannelEffect, effects: ChannelEffects, regions: ChannelRegions | None) -> str:
    in_sets = sum(effect.number in one.channels for one in effects.sets)
    mark = ""
    if effects.sets and in_sets == len(effects.sets):
        mark = " (in the smallest set)" if len(effects.sets) == 1 else " (in each smallest set)"
    elif in_sets:
        mark = " (in a smallest set)"
    lines = [
        f"{effect.name}{mark}",
        f"Dice hidden {effect.dice:.2f}, alone {effect.dice_alone:.2f}",
    ]
    if regions is not None:
        part = regions.parts[effect.number]
        lines.append(f"shown: {100 * part.share:.0f} % of the minimal region")
    return "\n".join(lines)


def draw_region(axes: Axes, region: np.ndarray) -> None:
    """Covers a region (H, W) bool with its colour, and outlines it."""
    covered = np.zeros((*region.shape, 4))
    covered[region] = (*rgb(REGION_COLOUR), _COVER)
    axes.imshow(covered, interpolation="nearest")
    draw_outline(axes, region, REGION_COLOUR, "dashed")
