"""Laying out pictures in a figure, in inches, so that no text ever covers a picture.

From top to bottom: heading, text, rows of pictures with their titles above and their colour bars
below, notes. Every text is wrapped to the width that it has before anything is placed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from misure.reports.canvas import Axes, Drawing, ListedColormap, Normalize, ScalarMappable, wrapped

_PAGE = (12.6, 9.4)  # width and height that the pictures may take together
_AREA = 19.0  # square inches that one of them takes at most
_WIDEST, _NARROWEST = 12.6, 2.1  # of a picture, and of the place for it and its title
_MARGIN, _GAP = 0.15, 0.2
_NARROWEST_BAR = 1.8
_BAR, _BAR_PLACE = 0.1, 0.4  # height of a colour bar, and of the place for it with its words
_HEADING, _TEXT, _TITLE, _DETAIL, _NOTE = 13.0, 10.0, 10.0, 9.0, 8.0  # points
_PAD = 4.0  # points between a picture and its title
_LEADING = 1.35  # height of a line, of the size of its letters


@dataclass(frozen=True)
class Cell:
    """A picture to be drawn.

    Attributes:
        draw: draws it on axes of the right shape.
        title, detail: what stands above it; the title in bold.
        ratio: its height divided by its width, as it is seen.
        draw_bar: draws a colour bar that many inches below it; None: it has none.
        caption: what stands below it, in small letters.
    """

    draw: Callable[[Axes], None]
    title: str
    detail: str = ""
    ratio: float = 1.0
    draw_bar: Callable[[Axes, float], None] | None = None
    caption: str = ""


def arrange(
    cells: Sequence[Cell],
    *,
    columns: int | None = None,
    width: float | None = None,
    row_labels: Sequence[str] = (),
    heading: str = "",
    text: str = "",
    notes: str = "",
) -> Drawing:
    """A figure of pictures.

    Args:
        cells: the pictures, row by row.
        columns: pictures in a row; None: as many as make them large.
        width: of each picture and its place, in inches; None: so that all fit a page.
        row_labels: what stands at the left of each row; only the titles of the first row are then
            written.
        heading, text: what stands above all.
        notes: what stands below, in small letters.
    """
    grid = _Grid(list(cells), columns or _best_columns(cells), width, bool(row_labels))
    across = max(grid.width, 6.0 if heading or text else 3.0)
    above = [
        *((line, _HEADING, "bold") for line in _lines(heading, across, _HEADING, "bold")),
        *((line, _TEXT, "normal") for line in _lines(text, across, _TEXT)),
    ]
    below = _lines(notes, across, _NOTE)
    top = sum(_line_height(size) for _, size, _ in above) + (_GAP / 2 if above else 0)
    bottom = len(below) * _line_height(_NOTE) + (_GAP / 2 if below else 0)
    size = (across + 2 * _MARGIN, top + grid.height + bottom + 2 * _MARGIN)
    figure = Drawing(figsize=size)
    y = _MARGIN
    for line, points, weight in above:
        _write(figure, line, _MARGIN, y, points, weight)
        y += _line_height(points)
    grid.draw(figure, (across - grid.width) / 2 + _MARGIN, _MARGIN + top, row_labels)
    y = _MARGIN + top + grid.height + (_GAP / 2 if below else 0)
    for line in below:
        _write(figure, line, _MARGIN, y, _NOTE, colour="#555555")
        y += _line_height(_NOTE)
    return figure


def write_title(axes: Axes, title: str, detail: str = "") -> None:
    """Writes the title of a picture, and a detail below it, wrapped to the width of the axes."""
    _write_title(axes, title, detail, max(_NARROWEST, size_of(axes)[0]))


@dataclass(frozen=True)
class Scale:
    """The colours of a picture, with words for the two ends.

    Attributes:
        colours: (N, 3) in [0, 1], from the first to the last.
        left, right: what the first and the last mean.
    """

    colours: np.ndarray
    left: str
    right: str

    def draw(self, axes: Axes, lower: float = 0.0) -> None:
        """Draws a bar of the colours below a picture, with some inches left for other things."""
        scale = ScalarMappable(Normalize(0, 1), ListedColormap(self.colours))
        _draw_bar(axes, scale, self.left, self.right, lower)


def _draw_bar(axes: Axes, scale: ScalarMappable, left: str, right: str, lower: float = 0.0) -> None:
    """Draws a colour bar below a picture, with a word at each of its ends.

    Args:
        axes: of the picture.
        scale: the colours.
        left, right: the words.
        lower: inches that are left between the picture and the bar for other things.
    """
    width, height = size_of(axes)
    across = max(1.0, _NARROWEST_BAR / width)  # wider than a narrow picture, for its words
    bar = axes.inset_axes(
        ((1 - across) / 2, -(_BAR + 0.06 + lower) / height, across, _BAR / height)
    )
    axes.figure.colorbar(scale, cax=bar, orientation="horizontal", ticks=[])
    for x, word, side in ((0.0, left, "left"), (1.0, right, "right")):
        bar.annotate(
            word, (x, 0), xycoords="axes fraction", xytext=(0, -2), textcoords="offset points",
            ha=side, va="top", fontsize=_NOTE, parse_math=False, annotation_clip=False,
        )  # fmt: skip


def size_of(axes: Axes) -> tuple[float, float]:
    """Width and height of axes in inches."""
    axes.apply_aspect()
    box = axes.get_window_extent()
    return box.width / axes.figure.dpi, box.height / axes.figure.dpi


class _Grid:
    """Rows of pictures, measured in inches."""

    def __init__(
        self, cells: list[Cell], columns: int, width: float | None, is_labelled: bool
    ) -> None:
        self.columns = columns
        self.rows = [cells[i : i + columns] for i in range(0, len(cells), columns)]
        self.is_labelled = is_labelled
        self.picture = width or _picture_width(self.rows, columns)
        self.place = width or max(self.picture, _NARROWEST)
        self.label_width = 3 * _line_height(_NOTE) if is_labelled else 0.0
        self.width = columns * self.place + (columns - 1) * _GAP + self.label_width
        self.heights = [
            (self._title_height(row, number), self._height(row), self._below(row))
            for number, row in enumerate(self.rows)
        ]
        self.height = sum(map(sum, self.heights)) + (len(self.rows) - 1) * _GAP / 2

    def _height(self, row: list[Cell]) -> float:
        return self.picture * max(cell.ratio for cell in row)

    def _below(self, row: list[Cell]) -> float:
        """Height of the captions, and of the colour bars below them."""
        return self._captions(row) + (_BAR_PLACE if self._has_bars(row) else 0.0)

    def _captions(self, row: list[Cell]) -> float:
        lines = max(len(_lines(cell.caption, self.place, _NOTE)) for cell in row)
        return lines * _line_height(_NOTE)

    def _has_bars(self, row: list[Cell]) -> bool:
        """Whether any of them has a bar; of labelled rows only the last, for all of them."""
        is_shown = not self.is_labelled or row is self.rows[-1]
        return is_shown and any(cell.draw_bar for cell in row)

    def _title_height(self, row: list[Cell], number: int) -> float:
        if self.is_labelled and number:
            return 0.0
        titles = max(len(_lines(cell.title, self.place, _TITLE, "bold")) for cell in row)
        return (
            titles * _line_height(_TITLE)
            + self._num_details(row) * _line_height(_DETAIL)
            + _PAD / 72
        )

    def _num_details(self, row: list[Cell]) -> int:
        return max(len(_lines(cell.detail, self.place, _DETAIL)) for cell in row)

    def draw(self, figure: Drawing, left: float, top: float, row_labels: Sequence[str]) -> None:
        """Draws all with the corner at some inches from the figure's."""
        width, height = figure.get_size_inches()
        y = top
        for number, (row, (title, picture, below)) in enumerate(
            zip(self.rows, self.heights, strict=True)
        ):
            y += title
            for column, cell in enumerate(row):
                x = left + self.label_width + column * (self.place + _GAP)
                own = self.picture * cell.ratio
                axes = figure.add_axes(
                    (
                        (x + (self.place - self.picture) / 2) / width,
                        1 - (y + own) / height,
                        self.picture / width,
                        own / height,
                    )
                )
                cell.draw(axes)
                if cell.draw_bar and self._has_bars(row):
                    cell.draw_bar(axes, self._captions(row) + picture - own)
                for place, line in enumerate(_lines(cell.caption, self.place, _NOTE)):
                    _write(figure, line, x, y + picture + place * _line_height(_NOTE) + 0.02, _NOTE)
                if title:
                    num = self._num_details(row)
                    _write_title(axes, cell.title, cell.detail, self.place, num)
            if row_labels:
                lines = wrapped(row_labels[number], picture, _NOTE)[:3]
                figure.text(
                    (left + self.label_width - 0.06) / width, 1 - (y + picture / 2) / height,
                    "\n".join(lines), rotation=90, ha="right", va="center", fontsize=_NOTE,
                    parse_math=False, multialignment="center",
                )  # fmt: skip
            y += picture + below + _GAP / 2


