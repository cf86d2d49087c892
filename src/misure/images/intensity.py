"""Intensity rules: how the numbers of an image are scaled for a network.

A rule is text, so that the file of a network can carry it:

- `window:LOW:HIGH`: clip to [LOW, HIGH] and scale to [0, 1], as for CT in Hounsfield units;
- `percentiles:LOW:HIGH`: clip to these percentiles of the image itself and scale to [0, 1], as for
  MRI, whose numbers have no unit;
- `zscore`: subtract the mean of the image and divide by its standard deviation;
- `zscore-nonzero`: the same by the numbers that are not 0; zeros stay 0, as for MRI without the
  skull;
- `none`: leave a channel as it is.

Each channel is scaled by its own numbers. Several rules with `;` between them are those of the
channels, in their order: `window:-125:275;zscore`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np
import torch
from torch import Tensor

from misure._util.words import counted
from misure.errors import InputError

RULES = "window:LOW:HIGH, percentiles:LOW:HIGH, zscore, zscore-nonzero"
_LEAST = 1e-6  # a range or a deviation below it is taken for it


@dataclass(frozen=True, eq=False)
class Scaling:
    """A rule with the numbers of one image: the same function of every image that is scaled by it.

    Attributes:
        shift, scale: one number for each channel, or one for all; x becomes (x - shift) * scale.
        clip: the least and the largest result, None: no limit; one pair for each channel, or one.
        keeps_zero: for each channel, or once for all: whether 0 stays 0.
        changes_zero: (C, *spatial) bool, pixels where 0 does not stay 0 all the same; None: none.
    """

    shift: tuple[float, ...]
    scale: tuple[float, ...]
    clip: tuple[tuple[float, float] | None, ...] = (None,)
    keeps_zero: tuple[bool, ...] = (False,)
    changes_zero: Tensor | None = None

    def undone(self, numbers: Sequence[float]) -> tuple[float, ...]:
        """What becomes these numbers (one for each channel, or one for all) without clipping."""
        num = max(len(numbers), len(self.shift))
        each = (tuple(one) * (num // len(one)) for one in (numbers, self.shift, self.scale))
        return tuple(shift + number / scale for number, shift, scale in zip(*each, strict=True))

    def __call__(self, images: Tensor) -> Tensor:
        """Images (N, C, *spatial) float, scaled; differentiable."""
        axes = [1] * (images.ndim - 2)
        shift, scale = (
            images.new_tensor(each).view(-1, *axes) for each in (self.shift, self.scale)
        )
        scaled = (images - shift) * scale
        if any(self.clip):
            ends = [pair or (-torch.inf, torch.inf) for pair in self.clip]
            low, high = (
                images.new_tensor(each).view(-1, *axes) for each in zip(*ends, strict=True)
            )
            scaled = torch.minimum(torch.maximum(scaled, low), high)
        if any(self.keeps_zero):
            stays = images == 0
            if not all(self.keeps_zero):
                stays &= torch.tensor(self.keeps_zero, device=images.device).view(-1, *axes)
            if self.changes_zero is not None:
                stays &= ~self.changes_zero.to(images.device)
            scaled = scaled.masked_fill(stays, 0)
        return scaled


def scale_intensity(image: Tensor, rule: str | Sequence[str]) -> Tensor:
    """The image (C, *spatial) scaled by a rule; unchanged if the rule is empty.

    Args:
        image: (C, *spatial) float, finite.
        rule: one for all channels, or several, one for each; empty: none.

    Raises:
        InputError: another rule, or not one for each channel.

    >>> import torch
    >>> scale_intensity(torch.tensor([[-1000.0, 75.0, 900.0]]), "window:-125:275")
    tensor([[0.0000, 0.5000, 1.0000]])
    >>> scale_intensity(torch.tensor([[0.0, 1.0, 3.0]]), "zscore-nonzero")
    tensor([[ 0., -1.,  1.]])
    """
    return scaling_of(image, rule)(image[None])[0] if rule else image


def scaling_of(image: Tensor, rule: str | Sequence[str]) -> Scaling:
    """The scaling of a rule by the numbers of an image (C, *spatial).

    Raises:
        InputError: another rule, or not one for each channel.
    """
    rules = check_rule(rule).split(";")
    check_number_of_rules(rules, len(image))
    each = [
        _of_channel(channel, one)
        for channel, one in zip(image, rules * (len(image) // len(rules)), strict=True)
    ]
    shifts, scales, clips, keeps = zip(*each, strict=True)
    return Scaling(shifts, scales, clips, keeps)


def fixed_scaling(rule: str | Sequence[str]) -> Scaling | None:
    """The scaling of a rule that needs no number of the image (`window`, `none`); else None.

    Raises:
        InputError: another rule.

    >>> import torch
    >>> fixed_scaling("window:-125:275")(torch.tensor([[[-1000.0, 75.0, 900.0]]]))
    tensor([[[0.0000, 0.5000, 1.0000]]])
    """
    rules = check_rule(rule).split(";")
    if not all(_parts(one)[0] in ("window", "none") for one in rules):
        return None
    shifts, scales, clips, keeps = zip(
        *(_of_channel(torch.empty(0), one) for one in rules), strict=True
    )
    return Scaling(shifts, scales, clips, keeps)


def check_number_of_rules(rules: Sequence[object], num_channels: int) -> None:
    """Raises InputError unless there is one rule, or one for each channel."""
    if len(rules) not in (1, num_channels):
        raise InputError(
            f"expected one intensity rule, or one for each of "
            f"{counted(num_channels, 'channel')}, got "
            f"{len(rules)}: {';'.join(map(str, rules))}."
        )


def check_rule(rule: str | Sequence[str]) -> str:
    """A rule as text; several become one, with `;` between them.

    Raises:
        InputError: another rule, or LOW is not below HIGH.
    """
    text = rule if isinstance(rule, str) else ";".join(map(str, rule))
    for one in text.split(";"):
        _parts(one)
    return text


def _parts(rule: str) -> tuple[str, float, float]:
    """The kind of a rule and its two numbers, 0 and 0 if it has none."""
    kind, *numbers = rule.strip().split(":")
    try:
        low, high = map(float, numbers or (0, 0))
    except ValueError:
        low = high = 0.0
    if kind in ("zscore", "zscore-nonzero", "none") and not numbers:
        return kind, 0.0, 0.0
    is_known = kind == "window" or (kind == "percentiles" and low >= 0 and high <= 100)
    if not (is_known and isfinite(high - low) and low < high):
        raise InputError(
            f"expected an intensity rule, {RULES} or none, got {rule!r}. Several, one for each "
            "channel, are written with ; between them."
        )
    return kind, low, high


def _of_channel(
    channel: Tensor, rule: str
) -> tuple[float, float, tuple[float, float] | None, bool]:
    """Shift, scale, clip and whether zero stays zero, of one channel (*spatial)."""
    kind, low, high = _parts(rule)
    if kind == "none":
        return 0.0, 1.0, None, False
    if kind.startswith("zscore"):
        is_nonzero = kind == "zscore-nonzero"
        numbers = channel[channel != 0] if is_nonzero else channel
        if not numbers.numel():
            return 0.0, 1.0, None, is_nonzero
        mean, std = mean_and_deviation(numbers)
        return mean, 1 / std, None, is_nonzero
    if kind == "percentiles":
        low, high = (float(value) for value in np.percentile(channel.cpu().numpy(), [low, high]))
        high = max(high, low + _LEAST)
    return low, 1 / (high - low), (0.0, 1.0), False


def mean_and_deviation(numbers: Tensor) -> tuple[float, float]:
    """The mean and the (population) standard deviation of numbers; 1 in place of 0."""
    exact = numbers.detach().double()
    std = float(exact.std(unbiased=False))
    return float(exact.mean()), std if std > _LEAST * max(1.0, float(exact.abs().max())) else 1.0
