"""Panels: what is drawn of each cut of an image, and all of them together as one figure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from misure.errors import InputError
from misure.images.cuts import Cut
from misure.reports.axes import draw_letters, draw_scale
from misure.reports.backdrop import Backdrop
from misure.reports.canvas import Axes, Figure
from misure.reports.layout import Cell, Scale, arrange, write_title


@dataclass(frozen=True)
class Panel:
    """One kind of picture, of any cut.

    Attributes:
        draw: draws a cut on axes.
        title, detail: what it shows, in a few words, and what is to be known of it.
        scale: of its colours, the same for all cuts; None: it has none.
    """

    draw: Callable[[Axes, Cut], None]
    title: str
    detail: str = ""
    scale: Scale | None = None


def draw_panels(
    panels: Sequence[Panel],
    cuts: Sequence[Cut],
    backdrop: Backdrop,
    *,
    axes: Any = None,
    heading: str = "",
    text: str = "",
    notes: Sequence[str] = (),
) -> Figure:
    """A figure of panels; of a volume each row is a cut, and each column a panel.

    Args:
        panels: what to draw.
        cuts: of the image; one, if it is flat.
        backdrop: the image.
        axes: matplotlib's axes to draw on, one for each cut and panel, cut by cut; None: a new
            figure is made, with the heading, the text and the notes.
        heading, text: what stands above all.
        notes: sentences that stand below, before those of the image.

    Raises:
        InputError: another number of axes.
    """
    is_strip = len(panels) == 1 and len(cuts) > 1
    cells = [
        _cell(panel, cut, backdrop, is_first=panel is panels[0], is_strip=is_strip)
        for cut in cuts
        for panel in panels
    ]
    if is_strip and axes is None:  # one bar for all, below the last
        cells = [replace(cell, draw_bar=None) for cell in cells[:-1]] + cells[-1:]
    if axes is not None:
        return _on_given(cells, axes)
    labels: list[str] = []
    columns = None
    if is_strip:
        text = "\n".join(filter(None, [text, _in_one_line(panels[0])]))
    elif cuts[0].plane:
        labels, columns = [cut.words for cut in cuts], len(panels)
    return arrange(
        cells,
        columns=columns,
        row_labels=labels,
        heading=heading,
        text=text,
        notes=" ".join(filter(None, [*notes, *backdrop.notes, *_how_cut(cuts)])),
    )


def _cell(panel: Panel, cut: Cut, backdrop: Backdrop, *, is_first: bool, is_strip: bool) -> Cell:
    height, width = cut.take(backdrop.pixels).shape[-2:]

    def draw(axes: Axes) -> None:
        draw_picture(axes, panel, cut, (height, width), is_marked=is_first)

    return Cell(
        draw,
        cut.words if is_strip else panel.title,
        "" if is_strip else panel.detail,
        ratio=cut.aspect * height / width,
        draw_bar=panel.scale.draw if panel.scale else None,
    )


def draw_picture(
    axes: Axes, panel: Panel, cut: Cut, shape: tuple[int, int], *, is_marked: bool
) -> None:
    """Draws a panel of one cut, in its own proportions.

    Args:
        axes: to draw on.
        panel: what to draw.
        cut: of which slice.
        shape: (H, W) of the cut.
        is_marked: draw the scale in mm, and letters for left and right, where they are known.
    """
    height, width = shape
    panel.draw(axes, cut)
    axes.set_xlim(-0.5, width - 0.5)
    axes.set_ylim(height - 0.5, -0.5)
    axes.set_aspect(cut.aspect)
    axes.set_axis_off()
    if is_marked and cut.pixel_mm is not None:
        draw_scale(axes, (height, width), cut.pixel_mm)
    if is_marked and cut.letters:
        draw_letters(axes, cut.letters)


def _on_given(cells: Sequence[Cell], axes: Any) -> Figure:
    """Draws the cells on axes that are there; returns their figure."""
    given: list[Axes] = list(np.ravel(np.asarray(axes, dtype=object)))
    if len(given) != len(cells):
        raise InputError(
            f"expected {len(cells)} axes, one for each picture, got {len(given)}. Make them with "
            f"subplots(1, {len(cells)})."
        )
    for one, cell in zip(given, cells, strict=True):
        cell.draw(one)
        if cell.draw_bar:
            cell.draw_bar(one, 0.0)
        write_title(one, cell.title, cell.detail)
    return cast(Figure, given[0].figure)


def _in_one_line(panel: Panel) -> str:
    return f"{panel.title} ({panel.detail})." if panel.detail else panel.title


def _how_cut(cuts: Sequence[Cut]) -> list[str]:
    """What a reader has to know of the cuts, in sentences."""
    cut = cuts[0]
    if not cut.plane:
        return []
    if not cut.lie.is_known:
        return ["Cut as the volume is stored; how it lies in the body is not known."]
    return ["R L right and left of the body, A P front and back, S I head and feet."]
