"""The one door to matplotlib: figures are made without pyplot, so no display is needed.

`MPLBACKEND` names the window that pyplot opens. A value that this Python cannot open, such as that
of a notebook's kernel, would end the import of matplotlib; pyplot is only
imported to open a window.
"""

import io
import os
import re
import sys
import warnings
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from misure.errors import InputError, MisureWarning, printable

_NAME = "MPLBACKEND"
_BREAKS = re.compile(r"(?<!\bDice)\s+(?!%|px\b|mm\b)")  # a figure stays with its unit


@contextmanager
def _backend_put_aside() -> Iterator[None]:
    """A context in which matplotlib sees no MPLBACKEND; what it named holds again at the end."""
    wanted = os.environ.pop(_NAME, None)
    try:
        yield
    finally:
        if wanted is not None:
            os.environ[_NAME] = wanted


with _backend_put_aside():
    import matplotlib
    from matplotlib import colormaps
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, Normalize
    from matplotlib.figure import Figure as PlainFigure
    from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
    from matplotlib.layout_engine import ConstrainedLayoutEngine
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path as Line
    from matplotlib.patheffects import Normal as DrawnNormally
    from matplotlib.patheffects import Stroke
    from matplotlib.text import Text

if os.environ.get(_NAME):  # as matplotlib does, for whoever uses pyplot later
    with suppress(ValueError):
        matplotlib.rcParams["backend"] = os.environ[_NAME]

__all__ = [
    "PICTURE_KINDS",
    "Axes",
    "ConstrainedLayoutEngine",
    "Drawing",
    "DrawnNormally",
    "Figure",
    "Line",
    "ListedColormap",
    "Normalize",
    "PathPatch",
    "ScalarMappable",
    "Stroke",
    "canvas_pixels",
    "colormaps",
    "show_figure",
    "wrapped",
    "write_figure",
]

PICTURE_KINDS = ("png", "svg", "pdf")
"""Endings of the files that figures are written to."""

_FALLBACKS = (  # fonts with the letters of many scripts, as systems call them
    *("Noto Sans CJK JP", "Noto Sans CJK SC", "Noto Sans JP", "Noto Sans SC", "Source Han Sans"),
    *("WenQuanYi Zen Hei", "WenQuanYi Micro Hei", "Droid Sans Fallback", "Microsoft YaHei"),
    *("Yu Gothic", "Malgun Gothic", "Hiragino Sans", "PingFang SC", "Arial Unicode MS"),
    *("Noto Sans", "FreeSans", "Segoe UI Symbol", "Segoe UI"),
)
_DPI = 110
_SURE = 0.92  # of a width: letters are wider where they are fitted to few dots
_NO_LINE = 1000  # letters that no line holds
_MOST_NAMED = 20  # letters of a warning
_WITHOUT_WINDOWS = ("agg", "cairo", "pdf", "pgf", "ps", "svg", "template")
_WITHOUT_DATES: dict[str, dict[str, Any]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}


class Figure(PlainFigure):
    """A figure whose texts can be read: no control characters, fonts that have the letters.

    Where no font has them a warning names them, once a figure, in place of one a letter.
    """

    _has_warned = False

    def draw(self, renderer: Any) -> None:
        """Draws all of it."""
        with self._readable():
            super().draw(renderer)

    def savefig(self, *args: Any, **options: Any) -> None:
        """Writes the figure, as of matplotlib."""
        with self._readable():
            super().savefig(*args, **options)

    @contextmanager
    def _readable(self) -> Iterator[None]:
        missing = "".join(map(_make_readable, self.findobj(Text)))
        if missing and not self._has_warned:
            self._has_warned = True
            letters = "".join(dict.fromkeys(missing))
            warnings.warn(
                f"No font here has the letters {letters[:_MOST_NAMED]}, so boxes stand in their "
                "place. Install a font that has them, such as Noto Sans CJK.",
                MisureWarning,
                stacklevel=4,
            )
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"Glyph \d+ .*missing from")
            yield


def _make_readable(text: Any) -> str:
    """The letters of a text that no font has; its controls are escaped, and its font is chosen."""
    lines = text.get_text().split("\n")
    shown = "\n".join(map(printable, lines))
    if shown != text.get_text():
        text.set_text(shown)
    if shown.isascii():
        return ""
    lacking = _lacking(shown, findfont(text.get_fontproperties()))
    for name in _fallbacks() if lacking else ():
        left = _lacking(lacking, findfont(FontProperties(family=name)))
        if len(left) < len(lacking):
            text.set_fontfamily([*text.get_fontfamily(), name])
            lacking = left
    return lacking


