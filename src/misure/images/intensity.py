"""Intensity rules: how the numbers of a volume are scaled for a network.

A rule is text, so that the file of a network can carry it:

- `window:LOW:HIGH`: clip to [LOW, HIGH] and scale to [0, 1], as for CT in Hounsfield units;
- `percentiles:LOW:HIGH`: clip to these percentiles of the image itself (all of its channels
  together) and scale to [0, 1], as for MRI, whose numbers have no unit.
"""

from math import isfinite

import numpy as np
from torch import Tensor

from misure.errors import InputError


def scale_intensity(image: Tensor, rule: str) -> Tensor:
    """The image (C, *spatial) scaled to [0, 1] by a rule; unchanged if the rule is empty.

    Args:
        image: (C, *spatial) float, finite.
        rule: `window:LOW:HIGH`, `percentiles:LOW:HIGH` or empty.

    Raises:
        InputError: another rule.

    >>> import torch
    >>> scale_intensity(torch.tensor([[-1000.0, 75.0, 900.0]]), "window:-125:275")
    tensor([[0.0000, 0.5000, 1.0000]])
    """
    if not rule:
        return image
    kind, low, high = check_rule(rule)
    if kind == "percentiles":
        low, high = (float(value) for value in np.percentile(image.cpu().numpy(), [low, high]))
        high = max(high, low + 1e-6)
    return ((image - low) / (high - low)).clamp(0, 1)


def check_rule(rule: str) -> tuple[str, float, float]:
    """The kind of a rule (`window` or `percentiles`), and its two numbers.

    Raises:
        InputError: another rule, or LOW is not below HIGH.
    """
    kind, *numbers = rule.split(":")
    try:
        low, high = map(float, numbers)
    except ValueError:
        low = high = 0.0
    is_known = kind == "window" or (kind == "percentiles" and low >= 0 and high <= 100)
    if not (is_known and isfinite(high - low) and low < high):
        raise InputError(
            f"expected an intensity rule, window:LOW:HIGH or percentiles:LOW:HIGH, got {rule!r}."
        )
    return kind, low, high
