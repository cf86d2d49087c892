"""From the user's image to the network's inputs, and back with the logits.

    image -> resized -> normalised -> laid into one input, or into several windows

Resizing goes to a fixed size, or the short side to a length; what is missing to a multiple of a
divisor is padded at the end of each axis with zeros: the mean colour. An image with a side longer
than `max_side` is made smaller before all else. An image processor of transformers brings a
`Layout` of its own instead. Logits come back by linear interpolation straight to the pixels of the
user's image: padding is cut off, windows are put side by side, and where they overlap their mean
counts.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, prod
from operator import index, le
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from misure._util.short_repr import ShortRepr
from misure._util.words import counted
from misure.errors import InputError
from misure.models.resampling import INTERPOLATIONS, resample, resize

__all__ = ["Placement", "Preprocessing", "make_preprocessing", "resize"]


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where the pixels of an image lie in the network's inputs.

    Attributes:
        resized: shape (*spatial) of the image after resizing.
        input_shape: shape (*spatial) of every input.
        corners: for each input, where in the resized image its first pixel lies; negative numbers
            are padding in front of the image.
        padding: what stands where no image is, one number for each channel, normalised, in the
            order of the network's channels; empty: zeros.
    """

    resized: tuple[int, ...]
    input_shape: tuple[int, ...]
    corners: tuple[tuple[int, ...], ...]
    padding: tuple[float, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether the one input is the resized image, with nothing added or left out."""
        return self.input_shape == self.resized and self.corners == ((0,) * len(self.resized),)

    @property
    def num_pixels(self) -> int:
        """Pixels of all inputs together."""
        return len(self.corners) * prod(self.input_shape)


Layout = Callable[[tuple[int, ...]], Placement]
"""The placement of images of shape (*spatial)."""


@dataclass(frozen=True, repr=False)
class Preprocessing(ShortRepr):
    """What happens to an image before the network sees it.

    Attributes:
        mean, std: one number a channel, or one for all, in the units of the user's image; None:
            no normalisation.
        input_size: exact size (*spatial) of the network's input; or one number: the length of the
            short side, the aspect kept; None: the image's own size.
        size_divisor: every side is padded to a multiple of it.
        interpolation: the kernel of resizing, a name in `INTERPOLATIONS`.
        levels: resized images in [0, 1] become whole multiples of 1 / levels, as Pillow's do;
            gradients pass as if they did not. None: numbers keep their fractions.
        channels: which channel of the image is each channel of the input; None: in their order.
        layout: the placement of images, in place of `input_size` and `size_divisor`.
        processor: the settings of the image processor that `layout` follows, for the record.
        max_side: an image whose long side is longer is first made smaller, so that it is this long,
            the aspect kept; None: there is no limit.
    """

    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    input_size: int | tuple[int, ...] | None = None
    size_divisor: int = 1
    interpolation: str = "linear"
    levels: int | None = None
    channels: tuple[int, ...] | None = None
    layout: Layout | None = None
    processor: Mapping[str, Any] | None = None
    max_side: int | None = None

    def __post_init__(self) -> None:
        sizes = (self.input_size,) if isinstance(self.input_size, int) else self.input_size or ()
        if self.size_divisor < 1 or any(size < 1 for size in sizes):
            raise InputError(
                f"expected positive sizes, got input_size={self.input_size} and "
                f"size_divisor={self.size_divisor}."
            )
        if self.max_side is not None and self.max_side < 1:
            raise InputError(f"expected max_side of 1 or more, got {self.max_side}.")
        if any(deviation <= 0 for deviation in self.std or ()):
            raise InputError(f"expected a positive std, got {self.std}.")
        if self.interpolation not in INTERPOLATIONS:
            raise InputError(
                f"expected an interpolation among {', '.join(INTERPOLATIONS)}, got "
                f"{self.interpolation!r}."
            )

    @property
    def mean_colour(self) -> tuple[float, ...] | None:
        """What the network sees as its mean, in the units of the user's image; None: 0.

        One number for each channel, or one for all: the baseline image `mean`.
        """
        return self.mean

    def mean_colour_of(self, image: Tensor) -> tuple[float, ...] | None:  # noqa: ARG002
        """`mean_colour` in the units of an image (C, *spatial), where planes have others."""
        return self.mean_colour

    def placement(self, spatial: Sequence[int]) -> Placement:
        """Where an image of shape (*spatial) lies in the network's inputs.

        Raises:
            InputError: a fixed input size for images of another dimension.
        """
        spatial = self.limited(spatial)
        if self.layout is not None:
            return self.layout(tuple(spatial))
        resized = self._own_size(spatial)
        padded = tuple(ceil(side / self.size_divisor) * self.size_divisor for side in resized)
        return Placement(resized=resized, input_shape=padded, corners=((0,) * len(resized),))

    def limited(self, spatial: Sequence[int]) -> tuple[int, ...]:
        """The shape of an image of shape (*spatial) with no side longer than `max_side`."""
        longest = max(spatial)
        if self.max_side is None or longest <= self.max_side:
            return tuple(spatial)
        return tuple(max(1, round(side * self.max_side / longest)) for side in spatial)

    @property
    def is_by_class(self) -> bool:
        """Whether `to_image` treats each class by itself, linearly; a subclass may not."""
        return type(self).to_image is Preprocessing.to_image

    def only_enlarges(self, spatial: Sequence[int]) -> bool:
        """Whether `to_image` takes logits of one input to an image (*spatial) and shrinks nothing.

        Each of its numbers is then a mean of logits within three along each axis, if there are no
        more logits than pixels of the input.
        """
        if not self.is_by_class or type(self).placement is not Preprocessing.placement:
            return False
        placement = self.placement(spatial)
        return len(placement.corners) == 1 and all(map(le, placement.resized, spatial))

    def keeps_pixels(self, spatial: Sequence[int]) -> bool:
        """Whether the network's input has the pixels of an image of shape (*spatial)."""
        if not self.is_by_class or type(self).placement is not Preprocessing.placement:
            return False
        placement = self.placement(spatial)
        return placement.is_whole and placement.resized == tuple(spatial)

    def _own_size(self, spatial: Sequence[int]) -> tuple[int, ...]:
        if self.input_size is None:
            return tuple(spatial)
        if isinstance(self.input_size, int):
            return tuple(max(1, int(self.input_size * side / min(spatial))) for side in spatial)
        if len(self.input_size) != len(spatial):
            raise InputError(
                f"expected {len(self.input_size)}D images for input_size "
                f"{self.input_size}, got shape {tuple(spatial)}."
            )
        return self.input_size

    def resized_shape(self, spatial: Sequence[int]) -> tuple[int, ...]:
        """The shape of an image of shape (*spatial) after resizing, before padding."""
        return self.placement(spatial).resized

    def input_shape(self, spatial: Sequence[int]) -> tuple[int, ...]:
        """The shape (*spatial) of the network's inputs for an image of shape (*spatial)."""
        return self.placement(spatial).input_shape

    def to_input(self, images: Tensor) -> Tensor:
        """The network's inputs (N * windows, C, *spatial') of images (N, C, *spatial).

        The windows of an image follow one another.

        Raises:
            InputError: the images have another number of channels than mean or std.
        """
        placement = self.placement(images.shape[2:])
        images = resize(images, self.limited(images.shape[2:]))
        images = resample(images, placement.resized, self.interpolation, self.levels)
        for name, numbers, change in (
            ("mean", self.mean, Tensor.sub),
            ("std", self.std, Tensor.div),
        ):
            if numbers is not None:
                images = change(images, _per_channel(numbers, images, name))
        if self.channels is not None:
            images = images[:, list(self.channels)]
        return images if placement.is_whole else _laid_out(images, placement)

    def to_image(self, logits: Tensor, spatial: Sequence[int]) -> Tensor:
        """Logits at the image's own pixels (N, K, *spatial).

        Args:
            logits: (N * windows, K, *any) for the whole inputs of the network.
            spatial: shape of the user's image.
        """
        placement = self.placement(spatial)
        if placement.is_whole:
            return resize(logits, spatial)
        taken_back = _taken_back(resize(logits, placement.input_shape), placement)
        return resize(taken_back, spatial)


def _per_channel(numbers: Sequence[float], images: Tensor, name: str) -> Tensor:
    if len(numbers) not in (1, images.shape[1]):
        raise InputError(
            f"expected images with {counted(len(numbers), 'channel')} ({name} has "
            f"as many numbers), got {images.shape[1]}: (C, *spatial) = "
            f"{tuple(images.shape[1:])}."
        )
    each = torch.tensor(numbers, dtype=images.dtype, device=images.device)
    return each.view(-1, *[1] * (images.ndim - 2))


def _laid_out(images: Tensor, placement: Placement) -> Tensor:
    """The inputs (N * windows, C, *input_shape) that resized images (N, C, *resized) give."""
    padding = _per_channel(placement.padding or (0.0,), images, "the padding")
    windows = []
    for corner in placement.corners:
        ends = [
            (-start, start + side - whole)
            for start, side, whole in zip(
                corner, placement.input_shape, placement.resized, strict=True
            )
        ]
        widths = [width for pair in reversed(ends) for width in pair]
        windows.append(F.pad(images - padding, widths) + padding)
    return torch.stack(windows, dim=1).flatten(0, 1)


def _taken_back(logits: Tensor, placement: Placement) -> Tensor:
    """Logits (N, K, *resized) of inputs with logits (N * windows, K, *input_shape)."""
    by_image = logits.reshape(-1, len(placement.corners), *logits.shape[1:])
    windows = by_image.unbind(1)
    sums = logits.new_zeros(*windows[0].shape[:2], *placement.resized)
    counts = logits.new_zeros(placement.resized)
    for window, corner in zip(windows, placement.corners, strict=True):
        spans = [
            (max(start, 0), min(start + side, whole), start)
            for start, side, whole in zip(
                corner, placement.input_shape, placement.resized, strict=True
            )
        ]
        there = tuple(slice(low, high) for low, high, _ in spans)
        here = tuple(slice(low - start, high - start) for low, high, start in spans)
        every = (slice(None), slice(None))
        sums[every + there] += window[every + here]
        counts[there] += 1
    return sums if len(windows) == 1 else sums / counts


def make_preprocessing(
    mean: float | Sequence[float] | None,
    std: float | Sequence[float] | None,
    input_size: int | Sequence[int] | None,
    size_divisor: int,
    known: Preprocessing | None = None,
    max_side: int | None = None,
) -> Preprocessing:
    """The preprocessing with these settings.

    Args:
        mean, std: a number for each channel, or one for all; None: no normalisation.
        input_size: exact size (*spatial), or the length of the short side; None: the image's own.
        size_divisor: every side is padded to a multiple of it.
        known: the preprocessing that holds where these settings are None, or 1. A size or a
            divisor takes the place of its whole layout.
        max_side: an image with a longer side is made smaller first; None: as `known` says.

    Raises:
        InputError: other values than numbers, or numbers that are too small.
    """
    known = Preprocessing() if known is None else known
    if not isinstance(known, Preprocessing):
        raise InputError(f"expected preprocessing as a Preprocessing, got {known!r}.")
    try:
        given: dict[str, Any] = {"mean": _numbers(mean), "std": _numbers(std)}
        if input_size is not None:
            given["input_size"] = (
                input_size if isinstance(input_size, int) else tuple(map(index, input_size))
            )
        if max_side is not None:
            given["max_side"] = index(max_side)
        if index(size_divisor) != 1:
            given["size_divisor"] = index(size_divisor)
    except (TypeError, ValueError) as error:
        raise InputError(
            "expected numbers as mean and std, whole numbers as input_size, size_divisor and "
            f"max_side, got {mean!r}, {std!r}, {input_size!r}, {size_divisor!r} and {max_side!r}."
        ) from error
    given = {name: value for name, value in given.items() if value is not None}
    if "input_size" in given or "size_divisor" in given:
        given["layout"] = None
    return replace(known, **given)


def _numbers(value: float | Sequence[float] | None) -> tuple[float, ...] | None:
    if value is None:
        return None
    return (float(value),) if isinstance(value, (int, float)) else tuple(map(float, value))
