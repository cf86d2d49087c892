"""Images that are made when they are needed, instead of being kept for all of a search.

An explanation knows of several images as large as its own: the baseline images for evidence and for
small changes, and the content controls. Most of them are shown once.
"""

from collections.abc import Callable
from math import prod
from weakref import ReferenceType, ref

from torch import Tensor

from misure._util.freed_memory import LARGE


class MadeImage:
    """An image (C, *spatial) that is made when it is first asked for.

    One of fewer than 2^23 pixels is then kept. A larger one is made again each time, unless it is
    in use or takes long to make.

    Args:
        make: makes the image, the same each time.
        takes_long: whether a large one is kept, too.
    """

    def __init__(self, make: Callable[[], Tensor], *, takes_long: bool = False) -> None:
        self._make, self._takes_long = make, takes_long
        self._kept: Tensor | None = None
        self._in_use: ReferenceType[Tensor] | None = None

    def __call__(self) -> Tensor:
        """The image; nobody may change it."""
        in_use = None if self._in_use is None else self._in_use()
        known = self._kept if self._kept is not None else in_use
        if known is not None:
            return known
        made = self._make()
        if self._takes_long or prod(made.shape[1:]) < LARGE:
            self._kept = made
        self._in_use = ref(made)
        return made


def image_of(image: Tensor | MadeImage) -> Tensor:
    """An image (C, *spatial), made if it is not there."""
    return image() if isinstance(image, MadeImage) else image
