"""Whether a map stays what it is: under noise too small to see, and with another seed."""

from collections.abc import Callable, Sequence

import torch
from scipy import stats
from torch import Tensor

from misure.metrics.localisation import check_same_shape
from misure.model import SegmentationModel

Remake = Callable[[SegmentationModel, Tensor, int], Tensor]
"""Makes the map (*spatial) of the same target and method again: of a model, an image, a seed."""

NOISE = 0.02
"""Size of the noise, relative to the range of the image's values."""

NUM_NOISES = 3


def noise_sensitivity(saliency_map: Tensor, noisy_maps: Sequence[Tensor]) -> float:
    """The largest change of the map under small noise, relative to the map; 0 or more.

    max ||map of the noisy image - map|| / ||map||, Euclidean: the max-sensitivity of Yeh et al.
    2019. An empty map that stays empty gives 0.

    Args:
        saliency_map: (*spatial) float.
        noisy_maps: each (*spatial) float (see `make_noisy_maps`).
    """
    for one in noisy_maps:
        check_same_shape("noise_sensitivity", saliency_map, one)
    norm = float(saliency_map.double().norm())
    changes = [float((one.double() - saliency_map.double()).norm()) for one in noisy_maps]
    return max(0.0 if change == 0 else change / max(norm, 1e-300) for change in changes)


def seed_agreement(saliency_map: Tensor, reseeded_map: Tensor) -> float:
    """Rank correlation of two maps that differ only by the seed, in [-1, 1].

    Args:
        saliency_map, reseeded_map: (*spatial) float; see `rank_correlation`.
    """
    return rank_correlation(saliency_map, reseeded_map)


def rank_correlation(a: Tensor, b: Tensor) -> float:
    """Spearman's correlation of two maps, in [-1, 1]; equal values share their mean rank.

    Args:
        a, b: (*spatial) float. A flat one ranks nothing: 0.

    Raises:
        InputError: two shapes.
    """
    check_same_shape("rank_correlation", a, b)
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
        maps.append(remake(model, image + size * noise.to(image), seed))
    return maps
