"""nnU-Net's resampling of volumes, as a differentiable function of tensors.

nnU-Net resamples with functions of scikit-image and SciPy, or of torch. All of them are linear and
work along one axis after the other, so the library itself, asked for the unit vectors of an axis,
gives the weights of that axis. Splines overshoot: what scikit-image clips to the range of its input
is clipped here, too.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import map_coordinates
from torch import Tensor

from misure._util.optional import require
from misure.errors import InputError
from misure.models.loaders.nnunet_library import nnunet

Shape = tuple[int, ...]
Step = Callable[[Tensor], Tensor]

_BY_SCIKIT_IMAGE = "resample_data_or_seg_to_shape"
_BY_TORCH = "resample_torch_fornnunet"
_NONE = "no_resampling_hack"
FUNCTIONS = (_BY_SCIKIT_IMAGE, _BY_TORCH, _NONE)
"""Resampling functions of nnU-Net that are followed."""

_UNKNOWN_TO_RESULTS = ("num_threads", "device", "memefficient_seg_resampling", "is_seg")
_LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}


@dataclass(frozen=True, kw_only=True)
class Grid:
    """A grid of voxels: how many there are along each axis, and how far apart.

    Attributes:
        shape: voxels along each of three axes.
        spacing: millimetres between them.
    """

    shape: Shape
    spacing: tuple[float, ...]


@dataclass(frozen=True)
class Resampling:
    """Resamples volumes (N, C, D, H, W) from one grid to another.

    Attributes:
        steps: functions of volumes, the first first.
    """

    steps: tuple[Step, ...] = ()

    def __call__(self, volumes: Tensor) -> Tensor:
        for step in self.steps:
            volumes = step(volumes)
        return volumes

    def keep_range(self, volumes: Tensor) -> None:
        """Copies of an image (1, C, D, H, W) are clipped to its range, or to theirs if wider."""
        for step in self.steps[:1]:
            if isinstance(step, _Spline):
                step.range = step.range_of(volumes)


def make_resampling(name: str, options: Mapping[str, Any], old: Grid, new: Grid) -> Resampling:
    """The resampling that a function of nnU-Net does.

    Args:
        name: one of `FUNCTIONS`.
        options: its arguments in the plans.
        old, new: the grids before and after.

    Raises:
        InputError: another function, or an argument that is not followed.
    """
    if name == _NONE or old.shape == new.shape:
        return Resampling()
    known = {name: value for name, value in options.items() if name not in _UNKNOWN_TO_RESULTS}
    force = known.pop("force_separate_z", None if name == _BY_TORCH else False)
    threshold = known.pop("separate_z_anisotropy_threshold", None)
    if name == _BY_SCIKIT_IMAGE:
        order, order_z = (
            int(known.pop(key, usual)) for key, usual in (("order", 3), ("order_z", 0))
        )
        axis = _axis_apart(old, new, force, threshold)
        steps = _by_scikit_image(old.shape, new.shape, axis, order, order_z)
    elif name == _BY_TORCH:
        mode, mode_apart = (
            known.pop("mode", "linear"),
            known.pop("aniso_axis_mode", "nearest-exact"),
        )
        axis = _axis_apart(old, new, force, threshold)
        steps = _by_torch(new.shape, axis, mode, mode_apart)
    else:
        raise InputError(
            f"expected a resampling of nnU-Net ({', '.join(FUNCTIONS)}), the plans name {name!r}."
        )
    if known:
        raise InputError(
            f"expected arguments of {name} that misure knows, the plans give {sorted(known)[0]!r}."
        )
    return Resampling(tuple(steps))


def _axis_apart(old: Grid, new: Grid, force: bool | None, threshold: Any) -> int | None:
    """The axis of thick slices that is resampled by itself, if there is one."""
    library = nnunet("preprocessing.resampling.default_resampling")
    given = {} if threshold is None else {"separate_z_anisotropy_threshold": float(threshold)}
    is_apart, axis = library.determine_do_sep_z_and_axis(force, old.spacing, new.spacing, **given)
    return int(axis) if is_apart else None


def _by_scikit_image(
    old: Shape, new: Shape, axis: int | None, order: int, order_z: int
) -> list[Step]:
    within = [each for each in range(3) if each != axis]
    steps: list[Step] = []
    if any(old[each] != new[each] for each in within) or axis is None:
        steps.append(_Spline(tuple(within), old, new, order))
    if axis is not None and old[axis] != new[axis]:
        steps.append(_Weights(axis, _weights_apart(old[axis], new[axis], order_z)))
    return steps


def _by_torch(new: Shape, axis: int | None, mode: str, mode_apart: str) -> list[Step]:
    if axis is None:
        return [_Interpolation(new, "linear")]
    return [_InPlane(axis, new, mode), _Interpolation(new, mode_apart)]


class _Spline:
    """skimage.transform.resize along some axes: by splines of an order, clipped to its input.

    The input's range is that of the image that is explained, or of the copy that is shown where
    that is wider: what is hidden in one place then changes nothing far away.
    """

    def __init__(self, axes: tuple[int, ...], old: Shape, new: Shape, order: int) -> None:
        self.axes, self.order = axes, order
        self.range: tuple[Tensor, Tensor] | None = None
        self.weights = {
            axis: _weights(old[axis], new[axis], order) for axis in axes if old[axis] != new[axis]
        }

    def __call__(self, volumes: Tensor) -> Tensor:
        lowest, highest = self.range_of(volumes)
        if self.range is not None:
            lowest = lowest.minimum(self.range[0].to(lowest))
            highest = highest.maximum(self.range[1].to(highest))
        for axis, weights in self.weights.items():
            volumes = _along(volumes, axis, weights)
        return volumes.clamp(lowest, highest) if self.order > 1 else volumes

    def range_of(self, volumes: Tensor) -> tuple[Tensor, Tensor]:
        """The least and the greatest number of each volume, or of each of its slices."""
        dims = [axis + 2 for axis in self.axes]
        numbers = volumes.detach()
        return numbers.amin(dims, True), numbers.amax(dims, True)


class _Weights:
    """Weights (old, new) of the old voxels in each new one, along one axis."""

    def __init__(self, axis: int, weights: Tensor) -> None:
        self.axis, self.weights = axis, weights

    def __call__(self, volumes: Tensor) -> Tensor:
        return _along(volumes, self.axis, self.weights)


class _Interpolation:
    """torch's interpolation of all axes."""

    def __init__(self, shape: Shape, mode: str) -> None:
        self.shape, self.mode = shape, mode

    def __call__(self, volumes: Tensor) -> Tensor:
        return _interpolated(volumes, self.shape, self.mode)


