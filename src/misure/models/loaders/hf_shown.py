"""What an image processor of transformers makes of pictures: where their pixels go, and colours.

- A picture of noise and its inverse differ wherever the image is, and agree in the padding.
- Pictures of one colour give the number that each grey level becomes in each channel.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from misure._util.quiet import quiet
from misure.errors import InputError
from misure.models.preprocessing import Placement, Preprocessing


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
            with quiet():
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
    is_image[slice(*spans[0]), slice(*spans[1])] = True
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


def learn_colours(show: Show, sample: Sample) -> Preprocessing:
    """Mean, std and order of the channels, from pictures of one colour.

    Args:
        show: shows pictures to the processor.
        sample: says where the pixels of pictures of its shape lie.

    Raises:
        InputError: channels that are mixed, or that ignore the picture.
    """
    picture, placement = np.zeros_like(sample.picture), sample.placement
    num_channels = picture.shape[-1]
    corner = placement.corners[0]
    row, column = (
        min(side // 2 - start, length - 1)
        for side, start, length in zip(
            placement.resized, corner, placement.input_shape, strict=True
        )
    )

    def colour(picture: np.ndarray) -> Tensor:
        return show(picture).inputs[0][:, row, column].double()

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
