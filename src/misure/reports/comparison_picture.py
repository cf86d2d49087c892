"""A comparison as a picture: objects by methods, one colour scale."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from misure._util.tables import arrow
from misure.images.cuts import Cut, Lie, cuts_through
from misure.images.maps import fill_unknown
from misure.images.planes import as_colours, grey_range
from misure.metrics import METRICS
from misure.metrics.comparison.comparison import Comparison, PicturedObject
from misure.metrics.comparison.row import Row
from misure.reports.axes import (
    MAP_COLOURS,
    TARGET_COLOUR,
    draw_hatched,
    draw_outline,
    interpolation,
    map_scale,
    show_image,
)
from misure.reports.canvas import Axes, Figure, Normalize, wrapped, write_figure
from misure.reports.layout import Cell, arrange, size_of

_WIDTH = 1.9  # inches of a picture
_TOP = 0.99  # of the positive values: what is drawn as the largest
_NOTES = (
    "Each map is divided by the 99 % quantile of its own positive values: maps of different "
    "methods have no scale in common. Orange line: the target. Hatched: not tried."
)
_CAPTIONED = ("sufficient_area", "iou")
_REASON = 7.0  # points


def save_comparison_picture(
    comparison: Comparison, path: Path, *, kind: str = "png", dpi: float = 110
) -> None:
    """Writes `plot_comparison`.

    Args:
        comparison: what to draw; its first objects are.
        path: the file.
        kind: one of PICTURE_KINDS.
        dpi: dots per inch.
    """
    write_figure(plot_comparison(comparison), path, kind=kind, dpi=dpi)


def plot_comparison(comparison: Comparison) -> Figure:
    """The figure of `Comparison.plot`, which documents it."""
    methods, objects = comparison.methods, comparison.pictured
    captioned = [name for name in _CAPTIONED if name in comparison.metrics]
    cells = [cell for shown in objects for cell in _row(shown, comparison, captioned)]
    if not cells:
        said = "No object was found, or none has a map."
        return arrange([Cell(lambda axes: axes.set_axis_off(), said, ratio=0.1)])
    return arrange(
        cells,
        columns=1 + len(methods),
        width=_WIDTH,
        row_labels=[f"{Path(one.key).stem}: {one.target.class_name}" for one in objects],
        notes=_NOTES,
    )


def _row(shown: PicturedObject, comparison: Comparison, captioned: Sequence[str]) -> list[Cell]:
    """The target, and the map of each method, or why there is none."""
    region = shown.target.region
    lie = Lie(order=shown.sample.order)
    (cut, *_) = cuts_through(region, region, lie)
    target = cut.take(region).cpu().numpy()
    ratio = target.shape[0] / target.shape[1]
    rows = {row.method: row for row in comparison.rows if row.image == shown.key}

    def draw_target(axes: Axes) -> None:
        image = shown.sample.image
        show_image(axes, as_colours(cut.take(image), *grey_range(image)))
        draw_outline(axes, target, TARGET_COLOUR, "solid")
        axes.set_axis_off()

    cells = [Cell(draw_target, "target", ratio=ratio, caption=cut.words)]
    for method in comparison.methods:
        row = rows.get(method)
        has_maps = any(method in other.maps for other in comparison.pictured)
        bar = map_scale().draw if has_maps else None  # below a column, whichever object is last
        if method in shown.maps:
            draw = partial(_draw_map, shown=shown, method=method, cut=cut, target=target)
            caption = _caption(row, captioned) if row else ""
            cells.append(Cell(draw, method, ratio=ratio, caption=caption, draw_bar=bar))
        else:
            reason = f"No map: {row.error}" if row and row.error else "No map."
            write = partial(_write_reason, reason=reason)
            cells.append(Cell(write, method, ratio=ratio, draw_bar=bar))
    return cells


def _draw_map(
    axes: Axes, *, shown: PicturedObject, method: str, cut: Cut, target: np.ndarray
) -> None:
    plane = cut.take(shown.maps[method]).cpu()
    values = fill_unknown(plane).clamp(min=0).numpy()
    positive = values[values > 0]
    top = float(np.quantile(positive, _TOP)) if positive.size else 1.0
    axes.imshow(
        values / max(top, np.finfo(values.dtype).tiny),
        cmap=MAP_COLOURS,
        norm=Normalize(0, 1),
        interpolation=interpolation(values),
    )
    draw_hatched(axes, plane.isnan().numpy())
    draw_outline(axes, target, TARGET_COLOUR, "solid")
    axes.set_axis_off()


def _write_reason(axes: Axes, *, reason: str) -> None:
    """Writes why there is no map in the place where it would be."""
    width, height = size_of(axes)
    lines = wrapped(reason, width - 0.12, _REASON)
    most = max(1, int(height * 72 / (_REASON * 1.3)) - 1)
    if len(lines) > most:
        lines = [*lines[: most - 1], "…"]
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_facecolor("#F2F2F2")
    axes.text(
        0.06 / width, 1 - 0.06 / height, "\n".join(lines), transform=axes.transAxes,
        fontsize=_REASON, va="top", parse_math=False,
    )  # fmt: skip


def _caption(row: Row, names: Sequence[str]) -> str:
    known = [(METRICS[name], row.metrics.get(name)) for name in names]
    return "\n".join(
        f"{metric.name.replace('_', ' ')} {value:.3f}{arrow(metric.higher_is_better)}"
        for metric, value in known
        if value is not None
    )
