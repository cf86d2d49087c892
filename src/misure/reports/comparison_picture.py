"""A comparison as a picture: objects by methods, one colour scale."""

from pathlib import Path
from textwrap import fill

import numpy as np
from torch import Tensor

from misure._util.tables import arrow
from misure.images.maps import fill_unknown
from misure.images.planes import as_colours, grey_range, viewing_plane
from misure.metrics import METRICS
from misure.metrics.comparison.comparison import Comparison, PicturedObject
from misure.metrics.comparison.row import Row
from misure.reports.axes import (
    MAP_COLOURS,
    TARGET_COLOUR,
    draw_hatched,
    draw_outline,
    show_image,
)
from misure.reports.canvas import Axes, ConstrainedLayoutEngine, Figure, Normalize, ScalarMappable

_SCALE = Normalize(0, 1)
_TOP = 0.99  # of the positive values: what is drawn as the largest
_BAR_LABEL = "matters more → (each map relative to its own largest values)"
_CHARACTERS_OF_AN_INCH = 10  # of the label, with some to spare
_CAPTIONED = ("sufficient_area", "iou")


def save_comparison_picture(comparison: Comparison, path: Path) -> None:
    """Draws the first objects with the map of each method, as a PNG.

    Each map is divided by the 99 % quantile of its positive values, as maps of different methods
    have no scale in common. The target is outlined. A missing map is replaced by its reason.

    Args:
        comparison: what to draw; its first objects are.
        path: the file.
    """
    methods, objects = comparison.methods, comparison.pictured
    ratio = max(map(_height_by_width, objects), default=1.0)
    num_rows, num_columns = max(1, len(objects)), 1 + len(methods)
    size = (1.9 * num_columns + 0.9, (1.75 * ratio + 0.3) * num_rows + 0.4)
    layout = ConstrainedLayoutEngine(rect=(0, 0, 1, 1 - 0.12 / size[1]))  # titles stand high
    figure = Figure(figsize=size, layout=layout)
    grid = figure.subplots(num_rows, num_columns, squeeze=False)
    captioned = [name for name in _CAPTIONED if name in comparison.metrics]
    for axes, shown in zip(grid, objects, strict=False):
        _draw_object(axes, shown, comparison, captioned)
    for axes, title in zip(grid[0], ["target", *methods], strict=True):
        axes.set_title(title, fontsize=10, pad=16, parse_math=False)
    bar = figure.colorbar(
        ScalarMappable(_SCALE, MAP_COLOURS), ax=grid[:, -1].tolist(), fraction=0.08, aspect=30
    )
    bar.set_label(fill(_BAR_LABEL, max(12, round(_CHARACTERS_OF_AN_INCH * size[1]))), fontsize=8)
    figure.savefig(path, format="png", dpi=100)


def _draw_object(
    axes: np.ndarray, shown: PicturedObject, comparison: Comparison, captioned: list[str]
) -> None:
    take, _ = viewing_plane(shown.target.region, shown.sample.order)
    target = take(shown.target.region).cpu().numpy()
    image = shown.sample.image
    show_image(axes[0], as_colours(take(image), *grey_range(image)))
    draw_outline(axes[0], target, TARGET_COLOUR, "solid")
    name = f"{Path(shown.key).stem}: {shown.target.class_name}"
    _write(axes[0], name[-36:])
    rows = {row.method: row for row in comparison.rows if row.image == shown.key}
    for panel, method in zip(axes[1:], comparison.methods, strict=True):
        if method in shown.maps:
            _draw_map(panel, take(shown.maps[method]), target)
            _write(panel, _caption(rows[method], captioned))
        else:
            reason = f"no map: {rows[method].error}"
            panel.text(
                0.02, 0.95, reason[:160], transform=panel.transAxes,
                fontsize=7, wrap=True, va="top", parse_math=False,
            )  # fmt: skip
    for panel in axes:
        panel.set_axis_off()


def _write(axes: Axes, text: str) -> None:
    axes.text(0, 1.02, text, transform=axes.transAxes, fontsize=6.5, parse_math=False)


def _draw_map(axes: Axes, plane: Tensor, target: np.ndarray) -> None:
    values = fill_unknown(plane).clamp(min=0).numpy()
    positive = values[values > 0]
    top = float(np.quantile(positive, _TOP)) if positive.size else 1.0
    axes.imshow(
        values / max(top, np.finfo(values.dtype).tiny),
        cmap=MAP_COLOURS, norm=_SCALE, interpolation="nearest",
    )  # fmt: skip
    draw_hatched(axes, plane.isnan().numpy())
    draw_outline(axes, target, TARGET_COLOUR, "solid")


def _caption(row: Row, names: list[str]) -> str:
    known = [(METRICS[name], row.metrics.get(name)) for name in names]
    return ", ".join(
        f"{metric.name.replace('_', ' ')} {value:.3f}{arrow(metric.higher_is_better)}"
        for metric, value in known
        if value is not None
    )


def _height_by_width(shown: PicturedObject) -> float:
    take, _ = viewing_plane(shown.target.region, shown.sample.order)
    height, width = take(shown.target.region).shape
    return float(np.clip(height / width, 0.3, 2.0))
