"""A picture of a hidden region: where it lies, what the model was shown, and what it then drew."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from misure.explanation.answers.hidden import HiddenRegion
from misure.explanation.presentation import Presentation, presentation_of
from misure.images.cuts import Cut, Lie, cuts_through
from misure.images.planes import in_bytes
from misure.images.volumes import name_of
from misure.models.model import SegmentationModel
from misure.models.segmentation import drawn_region
from misure.reports.axes import (
    CLASS_COLOURS,
    REGION_COLOUR,
    TARGET_COLOUR,
    draw_outlines,
    grey_of,
    interpolation,
    rgb,
    show_image,
)
from misure.reports.backdrop import Backdrop, backdrop_of
from misure.reports.canvas import Axes, Figure, write_figure
from misure.reports.panels import Panel, draw_panels
from misure.reports.target_picture import named

_COUNTED, _NOT_COUNTED = 0.65, 0.35  # opacity of what is drawn
_NAMED = 0.002  # share of the image from which the title says what is pale


def plot_hidden(
    hidden: HiddenRegion,
    model: SegmentationModel | None = None,
    *,
    axes: Any = None,
    image: Any = None,
    affine: Any = None,
    slice_index: int | Sequence[int] | None = None,
    channel: int | str | None = None,
) -> Figure:
    """The figure of `HiddenRegion.plot`, which documents it."""
    values = hidden.values
    backdrop = backdrop_of(
        hidden.image, values.image, hidden.target.region.shape, image=image, model=model,
        affine=affine, sides_mm=values.spacing_mm, channel=channel,
        channel_names=values.model_settings.get("channel_names", ()),
        intensity=values.model_settings.get("intensity") or "",
    )  # fmt: skip
    presentation = None
    if model is not None:
        presentation = presentation_of(model, backdrop.pixels.to(model.device), values)
    return _figure(hidden, backdrop, model, presentation, axes=axes, slice_index=slice_index)


def save_hidden_picture(
    hidden: HiddenRegion,
    model: SegmentationModel,
    presentation: Presentation,
    path: Path,
    *,
    lie: Lie | None = None,
    dpi: float = 110,
) -> None:
    """Writes three panels: the region, what the model was shown, and what it drew.

    If no region was found that loses the target, everything that may be hidden is; if none was
    found that stands in its way, nothing. Pixels on which the Dice does not depend are drawn pale.

    Takes a forward pass for what the model draws, which no cost counts.

    Args:
        hidden: what was found.
        model: draws the third panel.
        presentation: the image, and what stands where pixels are hidden.
        path: of the file, which ends in one of PICTURE_KINDS.
        lie: how the image lies; None: as it is stored.
        dpi: dots per inch.
    """
    spacing = hidden.values.spacing_mm
    backdrop = backdrop_of(
        presentation.image, hidden.values.image, hidden.target.region.shape, model=model,
        lie=lie or Lie(spacing_mm=None if spacing is None else tuple(spacing)),
        channel_names=model.channel_names,
    )  # fmt: skip
    write_figure(_figure(hidden, backdrop, model, presentation), path, dpi=dpi)


def _figure(
    hidden: HiddenRegion,
    backdrop: Backdrop,
    model: SegmentationModel | None,
    presentation: Presentation | None,
    *,
    axes: Any = None,
    slice_index: int | Sequence[int] | None = None,
) -> Figure:
    target = hidden.target.region
    region, _, dice = _what_is_hidden(hidden)
    panels = [region_panel(hidden, backdrop)]
    if model is not None and presentation is not None:
        visibility = 1 - presentation.visibility(region.to(presentation.image.device))
        shown = presentation.show(visibility[None])[0]
        drawn = drawn_region(model, shown, hidden.target).cpu()
        not_counted = ((hidden.target.ignored | region) & ~target).cpu()
        seen = shown.cpu()
        panels += [
            _shown_panel(backdrop, target, seen, presentation.name),
            _drawn_panel(backdrop, target, seen, drawn & ~not_counted, drawn & not_counted, dice),
        ]
    cuts = cuts_through(target | hidden.region, target, backdrop.lie, slice_index=slice_index)
    name, question = name_of(hidden.values.image), _question(hidden)
    return draw_panels(
        panels,
        cuts,
        backdrop,
        axes=axes,
        heading=f"{name}: {question[0].lower()}{question[1:]}" if name else question,
        text=f"{hidden.sentence} {hidden.classes_sentence}".rstrip(),
        notes=["Orange line: the target. Blue dashed line: the region."],
    )


def _question(hidden: HiddenRegion) -> str:
    """The question that was asked, in words."""
    name = named(hidden.target)
    if hidden.values.question != "necessary":
        return f"What keeps the model from drawing this {name}?"
    what = "which surroundings" if hidden.values.outside_target else "what"
    return f"Without {what} is this {name} lost?"


def region_panel(hidden: HiddenRegion, backdrop: Backdrop) -> Panel:
    """The panel of what is hidden, as brightness; see `save_hidden_picture`."""
    target = hidden.target.region
    region, where, _ = _what_is_hidden(hidden)

    def draw(axes: Axes, cut: Cut) -> None:
        planes = [cut.take(one).cpu().numpy() for one in (target, region)]
        show_image(axes, backdrop.colours(cut), dimmed=~planes[1] if region.any() else None)
        lines = zip(planes, (TARGET_COLOUR, REGION_COLOUR), ("solid", "dashed"), strict=True)
        draw_outlines(axes, *lines)

    return Panel(draw, "What is hidden", where)


def _shown_panel(backdrop: Backdrop, target: Tensor, seen: Tensor, baseline_image: str) -> Panel:
    def draw(axes: Axes, cut: Cut) -> None:
        show_image(axes, backdrop.colours(cut, seen))
        draw_outlines(axes, (cut.take(target).cpu().numpy(), TARGET_COLOUR, "solid"))

    detail = f"the region replaced by the baseline image {baseline_image}"
    return Panel(draw, "What the network was shown", detail)


def _drawn_panel(
    backdrop: Backdrop, target: Tensor, seen: Tensor, counted: Tensor, pale: Tensor, dice: float
) -> Panel:
    def draw(axes: Axes, cut: Cut) -> None:
        grey = grey_of(backdrop.colours(cut, seen))
        show_image(axes, 0.6 * grey + 0.4 * float(grey.mean()))
        planes = [cut.take(one).cpu().numpy() for one in (counted, pale, target)]
        axes.imshow(in_bytes(_tint(planes[0], planes[1])), interpolation=interpolation(grey))
        draw_outlines(axes, (planes[2], TARGET_COLOUR, "solid"))

    is_pale = float(pale.float().mean()) >= _NAMED
    note = "; pale: not counted" if is_pale else ""
    return Panel(draw, "What it then draws of this class", f"Dice {dice:.2f}{note}")


def _what_is_hidden(hidden: HiddenRegion) -> tuple[Tensor, str, float]:
    """The region to draw, what is said of it, and the Dice when it is hidden."""
    values, target = hidden.values, hidden.target.region
    if hidden.dice is not None:
        share = f"{100 * values.area_fraction:.1f} %"
        whole = "image" if target.ndim == 2 else "volume"
        return hidden.region, f"bright: {share} of the {whole}; target outlined", hidden.dice
    if values.question == "necessary":
        everything = ~target if values.outside_target else torch.ones_like(target)
        what = "all around the target" if values.outside_target else "everything"
        return everything, f"bright: {what}; target outlined", values.dice_with_all_hidden
    nothing = torch.zeros_like(target)
    return nothing, "nothing; target outlined", values.dice_with_nothing_hidden


def _tint(counted: np.ndarray, pale: np.ndarray) -> np.ndarray:
    """The colours (H, W, 4) of what the model draws."""
    tint = np.zeros((*counted.shape, 4))
    tint[..., :3] = rgb(CLASS_COLOURS[0])
    tint[..., 3] = _COUNTED * counted + _NOT_COUNTED * pale
    return tint
