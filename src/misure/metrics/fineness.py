"""How fine a map is: few pixels or many, in one piece or in dust.

Of maps the positive part counts, without an offset, and its scale does not matter.
"""

import torch
from torch import Tensor

from misure.images.regions import component_numbers
from misure.metrics.maps import positive_part


def effective_area(saliency_map: Tensor) -> float:
    """exp(entropy) of the map as a distribution, as a fraction of its pixels, in (0, 1].

    The area of a flat map with the same entropy: a map that is constant on a part of the image has
    the area of that part. An empty map gives 1, as it says nothing.

    Args:
        saliency_map: (*spatial) float.
    """
    positive = positive_part(saliency_map).flatten()
    total = positive.sum()
    if total <= 0:
        return 1.0
    shares = (positive / total)[positive > 0]
    entropy = -(shares * shares.log()).sum()
    return min(1.0, float(entropy.exp()) / len(positive))


def gini(saliency_map: Tensor) -> float:
    """The Gini coefficient of the map's values, in [0, 1): 0 flat, near 1 a single pixel.

    Args:
        saliency_map: (*spatial) float; an empty one gives 0.
    """
    values = positive_part(saliency_map).flatten().sort().values
    total = values.sum()
    if total <= 0:
        return 0.0
    n = len(values)
    ranks = torch.arange(1, n + 1, dtype=values.dtype, device=values.device)
    return float((2 * ranks - n - 1) @ values / (n * total))


def total_variation(saliency_map: Tensor) -> float:
    """The sum of the differences between neighbours, relative to the sum of the map; 0 or more.

    Large for dust, small for whole pieces: that of a region is its perimeter over its area.

    Args:
        saliency_map: (*spatial) float; an empty one gives 0.
    """
    positive = positive_part(saliency_map)
    total = positive.sum()
    if total <= 0:
        return 0.0
    steps = sum(positive.diff(dim=axis).abs().sum() for axis in range(positive.ndim))
    return float(steps / total)


def num_parts(region: Tensor) -> float:
    """Connected parts of a region; 0 for an empty one.

    Args:
        region: (*spatial) bool.
    """
    return float(component_numbers(region).max())
