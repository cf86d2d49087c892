"""Where a map or a region lies: relative to the target, or to the pixels known to matter.

The positive part of a map counts, without its offset. Ties are not broken at random: pixels of one
value count together. Pixels that a map knows nothing about (NaN) rank below all others.
"""

import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from misure.images.maps import fill_unknown
from misure.images.spacing import Sampling
from misure.methods.result import MethodResult
from misure.metrics.maps import check_same_shape, positive_part
from misure.metrics.metric import ENDLESS, metric


@metric(
    group="localisation",
    when_empty=0.0,
    formula="sum of M over T / sum of M",
    source="Wang et al. 2020 (Score-CAM)",
)
def energy_inside(saliency_map: Tensor, target_region: Tensor) -> float:
    """The share of the map that lies on the target, in [0, 1]; 0 for an empty map.

    Args:
        saliency_map: (*spatial) float.
        target_region: (*spatial) bool.
    """
    check_same_shape(saliency_map, target_region)
    positive = positive_part(saliency_map)
    total = float(positive.sum())
    return float(positive[target_region].sum()) / total if total > 0 else 0.0


@metric(
    group="localisation",
    when_empty=0.0,
    formula="share of the pixels with the largest value of M that lie on T",
    source="Zhang et al. 2018",
)
def pointing_game(saliency_map: Tensor, target_region: Tensor) -> float:
    """The share of the map's largest values that lie on the target; 1 or 0 if one pixel is largest.

    Args:
        saliency_map: (*spatial) float; an empty one gives 0.
        target_region: (*spatial) bool.
    """
    check_same_shape(saliency_map, target_region)
    largest = fill_unknown(saliency_map).max()
    if largest <= 0:
        return 0.0
    peaks = saliency_map == largest
    return int((peaks & target_region).sum()) / int(peaks.sum())


@metric(
    group="localisation",
    when_empty=0.0,
    formula="|R outside T| / |R|",
)
def outside_target(region: Tensor, target_region: Tensor) -> float:
    """The part of a region outside the target, in [0, 1]; 0 for an empty region.

    Args:
        region, target_region: (*spatial) bool.
    """
    check_same_shape(region, target_region)
    return int((region & ~target_region).sum()) / max(1, int(region.sum()))


@metric(
    group="localisation",
    better="higher",
    when_empty=0.0,
    formula="|R and K| / |R or K|",
)
def iou(region: Tensor, relevance: Tensor) -> float:
    """Intersection over union with what is known to matter, in [0, 1]; 0 if both are empty.

    Args:
        region, relevance: (*spatial) bool.
    """
    check_same_shape(region, relevance)
    return int((region & relevance).sum()) / max(1, int((region | relevance).sum()))


@metric(
    group="localisation",
    better="higher",
    when_empty=0.0,
    formula="|R and K| / |R|",
)
def precision(region: Tensor, relevance: Tensor) -> float:
    """The part of a region that matters, in [0, 1]; 0 for an empty region.

    Args:
        region, relevance: (*spatial) bool.
    """
    check_same_shape(region, relevance)
    return int((region & relevance).sum()) / max(1, int(region.sum()))


@metric(
    group="localisation",
    better="higher",
    when_empty=0.0,
    formula="|R and K| / |K|",
)
def recall(region: Tensor, relevance: Tensor) -> float:
    """The part of the relevant pixels that a region holds, in [0, 1]; 0 if there are none.

    Args:
        region, relevance: (*spatial) bool.
    """
    check_same_shape(region, relevance)
    return int((region & relevance).sum()) / max(1, int(relevance.sum()))


@metric(
    group="localisation",
    better="higher",
    when_empty=0.0,
    formula="sum over the values of M of the rise in recall × precision, with K as positives",
    source="as in scikit-learn",
)
def average_precision(saliency_map: Tensor, relevance: Tensor) -> float:
    """Area under the precision-recall curve of the map as a ranking of pixels, in [0, 1].

    The sum over the map's values of the rise in recall times the precision (no interpolation).

    Args:
        saliency_map: (*spatial) float; a flat one gives the share of relevant pixels.
        relevance: (*spatial) bool; an empty one gives 0.
    """
    check_same_shape(saliency_map, relevance)
    num_relevant = int(relevance.sum())
    if num_relevant == 0:
        return 0.0
    ranked = fill_unknown(saliency_map).flatten().double()
    values, order = ranked.sort(descending=True, stable=True)
    hits = relevance.flatten()[order].cumsum(0)
    last_of_value = torch.ones_like(values, dtype=torch.bool)
    last_of_value[:-1] = values[1:] != values[:-1]
    ranks = torch.arange(1, len(values) + 1, device=values.device)[last_of_value]
    hits = hits[last_of_value].double()
    rises = torch.diff(hits, prepend=hits.new_zeros(1)) / num_relevant
    return float((rises * hits / ranks).sum())


@metric(
    group="localisation",
    unit="px",
    range=(0.0, ENDLESS),
    formula="largest distance of a pixel of the sufficient region from T",
)
def growth_px(result: MethodResult) -> float | None:
    """How far the sufficient region reaches beyond the target, in pixels, 0 or more.

    Args:
        result: of a method that finds a sufficient region; else there is none.
    """
    return result.explanation.growth_px if result.explanation else None


@metric(
    group="localisation",
    unit="px",
    range=(0.0, ENDLESS),
    formula="largest distance of a pixel of K from T",
)
def relevance_distance_px(
    relevance: Tensor, target_region: Tensor, *, voxel_sides: Sampling | None = None
) -> float:
    """How far the relevant pixels reach beyond the target, in pixels; 0 if they lie inside.

    Args:
        relevance: (*spatial) bool.
        target_region: (*spatial) bool, not empty.
        voxel_sides: sides of a voxel relative to the smallest, the unit; None: they are equal.
    """
    check_same_shape(relevance, target_region)
    distance = torch.from_numpy(
        distance_transform_edt(~target_region.numpy(), sampling=voxel_sides)
    )
    return float(distance[relevance].max()) if bool(relevance.any()) else 0.0
