"""How fine a map is: few pixels or many, in one piece or in dust.

The positive part of a map counts, without its offset; its scale does not matter.
"""

import torch
from torch import Tensor

from misure.images.regions import component_numbers
from misure.metrics.maps import positive_part
from misure.metrics.metric import ENDLESS, metric


@metric(
    group="fineness",
    unit="image",
    better="lower",
    when_empty=1.0,
    formula="exp(−Σ p log p) / N with p = M / ΣM",
    source="perplexity",
)
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


@metric(
    group="fineness",
    better="higher",
    when_empty=0.0,
    formula="Gini coefficient of the values of M",
    source="Chalasani et al. 2020",
)
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


@metric(
    group="fineness",
    unit="1/px",
    range=(0.0, ENDLESS),
    better="lower",
    when_empty=0.0,
    formula="Σ |differences of neighbours| / ΣM",
    source="after Rudin et al. 1992",
)
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


@metric(
    group="fineness",
    unit="parts",
    range=(0.0, ENDLESS),
    better="lower",
    when_empty=0.0,
    formula="connected parts of R; corners touch too",
)
def num_parts(region: Tensor) -> float:
    """Connected parts of a region; 0 for an empty one.

    Args:
        region: (*spatial) bool.
    """
    return float(component_numbers(region).max())
