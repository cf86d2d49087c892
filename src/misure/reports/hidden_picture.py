"""A picture of a hidden region: where it lies, what the model was shown, and what it then drew."""

from pathlib import Path
from textwrap import fill

import numpy as np
import torch

from misure.explanation.answers.hidden import HiddenRegion
from misure.explanation.presentation import Presentation
from misure.images.orientation import AS_STORED, ViewingOrder
from misure.images.planes import as_colours, grey_range, viewing_plane
from misure.models.model import SegmentationModel
from misure.models.segmentation import segment
from misure.reports.axes import (
    CLASS_COLOURS,
    REGION_COLOUR,
    TARGET_COLOUR,
    draw_outline,
    rgb,
    show_image,
)
from misure.reports.canvas import Figure

_TITLE_CHARACTERS = 110  # of a line


def save_hidden_picture(
    hidden: HiddenRegion,
    model: SegmentationModel,
    presentation: Presentation,
    path: Path,
    *,
    order: ViewingOrder = AS_STORED,
) -> None:
    """Writes a PNG of three panels: the region, what the model was shown, and what it drew.

    Takes a forward pass for what the model draws, which no cost counts.

    Args:
        hidden: what was found; if nothing was, everything is shown.
        model: draws the third panel.
        presentation: the image, and what stands where pixels are hidden.
        path: of the PNG.
        order: how to lay out a volume as axial slices.
    """
    region, target = hidden.region.to(presentation.image.device), hidden.target.region
    take, note = viewing_plane(target | hidden.region if target.ndim == 3 else target, order)
    low, high = grey_range(presentation.image)
    visibility = 1 - presentation.visibility(region)
    shown = presentation.show(visibility[None])[0]
    drawn = segment(model, shown).class_region(hidden.target.class_index).cpu()
    image = as_colours(take(presentation.image), low, high)
    planes = {
        name: take(tensor).cpu().numpy()
        for name, tensor in (("target", target), ("region", hidden.region), ("drawn", drawn))
    }
    height, width = image.shape[:2]
    panel = float(np.clip(4.2 * height / width, 2.4, 6.0))
    figure = Figure(figsize=(13.5, panel + 1.1), layout="constrained")
    name = Path(hidden.values.image).name
    beginning = f"{name}: " if name else ""
    figure.suptitle(
        fill(beginning + hidden.sentence, _TITLE_CHARACTERS) + note, fontsize=12, parse_math=False
    )
    first, second, third = figure.subplots(1, 3)
    show_image(first, image, dimmed=~planes["region"] if hidden.is_found else None)
    draw_outline(first, planes["region"], REGION_COLOUR, "dashed")
    first.set_title("what is hidden (bright), target outlined" if hidden.is_found else "target")
    seen = as_colours(take(shown), low, high)
    show_image(second, seen)
    second.set_title("what the model was shown")
    show_image(third, 0.35 * seen + 0.65 * seen.mean())
    tint = torch.zeros(*planes["drawn"].shape, 4)
    tint[torch.from_numpy(planes["drawn"])] = torch.tensor([*rgb(CLASS_COLOURS[0]), 0.65])
    third.imshow(tint.numpy(), interpolation="nearest")
    dice = hidden.dice if hidden.dice is not None else hidden.values.dice_with_nothing_hidden
    third.set_title(f"what it then draws of this class (Dice {dice:.2f})")
    for axes in (first, second, third):
        axes.set_axis_off()
        draw_outline(axes, planes["target"], TARGET_COLOUR, "solid")
    figure.savefig(path, dpi=110)
