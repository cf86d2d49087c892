"""Pictures of an explanation: single panels, and all of them in one overview.

Volumes are shown by the slice that holds most of the target.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from misure.explanation.explanation import Explanation
from misure.explanation.presentation import Presentation
from misure.images.orientation import AS_STORED, ViewingOrder
from misure.images.planes import as_colours, grey_range, viewing_plane
from misure.images.regions import area_fraction
from misure.models.segmentation import Segmentation
from misure.reports.axes import (
    CLASS_COLOURS,
    MAP_COLOURS,
    REGION_COLOUR,
    TARGET_COLOUR,
    draw_outline,
    rgb,
    show_image,
)
from misure.reports.canvas import Axes, Figure, Normalize, ScalarMappable

_LABELLED = 0.002  # share of the picture from which a class gets its name

_PANELS = (
    "image",
    "segmentation",
    "saliency_map",
    "sufficient_region",
    "minimally_sufficient_region",
    "shown",
)


@dataclass(frozen=True)
class _View:
    """Everything to be drawn, as 2D arrays (H, W) or (H, W, 3)."""

    image: np.ndarray
    shown: np.ndarray
    class_map: np.ndarray
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
    area = area_fraction(explanation.minimally_sufficient_region)
    beginning = f"{explanation.values.image}: " if explanation.values.image else ""
    return (
        f"{beginning}why is this {label}?{view.slice_note}\n"
        f"minimally sufficient region: {area:.1%} of the image, "
        f"{explanation.relative_area:.2f} x the target, Dice {explanation.dice:.3f} "
        f"when shown alone; its outline alone: {explanation.silhouette_dice:.3f}; "
        f"{explanation.num_parts} parts"
    )


def _draw(
    axes: Axes, name: str, view: _View, explanation: Explanation, segmentation: Segmentation
) -> None:
    axes.set_axis_off()
    if name == "image":
        show_image(axes, view.image)
        draw_outline(axes, view.target, TARGET_COLOUR, "solid")
        axes.set_title(f"image, target outlined ({explanation.target.region.sum():,} px)")
    elif name == "segmentation":
        _draw_segmentation(axes, view, segmentation, explanation.target.class_index)
    elif name == "saliency_map":
        norm = Normalize(0, max(1e-9, float(view.saliency_map.max())))
        axes.imshow(view.saliency_map, cmap=MAP_COLOURS, norm=norm, interpolation="nearest")
        bar = ScalarMappable(norm, MAP_COLOURS)
        axes.figure.colorbar(bar, ax=axes, shrink=0.8, label="matters more →")
        draw_outline(axes, view.target, TARGET_COLOUR, "solid")
        axes.set_title(f"saliency map (preset {explanation.preset})")
    elif name == "shown":
        show_image(axes, view.shown)
        axes.set_title(f"what the model was shown (Dice {explanation.dice:.3f})")
    else:
        region = getattr(explanation, name)
        dice = explanation.dice if name.startswith("min") else explanation.sufficient_dice
        show_image(axes, view.image, dimmed=~getattr(view, name))
        draw_outline(axes, getattr(view, name), REGION_COLOUR, "dashed")
        draw_outline(axes, view.target, TARGET_COLOUR, "solid")
        words = name.replace("_", " ")
        grown = f", grown {explanation.growth_px:.0f} px" if name == "sufficient_region" else ""
        axes.set_title(f"{words}: {area_fraction(region):.1%}, Dice {dice:.3f}{grown}")


def _draw_segmentation(
    axes: Axes, view: _View, segmentation: Segmentation, target_class: int
) -> None:
    """The target's class first, then the larger classes; class 0, mostly a background, is left."""
    pale = 0.35 * view.image + 0.65 * view.image.mean()
    show_image(axes, pale)
    classes, counts = np.unique(view.class_map, return_counts=True)
    large = [i for i in np.argsort(-counts) if counts[i] >= _LABELLED * view.class_map.size]
    others = [int(classes[i]) for i in large if classes[i] > 0 and classes[i] != target_class]
    for class_index, colour in zip([target_class, *others], CLASS_COLOURS, strict=False):
        inside = view.class_map == class_index
        if not inside.any():
            continue
        tint = np.zeros((*inside.shape, 4))
        tint[inside] = (*rgb(colour), 0.65)
        axes.imshow(tint, interpolation="nearest")
        depth = distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1]
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
    axes.set_title("segmentation")


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
        "class_map": segmentation.class_map(),
        "target": explanation.target.region,
        "sufficient_region": explanation.sufficient_region,
        "minimally_sufficient_region": region,
        "saliency_map": explanation.saliency_map,
    }
    return _View(
        image=as_colours(take(presentation.image), low, high),
        shown=as_colours(take(presentation.show_regions([region])[0]), low, high),
        slice_note=note,
        **{name: take(plane).cpu().numpy() for name, plane in planes.items()},
    )
