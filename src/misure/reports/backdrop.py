"""The image below a drawing: where it comes from, how it lies, and in which greys or colours."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from misure.errors import InputError, MisureError
from misure.images.cuts import Cut, Lie
from misure.images.orientation import AS_STORED, ViewingOrder, spacing_mm, viewing_order
from misure.images.planes import as_colours, grey_range
from misure.images.read import read_image
from misure.images.volume_file import VolumeFile
from misure.images.volumes import volume_of
from misure.models.inputs import affine_of, are_paths, as_image
from misure.models.model import SegmentationModel

_COLOURS = (("red", "green", "blue"), ("r", "g", "b"))


@dataclass(frozen=True)
class Backdrop:
    """An image, ready to be drawn.

    Attributes:
        pixels: (C, *spatial) float on the CPU.
        lie: how it lies.
        channel: the one that is drawn in greys; None: three channels are drawn as colours.
        channel_names: C names; empty: they have none.
        low, high: the numbers drawn as black and as white.
        has_window: whether these are the window that the model looks through.
    """

    pixels: Tensor
    lie: Lie
    channel: int | None
    channel_names: tuple[str, ...]
    low: float
    high: float
    has_window: bool = False

    def colours(self, cut: Cut, pixels: Tensor | None = None) -> np.ndarray:
        """Greys (H, W) or colours (H, W, 3) in [0, 1] of a cut.

        Args:
            cut: of the image.
            pixels: (C, *spatial), to be drawn in the same way; None: the image itself.
        """
        chosen = self.pixels if pixels is None else pixels
        if self.channel is not None:
            chosen = chosen[self.channel : self.channel + 1]
        return as_colours(cut.take(chosen), self.low, self.high)

    def channel_label(self, number: int) -> str:
        """The name of a channel, or its number."""
        return self.channel_names[number] if self.channel_names else f"channel {number}"

    @property
    def notes(self) -> list[str]:
        """What a reader has to know of the greys and colours, in sentences."""
        said, num = [], len(self.pixels)
        names = [self.channel_label(number) for number in range(num)]
        if self.channel is not None and num > 1:
            most = ", ".join(names[:8]) + (" …" if num > 8 else "")
            said.append(f"Drawn: {names[self.channel]}, one of {num} channels ({most}).")
        elif self.channel is None and self.channel_names and not _are_colours(self.channel_names):
            said.append(f"Drawn as red, green and blue: {', '.join(names)}.")
        if (self.low, self.high) != (0.0, 1.0):
            what = "the model's window" if self.has_window else "the 1 % and 99 % quantiles"
            said.append(
                f"Black is {self.low:.4g} and less, white {self.high:.4g} and more: {what}."
            )
        return said


def backdrop_of(
    kept: Tensor | None,
    path: str,
    shape: Sequence[int],
    *,
    image: Any = None,
    model: SegmentationModel | None = None,
    affine: Any = None,
    lie: Lie | None = None,
    sides_mm: Sequence[float] | None = None,
    slice_index: int | None = None,
    channel: int | str | None = None,
    channel_names: Sequence[str] = (),
    intensity: str = "",
) -> Backdrop:
    """The image to draw on: the one given, else the one kept in memory, else that of the file.

    Args:
        kept: (C, *spatial), the image in memory; None: there is none.
        path: the file that it is from; may be empty.
        shape: (*spatial) that it has to have.
        image: (C, *spatial), or what stands for it (see `as_image`); None: not given.
        model: that takes the image; None: not known.
        affine: (4, 4) from voxel indices to millimetres (RAS+); None: that of the file, if the
            image is one.
        lie: how it lies, if that is known already.
        sides_mm: of a pixel or voxel along each axis; None: those of the affine.
        slice_index: of the slice of a volume that was explained; None: it was no slice.
        channel: number or name of the one to draw in greys; None: three channels are colours, of
            other numbers it is the first.
        channel_names: of all channels; empty: they have no names.
        intensity: the rule by which the model scales numbers (see `misure.images.intensity`); a
            window is drawn from black to white; empty: that of the model, if it is known.

    Raises:
        InputError: no image, one of another shape, or no such channel.
    """
    pixels, found = _pixels(kept, path, image, model, slice_index)
    if tuple(pixels.shape[1:]) != tuple(shape):
        raise InputError(
            f"expected the image that was explained, of shape {tuple(shape)}, got one of "
            f"{tuple(pixels.shape[1:])}. Give the same image: image=..."
        )
    names = tuple(channel_names) if len(channel_names) == len(pixels) else ()
    chosen = _channel(channel, names, len(pixels))
    of_range = pixels if chosen is None else pixels[chosen : chosen + 1]
    window = _window(intensity or (model.intensity if model else ""))
    low, high = grey_range(of_range)
    if window and (low, high) != (0.0, 1.0):  # else the numbers are scaled already
        low, high = window
    known = lie or _lie(pixels.ndim - 1, affine, found, sides_mm)
    has_window = (low, high) == window
    return Backdrop(pixels.detach().cpu(), known, chosen, names, low, high, has_window)


def _window(intensity: str) -> tuple[float, float] | None:
    """The numbers between which a model looks, if its rule is a window of numbers."""
    kind, *limits = str(intensity).split(":")
    try:
        low, high = map(float, limits)
    except ValueError:
        return None
    return (low, high) if kind == "window" and low < high else None


def lie_of_file(path: Any, num_axes: int) -> Lie:
    """How the image of a file lies; nothing is known of a picture, or of what cannot be read.

    Args:
        path: the file, or those of its channels.
        num_axes: 2 for a picture or a slice, 3 for a volume.
    """
    try:
        volume = volume_of(path)
        return Lie() if volume is None else lie_of_volume(volume, num_axes)
    except (MisureError, OSError):
        return Lie()


def lie_of_volume(volume: VolumeFile, num_axes: int) -> Lie:
    """How a volume lies, or one of its axial slices laid out for viewing.

    Args:
        volume: opened.
        num_axes: 2 for a slice, 3 for the volume.

    Raises:
        InputError: its affine gives an axis no direction.
    """
    sides = spacing_mm(volume.affine) if volume.has_spacing else None
    order = volume.order
    try:
        volume.check_oriented()
        is_known = volume.has_spacing
    except MisureError:
        is_known = False
    if num_axes == 2:
        of_slice = None if sides is None else tuple(sides[axis] for axis, _ in order[1:])
        return Lie(AS_STORED, is_known, of_slice)
    return Lie(order, is_known, sides)


def _pixels(
    kept: Tensor | None,
    path: str,
    image: Any,
    model: SegmentationModel | None,
    slice_index: int | None,
) -> tuple[Tensor, Any]:
    """The image, and the file or tensor that may know how it lies."""
    used = model or SegmentationModel(nn.Identity())
    if image is not None:
        is_file = isinstance(image, (str, Path)) or are_paths(image)
        if is_file and slice_index is not None:
            return _slice(image, slice_index, used), image
        return as_image(image, used), image
    if kept is not None:
        return kept, path or None
    if path and all(Path(part).exists() for part in path.split(",")):
        if slice_index is not None:
            return _slice(path, slice_index, used), path
        return as_image(path, used), path
    known = f"{path} is not there" if path else "it knows no file of it"
    raise InputError(
        f"expected the image to draw on: the result keeps none, and {known}. Give it: image=..."
    )


def _slice(path: Any, number: int, model: SegmentationModel) -> Tensor:
    return read_image(
        path, num_channels=model.num_channels, slice_index=number, intensity=model.intensity
    )


def _lie(num_axes: int, affine: Any, found: Any, sides_mm: Sequence[float] | None) -> Lie:
    sides = None if sides_mm is None else tuple(float(side) for side in sides_mm)
    order: ViewingOrder
    if affine is None and isinstance(found, Tensor):
        affine = affine_of(found)
    if affine is None:
        is_file = isinstance(found, (str, Path)) or are_paths(found)
        lie = lie_of_file(found, num_axes) if is_file else Lie()
        return Lie(lie.order, lie.is_known, sides or lie.spacing_mm)
    matrix = np.asarray(torch.as_tensor(affine), np.float64)
    if num_axes == 2:
        raise InputError("expected no affine with a flat image.")
    order = viewing_order(matrix, "affine")
    return Lie(order, True, sides or spacing_mm(matrix))


def _channel(channel: int | str | None, names: Sequence[str], num: int) -> int | None:
    """The channel to draw in greys; None: all three as colours."""
    if channel is None:
        return None if num == 3 else 0
    if isinstance(channel, str) and channel in names:
        return names.index(channel)
    text = str(channel)
    if text.isdigit() and int(text) < num:
        return int(text)
    known = f"0 to {num - 1}" + (f" or {', '.join(names)}" if names else "")
    raise InputError(f"expected a channel among {known}, got {channel!r}.")


def _are_colours(names: Sequence[str]) -> bool:
    return tuple(name.lower() for name in names) in _COLOURS
