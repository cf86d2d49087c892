"""A picture of a segmentation: the classes in colours over the image, each with its name."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import cycle
from typing import Any

import numpy as np
from scipy.ndimage import distance_transform_edt

from misure.errors import entrance, printable
from misure.images.cuts import Cut, cuts_through
from misure.images.planes import in_bytes
from misure.models.model import SegmentationModel
from misure.models.segmentation import Segmentation
from misure.reports.axes import (
    CLASS_COLOURS,
    draw_outline,
    grey_of,
    interpolation,
    rgb,
    show_image,
)
from misure.reports.backdrop import Backdrop, backdrop_of
from misure.reports.canvas import Axes, Figure
from misure.reports.panels import Panel, draw_panels

_LABELLED = 0.002  # share of the picture from which a class gets its name and colour
_COUNTED = 8  # classes whose shares are said
_DEEP = 0.9  # of the largest distance to the border
_COVER = 0.6  # opacity of a class


@entrance("Segmentation.plot")
def plot_segmentation(
    segmentation: Segmentation,
    *,
    axes: Any = None,
    image: Any = None,
    affine: Any = None,
    slice_index: int | Sequence[int] | None = None,
    channel: int | str | None = None,
) -> Figure:
    """The figure of `Segmentation.plot`, which documents it."""
    model = segmentation.model
    backdrop = backdrop_of(
        segmentation.image, segmentation.path, segmentation.spatial, image=image, model=model,
        affine=affine, channel=channel, channel_names=model.channel_names,
    )  # fmt: skip
    class_map = segmentation.class_map().cpu()
    inside = class_map >= 0 if model.multilabel else class_map > 0
    cuts = cuts_through(inside, inside, backdrop.lie, slice_index=slice_index)
    found = [
        one for one in segmentation.found_classes() if not model.is_background(one.class_index)
    ]
    named = ", ".join(
        f"{_word(one.class_name)} {100 * one.area_fraction:.1f} %" for one in found[:_COUNTED]
    )
    panel = segmentation_panel(segmentation, backdrop)
    panel = replace(
        panel, detail=named + (" …" if len(found) > _COUNTED else "") or "no class is found"
    )
    return draw_panels([panel], cuts, backdrop, axes=axes)


def segmentation_panel(
    segmentation: Segmentation, backdrop: Backdrop, first: int | None = None
) -> Panel:
    """The panel of the classes that a model draws.

    Args:
        segmentation: of the image.
        backdrop: the image.
        first: the class that is drawn whatever its size; None: none.
    """
    found, model = [one.class_index for one in segmentation.found_classes()], segmentation.model
    ordered = [index for index in found if index == first or not model.is_background(index)]
    if first is not None and first not in ordered:
        ordered.append(first)
    colours = dict(zip(ordered, cycle(CLASS_COLOURS), strict=False))  # the same in all cuts

    def draw(axes: Axes, cut: Cut) -> None:
        by_class = classes_in(segmentation, cut)
        least = _LABELLED * next(iter(by_class.values())).size if by_class else 0
        coloured = [
            (index, colour)
            for index, colour in colours.items()
            if index in by_class and (index == first or by_class[index].sum() >= least)
        ]
        draw_classes(axes, backdrop.colours(cut), by_class, coloured, model)

    return Panel(draw, "All that the network draws", "its classes in colours, with their names")


def draw_classes(
    axes: Axes,
    image: np.ndarray,
    by_class: Mapping[int, np.ndarray],
    coloured: Sequence[tuple[int, str]],
    model: SegmentationModel,
) -> None:
    """Draws classes in colours, with their names.

    Where classes overlap (multilabel) their colours are mixed, and each class is outlined.

    Args:
        axes: to draw on.
        image: (H, W) or (H, W, 3) in [0, 1].
        by_class: class -> its pixels (H, W) bool.
        coloured: the classes to draw, and the colour of each.
        model: names the classes.
    """
    grey = grey_of(image)
    show_image(axes, 0.6 * grey + 0.4 * float(grey.mean()))
    if coloured:
        axes.imshow(in_bytes(tint(by_class, coloured)), interpolation=interpolation(grey))
    for class_index, colour in coloured:
        if model.multilabel:
            draw_outline(axes, by_class[class_index], colour, "solid")
        row, column = _deep_inside(_own(by_class, class_index, coloured))
        name = printable(model.class_name(class_index))
        axes.text(
            column, row, name, ha="center", va="center", fontsize=8,
            clip_on=True, parse_math=False,
            bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "linewidth": 0},
        )  # fmt: skip


def tint(by_class: Mapping[int, np.ndarray], coloured: Sequence[tuple[int, str]]) -> np.ndarray:
    """The colours (H, W, 4) of the classes: the mean of them where several overlap."""
    shape = next(iter(by_class.values())).shape
    total, num = np.zeros((*shape, 3)), np.zeros(shape)
    for class_index, colour in coloured:
        inside = by_class[class_index]
        total[inside] += rgb(colour)
        num += inside
    return np.dstack([total / np.maximum(num, 1)[..., None], _COVER * (num > 0)])


def classes_in(segmentation: Segmentation, cut: Cut) -> dict[int, np.ndarray]:
    """Class -> its pixels (H, W) bool in a cut; a pixel may be of several."""
    if segmentation.model.multilabel:
        planes = {
            index: cut.take(segmentation.class_region(index)).cpu().numpy()
            for index in range(segmentation.num_classes)
        }
        return {index: plane for index, plane in planes.items() if plane.any()}
    class_map = cut.take(segmentation.class_map()).cpu().numpy()
    return {int(index): class_map == index for index in np.unique(class_map)}


def _own(
    by_class: Mapping[int, np.ndarray], class_index: int, coloured: Sequence[tuple[int, str]]
) -> np.ndarray:
    """Where the name of a class goes: its pixels that are of no other class, if there are any."""
    inside = by_class[class_index]
    others = [by_class[index] for index, _ in coloured if index != class_index]
    alone = inside & ~np.logical_or.reduce(others) if others else inside
    return alone if alone.any() else inside


def _deep_inside(region: np.ndarray) -> tuple[int, int]:
    """The pixel of a region (H, W) bool for its name: far from its border, near its centre."""
    depth = distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1]
    places = np.argwhere(depth >= _DEEP * depth.max())
    centre = np.argwhere(region).mean(0)
    row, column = places[((places - centre) ** 2).sum(1).argmin()]
    return int(row), int(column)


def _word(class_name: str) -> str:
    return f"class {class_name}" if class_name.isdigit() else class_name
