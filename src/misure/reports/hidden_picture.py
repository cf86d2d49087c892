"""A picture of a hidden region: where it lies, what the model was shown, and what it then drew."""

from pathlib import Path
from textwrap import fill

import numpy as np
import torch
from torch import Tensor

from misure.explanation.answers.hidden import HiddenRegion
from misure.explanation.presentation import Presentation
from misure.images.orientation import AS_STORED, ViewingOrder
from misure.images.planes import as_colours, grey_range, viewing_plane
from misure.images.volumes import name_of
from misure.models.model import SegmentationModel
from misure.models.segmentation import drawn_region
from misure.reports.axes import (
    CLASS_COLOURS,
    REGION_COLOUR,
    TARGET_COLOUR,
    draw_outlines,
    rgb,
    show_image,
)
from misure.reports.canvas import Figure

_TITLE_CHARACTERS = 110  # of a line
_COUNTED, _NOT_COUNTED = 0.65, 0.35  # opacity of what is drawn
_NAMED = 0.002  # share of the picture from which the title says what is pale


def save_hidden_picture(
    hidden: HiddenRegion,
    model: SegmentationModel,
    presentation: Presentation,
    path: Path,
    *,
    order: ViewingOrder = AS_STORED,
) -> None:
    """Writes a PNG of three panels: the region, what the model was shown, and what it drew.

    If no region was found that loses the target, everything that may be hidden is; if none was
    found that stands in its way, nothing. Pixels on which the Dice does not depend are drawn pale.

    Takes a forward pass for what the model draws, which no cost counts.

    Args:
        hidden: what was found.
        model: draws the third panel.
        presentation: the image, and what stands where pixels are hidden.
        path: of the PNG.
        order: how to lay out a volume as axial slices.
    """
    target = hidden.target.region
    region, where, dice = _what_is_hidden(hidden)
    by_plane = target | hidden.region if target.ndim == 3 else target
    take, note = viewing_plane(by_plane, order)
    low, high = grey_range(presentation.image)
    visibility = 1 - presentation.visibility(region.to(presentation.image.device))
    shown = presentation.show(visibility[None])[0]
    drawn = drawn_region(model, shown, hidden.target).cpu()
    not_counted = (hidden.target.ignored | region) & ~target
    image, seen = (as_colours(take(one), low, high) for one in (presentation.image, shown))
    planes = {
        name: take(tensor).cpu().numpy()
        for name, tensor in (
            ("target", target),
            ("region", region),
            ("counted", drawn & ~not_counted.cpu()),
            ("pale", drawn & not_counted.cpu()),
        )
    }
    height, width = image.shape[:2]
    panel = float(np.clip(4.2 * height / width, 2.4, 6.0))
    figure = Figure(figsize=(13.5, panel + 1.1), layout="constrained")
    name = name_of(hidden.values.image)
    beginning = f"{name}: " if name else ""
    said = f"{beginning}{hidden.sentence} {hidden.classes_sentence}".rstrip()
    figure.suptitle(fill(said, _TITLE_CHARACTERS) + note, fontsize=12, parse_math=False)
    first, second, third = figure.subplots(1, 3)
    outline = (planes["target"], TARGET_COLOUR, "solid")
    show_image(first, image, dimmed=~planes["region"] if region.any() else None)
    draw_outlines(first, outline, (planes["region"], REGION_COLOUR, "dashed"))
    first.set_title(where)
    show_image(second, seen)
    second.set_title("what the model was shown")
    show_image(third, 0.35 * seen + 0.65 * seen.mean())
    third.imshow(_tint(planes["counted"], planes["pale"]), interpolation="nearest")
    if planes["pale"].mean() >= _NAMED:
        third.set_title(f"what it then draws (Dice {dice:.2f}; pale: not counted)")
    else:
        third.set_title(f"what it then draws of this class (Dice {dice:.2f})")
    for axes in (second, third):
        draw_outlines(axes, outline)
    for axes in (first, second, third):
        axes.set_axis_off()
    figure.savefig(path, dpi=110)


def _what_is_hidden(hidden: HiddenRegion) -> tuple[Tensor, str, float]:
    """The region to draw, what its panel is called, and the Dice when it is hidden."""
    values, target = hidden.values, hidden.target.region
    if hidden.dice is not None:
        return hidden.region, "what is hidden (bright), target outlined", hidden.dice
    if values.question == "necessary":
        everything = ~target if values.outside_target else torch.ones_like(target)
        what = "all around the target" if values.outside_target else "everything"
        return everything, f"{what} is hidden (bright)", values.dice_with_all_hidden
    nothing = torch.zeros_like(target)
    return nothing, "target; nothing is hidden", values.dice_with_nothing_hidden


def _tint(counted: np.ndarray, pale: np.ndarray) -> np.ndarray:
    """The colours (H, W, 4) of what the model draws."""
    tint = np.zeros((*counted.shape, 4))
    tint[..., :3] = rgb(CLASS_COLOURS[0])
    tint[..., 3] = _COUNTED * counted + _NOT_COUNTED * pale
    return tint
