"""A picture of a prompt's sensitivity: its mask, where other prompts' masks differ, their Dice."""

from pathlib import Path
from textwrap import fill

import numpy as np
from torch import Tensor

from misure.explanation.answers.prompt_sensitivity import PromptChange, PromptSensitivity
from misure.images.planes import as_colours, grey_range
from misure.images.volumes import name_of
from misure.models.prompts import parse_prompt
from misure.reports.axes import (
    CLASS_COLOURS,
    MAP_COLOURS,
    TARGET_COLOUR,
    draw_outline,
    draw_prompt,
    show_image,
)
from misure.reports.canvas import Axes, Drawing, Figure, Normalize, ScalarMappable, write_figure

_TITLE_CHARACTERS = 115  # of a line
_COLOURS = CLASS_COLOURS[:3]


def save_prompt_picture(
    found: PromptSensitivity, pixels: Tensor, path: Path, *, image: str = "", dpi: float = 110
) -> None:
    """Writes the figure of `plot_prompts`.

    Args:
        found, pixels, image: as of `plot_prompts`.
        path: of the file, which ends in one of PICTURE_KINDS.
        dpi: dots per inch.
    """
    write_figure(plot_prompts(found, pixels, image=image), path, dpi=dpi)


def plot_prompts(found: PromptSensitivity, pixels: Tensor, *, image: str = "") -> Figure:
    """A figure of three panels: prompts and mask, agreement of all masks, Dice of each prompt.

    Args:
        found: what to draw.
        pixels: (C, H, W) float, of the image.
        image: name of the image.
    """
    picture = as_colours(pixels, *grey_range(pixels))
    height, width = picture.shape[:2]
    panel = float(np.clip(4.6 * height / width, 2.6, 6.0))
    figure = Drawing(figsize=(14.5, panel + 1.3), layout="constrained")
    said = f"{name_of(image)}: {found.sentence()}" if image else found.sentence()
    figure.suptitle(fill(said, _TITLE_CHARACTERS), fontsize=11, parse_math=False)
    first, second, third = figure.subplots(1, 3, width_ratios=(1, 1, 1))
    mask = found.region.cpu().numpy()
    show_image(first, picture)
    for change, colour in zip(found.changes, _COLOURS, strict=False):
        for outcome in change.outcomes:
            draw_prompt(first, parse_prompt(outcome.prompt), colour, 0.6)
    draw_prompt(first, found.prompt, "white", 2.0)
    first.set_title("the prompt (white), the other prompts")
    grey = picture.mean(-1) if picture.ndim == 3 else picture
    show_image(second, grey)
    agreement = found.agreement.cpu().numpy()
    norm = Normalize(0, 1)
    second.imshow(
        np.ma.masked_equal(agreement, 0), cmap=MAP_COLOURS, norm=norm, interpolation="nearest"
    )
    label = "share of the other prompts whose mask holds the pixel"
    figure.colorbar(ScalarMappable(norm, MAP_COLOURS), ax=second, shrink=0.8, label=label)
    second.set_title("masks of the others; its own outlined")
    for axes in (first, second):
        axes.set_axis_off()
        draw_outline(axes, mask, TARGET_COLOUR, "solid")
    _draw_dices(third, found.changes)
    return figure


def _draw_dices(axes: Axes, changes: tuple[PromptChange, ...]) -> None:
    """One row of dots for each kind of change; a bar at the median."""
    names = []
    for number, (change, colour) in enumerate(zip(changes, _COLOURS, strict=False)):
        dices = sorted(outcome.dice for outcome in change.outcomes)
        spread = np.linspace(-0.18, 0.18, len(dices)) if len(dices) > 1 else [0.0]
        axes.plot(dices, number + np.asarray(spread), "o", color=colour, markersize=5, alpha=0.8)
        axes.plot([change.median] * 2, [number - 0.3, number + 0.3], color="black", linewidth=1.5)
        names.append(fill(f"{len(dices)} {change.change}", 22))
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlim(-0.03, 1.03)
    axes.set_xlabel("Dice with the mask of the prompt; bar: median")
    axes.grid(axis="x", alpha=0.3)
