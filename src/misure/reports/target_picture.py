"""A picture of a target: the image with its pixels outlined."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from misure.images.cuts import Cut, cuts_through
from misure.images.regions import area_fraction
from misure.models.target import Target
from misure.reports.axes import TARGET_COLOUR, draw_outline, show_image
from misure.reports.backdrop import Backdrop, backdrop_of
from misure.reports.canvas import Axes, Figure
from misure.reports.panels import Panel, draw_panels


def plot_target(
    target: Target,
    image: Any,
    *,
    axes: Any = None,
    affine: Any = None,
    slice_index: int | Sequence[int] | None = None,
    channel: int | str | None = None,
) -> Figure:
    """The figure of `Target.plot`, which documents it."""
    region = target.region
    backdrop = backdrop_of(None, "", region.shape, image=image, affine=affine, channel=channel)
    cuts = cuts_through(region, region, backdrop.lie, slice_index=slice_index)
    name = named(target)
    panel = image_panel(backdrop, region, f"outlined: the {name}")
    return draw_panels([panel], cuts, backdrop, axes=axes)


def image_panel(backdrop: Backdrop, region: Tensor, detail: str) -> Panel:
    """The image with a target (*spatial) bool outlined; the detail is followed by its size."""

    def draw(axes: Axes, cut: Cut) -> None:
        show_image(axes, backdrop.colours(cut))
        draw_outline(axes, cut.take(region).cpu().numpy(), TARGET_COLOUR, "solid")

    unit = "px" if region.ndim == 2 else "voxels"
    size = f"{int(region.sum()):,} {unit}, {100 * area_fraction(region):.1f} %"
    return Panel(draw, "The image", f"{detail} ({size})")


def named(target: Target) -> str:
    """The name of a target's class, or its number as `class 3`."""
    is_named = target.class_name not in ("", str(target.class_index))
    return target.class_name if is_named else f"class {target.class_index}"