class _InPlane:
    """torch's interpolation of each plane that is perpendicular to an axis."""

    def __init__(self, axis: int, new: Shape, mode: str) -> None:
        self.axis, self.mode = axis, mode
        self.shape = tuple(side for each, side in enumerate(new) if each != axis)

    def __call__(self, volumes: Tensor) -> Tensor:
        planes = volumes.movedim(self.axis + 2, 1)
        resized = _interpolated(planes.flatten(0, 1), self.shape, self.mode)
        return resized.reshape(*planes.shape[:2], *resized.shape[1:]).movedim(1, self.axis + 2)


def _interpolated(images: Tensor, shape: Shape, mode: str) -> Tensor:
    if images.shape[2:] == shape:
        return images
    return F.interpolate(images, shape, mode=_LINEAR[len(shape)] if mode == "linear" else mode)


def _along(volumes: Tensor, axis: int, weights: Tensor) -> Tensor:
    moved = volumes.movedim(axis + 2, -1)
    return (moved @ weights.to(volumes)).movedim(-1, axis + 2)


@lru_cache(maxsize=128)
def _weights(old: int, new: int, order: int) -> Tensor:
    """Weights (old, new) float64 of one axis, by skimage.transform.resize."""
    transform = require("skimage.transform", extra="nnunet", purpose="load nnunet: models")
    each = transform.resize(
        np.eye(old), (new, old), order, mode="edge", anti_aliasing=False, clip=False
    )
    return torch.from_numpy(np.ascontiguousarray(each.T))


@lru_cache(maxsize=128)
def _weights_apart(old: int, new: int, order: int) -> Tensor:
    """Weights (old, new) float64 of the axis of thick slices, by scipy.ndimage."""
    places = (np.arange(new) + 0.5) * (float(old) / new) - 0.5
    each = [
        map_coordinates(vector, places[None], order=order, mode="nearest") for vector in np.eye(old)
    ]
    return torch.from_numpy(np.stack(each))


def new_shape(old: Grid, spacing: Sequence[float]) -> Shape:
    """The shape of a volume after resampling to another spacing."""
    library = nnunet("preprocessing.resampling.default_resampling")
    return tuple(int(side) for side in library.compute_new_shape(old.shape, old.spacing, spacing))
