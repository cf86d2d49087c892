"""The placement of images that an image processor of transformers makes, learnt and compared.

A processor takes whole grey levels and gives no gradients, so misure does the same with tensors,
down to the rounding; gradients pass as if nothing were rounded. It does not read the processor's
keys: it shows the processor pictures and sees what comes back (`hf_shown`), and takes the kernel
that makes the processor's own tensor of noise. That comparison is made for every new shape of
image. A processor whose tensor differs is refused, with the key that makes the difference.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from misure.errors import InputError
from misure.models.loaders.hf_shown import (
    Sample,
    Show,
    as_images,
    learn_colours,
    show_to,
    take_sample,
)
from misure.models.preprocessing import Placement, Preprocessing
from misure.models.resampling import INTERPOLATIONS

_SHAPES = ((37, 53), (210, 140))
_LEVELS = 255
MEAN_LEVELS, MAX_LEVELS = 0.1, 2.5
"""How far the tensor may differ from the processor's, in grey levels: on average, and anywhere.
Where a number lies between two levels, Pillow's sums of whole numbers may take the other one."""

_PILLOW = {0: "nearest", 1: "lanczos", 2: "linear", 3: "bicubic", 4: "box", 5: "hamming"}


def check_scale(colours: Preprocessing) -> None:
    """Checks that a processor's mean is in the scale of its pixels.

    Raises:
        InputError: a mean of [0, 1] for pixels up to 255, or one of [0, 255] for pixels up to 1.
    """
    largest = max(colours.mean or (0.0,))
    if largest > 1:
        raise InputError(
            "expected image_mean in the scale that rescale_factor gives the pixels, got a mean of "
            f"{largest:.3g} times white. If the network was trained on pixels from 0 to 255, say "
            'processor={"do_rescale": false}, else give mean and std yourself.'
        )
    if largest > 0 and max(colours.std or (1.0,)) < 0.01:
        raise InputError(
            "expected image_mean in the scale of the pixels, got do_rescale: false beside a mean "
            f"of {255 * largest:.3g}: pixels from 0 to 255, or already from 0 to 1? Say "
            'processor={"do_rescale": true} for 0 to 1, else give mean and std yourself.'
        )


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How far a tensor is from the processor's, in grey levels of 255.

    Attributes:
        largest, mean: over all pixels and channels; infinite for another shape.
    """

    largest: float
    mean: float

    @property
    def is_rounding(self) -> bool:
        """Whether Pillow's rounding to whole levels explains it."""
        return self.mean <= MEAN_LEVELS and self.largest <= MAX_LEVELS


def difference(colours: Preprocessing, sample: Sample) -> Difference:
    """How far misure's tensor of a sample's picture is from the processor's.

    Args:
        colours: mean, std, channels and interpolation; its layout plays no part.
        sample: a picture and what the processor made of it.
    """
    ours = replace(colours, layout=lambda _spatial: sample.placement).to_input(
        as_images(sample.picture)
    )
    if ours.shape != sample.inputs.shape:
        return Difference(largest=float("inf"), mean=float("inf"))
    std = torch.tensor(colours.std or (1.0,)).expand(sample.picture.shape[-1])
    std = std[list(colours.channels)] if colours.channels else std
    levels = (ours - sample.inputs).abs() * std[:, None, None] * _LEVELS
    return Difference(largest=float(levels.max()), mean=float(levels.mean()))


class ProcessorLayout:
    """The placement of images by a processor: learnt and compared for each new shape.

    Args:
        show: shows pictures to the processor.
        colours: mean, std, channels and interpolation, to compare with.
        num_channels: C of the pictures.
        culprits: names the key that makes a difference for images of a shape (*spatial).
    """

    def __init__(
        self,
        show: Show,
        colours: Preprocessing,
        num_channels: int,
        culprits: Callable[[tuple[int, ...]], str],
    ) -> None:
        self._show, self._colours = show, colours
        self._num_channels, self._culprits = num_channels, culprits
        self._known: dict[tuple[int, ...], Placement] = {}

    def __call__(self, spatial: tuple[int, ...]) -> Placement:
        """The placement of images of shape (*spatial).

        Raises:
            InputError: volumes, or images that the processor turns into something else.
        """
        if len(spatial) != 2:
            raise InputError(
                f"expected images (H, W) for an image processor of transformers, got {spatial}."
            )
        if spatial not in self._known:
            sample = take_sample(self._show, spatial, self._num_channels)
            found = difference(self._colours, sample)
            if not found.is_rounding:
                raise InputError(
                    f"expected an image processor that misure can follow, on images of {spatial} "
                    f"its tensor differs by {found.largest:.3g} grey levels because of "
                    f"{self._culprits(spatial)}, or give input_size."
                )
            self._known[spatial] = sample.placement
        return self._known[spatial]


def follow(
    processor: Any,
    *,
    num_channels: int,
    given: Sequence[str] = (),
    record: dict[str, Any] | None = None,
) -> Preprocessing:
    """The preprocessing that makes the tensors of an image processor.

    Args:
        processor: an image processor of transformers.
        num_channels: C of the network's images.
        given: names of settings that the user gives, and which therefore need not be understood:
            `mean` and `std` together, `input_size` or `size_divisor`.
        record: the processor's settings, for the record.

    Raises:
        InputError: the processor does what misure cannot; the message names the key.
    """
    show = show_to(processor)
    samples = [take_sample(show, shape, num_channels) for shape in _SHAPES]
    colours = learn_colours(show, samples[0])
    if not {"mean", "std"} <= set(given):
        check_scale(colours)
    names = _interpolations(processor)
    fitting = [name for name in names if _fit(_with_kernel(colours, name), samples)]
    found = replace(_with_kernel(colours, (fitting or names)[0]), processor=record)
    if {"input_size", "size_divisor"} & set(given):
        return found
    layout = ProcessorLayout(
        show, found, num_channels, lambda shape: _culprits(processor, found, num_channels, shape)
    )
    for shape in _SHAPES:
        layout(shape)
    return replace(found, layout=layout)


def _with_kernel(colours: Preprocessing, interpolation: str) -> Preprocessing:
    return replace(colours, interpolation=interpolation, levels=_LEVELS)


def _interpolations(processor: Any) -> list[str]:
    """Names of kernels, the likeliest first."""
    kernel = getattr(processor, "resample", None)
    kernel = getattr(kernel, "value", kernel)
    first = _PILLOW.get(kernel, "linear") if isinstance(kernel, int) else "linear"
    return [first, *(name for name in INTERPOLATIONS if name != first)]


def _fit(colours: Preprocessing, samples: Sequence[Sample]) -> bool:
    return all(difference(colours, sample).is_rounding for sample in samples)


def _culprits(
    processor: Any, colours: Preprocessing, num_channels: int, shape: tuple[int, ...]
) -> str:
    """The key without which the tensors agree, and how to turn it off; else all that are on."""
    keys = [
        key
        for key in sorted(vars(processor))
        if key.startswith("do_") and getattr(processor, key) is True
    ]
    for key in keys:
        try:
            sample = take_sample(show_to(processor, **{key: False}), shape, num_channels)
        except InputError:
            continue
        if any(_fit(_with_kernel(colours, name), [sample]) for name in INTERPOLATIONS):
            return f'{key}: true. Turn it off with processor={{"{key}": false}}'
    return f"one of {', '.join(keys)}. Turn it off with processor={{KEY: false}}"
