"""What an image processor of transformers does to a picture, learnt by showing it pictures.

A processor takes whole grey levels and gives no gradients, so misure does the same with tensors,
down to the rounding; gradients pass as if nothing were rounded. It does not read the processor's keys: it shows the processor pictures and sees what comes back.

- Pictures of one colour give the number that each grey level becomes in each channel.
- A picture of noise and its inverse differ wherever the image is, and agree in the padding.
- The kernel is the one that makes the processor's own tensor of the noise.

The last comparison is made for every new shape of image. A processor whose tensor differs is
refused, with the key that makes the difference.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from misure.errors import InputError
from misure.models.preprocessing import Placement, Preprocessing
from misure.models.resampling import INTERPOLATIONS

_SHAPES = ((37, 53), (210, 140))
_LEVELS = 255
MEAN_LEVELS, MAX_LEVELS = 0.1, 2.5
"""How far the tensor may differ from the processor's, in grey levels: on average, and anywhere.
Where a number lies between two levels, Pillow's sums of whole numbers may take the other one."""

_PILLOW = {0: "nearest", 1: "lanczos", 2: "linear", 3: "bicubic", 4: "box", 5: "hamming"}


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What a processor made of one picture.

    Attributes:
        inputs: (windows, C, H, W) float.
        ends: the end of each window along the longer side; empty if it is no window.
    """

    inputs: Tensor
    ends: tuple[int, ...] = ()


Show = Callable[[np.ndarray], Shown]
"""From a picture (H, W, C) uint8 to what the processor makes of it."""


def show_to(processor: Any, **keys: Any) -> Show:
    """A function that shows pictures to a processor, with other values for some of its keys."""

    def show(picture: np.ndarray) -> Shown:
        is_photograph = picture.shape[-1] == 3
        image = Image.fromarray(picture) if is_photograph else picture
        form = {} if is_photograph else {"input_data_format": "channels_last"}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                output = processor(images=[image], return_tensors="pt", **form, **keys)
            inputs = output["pixel_values"]
            offsets = output.get("patch_offsets") or ()
        except Exception as error:
            reason = (str(error).strip().splitlines() or [""])[0][:200]
            raise InputError(
                "expected an image processor for single pictures, "
                f"{type(processor).__name__} raised {type(error).__name__} on one of shape "
                f"{picture.shape}: {reason} Give input_size, mean and std yourself, with "
                "processor=False."
            ) from error
        inputs = torch.as_tensor(np.asarray(inputs)) if not isinstance(inputs, Tensor) else inputs
        windows = inputs.float() if inputs.ndim == 4 else inputs.float()[None]
        return Shown(inputs=windows, ends=tuple(int(offset[2]) for offset in offsets))

    return show


def noise_picture(spatial: Sequence[int], num_channels: int) -> np.ndarray:
    """A picture (H, W, C) uint8 with coarse blocks and fine grain; always the same one."""
    generator = np.random.default_rng(0)
    height, width = spatial
    blocks = generator.integers(0, 128, (height // 8 + 1, width // 8 + 1, num_channels))
    coarse = blocks.repeat(8, 0).repeat(8, 1)[:height, :width]
    return (coarse + generator.integers(0, 128, coarse.shape)).astype(np.uint8)


def as_images(picture: np.ndarray) -> Tensor:
    """A picture (H, W, C) uint8 as misure reads it: (1, C, H, W) in [0, 1]."""
    return torch.from_numpy(picture).movedim(-1, 0)[None].float() / 255


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A picture, and what a processor made of it.

    Attributes:
        picture: (H, W, C) uint8.
        inputs: (windows, C, H, W) float.
        placement: where the picture's pixels lie in the inputs.
    """

    picture: np.ndarray
    inputs: Tensor
    placement: Placement


