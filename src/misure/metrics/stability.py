"""Whether a map stays the same: under noise too small to see, and with another seed.

Pixels that a map knows nothing about (NaN) rank below all others, and change as if they were 0.
"""

from collections.abc import Callable, Sequence

import torch
from scipy import stats
from torch import Tensor

from misure.errors import InputError
from misure.images.maps import fill_unknown
from misure.metrics.maps import check_same_shape
from misure.metrics.metric import ENDLESS, metric
from misure.models.model import SegmentationModel

Remake = Callable[[SegmentationModel, Tensor, int], Tensor]
"""Makes the map (*spatial) of the same target and method again: of a model, an image, a seed."""

NOISE = 0.02
"""Size of the noise, relative to the range of the image's values."""

NUM_NOISES = 3


@metric(
    group="stability",
    range=(0.0, ENDLESS),
    better="lower",
    when_empty=0.0,
    formula="max over 3 noises e of ‖M(x + e) − M(x)‖ / ‖M(x)‖, e uniform in ± 2 % of its range",
    source="after Yeh et al. 2019; as captum's `sensitivity_max`",
)
def noise_sensitivity(saliency_map: Tensor, noisy_maps: Sequence[Tensor]) -> float:
    """The largest change of the map under small noise, relative to the map; 0 or more.

    max ||map of the noisy image - map|| / ||map||, Euclidean: after the max-sensitivity of Yeh et
    al. 2019, in the form of captum. An empty map that stays empty gives 0.

    Args:
        saliency_map: (*spatial) float.
        noisy_maps: each (*spatial) float (see `make_noisy_maps`).

    Raises:
        InputError: maps of different shapes, or an empty map that does not stay empty.
    """
    for noisy_map in noisy_maps:
        check_same_shape(saliency_map, noisy_map)
    own, *others = (fill_unknown(each, 0).double() for each in (saliency_map, *noisy_maps))
    norm = float(own.norm())
    changes = [float((other - own).norm()) for other in others]
    if norm == 0 and max(changes) > 0:
        raise InputError("expected a map with values to measure changes by, got an empty one.")
    return max(changes) / norm if norm else 0.0


@metric(
    group="stability",
    range=(-1.0, 1.0),
    better="higher",
    when_empty=0.0,
    formula="rank correlation (Spearman) of the maps of two seeds",
)
def seed_agreement(saliency_map: Tensor, reseeded_map: Tensor) -> float:
    """Spearman's rank correlation of two maps that differ only by the seed, in [-1, 1].

    Args:
        saliency_map, reseeded_map: (*spatial) float. A flat map ranks nothing and gives 0.
    """
    return rank_correlation(saliency_map, reseeded_map)


def rank_correlation(a: Tensor, b: Tensor) -> float:
    """Spearman's correlation of two maps, in [-1, 1]; equal values share their mean rank.

    Args:
        a, b: (*spatial) float. A flat map ranks nothing and gives 0.

    Raises:
        InputError: maps of different shapes.
    """
    check_same_shape(a, b)
    a, b = fill_unknown(a), fill_unknown(b)
    if a.min() == a.max() or b.min() == b.max():
        return 0.0
    return float(stats.spearmanr(a.flatten().numpy(), b.flatten().numpy()).statistic)


def make_noisy_maps(
    model: SegmentationModel, image: Tensor, remake: Remake, seed: int
) -> list[Tensor]:
    """Maps of the image under small noise, uniform in +-`NOISE` of the image's range.

    Args:
        model: the model.
        image: (C, *spatial) float.
        remake: makes the map again.
        seed: of the noise, and of the method.
    """
    generator = torch.Generator().manual_seed(seed)
    size = NOISE * (image.max() - image.min())
    maps = []
    for _ in range(NUM_NOISES):
        noise = 2 * torch.rand(image.shape, generator=generator) - 1
        maps.append(map_or_nothing(remake, model, image + size * noise.to(image), seed))
    return maps


def map_or_nothing(remake: Remake, model: SegmentationModel, image: Tensor, seed: int) -> Tensor:
    """The map made again; an empty one if the method finds nothing to explain any more.

    `misure` explains only what the model predicts. If it does not predict the target any more,
    there is no map, and an empty map is like no other.
    """
    try:
        return remake(model, image, seed)
    except InputError:
        return torch.zeros(image.shape[1:])
