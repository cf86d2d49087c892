"""Saliency maps: NaN marks the pixels that nothing is known about."""

import torch
from torch import Tensor


def fill_unknown(saliency_map: Tensor, value: float = -torch.inf) -> Tensor:
    """The map (*spatial) float with a number for NaN; by default one that ranks below all others.

    >>> fill_unknown(torch.tensor([0.5, torch.nan, -2.0]))
    tensor([ 0.5000,    -inf, -2.0000])
    """
    return saliency_map.where(~saliency_map.isnan(), value)


def has_numbers(saliency_map: Tensor) -> bool:
    """Whether a map (*spatial) float has a finite number somewhere, and no infinity anywhere."""
    return not bool(saliency_map.isinf().any()) and bool(saliency_map.isfinite().any())