def _picture_width(rows: Sequence[Sequence[Cell]], columns: int) -> float:
    """The width of each picture, so that all of them fit the page."""
    ratios = [max(cell.ratio for cell in row) for row in rows]
    across = (_PAGE[0] - (columns - 1) * _GAP) / columns
    down = (_PAGE[1] - len(rows) * 0.8) / sum(ratios)
    usual = sqrt(_AREA / float(np.mean(ratios)))
    return max(0.3, min(across, down, usual, _WIDEST))


def _best_columns(cells: Sequence[Cell]) -> int:
    """How many pictures in a row make all of them large and leave few places empty.

    Of several numbers that do so equally it is the largest: the figure is not higher than it has to
    be.
    """

    def worth(columns: int) -> float:
        rows = [cells[i : i + columns] for i in range(0, len(cells), columns)]
        width = _picture_width(rows, columns)
        across = columns * max(width, _NARROWEST) + (columns - 1) * _GAP
        fits = min(1.0, _PAGE[0] / across)
        return width * fits * len(cells) / (len(rows) * columns)

    return max(range(1, len(cells) + 1), key=lambda columns: (worth(columns), columns))


def _write_title(axes: Axes, title: str, detail: str, inches: float, num: int = 0) -> None:
    """Writes a title above a detail, for which there is room for a number of lines at least."""
    lines = _lines(detail, inches, _DETAIL)
    points = _PAD + max(num, len(lines)) * _line_height(_DETAIL) * 72
    if lines:
        axes.annotate(
            "\n".join(lines), (0.5, 1), xycoords="axes fraction", xytext=(0, points),
            textcoords="offset points", ha="center", va="top", fontsize=_DETAIL,
            parse_math=False, annotation_clip=False, linespacing=_LEADING * 0.86,
        )  # fmt: skip
    axes.set_title(
        "\n".join(_lines(title, inches, _TITLE, "bold")),
        fontsize=_TITLE,
        fontweight="bold",
        pad=points,
        va="bottom",
        parse_math=False,
    )


def _write(
    figure: Drawing,
    line: str,
    x: float,
    y: float,
    size: float,
    weight: str = "normal",
    colour: str = "black",
) -> None:
    """Writes a line whose upper left corner lies some inches from the figure's."""
    width, height = figure.get_size_inches()
    figure.text(
        x / width, 1 - y / height, line, fontsize=size, fontweight=weight, color=colour,
        ha="left", va="top", parse_math=False,
    )  # fmt: skip


def _lines(text: str, inches: float, size: float, weight: str = "normal") -> list[str]:
    return wrapped(text, inches, size, weight=weight) if text else []


def _line_height(size: float) -> float:
    """In inches."""
    return size * _LEADING / 72
