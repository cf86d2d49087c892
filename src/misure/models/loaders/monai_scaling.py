"""Transforms of MONAI that scale numbers."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from misure.errors import InputError
from misure.images.intensity import Scaling, mean_and_deviation
from misure.models.loaders.monai_arguments import Given
from misure.models.volumes.scaled import Scaled
from misure.models.volumes.step import Part, Step

_ROUNDING = 1e-3  # a share of the largest number below which one is the rounding of 0


@dataclass(frozen=True)
class Scales:
    """Numbers scaled as one of MONAI's transforms scales them.

    Attributes:
        scaling: the scaling of an image (C, *spatial).
        nonzero: whether it goes by the numbers that are not 0.
    """

    scaling: Callable[[Tensor], Scaling]
    nonzero: bool = False

    def bind(self, image: Tensor, affine: np.ndarray | None) -> tuple[Step, np.ndarray | None]:
        return Scaled(self.scaling(image)), affine


def _linear(
    low: float, high: float, ends: tuple[float | None, float | None]
) -> tuple[float, float]:
    """Shift and scale that take low to the first end and high to the second."""
    first, last = ends
    scale = 1 / (high - low)
    if first is None or last is None:
        return low, scale
    if first == last:
        raise InputError(f"expected b_min below b_max in the bundle, got {first:g} and {last:g}.")
    scale *= last - first
    return low - first / scale, scale


def range_scaled(given: Given) -> Part:
    """The part of `ScaleIntensityRange`."""
    low, high = given.number("a_min"), given.number("a_max")
    ends = given.optional("b_min"), given.optional("b_max")
    if low >= high:
        raise given.unusable("a_min", low, "a number below a_max")
    shift, scale = _linear(low, high, ends)
    scaling = Scaling((shift,), (scale,), (_clip(given, ends),))
    return Scales(lambda _: scaling)


def _clip(given: Given, ends: tuple[float | None, float | None]) -> tuple[float, float] | None:
    if not given("clip", False) or ends == (None, None):
        return None
    low, high = ends
    return (-np.inf if low is None else low), (np.inf if high is None else high)


def _each_channel(image: Tensor, by_channel: bool) -> list[Tensor]:
    return list(image) if by_channel else [image]


def percentiles_scaled(given: Given) -> Part:
    """The part of `ScaleIntensityRangePercentiles`."""
    lower, upper = given.number("lower"), given.number("upper")
    ends: tuple[float | None, float | None] = given.optional("b_min"), given.optional("b_max")
    if given("relative", False) and None not in ends:
        first, last = given.number("b_min"), given.number("b_max")
        ends = (first + (last - first) * lower / 100, first + (last - first) * upper / 100)
    by_channel, clip = bool(given("channel_wise", False)), _clip(given, ends)

    def scaling(image: Tensor) -> Scaling:
        pairs = []
        for numbers in _each_channel(image, by_channel):
            low, high = np.percentile(numbers.cpu().numpy(), [lower, upper]).tolist()
            pairs.append(_linear(low, max(high, low + 1e-6), ends))
        shifts, scales = zip(*pairs, strict=True)
        return Scaling(shifts, scales, (clip,))

    return Scales(scaling)


def scaled(given: Given) -> Part:
    """The part of `ScaleIntensity`."""
    ends = given.optional("minv", 0.0), given.optional("maxv", 1.0)
    by_channel, factor = bool(given("channel_wise", False)), given.optional("factor")

    def scaling(image: Tensor) -> Scaling:
        if ends == (None, None):
            return Scaling((0.0,), (1 + (factor or 0.0),))
        pairs = []
        for numbers in _each_channel(image, by_channel):
            low, high = float(numbers.min()), float(numbers.max())
            if low == high:  # MONAI multiplies by minv
                pairs.append((0.0, 1.0 if ends[0] is None else ends[0]))
                continue
            pairs.append(_linear(low, high, ends))
        shifts, scales = zip(*pairs, strict=True)
        return Scaling(shifts, scales)

    return Scales(scaling)


def normalised(given: Given) -> Part:
    """The part of `NormalizeIntensity`."""
    by_channel, nonzero = bool(given("channel_wise", False)), bool(given("nonzero", False))
    fixed = [given("subtrahend"), given("divisor")]
    for key, value in zip(("subtrahend", "divisor"), fixed, strict=True):
        each = value if isinstance(value, list) else [value]
        if value is not None and not all(isinstance(one, (int, float)) for one in each):
            raise given.unusable(key, value, "numbers")
        if isinstance(value, list) and not by_channel:
            raise given.unusable(key, value, "one number, or channel_wise=True")

    def scaling(image: Tensor) -> Scaling:
        shifts, scales = [], []
        for channel, numbers in enumerate(_each_channel(image, by_channel)):
            counted = numbers[numbers != 0] if nonzero else numbers
            mean, std = mean_and_deviation(counted) if counted.numel() else (0.0, 1.0)
            own = [value[channel] if isinstance(value, list) else value for value in fixed]
            shifts.append(mean if own[0] is None else float(own[0]))
            scales.append(1 / (std if own[1] is None else float(own[1]) or 1.0))
        changes = (image != 0) & (image.abs() < _ROUNDING * image.abs().max()) if nonzero else None
        changes = changes if changes is not None and bool(changes.any()) else None
        return Scaling(tuple(shifts), tuple(scales), keeps_zero=(nonzero,), changes_zero=changes)

    return Scales(scaling, nonzero)
