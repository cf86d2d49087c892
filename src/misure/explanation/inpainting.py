"""Removed pixels, painted in from the shown ones by a library or by a function of the user's own.

`inpaint` continues the shown pixels by a biharmonic function (Damelin and Hoang, On surface
completion and image inpainting by biharmonic functions, arXiv 1707.06672; scikit-image), whose
equations are solved on a coarse grid: what is far from all that is shown is smooth anyway.
`user_inpainting` runs a function of a file that the user names, such as an in-painting network.
Neither is ever given a hidden pixel.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import ceil, prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from misure._util.optional import require
from misure.errors import InputError, MisureError
from misure.images.spacing import Sampling
from misure.models.loaders.python import user_function

MadeOfShown = Callable[[Tensor, Tensor, Tensor, Sampling | None], Tensor]
"""From images (N, C, *spatial), visibilities (N, *spatial), what stands there when nothing is shown
(N, C, *spatial) and the sides of a voxel to the baseline image (N, C, *spatial) of each."""

_CELLS = {1: 4096, 2: 128**2, 3: 16**3}  # of the coarse grid; more take seconds to solve
_POOLS: dict[int, Callable[[Tensor, Any], Tensor]] = {
    1: F.adaptive_avg_pool1d,
    2: F.adaptive_avg_pool2d,
    3: F.adaptive_avg_pool3d,
}
_SHOWN_FROM = 0.5  # a pixel counts as shown if it is as visible as that
_BEYOND = 1.0  # how far a result may lie outside the image's numbers, in units of their range


@torch.no_grad()
def inpaint(
    images: Tensor, visibility: Tensor, empty: Tensor, _sampling: Sampling | None = None
) -> Tensor:
    """The baseline images (N, C, *spatial): each continues what its visibility shows.

    The result stays within the range of what is shown.

    Args:
        images: (N, C, *spatial) float.
        visibility: (N, *spatial) in [0, 1]; a pixel counts as shown from 0.5 on.
        empty: (N, C, *spatial): the baseline image when nothing is shown.

    Raises:
        MissingDependencyError: scikit-image is not installed.
    """
    biharmonic = require_library()
    return torch.stack(
        [
            _painted(biharmonic, *parts)
            for parts in zip(images, visibility >= _SHOWN_FROM, empty, strict=True)
        ]
    )


def require_library() -> Callable[..., np.ndarray]:
    """The function of scikit-image that `inpaint` uses.

    Raises:
        MissingDependencyError: it is not installed.
    """
    library = require("skimage.restoration", extra="inpaint", purpose="paint in what is hidden")
    biharmonic: Callable[..., np.ndarray] = library.inpaint_biharmonic
    return biharmonic


def _painted(
    biharmonic: Callable[..., np.ndarray], image: Tensor, is_shown: Tensor, empty: Tensor
) -> Tensor:
    if not bool(is_shown.any()):
        return empty
    spatial = is_shown.shape
    cells = _coarse(spatial)
    pool = _POOLS[len(spatial)]
    known = torch.cat([image * is_shown, is_shown[None].to(image)])
    averages = pool(known[None], cells)[0].double().cpu()
    share = averages[-1]
    colours = (averages[:-1] / share.clamp(min=torch.finfo(torch.float32).tiny)).numpy()
    if bool((share == 0).any()):
        colours = biharmonic(colours, (share == 0).numpy(), channel_axis=0)
    mode = ("linear", "bilinear", "trilinear")[len(spatial) - 1]
    return F.interpolate(torch.from_numpy(colours).to(image)[None], spatial, mode=mode)[0]


def _coarse(spatial: Sequence[int]) -> list[int]:
    """The cells along each axis of a grid of about `_CELLS`; pixels, where there are fewer."""
    scale = min(1.0, (_CELLS[len(spatial)] / prod(spatial)) ** (1 / len(spatial)))
    return [ceil(side * scale) for side in spatial]


@dataclass(frozen=True)
class UserInpainting:
    """An in-painting function of the user's own, as something that makes baseline images.

    Attributes:
        function: (image (C, *spatial) float, 0 where hidden; hidden (*spatial) bool) -> the image
            (C, *spatial), tensor or array, with what it paints there. With a parameter `seed` it is
            given that too, and another seed for each draw.
        name: of the function and its file, for messages.
        seed: what it is given.
    """

    function: Callable[..., Any]
    name: str
    seed: int = 0

    @property
    def takes_seed(self) -> bool:
        """Whether it paints something else with another seed."""
        return "seed" in inspect.signature(self.function).parameters

    def with_seed(self, seed: int) -> "UserInpainting":
        """The same function with another seed."""
        return replace(self, seed=seed)

    @torch.no_grad()
    def __call__(
        self,
        images: Tensor,
        visibility: Tensor,
        _empty: Tensor,
        _sampling: Sampling | None = None,
    ) -> Tensor:
        """The baseline images (N, C, *spatial); see `inpaint`.

        Raises:
            InputError: the function raises, or returns something else than such an image.
        """
        hidden = visibility < _SHOWN_FROM
        return torch.stack([self._painted(*parts) for parts in zip(images, hidden, strict=True)])

    def _painted(self, image: Tensor, hidden: Tensor) -> Tensor:
        options = {"seed": self.seed} if self.takes_seed else {}
        try:
            made = self.function(image * ~hidden, hidden.clone(), **options)
        except MisureError:
            raise
        except Exception as error:
            raise InputError(f"{self.name} raised {type(error).__name__}: {error}") from error
        painted = torch.from_numpy(made.copy()) if isinstance(made, np.ndarray) else made
        if not isinstance(painted, Tensor) or painted.shape != image.shape:
            got = tuple(painted.shape) if isinstance(painted, Tensor) else type(made).__name__
            raise InputError(
                f"expected {self.name} to return an image of shape {tuple(image.shape)}, got {got}."
            )
        painted = painted.detach().to(image)
        low, high = float(image.min()), float(image.max())
        beyond = _BEYOND * (high - low or max(1.0, abs(high)))
        least, most = float(painted.min()), float(painted.max())
        if not low - beyond <= least <= most <= high + beyond:
            raise InputError(
                f"expected {self.name} to return numbers like those of the image, from {low:g} to "
                f"{high:g}, got {least:g} to {most:g}. Return the image in its own units."
            )
        return painted


def user_inpainting(argument: str) -> UserInpainting:
    """The function that FILE.py:FUNCTION names. This runs the file, once until it is changed.

    Raises:
        InputError: no such file or function, or the file raises.
    """
    path = Path(argument.rpartition(":")[0])
    return _loaded(argument, path.stat().st_mtime_ns if path.is_file() else 0)


@lru_cache(maxsize=8)
def _loaded(argument: str, _changed_at: int) -> UserInpainting:
    function, path = user_function("python", argument)
    return UserInpainting(function, f"{function.__name__} of {path}")
