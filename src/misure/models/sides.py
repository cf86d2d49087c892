"""Where a network's output lies in its input, told from the sides of both.

An output covers the whole input if its sides are those of the input divided by one stride. If they
are smaller by one number on each axis, the network has valid convolutions and its output is the
middle of the input: stretched over the image, every object would lie in the wrong place.
"""

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

from misure.errors import ModelError
from misure.models.outputs import possible_channels

Sides = Sequence[int]

CHANNELS = (1, 3, 4)
"""How many channels images mostly have."""

_MOST_CHANNELS = 16


def seem_channels_last(shape: Sequence[int | None]) -> bool:
    """Whether an image can only be (*spatial, C): few channels at the end, none in front.

    Args:
        shape: its axes; None: of any length.
    """
    first = shape[0]
    return shape[-1] in CHANNELS and (first is None or first > _MOST_CHANNELS)


def covers(sides: Sides, input_sides: Sides) -> bool:
    """Whether an output with these sides can be the whole input at one stride, up to rounding.

    Strides are whole numbers, or one multiple of 1 / 4, at least 2, shared by axes of different
    length.
    An output may also be finer than the input by a whole number.
    """
    pairs = list(zip(sides, input_sides, strict=True))
    if all(side == long for side, long in pairs):
        return True
    if min(sides) < 1:
        return False
    if all(side % long == 0 for side, long in pairs):
        return len({side // long for side, long in pairs}) == 1
    if any(side > long for side, long in pairs):
        return False
    strides = {long // side for side, long in pairs} | {-(-long // side) for side, long in pairs}
    if any(all(abs(side - long / s) < 1 for side, long in pairs) for s in strides if s >= 2):
        return True
    is_middle = len({long - side for side, long in pairs}) == 1
    return not is_middle and _share_a_stride(pairs)


def _covers_exactly(sides: Sides, input_sides: Sides) -> bool:
    """Whether the sides are those of the input divided by one stride, or by a power of 2, up."""
    pairs = list(zip(sides, input_sides, strict=True))
    stride = max(1, input_sides[0] // max(1, sides[0]))
    powers = (1, 2, 4, 8, 16, 32)
    return all(side * stride == long for side, long in pairs) or any(
        all(side == -(-long // power) for side, long in pairs) for power in powers
    )


def _share_a_stride(pairs: list[tuple[int, int]]) -> bool:
    """Whether a multiple of 1 / 4, 2 or more, is the stride of all (side, long side of input)."""
    side, long = max(pairs, key=lambda pair: pair[1])
    stride = round(4 * long / side) / 4
    return stride >= 2 and all(abs(side - long / stride) < 1 for side, long in pairs)


def classes_first(
    tensor: Tensor, input_sides: Sides, channels_last: bool | None, num_classes: int | None
) -> Tensor:
    """Scores (N, K, *spatial) of a tensor that may be (N, *spatial, K).

    Args:
        tensor: what the network returned.
        input_sides: (*spatial) of the network's input.
        channels_last: whether K is the last axis; None: the sides tell.
        num_classes: K, if it is known.

    Raises:
        ModelError: the sides fit both ways.
    """
    if channels_last is None:
        ways = [
            covers(sides, input_sides) and prod(sides) > 1
            for sides in (tensor.shape[2:], tensor.shape[1:-1])
        ]
        if all(ways) and _covers_exactly(tensor.shape[2:], input_sides):
            ways[1] = _covers_exactly(tensor.shape[1:-1], input_sides)
        if all(ways) and num_classes is not None:
            possible = possible_channels(num_classes)
            ways = [num in possible for num in (tensor.shape[1], tensor.shape[-1])]
        if all(ways):
            raise ModelError(
                f"expected to know which axis of {tuple(tensor.shape)} holds the classes, for an "
                f"input of {tuple(input_sides)} it may be the second or the last. Say "
                "channels_last=False or channels_last=True."
            )
        channels_last = ways[1]
    return tensor.movedim(-1, 1) if channels_last else tensor


def check_covers(sides: Sides, input_sides: Sides, name: str) -> None:
    """Raises ModelError unless an output with these sides is the whole input.

    Args:
        sides: (*spatial) of the output.
        input_sides: (*spatial) of the input, without `border_px`.
        name: of the network.
    """
    sides, input_sides = tuple(sides), tuple(input_sides)
    if prod(sides) == 1 < prod(input_sides):
        raise ModelError(
            f"expected a map, {name} returned one number a class for an input of {input_sides}: it "
            "classifies whole images. Use a network for segmentation."
        )
    if covers(sides, input_sides):
        return
    borders = {long - side for side, long in zip(sides, input_sides, strict=True)}
    smaller = next(iter(borders))
    if len(borders) == 1 and smaller > 0 and smaller % 2 == 0:
        raise ModelError(
            f"expected an output over the whole input of {input_sides}, {name} returned "
            f"{sides}: {smaller} px less on each axis, as valid convolutions do. Say "
            f"border_px={smaller // 2}, and the image is mirrored beyond its edges by as much; or "
            "stretch_output=True if the output does cover the whole input."
        )
    raise ModelError(
        f"expected an output over the whole input of {input_sides}, {name} returned {sides}, which "
        "no common stride explains. Say stretch_output=True if it does cover the whole input, "
        "channels_last=True if the classes are the last axis, or wrap the network."
    )


def mirrored(images: Tensor, border_px: int) -> Tensor:
    """Images (N, C, *spatial), mirrored beyond their edges by `border_px` pixels on each side."""
    for axis in range(2, images.ndim):
        num = images.shape[axis]
        period = max(1, 2 * (num - 1))
        index = torch.arange(-border_px, num + border_px, device=images.device) % period
        images = images.index_select(axis, torch.where(index < num, index, period - index))
    return images