def take_sample(show: Show, spatial: tuple[int, ...], num_channels: int) -> Sample:
    """What a processor makes of noise of shape (*spatial), and where its pixels lie."""
    picture = noise_picture(spatial, num_channels)
    shown = show(picture)
    sides = tuple(shown.inputs.shape[2:])
    if len(shown.inputs) > 1:
        placement = _windows(shown, spatial, sides)
        return Sample(picture=picture, inputs=shown.inputs, placement=placement)
    differs = (shown.inputs != show(255 - picture).inputs)[0].any(0)
    spans = [_span(differs.any(1)), _span(differs.any(0))]
    is_image = torch.zeros(sides, dtype=torch.bool)
    is_image[tuple(slice(*span) for span in spans)] = True
    outside = shown.inputs[0][:, ~is_image]
    placement = Placement(
        resized=tuple(end - start for start, end in spans),
        input_shape=sides,
        corners=(tuple(-start for start, _ in spans),),
        padding=tuple(outside[:, 0].tolist()) if outside.numel() else (),
    )
    return Sample(picture=picture, inputs=shown.inputs, placement=placement)


def _span(differs: Tensor) -> tuple[int, int]:
    where = differs.nonzero()
    if not len(where):
        raise InputError(
            "expected an image processor whose output depends on the picture, got the same for "
            "noise and its inverse. Give input_size, mean and std yourself, with processor=False."
        )
    return int(where[0]), int(where[-1]) + 1


def _windows(shown: Shown, spatial: tuple[int, ...], sides: tuple[int, ...]) -> Placement:
    if len(shown.ends) != len(shown.inputs):
        raise InputError(
            "expected an image processor that makes one input of a picture, or windows with "
            f"patch_offsets, got {len(shown.inputs)} inputs. Give input_size, mean and std "
            "yourself, with processor=False."
        )
    axis = 0 if spatial[0] > spatial[1] else 1
    resized, corners = list(sides), []
    resized[axis] = max(shown.ends)
    for end in shown.ends:
        corner = [0, 0]
        corner[axis] = end - sides[axis]
        corners.append(tuple(corner))
    return Placement(resized=tuple(resized), input_shape=sides, corners=tuple(corners))


def learn_colours(show: Show, placement: Placement, num_channels: int) -> Preprocessing:
    """Mean, std and order of the channels, from pictures of one colour.

    Args:
        show: shows pictures to the processor.
        placement: of pictures of the first shape that is tried.
        num_channels: C of the pictures.

    Raises:
        InputError: channels that are mixed, or that ignore the picture.
    """
    picture = np.zeros((*_SHAPES[0], num_channels), np.uint8)
    corner = placement.corners[0]
    middle = tuple(
        min(side // 2 - start, length - 1)
        for side, start, length in zip(
            placement.resized, corner, placement.input_shape, strict=True
        )
    )

    def colour(picture: np.ndarray) -> Tensor:
        return show(picture).inputs[0][(slice(None), *middle)].double()

    black = colour(picture)
    responses = []
    for channel in range(num_channels):
        picture = np.zeros_like(picture)
        picture[..., channel] = 255
        responses.append(colour(picture) - black)
    response = torch.stack(responses)  # image channel x input channel
    strength = response.abs()
    channels = strength.argmax(0)
    scale = response.gather(0, channels[None])[0]
    others = strength.sum(0) - scale.abs()
    if len(set(channels.tolist())) != num_channels or bool(
        ((scale <= 0) | (others > 1e-3 * scale.abs())).any()
    ):
        raise InputError(
            "expected an image processor that rescales each channel by itself, got one that "
            "mixes them. Give mean and std yourself, with processor=False."
        )
    order = channels.argsort()
    mean, std = (-black / scale)[order], (1 / scale)[order]
    return Preprocessing(
        mean=_plain(mean) if float(mean.abs().max()) > 1e-6 else None,
        std=_plain(std) if float((std - 1).abs().max()) > 1e-6 else None,
        channels=None if channels.tolist() == [*range(num_channels)] else tuple(channels.tolist()),
    )


def _plain(numbers: Tensor) -> tuple[float, ...]:
    """Numbers with the six digits that float32 is sure of."""
    return tuple(float(f"{number:.6g}") for number in numbers.tolist())


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
    colours = learn_colours(show, samples[0].placement, num_channels)
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
