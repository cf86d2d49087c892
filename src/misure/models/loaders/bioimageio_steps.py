"""What a model folder of the BioImage Model Zoo does to an image before its network, as tensors.

The steps are those of bioimageio.core, which gives their numbers, too. Statistics are taken from
the image in its own units, before any step; they are numbers of one image, and a preprocessing may
hold those of the image that is explained.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from misure.errors import InputError
from misure.models.preprocessing import Placement, Preprocessing
from misure.models.resampling import resize

Axes = Mapping[str, int]
"""Name of an axis -> its place in (C, *spatial)."""

Measured = tuple[Tensor, ...]
"""Statistics of one image that a step needs, each (C or 1, *spatial or 1)."""


@dataclass(frozen=True)
class Step:
    """One step of the preprocessing.

    Attributes:
        name: as the folder names it.
        change: (images (N, C, *spatial), statistics (N, ...) each) -> images.
        measures: each a function of one image (C, *spatial) float64 to a statistic.
    """

    name: str
    change: Callable[[Tensor, Sequence[Tensor]], Tensor]
    measures: tuple[Callable[[np.ndarray], np.ndarray], ...] = ()


def step_of(operator: Any, axes: Axes) -> Step | None:
    """The step that an operator of bioimageio.core makes; None for one that misure lacks.

    Args:
        operator: of `bioimageio.core.proc_ops`.
        axes: of the images.
    """
    name = type(operator).__name__
    make = _STEPS.get(name)
    return None if make is None else make(operator, axes)


def _ensure_dtype(operator: Any, _axes: Axes) -> Step:
    if str(operator.dtype).startswith("float"):
        return Step("ensure_dtype", lambda images, _: images)
    return Step("ensure_dtype", lambda images, _: images + (images.trunc() - images).detach())


def _scale_linear(operator: Any, axes: Axes) -> Step:
    gain, offset = (_numbers(each, axes) for each in (operator.gain, operator.offset))
    return Step("scale_linear", lambda images, _: images * gain.to(images) + offset.to(images))


def _fixed_normalisation(operator: Any, axes: Axes) -> Step:
    mean, std = (_numbers(each, axes) for each in (operator.mean, operator.std))
    std = std + operator.eps
    return Step(
        "fixed_zero_mean_unit_variance",
        lambda images, _: (images - mean.to(images)) / std.to(images),
    )


def _normalisation(operator: Any, axes: Axes) -> Step:
    over, eps = _reduced(operator.mean.axes, axes), operator.eps
    return Step(
        "zero_mean_unit_variance",
        lambda images, of: (images - of[0]) / (of[1] + eps),
        (
            lambda image: image.mean(over, keepdims=True),
            lambda image: image.std(over, keepdims=True),
        ),
    )


def _scale_range(operator: Any, axes: Axes) -> Step:
    eps = operator.eps
    if operator.lower.member_id != operator.input:
        raise InputError("expected scale_range by the image itself, got one by another tensor.")
    return Step(
        "scale_range",
        lambda images, of: (images - of[0]) / (of[1] - of[0] + eps),
        tuple(_quantile(each, axes) for each in (operator.lower, operator.upper)),
    )


def _clip(operator: Any, axes: Axes) -> Step:
    limits = (operator.min, operator.max)
    measured = [each for each in limits if hasattr(each, "q")]

    def change(images: Tensor, of: Sequence[Tensor]) -> Tensor:
        values = iter(of)
        low, high = (next(values) if hasattr(each, "q") else each for each in limits)
        images = images if low is None else torch.maximum(images, torch.as_tensor(low).to(images))
        return images if high is None else torch.minimum(images, torch.as_tensor(high).to(images))

    return Step("clip", change, tuple(_quantile(each, axes) for each in measured))


_STEPS: dict[str, Callable[[Any, Axes], Step]] = {
    "EnsureDtype": _ensure_dtype,
    "ScaleLinear": _scale_linear,
    "FixedZeroMeanUnitVariance": _fixed_normalisation,
    "ZeroMeanUnitVariance": _normalisation,
    "ScaleRange": _scale_range,
    "Clip": _clip,
}


def _reduced(names: Sequence[str] | None, axes: Axes) -> tuple[int, ...]:
    """The places of axes that a statistic covers, of one image; None: all."""
    if names is None:
        return tuple(axes.values())
    return tuple(axes[str(name)] for name in names if str(name) in axes)


def _quantile(measure: Any, axes: Axes) -> Callable[[np.ndarray], np.ndarray]:
    over: tuple[int, ...] = _reduced(measure.axes, axes)
    method: Any = getattr(measure, "method", "linear")

    def measured(image: np.ndarray) -> np.ndarray:
        return np.asarray(np.quantile(image, measure.q, axis=over, method=method, keepdims=True))

    return measured


def _numbers(value: Any, axes: Axes) -> Tensor:
    """A number, or those along one axis, for images (N, C, *spatial)."""
    along = [str(name) for name in getattr(value, "dims", ())]
    numbers = torch.as_tensor(np.asarray(value, dtype=np.float64))
    shape = [-1 if name in along else 1 for name in axes]
    return numbers.reshape(shape)


@dataclass(frozen=True, kw_only=True)
class ZooPreprocessing(Preprocessing):
    """The preprocessing of a model folder.

    Attributes:
        steps: in their order.
        gain: what images are multiplied with first, to come into the units of the folder.
        halo: pixels that are added before and after each axis (*spatial), and taken away again.
        least, every: for each axis (*spatial) the least length of the network's input, and the
            step between lengths; a step of 0 allows the least alone.
        mode, value: how images are continued: `constant` (with the value), `edge`, `reflect` or
            `symmetric`, as of `numpy.pad`.
        statistics: of the image that is explained, for each step; None: those of each image.
    """

    steps: tuple[Step, ...] = ()
    gain: float = 1.0
    halo: tuple[tuple[int, int], ...] = ()
    least: tuple[int, ...] = ()
    every: tuple[int, ...] = ()
    mode: str = "symmetric"
    value: float = 0.0
    statistics: tuple[Measured, ...] | None = None

    def __post_init__(self) -> None:
        if self.mean or self.std or self.input_size or self.size_divisor != 1:
            raise InputError(
                "expected no mean, std, input_size or size_divisor for a model folder, which says "
                "itself how images are prepared. To replace all of it say preprocessing=...."
            )
        super().__post_init__()

    @property
    def mean_colour(self) -> tuple[float, ...] | None:
        """What becomes 0 by the linear steps; None if no number does, or the image is not known."""
        if self.statistics is None and any(step.measures for step in self.steps):
            return None
        low, high = (self._of_constant(value) for value in (0.0, 1.0))
        colour = -low / (high - low)
        return tuple(colour.flatten().tolist()) if bool(torch.isfinite(colour).all()) else None

    def _of_constant(self, value: float) -> Tensor:
        """What becomes of an image of one colour, by the linear steps: (1, C or 1, ones)."""
        measured = self.statistics or ((),) * len(self.steps)
        shape = (1, 1, *[1] * len(self.least))
        images = torch.full(shape, value * self.gain, dtype=torch.float64)
        for step, of in zip(self.steps, measured, strict=True):
            if step.name not in ("ensure_dtype", "clip", "binarize"):
                images = step.change(images, [each.to(images)[None] for each in of])
        return images

    def bound(self, image: Tensor) -> "ZooPreprocessing":
        """The preprocessing with the statistics of one image (C, *spatial)."""
        return replace(self, statistics=self._measure(self._framed(image[None] * self.gain))[0])

    def placement(self, spatial: Sequence[int]) -> Placement:
        """Where an image of shape (*spatial) lies in the network's input.

        Raises:
            InputError: the network does not take images of this shape.
        """
        spatial = tuple(spatial)
        if len(spatial) != len(self.least):
            raise InputError(
                f"expected {len(self.least)}D images for this model folder, got shape {spatial}."
            )
        framed = [side + sum(pair) for side, pair in zip(spatial, self.halo, strict=True)]
        shape = tuple(map(_length, framed, self.least, self.every))
        if any(side > most for side, most in zip(framed, shape, strict=True)):
            raise InputError(
                f"expected images of at most {self.least} px less a border of {self.halo}, the one "
                f"size of this network's input, got {spatial}. Show it a part of the image."
            )
        corner = tuple(-before for before, _ in self.halo)
        return Placement(resized=spatial, input_shape=shape, corners=(corner,))

    def to_input(self, images: Tensor) -> Tensor:
        """The network's inputs (N, C, *spatial') of images (N, C, *spatial)."""
        shape = self.placement(images.shape[2:]).input_shape
        images = self._framed(images * self.gain)
        measured = self.statistics and [self.statistics] * len(images)
        measured = measured or self._measure(images)
        ends = [(0, new - old) for new, old in zip(shape, images.shape[2:], strict=True)]
        images = _continued(images, ends, self.mode, self.value)
        for number, step in enumerate(self.steps):
            of = [
                torch.stack(each).to(images)
                for each in zip(*(each[number] for each in measured), strict=True)
            ]
            images = step.change(images, of)
        return images

    def to_image(self, logits: Tensor, spatial: Sequence[int]) -> Tensor:
        """Logits at the image's own pixels (N, K, *spatial)."""
        logits = resize(logits, self.placement(spatial).input_shape)
        spans = [
            slice(before, before + side)
            for (before, _), side in zip(self.halo, spatial, strict=True)
        ]
        return logits[(slice(None), slice(None), *spans)]

    def _framed(self, images: Tensor) -> Tensor:
        return _continued(images, self.halo, self.mode, self.value)

    def _measure(self, images: Tensor) -> list[tuple[Measured, ...]]:
        """The statistics of each image, for each step."""
        if not any(step.measures for step in self.steps):
            return [((),) * len(self.steps)] * len(images)
        arrays = images.detach().cpu().double().numpy()
        return [
            tuple(
                tuple(torch.as_tensor(measure(array)) for measure in step.measures)
                for step in self.steps
            )
            for array in arrays
        ]


def _length(side: int, least: int, every: int) -> int:
    """The shortest length that the network takes and that holds a side."""
    return least + every * max(0, -((least - side) // every)) if every else least


def _continued(
    images: Tensor, widths: Sequence[tuple[int, int]], mode: str, value: float
) -> Tensor:
    """Images (N, C, *spatial), continued on both sides of each axis, as `numpy.pad` does."""
    if not any(map(any, widths)):
        return images
    if mode == "constant":
        flat = [width for pair in reversed(widths) for width in pair]
        return F.pad(images, flat, value=value)
    for axis, (before, after) in enumerate(widths, start=2):
        places = np.pad(np.arange(images.shape[axis]), (before, after), mode)  # type: ignore[call-overload]
        images = images.index_select(axis, torch.from_numpy(places).to(images.device))
    return images
