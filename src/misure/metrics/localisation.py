"""Where a map or a region lies: relative to the target, or to relevance that is known.

Of maps the positive part counts, without an offset. Ties are not broken by chance: pixels of one
value count together.
"""

import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from misure.metrics.maps import check_same_shape, positive_part


def energy_inside(saliency_map: Tensor, target_region: Tensor) -> float:
    """The share of the map that lies on the target, in [0, 1]; 0 for an empty map.

    Args:
        saliency_map: (*spatial) float.
        target_region: (*spatial) bool.
    """
    check_same_shape("energy_inside", saliency_map, target_region)
    positive = positive_part(saliency_map)
    total = float(positive.sum())
    return float(positive[target_region].sum()) / total if total > 0 else 0.0


def pointing_game(saliency_map: Tensor, target_region: Tensor) -> float:
    """The share of the map's largest values that lie on the target; 1 or 0 where one is largest.

    Args:
        saliency_map: (*spatial) float; an empty one gives 0.
        target_region: (*spatial) bool.
    """
    check_same_shape("pointing_game", saliency_map, target_region)
    largest = saliency_map.max()
    if largest <= 0:
        return 0.0
    peaks = saliency_map == largest
    return int((peaks & target_region).sum()) / int(peaks.sum())


def outside_target(region: Tensor, target_region: Tensor) -> float:
    """The part of a region outside the target, in [0, 1]; 0 for an empty region.

    Args:
        region, target_region: (*spatial) bool.
    """
    check_same_shape("outside_target", region, target_region)
    return int((region & ~target_region).sum()) / max(1, int(region.sum()))


def iou(region: Tensor, relevance: Tensor) -> float:
    """Intersection over union with what is known to matter, in [0, 1]; 0 where both are empty.

    Args:
        region, relevance: (*spatial) bool.
    """
    check_same_shape("iou", region, relevance)
    return int((region & relevance).sum()) / max(1, int((region | relevance).sum()))


def precision(region: Tensor, relevance: Tensor) -> float:
    """The part of a region that matters, in [0, 1]; 0 for an empty region.

    Args:
        region, relevance: (*spatial) bool.
    """
    check_same_shape("precision", region, relevance)
    return int((region & relevance).sum()) / max(1, int(region.sum()))


def recall(region: Tensor, relevance: Tensor) -> float:
    """The part of what matters that a region holds, in [0, 1]; 0 where nothing is known to.

    Args:
        region, relevance: (*spatial) bool.
    """
    check_same_shape("recall", region, relevance)
    return int((region & relevance).sum()) / max(1, int(relevance.sum()))


def average_precision(saliency_map: Tensor, relevance: Tensor) -> float:
    """Area under the precision-recall curve of the map as a ranking of pixels, in [0, 1].

    The sum over the map's values of the rise in recall times the precision (no interpolation).

    Args:
        saliency_map: (*spatial) float; a flat one gives the share of relevant pixels.
        relevance: (*spatial) bool; an empty one gives 0.
    """
    check_same_shape("average_precision", saliency_map, relevance)
    num_relevant = int(relevance.sum())
    if num_relevant == 0:
        return 0.0
    values, order = saliency_map.flatten().double().sort(descending=True, stable=True)
    hits = relevance.flatten()[order].cumsum(0)
    last_of_value = torch.ones_like(values, dtype=torch.bool)
    last_of_value[:-1] = values[1:] != values[:-1]
    ranks = torch.arange(1, len(values) + 1, device=values.device)[last_of_value]
    hits = hits[last_of_value].double()
    rises = torch.diff(hits, prepend=hits.new_zeros(1)) / num_relevant
    return float((rises * hits / ranks).sum())


def growth_px(growth_px: float) -> float:
    """How far the sufficient region reaches beyond the target, in pixels, 0 or more.

    Args:
        growth_px: of a method that finds a sufficient region.
    """
    return growth_px


def relevance_distance_px(relevance: Tensor, target_region: Tensor) -> float:
    """How far what is known to matter reaches beyond the target, in pixels; 0 where it is inside.

    Args:
        relevance: (*spatial) bool.
        target_region: (*spatial) bool, not empty.
    """
    check_same_shape("relevance_distance_px", relevance, target_region)
    distance = torch.from_numpy(distance_transform_edt(~target_region.numpy()))
    return float(distance[relevance].max()) if bool(relevance.any()) else 0.0
