"""Windows that slide over an image: which patches a network sees, and how much each one counts.

Two rules say where windows lie, as two libraries do:

- `monai`: MONAI's `sliding_window_inference`. Windows are int(size x (1 - overlap)) apart; the last
  one is moved back to the end of the image. Gaussian weights have their centre between the two
  middle pixels, and are 0.001 or more.
- `nnunet`: nnU-Net v2's `compute_steps_for_sliding_window`. As few windows as keep the overlap are
  spaced evenly. Gaussian weights have their centre on a pixel; they are 10 there, and numbers of
  half precision.

An image smaller than a window is padded on both sides, one pixel more at the end. Where windows
overlap, the mean of what the network returned counts, weighted.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import ceil
from operator import index
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from misure._util.short_repr import ShortRepr
from misure.errors import InputError

RULES = ("monai", "nnunet")
"""Rules for where windows lie."""

WEIGHTS = ("constant", "gaussian")
"""How much the pixels of a window count where windows overlap."""

PADDINGS = ("constant", "reflect", "replicate", "circular")
"""What stands beside an image that is smaller than a window, as torch names it."""

_SIGMA = 1 / 8  # of the window's side, in both libraries
_LEAST_OF_MONAI = 1e-3
_MOST_OF_NNUNET = 10

_MOST_LOOKED_AT = 64

Corner = tuple[int, ...]


@dataclass(frozen=True, kw_only=True, repr=False)
class Windows(ShortRepr):
    """Which windows of the network's input a network sees, one after the other.

    Attributes:
        size: the sides of a window (*spatial), or one number for all; 0 is the whole side of the
            image. For volumes, two numbers are windows of single slices along the first axis, for
            2D networks.
        overlap: the share of a window that it has in common with the next, in [0, 1); one number,
            or one for each axis. Along an axis where a window is one pixel wide, as that of the
            slices, it has nothing in common with the next.
        weights: a name in `WEIGHTS`.
        rule: where windows lie, a name in `RULES`.
        padding: what stands beside an image smaller than a window, a name in `PADDINGS`.
        padding_value: the number of constant padding, in the units of the network's input.
        kept_mb: most memory for outputs that are kept for windows whose content comes again, in
            10^6 bytes; 0 keeps none.

    Raises:
        InputError: other values than these.
    """

    size: int | tuple[int, ...]
    overlap: float | tuple[float, ...] = 0.5
    weights: str = "constant"
    rule: str = "monai"
    padding: str = "constant"
    padding_value: float = 0.0
    kept_mb: float = 500

    def __post_init__(self) -> None:
        sizes = (self.size,) if isinstance(self.size, int) else tuple(self.size)
        are_sides = all(isinstance(side, int) and side >= 0 for side in sizes)
        if len(sizes) not in (1, 2, 3) or not are_sides:
            raise InputError(
                f"expected window as one number or one for each axis, none below 0, such as "
                f"96,96,96, got {self.size!r}."
            )
        shares = (self.overlap,) if isinstance(self.overlap, (int, float)) else self.overlap
        if not all(isinstance(share, (int, float)) and 0 <= share < 1 for share in shares):
            raise InputError(f"expected overlap of 0 or more and below 1, got {self.overlap!r}.")
        for name, known in (("weights", WEIGHTS), ("rule", RULES), ("padding", PADDINGS)):
            if getattr(self, name) not in known:
                raise InputError(
                    f"expected {name} of windows among {', '.join(known)}, got "
                    f"{getattr(self, name)!r}."
                )

    def of_slices(self, num_axes: int) -> bool:
        """Whether windows are single slices of a volume, which a 2D network sees."""
        return num_axes == 3 and not isinstance(self.size, int) and len(self.size) == 2

    def window(self, spatial: Sequence[int]) -> tuple[int, ...]:
        """The shape (*spatial) of the windows of an input of shape (*spatial).

        Raises:
            InputError: windows of another number of axes.
        """
        size: tuple[int, ...] = (
            (self.size,) * len(spatial) if isinstance(self.size, int) else tuple(self.size)
        )
        if self.of_slices(len(spatial)):
            size = (1, *size)
        if len(size) != len(spatial):
            raise InputError(
                f"expected a window of {len(spatial)} numbers for images of shape "
                f"{tuple(spatial)}, got {self.size!r}."
            )
        return tuple(side if side > 0 else whole for side, whole in zip(size, spatial, strict=True))

    def padded(self, spatial: Sequence[int]) -> tuple[int, ...]:
        """The shape of an input of shape (*spatial) after padding."""
        return tuple(map(max, spatial, self.window(spatial)))

    def front(self, spatial: Sequence[int]) -> Corner:
        """Where in the padded input the first pixel of an input of shape (*spatial) lies."""
        padded = self.padded(spatial)
        return tuple((long - side) // 2 for long, side in zip(padded, spatial, strict=True))

    def pad(self, inputs: Tensor) -> Tensor:
        """Inputs (N, C, *spatial) with what is missing to one window; differentiable."""
        spatial = tuple(inputs.shape[2:])
        padded, front = self.padded(spatial), self.front(spatial)
        if padded == spatial:
            return inputs
        widths = [
            width
            for long, side, start in reversed([*zip(padded, spatial, front, strict=True)])
            for width in (start, long - side - start)
        ]
        if self.padding == "constant":
            return F.pad(inputs, widths, value=self.padding_value)
        return F.pad(inputs, widths, mode=self.padding)

    def starts(self, spatial: Sequence[int]) -> list[list[int]]:
        """For each axis, where windows begin in the padded input, in rising order."""
        window, padded = self.window(spatial), self.padded(spatial)
        shares = (
            (self.overlap,) * len(window)
            if isinstance(self.overlap, (int, float))
            else tuple(self.overlap)
        )
        if len(shares) == 2 and self.of_slices(len(window)):
            shares = (0.0, *shares)
        if len(shares) != len(window):
            raise InputError(
                f"expected overlap as one number or {len(window)}, got {self.overlap!r}."
            )
        place = _as_nnunet if self.rule == "nnunet" else _as_monai
        return [
            place(side, long, share if long > 1 else 0.0)
            for side, long, share in zip(padded, window, shares, strict=True)
        ]

    def corners(self, spatial: Sequence[int]) -> Iterator[Corner]:
        """The first pixel of each window in the padded input, in the order they are shown."""
        return product(*self.starts(spatial))

    def num_windows(self, spatial: Sequence[int]) -> int:
        """How many windows an input of shape (*spatial) has."""
        return int(np.prod([len(starts) for starts in self.starts(spatial)]))

    def busiest(self, inputs: Tensor) -> Tensor:
        """Of the windows (1, C, *window) of an input (1, C, *spatial), one with much in it.

        At most 64 of them are looked at; the one whose numbers differ most is taken.
        """
        shape = tuple(inputs.shape[2:])
        padded, window = self.pad(inputs), self.window(shape)
        corners = [*self.corners(shape)]
        chosen = corners[:: ceil(len(corners) / _MOST_LOOKED_AT)]
        boxes = [padded[(slice(None), slice(None), *box_of(at, window))] for at in chosen]
        return max(boxes, key=lambda box: float(box.std(correction=0))).contiguous()

    def weight(self, spatial: Sequence[int]) -> Tensor:
        """How much each pixel of a window counts, (*window) float32."""
        window = self.window(spatial)
        if self.weights == "constant":
            return torch.ones(window)
        sides = window[1:] if self.of_slices(len(spatial)) else window
        make = _gaussian_of_nnunet if self.rule == "nnunet" else _gaussian_of_monai
        return make(sides).expand(window)

    def settings(self) -> dict[str, Any]:
        """The attributes as plain values, by the names of the arguments of SegmentationModel."""
        return {
            "window": self.size if isinstance(self.size, int) else list(self.size),
            "overlap": self.overlap if isinstance(self.overlap, float) else [*_all(self.overlap)],
            "window_weights": self.weights,
            "window_rule": self.rule,
            "window_padding": self.padding,
        }


NO_WINDOWS: dict[str, Any] = {
    "window": None,
    "overlap": None,
    "window_weights": None,
    "window_rule": None,
    "window_padding": None,
}
"""The settings of a network that sees whole images."""


def make_windows(
    window: "Windows | int | Sequence[int] | None",
    overlap: float | Sequence[float] | None,
    weights: str | None,
    rule: str | None,
    padding: str | None,
) -> Windows | None:
    """The windows that arguments of SegmentationModel ask for; None: the network sees all at once.

    Raises:
        InputError: other values than those of `Windows`, or such values without a window.
    """
    given = {"overlap": overlap, "weights": weights, "rule": rule, "padding": padding}
    names = [name for name, value in given.items() if value is not None]
    if names and (window is None or isinstance(window, Windows)):
        name = names[0] if names[0] == "overlap" else f"window_{names[0]}"
        beside = "window=SIZE" if window is None else "window as its sides, and not as Windows"
        raise InputError(f"expected {beside} beside {name}, got {given[names[0]]!r} alone.")
    if window is None or isinstance(window, Windows):
        return window
    overlap = 0.5 if overlap is None else overlap
    try:
        size = window if isinstance(window, int) else tuple(map(index, window))
        share = float(overlap) if isinstance(overlap, (int, float)) else tuple(map(float, overlap))
    except (TypeError, ValueError) as error:
        raise InputError(
            "expected window as one number or one for each axis, such as 96,96,96, and overlap as "
            f"a number, got {window!r} and {overlap!r}."
        ) from error
    return Windows(
        size=size,
        overlap=share,
        weights=weights or "constant",
        rule=rule or "monai",
        padding=padding or "constant",
    )


def box_of(corner: Corner, window: Sequence[int]) -> tuple[slice, ...]:
    """The pixels of a window."""
    return tuple(slice(low, low + side) for low, side in zip(corner, window, strict=True))


def _all(overlap: float | tuple[float, ...]) -> tuple[float, ...]:
    return (float(overlap),) if isinstance(overlap, (int, float)) else overlap


def _as_monai(side: int, window: int, overlap: float) -> list[int]:
    interval = max(1, int(window * (1 - overlap)))
    num = 1 + ceil((side - window) / interval)
    return [min(i * interval, side - window) for i in range(num)]


def _as_nnunet(side: int, window: int, overlap: float) -> list[int]:
    # As there: the step is a fraction of the window, and numbers of .5 are rounded to even ones.
    num = int(np.ceil((side - window) / (window * (1 - overlap)))) + 1
    step = (side - window) / (num - 1) if num > 1 else 0.0
    return [int(np.round(step * i)) for i in range(num)]


def _gaussian_of_monai(window: Sequence[int]) -> Tensor:
    weight = torch.ones(())
    for side in window:
        offsets = torch.arange(-(side - 1) / 2, (side - 1) / 2 + 1, dtype=torch.float32)
        along = torch.exp(offsets**2 / (-2 * (side * _SIGMA) ** 2))
        weight = weight.unsqueeze(-1) * along
    return weight.clamp(min=max(float(weight.min()), _LEAST_OF_MONAI))


def _gaussian_of_nnunet(window: Sequence[int]) -> Tensor:
    weight = np.ones(())
    for side in window:
        peak = np.zeros(side)
        peak[side // 2] = 1
        weight = weight[..., None] * gaussian_filter1d(peak, side * _SIGMA, mode="constant")
    half = torch.from_numpy(weight / (weight.max() / _MOST_OF_NNUNET)).half()
    return torch.where(half == 0, half[half != 0].min(), half).float()
