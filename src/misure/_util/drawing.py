"""The door to what draws: `misure.reports`, which imports the rooms whose objects it draws.

Methods such as `Explanation.plot` go through it, so matplotlib is imported when something is drawn,
and not before.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any


def drawing(module: str, function: str) -> Callable[..., Any]:
    """A function of a module in `misure.reports`, imported now.

    >>> drawing("density", "density").__name__
    'density'
    """
    found: Callable[..., Any] = getattr(import_module(f"misure.reports.{module}"), function)
    return found
