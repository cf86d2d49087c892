"""The door to what draws: `misure.reports`, which imports the rooms whose objects it draws.

Methods such as `Explanation.plot` go through it, so matplotlib is imported when something is drawn,
and not before.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from misure.errors import entrance


def drawing(module: str, function: str) -> Callable[..., Any]:
    """A function of a module in `misure.reports`, imported now.

    >>> drawing("density", "density").__name__
    'density'
    """
    found: Callable[..., Any] = getattr(import_module(f"misure.reports.{module}"), function)
    return found


class InNotebook:
    """A base of results that a notebook shows as a page: title, sentences and figures."""

    __slots__ = ()  # records, of which a run has many, stay small

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        html: str = drawing("notebook_answers", "result_html")(self)
        return html


class Pictured(InNotebook):
    """A base of results that keep their image, of which there is a picture."""

    def plot(self, image: Any = None) -> Any:
        """A matplotlib Figure, the picture that the command line writes; a notebook shows it.

        Args:
            image: the image that was asked about, or what stands for it (see `as_image`); None: the
                one in memory.

        Raises:
            InputError: no image, or one of another shape.
        """
        with entrance(f"{type(self).__name__}.plot"):
            return drawing("notebook_answers", "plot_result")(self, image)

    def show(self, image: Any = None) -> None:
        """Shows `plot` in a notebook or in a window; where there is neither, a warning says so.

        Args:
            image: as of `plot`.
        """
        drawing("canvas", "show_figure")(self.plot(image))
