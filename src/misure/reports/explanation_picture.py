"""Pictures of an explanation: single panels, and all of them in one overview.

Volumes are shown by the slice that holds most of the target.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill

import numpy as np
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from misure.explanation.explanation import Explanation
from misure.explanation.presentation import Presentation
from misure.images.orientation import AS_STORED, ViewingOrder
from misure.images.planes import as_colours, grey_range, viewing_plane
from misure.images.regions import area_fraction
from misure.images.volumes import name_of
from misure.models.prompts import Prompt, parse_prompt
from misure.models.segmentation import Segmentation
from misure.reports.axes import (
    CLASS_COLOURS,
    MAP_COLOURS,
    REGION_COLOUR,
    TARGET_COLOUR,
    draw_density,
    draw_hatched,
    draw_outline,
    draw_outlines,
    draw_prompt,
    rgb,
    show_image,
)
from misure.reports.canvas import Axes, Figure, Normalize, ScalarMappable

_TITLE_CHARACTERS = 140  # of a line
_TITLE_SIZE = 10  # of a panel
_LABELLED = 0.002  # share of the picture from which a class gets its name

_PANELS = (
    "image",
    "segmentation",
    "saliency_map",
    "sufficient_region",
    "minimally_sufficient_region",
    "shown",
)
PANEL_FILES = tuple(f"{name}.png" for name in _PANELS)


@dataclass(frozen=True)
class _View:
    """Everything to be drawn, as 2D arrays (H, W) or (H, W, 3)."""

    image: np.ndarray
    shown: np.ndarray
    by_class: dict[int, np.ndarray]
    target: np.ndarray
    sufficient_region: np.ndarray
    minimally_sufficient_region: np.ndarray
    saliency_map: np.ndarray
    slice_note: str


def save_pictures(
    explanation: Explanation,
    presentation: Presentation,
    segmentation: Segmentation,
    folder: Path,
    *,
    order: ViewingOrder = AS_STORED,
) -> None:
    """Writes `overview.png` and one PNG for each of its six panels.

    Args:
        explanation: what to draw.
        presentation: the image, and how its regions are shown.
        segmentation: what the model draws on the image.
        folder: an existing folder.
        order: how to lay out a volume as axial slices.
    """
    view = _view(explanation, presentation, segmentation, order)
    height, width = view.image.shape[:2]
    panel_height = float(np.clip(4.2 * height / width, 2.4, 6.0))
    figure = Figure(figsize=(13.5, 2 * panel_height + 1.2), layout="constrained")
    figure.suptitle(_title(explanation, view), fontsize=13, parse_math=False)
    for axes, name in zip(figure.subplots(2, 3).flat, _PANELS, strict=True):
        _draw(axes, name, view, explanation, segmentation)
    figure.savefig(folder / "overview.png", dpi=110)
    for name in _PANELS:
        single = Figure(figsize=(6, 6 * panel_height / 4.2 + 0.5), layout="constrained")
        _draw(single.subplots(), name, view, explanation, segmentation)
        single.savefig(folder / f"{name}.png", dpi=110)


def _title(explanation: Explanation, view: _View) -> str:
    target = explanation.target
    name = target.class_name
    label = name if name == str(target.class_index) else f"{name} (class {target.class_index})"
    if target.score is not None and explanation.values.model_settings.get("min_score") is not None:
        label += f", an instance of score {target.score:.2f}"
    image = name_of(explanation.values.image)
    beginning = f"{image}: " if image else ""
    summary = fill(explanation.summary(), _TITLE_CHARACTERS)
    return f"{beginning}why is this {label}?{view.slice_note}\n{summary}"


def region_words(explanation: Explanation) -> str:
    """What the smaller region is called: minimal only if something was taken away from it."""
    small = explanation.values.minimally_sufficient_region
    minimality = explanation.minimality
    if small.is_reduced or (minimality and minimality.is_one_minimal):
        return "minimally sufficient region"
    if small.area_fraction > explanation.values.sufficient_region.area_fraction:
        return "accepted by the preset"
    return "sufficient region, not reduced"


def _grown(explanation: Explanation) -> str:
    """How far the sufficient region was grown, in the unit that is known."""
    if explanation.growth_mm is not None:
        return f"{explanation.growth_mm:.1f} mm"
    unit = "px" if explanation.target.region.ndim == 2 else "voxels"
    return f"{explanation.growth_px:.0f} {unit}"


def _prompts_of(explanation: Explanation) -> list[Prompt]:
    """The prompts by which the target was named; several for a class of prompted objects."""
    settings, target = explanation.values.model_settings, explanation.target
    specs = settings.get("prompts") or []
    if classes := settings.get("prompted_classes"):
        specs = [
            spec
            for spec, class_index in zip(specs, classes, strict=True)
            if class_index == target.class_index
        ]
    elif specs:
        specs = specs[target.logit_index :][:1]
    return [parse_prompt(spec) for spec in specs]


def _draw(
    axes: Axes, name: str, view: _View, explanation: Explanation, segmentation: Segmentation
) -> None:
    axes.set_axis_off()
    if name == "image":
        show_image(axes, view.image)
        draw_outline(axes, view.target, TARGET_COLOUR, "solid")
        for prompt in _prompts_of(explanation):
            draw_prompt(axes, prompt, "white", 1.0)
        region = explanation.target.region
        unit = "px" if region.ndim == 2 else "voxels"
        axes.set_title(f"image, target outlined ({region.sum():,} {unit})", fontsize=_TITLE_SIZE)
    elif name == "segmentation":
        _draw_segmentation(axes, view, segmentation, explanation.target.class_index)
    elif name == "saliency_map":
        known = np.nan_to_num(view.saliency_map, nan=0.0)
        norm = Normalize(0, max(1e-9, float(known.max())))
        axes.imshow(known, cmap=MAP_COLOURS, norm=norm, interpolation="nearest")
        is_unknown = np.isnan(view.saliency_map)
        draw_hatched(axes, is_unknown)
        bar = ScalarMappable(norm, MAP_COLOURS)
        axes.figure.colorbar(bar, ax=axes, shrink=0.8, label="matters more →")
        draw_outline(axes, view.target, TARGET_COLOUR, "solid")
        note = "hatched: not tried" if is_unknown.any() else f"preset {explanation.preset}"
        axes.set_title(f"saliency map ({note})", fontsize=_TITLE_SIZE)
    elif name == "shown":
        show_image(axes, view.shown)
        axes.set_title(
            f"what the model was shown (Dice {explanation.dice:.3f})", fontsize=_TITLE_SIZE
        )
    else:
        _draw_region(axes, name, view, explanation)


def _draw_region(axes: Axes, name: str, view: _View, explanation: Explanation) -> None:
    """One of the two regions; the minimal one by its density if it is dust."""
    is_large = name == "sufficient_region"
    region, plane = getattr(explanation, name), getattr(view, name)
    dice = explanation.sufficient_dice if is_large else explanation.dice
    words = "sufficient region" if is_large else region_words(explanation)
    note = f", grown {_grown(explanation)}" if is_large else ""
    is_density = explanation.is_dust and not is_large
    if is_density:
        draw_density(axes, view.image, plane)
        note = f"\ndensity of its {explanation.num_parts:,} specks; it was shown as it is"
    else:
        show_image(axes, view.image, dimmed=~plane)
    lines = [(view.target, TARGET_COLOUR, "solid")]
    if not np.array_equal(plane, view.target) and not is_density:
        lines.append((plane, REGION_COLOUR, "dashed"))
    draw_outlines(axes, *lines)
    axes.set_title(
        f"{words}: {area_fraction(region):.1%}, Dice {dice:.3f}{note}", fontsize=_TITLE_SIZE
    )


def _draw_segmentation(
    axes: Axes, view: _View, segmentation: Segmentation, target_class: int
) -> None:
    """The target's class first, then the larger classes; class 0, mostly a background, is left.

    Where classes overlap (multilabel) their colours are mixed, and each class is outlined.
    """
    pale = 0.35 * view.image + 0.65 * view.image.mean()
    show_image(axes, pale)
    multilabel = segmentation.model.multilabel
    counts = {index: int(inside.sum()) for index, inside in view.by_class.items()}
    large = sorted(
        (index for index in counts if counts[index] >= _LABELLED * view.target.size),
        key=lambda index: -counts[index],
    )
    others = [i for i in large if i != target_class and not segmentation.model.is_background(i)]
    coloured = [*zip([target_class, *others], CLASS_COLOURS, strict=False)]
    coloured = [pair for pair in coloured if counts.get(pair[0])]
    if coloured:
        axes.imshow(_tint(view, coloured), interpolation="nearest")
    for class_index, colour in coloured:
        inside = view.by_class[class_index]
        if multilabel:
            draw_outline(axes, inside, colour, "solid")
        depth = distance_transform_edt(np.pad(_own(view, class_index, coloured), 1))[1:-1, 1:-1]
        row, column = np.unravel_index(depth.argmax(), depth.shape)
        axes.text(
            column,
            row,
            segmentation.model.class_name(class_index),
            ha="center",
            va="center",
            fontsize=9,
            clip_on=True,
            parse_math=False,
            bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "linewidth": 0},
        )
    axes.set_title("segmentation", fontsize=_TITLE_SIZE)


def _own(view: _View, class_index: int, coloured: Sequence[tuple[int, str]]) -> np.ndarray:
    """Where the name of a class goes: its pixels that are of no other class, if there are any."""
    inside = view.by_class[class_index]
    others = [view.by_class[index] for index, _ in coloured if index != class_index]
    alone = inside & ~np.logical_or.reduce(others) if others else inside
    return alone if alone.any() else inside


def _tint(view: _View, coloured: Sequence[tuple[int, str]]) -> np.ndarray:
    """The colours (H, W, 4) of the classes: the mean of them where several overlap."""
    total = np.zeros((*view.target.shape, 3))
    num = np.zeros(view.target.shape)
    for class_index, colour in coloured:
        inside = view.by_class[class_index]
        total[inside] += rgb(colour)
        num += inside
    return np.dstack([total / np.maximum(num, 1)[..., None], 0.65 * (num > 0)])


def _by_class(
    segmentation: Segmentation, take: Callable[[Tensor], Tensor]
) -> dict[int, np.ndarray]:
    """Class -> its pixels (H, W) bool in the plane that is shown; a pixel may be of several."""
    if segmentation.model.multilabel:
        planes = {
            index: take(segmentation.class_region(index)).cpu().numpy()
            for index in range(segmentation.num_classes)
        }
        return {index: plane for index, plane in planes.items() if plane.any()}
    class_map = take(segmentation.class_map()).cpu().numpy()
    return {int(index): class_map == index for index in np.unique(class_map)}


def _view(
    explanation: Explanation,
    presentation: Presentation,
    segmentation: Segmentation,
    order: ViewingOrder,
) -> _View:
    region = explanation.minimally_sufficient_region
    take, note = viewing_plane(explanation.target.region, order)
    low, high = grey_range(presentation.image)
    planes: dict[str, Tensor] = {
        "target": explanation.target.region,
        "sufficient_region": explanation.sufficient_region,
        "minimally_sufficient_region": region,
        "saliency_map": explanation.saliency_map,
    }
    return _View(
        image=as_colours(take(presentation.image), low, high),
        shown=as_colours(take(presentation.show_regions([region])[0]), low, high),
        slice_note=note,
        by_class=_by_class(segmentation, take),
        **{name: take(plane).cpu().numpy() for name, plane in planes.items()},
    )
