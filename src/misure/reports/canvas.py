"""The one door to matplotlib: pictures are files, so no display and no notebook is needed.

`MPLBACKEND` names the window that pyplot opens. A value that this Python cannot open, such as that
of a notebook's kernel, would end the import of matplotlib; nothing here uses pyplot.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_NAME = "MPLBACKEND"


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
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

if os.environ.get(_NAME):  # as matplotlib does, for whoever uses pyplot later
    with suppress(ValueError):
        matplotlib.rcParams["backend"] = os.environ[_NAME]

__all__ = [
    "Axes",
    "ConstrainedLayoutEngine",
    "Figure",
    "LinearSegmentedColormap",
    "Normalize",
    "ScalarMappable",
]
