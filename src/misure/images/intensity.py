"""How the numbers of a volume become what a network was trained on.

Rules are words, so that a network's file can carry its own:

- `window:LOW:HIGH`: clipped to [LOW, HIGH] and scaled to [0, 1], as for CT in Hounsfield units;
- `percentiles:LOW:HIGH`: the same with percentiles of the image itself (all of its channels
  together), as for MRI, whose numbers have no unit.
"""

from math import isfinite

import numpy as np
from torch import Tensor

from misure.errors import InputError


def scale_intensity(image: Tensor, rule: str) -> Tensor:
    """An image in [0, 1] by a rule; as it is where the rule is empty.

    Args:
        image: (C, *spatial) float.
        rule: see above.

    Raises:
        InputError: no such rule.

    >>> import torch
    >>> scale_intensity(torch.tensor([[-1000.0, 75.0, 900.0]]), "window:-125:275")
    tensor([[0.0000, 0.5000, 1.0000]])
    """
    if not rule:
        return image
    kind, low, high = check_rule(rule)
    if kind == "percentiles":
        low, high = (float(one) for one in np.percentile(image.cpu().numpy(), [low, high]))
        high = max(high, low + 1e-6)
    return ((image - low) / (high - low)).clamp(0, 1)


def check_rule(rule: str) -> tuple[str, float, float]:
    """The kind of a rule, and its two numbers.

    Raises:
        InputError: no such rule.
    """
    kind, *numbers = rule.split(":")
    try:
        low, high = (float(one) for one in numbers)
    except ValueError:
        low = high = 0.0
    within = kind == "window" or (kind == "percentiles" and low >= 0 and high <= 100)
    if not (within and isfinite(high - low) and low < high):
        raise InputError(
            f"expected an intensity rule, window:LOW:HIGH or percentiles:LOW:HIGH, got {rule!r}."
        )
    return kind, low, high
