"""From the user's image to the network's input, and back with the logits.

Normalise, then resize (to a fixed size, or the short side to a length) or pad (to multiples of a
divisor, at the end of each axis, with zeros: the mean colour). Resizing is linear with antialiasing
where torch offers it (2D), as Pillow and the transformers processors do. Logits come back by linear
interpolation straight to the pixels of the user's image.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from operator import index

import torch
import torch.nn.functional as F
from torch import Tensor

from misure.errors import InputError

_LINEAR = {2: "bilinear", 3: "trilinear"}


@dataclass(frozen=True)
class Preprocessing:
    """What happens to an image before the network sees it.

    Attributes:
        mean, std: one number a channel, or one for all, in the units of the user's image; None:
            no normalisation.
        input_size: exact size (*spatial) of the network's input; or one number: the length of the
            short side, the aspect kept; None: the image's own size.
        size_divisor: every side is padded to a multiple of it.
    """

    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    input_size: int | tuple[int, ...] | None = None
    size_divisor: int = 1

    def __post_init__(self) -> None:
        sizes = (self.input_size,) if isinstance(self.input_size, int) else self.input_size or ()
        if self.size_divisor < 1 or any(size < 1 for size in sizes):
            raise InputError(
                f"expected positive sizes, got input_size={self.input_size} and "
                f"size_divisor={self.size_divisor}."
            )
        if any(deviation <= 0 for deviation in self.std or ()):
            raise InputError(f"expected a positive std, got {self.std}.")

    def resized_shape(self, spatial: Sequence[int]) -> tuple[int, ...]:
        """The shape of an image of shape (*spatial) after resizing, before padding.

        Raises:
            InputError: a fixed input size for images of another dimension.
        """
        if self.input_size is None:
            return tuple(spatial)
        if isinstance(self.input_size, int):
            scale = self.input_size / min(spatial)
            return tuple(max(1, round(side * scale)) for side in spatial)
        if len(self.input_size) != len(spatial):
            raise InputError(
                f"expected {len(self.input_size)}D images for input_size "
                f"{self.input_size}, got shape {tuple(spatial)}."
            )
        return self.input_size

    def to_input(self, images: Tensor) -> Tensor:
        """The network's input (N, C, *spatial') of images (N, C, *spatial).

        Raises:
            InputError: the images have another number of channels than mean or std.
        """
        for name, numbers, change in (
            ("mean", self.mean, Tensor.sub),
            ("std", self.std, Tensor.div),
        ):
            if numbers is None:
                continue
            if len(numbers) not in (1, images.shape[1]):
                raise InputError(
                    f"expected images with {len(numbers)} channels ({name} has "
                    f"as many numbers), got {images.shape[1]}: (C, *spatial) = "
                    f"{tuple(images.shape[1:])}."
                )
            each = torch.tensor(numbers, dtype=images.dtype, device=images.device)
            images = change(images, each.view(-1, *[1] * (images.ndim - 2)))
        resized = resize(images, self.resized_shape(images.shape[2:]))
        missing = [-side % self.size_divisor for side in resized.shape[2:]]
        return F.pad(resized, [n for side in reversed(missing) for n in (0, side)])

    def to_image(self, logits: Tensor, spatial: Sequence[int]) -> Tensor:
        """Logits at the image's own pixels (N, K, *spatial).

        Args:
            logits: (N, K, *any) for the whole network input.
            spatial: shape of the user's image.
        """
        resized = self.resized_shape(spatial)
        padded = tuple(ceil(side / self.size_divisor) * self.size_divisor for side in resized)
        if padded == resized:
            return resize(logits, spatial)
        window = (slice(None), slice(None), *map(slice, resized))
        cropped = resize(logits, padded)[window]
        return resize(cropped, spatial)


def make_preprocessing(
    mean: float | Sequence[float] | None,
    std: float | Sequence[float] | None,
    input_size: int | Sequence[int] | None,
    size_divisor: int,
) -> Preprocessing:
    """The preprocessing with these settings.

    Args:
        mean, std: a number for each channel, or one for all; None: no normalisation.
        input_size: exact size (*spatial), or the length of the short side; None: the image's own.
        size_divisor: every side is padded to a multiple of it.

    Raises:
        InputError: other values than numbers, or numbers that are too small.
    """
    try:
        return Preprocessing(
            mean=_numbers(mean),
            std=_numbers(std),
            input_size=(
                input_size
                if input_size is None or isinstance(input_size, int)
                else tuple(map(index, input_size))
            ),
            size_divisor=index(size_divisor),
        )
    except (TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            "expected numbers as mean and std, whole numbers as input_size and "
            f"size_divisor, got {mean!r}, {std!r}, {input_size!r} and {size_divisor!r}."
        ) from error


def _numbers(value: float | Sequence[float] | None) -> tuple[float, ...] | None:
    if value is None:
        return None
    return (float(value),) if isinstance(value, (int, float)) else tuple(map(float, value))


def resize(images: Tensor, spatial: Sequence[int]) -> Tensor:
    """Images (N, C, *any), linearly interpolated to (N, C, *spatial); unchanged if they fit."""
    if images.shape[2:] == tuple(spatial):
        return images
    shrinks = any(new < old for new, old in zip(spatial, images.shape[2:], strict=True))
    return F.interpolate(
        images,
        tuple(spatial),
        mode=_LINEAR[len(spatial)],
        align_corners=False,
        antialias=shrinks and len(spatial) == 2,
    )