def _lacking(letters: str, font: str) -> str:
    """The letters that a font file does not have."""
    known = get_font(font).get_charmap()
    return "".join(one for one in letters if ord(one) not in known and not one.isspace())


def _fallbacks() -> list[str]:
    """Names of the fonts with many letters that are installed."""
    installed = {font.name for font in fontManager.ttflist}
    return [name for name in _FALLBACKS if name in installed]


class Drawing(Figure):
    """A figure that a notebook shows when it is the last value of a cell."""

    def _repr_png_(self) -> bytes:
        """The picture as a PNG."""
        file = io.BytesIO()
        write_figure(self, file)
        return file.getvalue()


def write_figure(
    figure: Figure, file: Path | BinaryIO, *, kind: str = "", dpi: float = _DPI
) -> None:
    """Writes a figure; the same figure gives the same bytes, without dates.

    Args:
        figure: what to write.
        file: a path, or an open file.
        kind: one of PICTURE_KINDS; empty: the ending of the path, or png.
        dpi: dots per inch, of pictures within an SVG or PDF too.

    Raises:
        InputError: no such kind.
    """
    kind = kind or (file.suffix[1:].lower() if isinstance(file, Path) else "png")
    if kind not in PICTURE_KINDS:
        raise InputError(f"expected a picture as {', '.join(PICTURE_KINDS)}, got {kind!r}.")
    with matplotlib.rc_context({"svg.hashsalt": "misure"}):
        figure.savefig(file, format=kind, dpi=dpi, metadata=_WITHOUT_DATES.get(kind))


def wrapped(text: str, inches: float, size: float, *, weight: str = "normal") -> list[str]:
    """The lines of a text that is written with a size, none wider than some inches.

    A word that is wider is cut; characters that no picture can show, and no SVG may hold, are
    written as escapes.

    Args:
        text: paragraphs, with line ends between them.
        inches: width to fill.
        size: of the letters, in points.
        weight: `normal` or `bold`.
    """
    font = get_font(findfont(FontProperties(weight=weight)))
    font.set_size(size, 72)

    def is_narrow(line: str) -> bool:
        if len(line) > _NO_LINE:
            return False
        with warnings.catch_warnings():  # letters that the font lacks
            warnings.simplefilter("ignore")
            font.set_text(line)
        return bool(font.get_width_height()[0] / 64 / 72 <= _SURE * inches)

    lines: list[str] = []
    for paragraph in text.split("\n"):
        line = ""
        for word in map(printable, _BREAKS.split(paragraph.strip())):
            if line and is_narrow(f"{line} {word}"):
                line += f" {word}"
                continue
            if line:
                lines.append(line)
            line = word
            while len(line) > 1 and not is_narrow(line):
                wider = range(2, len(line))
                part = 1 + bisect_left(wider, True, key=lambda n: not is_narrow(line[:n]))
                lines.append(line[:part])
                line = line[part:]
        lines.append(line)
    return lines


def canvas_pixels(figure: Figure) -> np.ndarray:
    """What a figure shows, (H, W, 3) uint8."""
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def show_figure(figure: Figure) -> None:
    """Shows a figure: in a notebook below the cell, else in a window, which is waited for.

    Where there is neither, a warning says how to save it.
    """
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell is not None and hasattr(shell, "kernel"):
        import_module("IPython.display").display(figure)
        return
    if not _open_window(figure):
        warnings.warn(
            "No window can be opened here. Save the picture instead: "
            'result.plot().savefig("picture.png").',
            MisureWarning,
            stacklevel=3,
        )


def _open_window(figure: Figure) -> bool:
    """Whether a window showed the figure until the user closed it."""
    with suppress(ImportError, ValueError):  # MPLBACKEND names what this Python cannot open
        from matplotlib import pyplot

        if pyplot.get_backend().lower() not in _WITHOUT_WINDOWS:
            adopt: Any = lambda *_, **__: figure  # noqa: E731  # pyplot asks for a class
            pyplot.figure(FigureClass=adopt)
            pyplot.show()
            return True
    return False
