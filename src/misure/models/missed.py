"""What a model should have drawn: a mask, such as an annotation, or what a person marks.

A mask and a polygon are outlines: what is newly drawn outside of them counts against the model. So
does it around a box; but objects do not fill theirs. Those of COCO that cover 1 % of the image or
more fill 0.55 of it (median of 137; nine in ten 0.32 or more), so that half of them, drawn without
a flaw, have a Dice of less than 0.7 with it. A Dice of 0.5 with the box is one of 0.76 with that
median object, if all that is drawn lies on it. A point says nothing about what lies around it: a
small disc is judged, and all else is ignored.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from misure.errors import InputError, entrance
from misure.images.regions import check_point, distance_px, draw_box, draw_polygon
from misure.images.spacing import check_spacing, sampling_of, short_side_px
from misure.models.inputs import AnyImage
from misure.models.model import SegmentationModel
from misure.models.segmentation import segment
from misure.models.target import Target

DRAWN_DICE = 0.7
"""Dice from which a missed object counts as drawn, unless it was marked by a box."""

DRAWN_DICE_OF_BOX = 0.5
"""The same with the filled box."""

_RADIUS = 0.02  # of the short side


@dataclass(frozen=True, eq=False)
class Marked:
    """Pixels that should be drawn, and what a person marked to say so.

    Attributes:
        mask: (*spatial) bool.
        made_from: what was marked, in words, such as `the box 3,4,20,30`.
        alone: whether all other pixels are ignored.
    """

    mask: Tensor
    made_from: str
    alone: bool = False


def mark(
    spatial: Sequence[int],
    *,
    box: Sequence[int] | None = None,
    polygon: Sequence[tuple[float, float]] | None = None,
    point: Sequence[int] | None = None,
    radius_px: float | None = None,
    spacing_mm: Sequence[float] | None = None,
) -> Marked:
    """The pixels of a box, of a polygon, or of a disc (3D: a ball) around a point.

    Args:
        spatial: shape of the image.
        box, polygon, point, radius_px, spacing_mm: as of `missed_target`; one of the first three.

    Raises:
        InputError: a mark that does not fit the image, or a radius that is no positive number.
    """
    if box is not None:
        return Marked(draw_box(spatial, box), f"the box {_listed(box)}")
    if polygon is not None:
        return Marked(draw_polygon(spatial, polygon), "the polygon")
    point = check_point(spatial, point or ())
    sampling = sampling_of(check_spacing(spacing_mm, len(spatial)))
    usual = max(1, round(_RADIUS * short_side_px(spatial, sampling)))
    radius = usual if radius_px is None else radius_px
    if not radius > 0:
        raise InputError(f"expected a radius_px above 0, got {radius}.")
    centre = torch.zeros(tuple(spatial), dtype=torch.bool)
    centre[point] = True
    form = "disc" if len(spatial) == 2 else "ball"
    made_from = f"a {form} of radius {radius:g} px around the point {_listed(point)}"
    return Marked(distance_px(centre, sampling) <= radius, made_from, alone=True)


def _listed(numbers: Sequence[int]) -> str:
    return ",".join(map(str, numbers))


@entrance("missed_target")
def missed_target(
    model: SegmentationModel | nn.Module,
    image: AnyImage,
    mask: Tensor | None = None,
    class_index: int | None = None,
    *,
    class_name: str | None = None,
    box: Sequence[int] | None = None,
    polygon: Sequence[tuple[float, float]] | None = None,
    point: Sequence[int] | None = None,
    radius_px: float | None = None,
    spacing_mm: Sequence[float] | None = None,
    class_names: str | Sequence[str] = (),
) -> Target:
    """What the model should have drawn, and its class: a mask, such as an annotation, or a mark.

    Takes one forward pass. What else the model already gives to the class is ignored, as in other
    targets; with a point all other pixels are.

    Args:
        model, image: see `segment`.
        mask: (*spatial) bool, the pixels that should be drawn.
        class_index, class_name: the class, by one of the two.
        box: in place of a mask: first row, first column, end row, end column (3D: depth first),
            ends exclusive. All pixels inside should be drawn, though objects do not fill their box:
            one that fills half of it reaches a Dice of 0.67 at most. Ask `blocking_region` for less
            than usual (`drawn_dice=0.5`).
        polygon: in place of a mask: at least three corners (row, column), 2D only.
        point: in place of a mask: a pixel (*spatial); a disc (3D: a ball) around it should be
            drawn.
        radius_px: of that disc, in units of the smallest side of a pixel or voxel; None: 2 % of the
            short side, and 1 at least.
        spacing_mm: sides of a pixel or voxel; a ball is then one in space.
        class_names: of a torch module (see `segment`).

    Returns:
        The target; `made_from` says what it was made from.

    Raises:
        InputError: another kind of image, none or several of mask, box, polygon and point, one that
            does not fit the image, or no class.
        ModelError: the network fails on the image.
    """
    if (class_index is None) == (class_name is None):
        raise InputError("expected a class by class_index or by class_name, and not by both.")
    if sum(choice is not None for choice in (mask, box, polygon, point)) != 1:
        raise InputError("expected one of mask, box, polygon and point. Give one.")
    segmentation = segment(model, image, class_names=class_names)
    index = segmentation.model.find_class(
        (class_name or "") if class_index is None else class_index
    )
    if mask is not None:
        return segmentation.missed(mask, index)
    marked = mark(
        segmentation.spatial,
        box=box,
        polygon=polygon,
        point=point,
        radius_px=radius_px,
        spacing_mm=spacing_mm,
    )
    return segmentation.missed(marked.mask, index, made_from=marked.made_from, alone=marked.alone)
