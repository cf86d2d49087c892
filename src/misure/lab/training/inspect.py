"""What a network is to be trained for, found out from some of the training part."""

from collections.abc import Sequence
from math import ceil

import numpy as np
import torch
from torch import Tensor

from misure.datasets.sample import Dataset
from misure.errors import InputError
from misure.lab.training.recipes import TrainingRecipe
from misure.models.networks.registry import NETWORKS
from misure.models.networks.trained_network import TrainedNetwork

_NUM_FOR_STATISTICS = 100
_NUMBERS_FOR_STATISTICS = 100_000  # of each of these samples


def describe(recipe: TrainingRecipe, network: str) -> TrainedNetwork:
    """What there is to know of a network before it is trained: its inputs, classes and scaling.

    Raises:
        InputError: images of other sizes or channels than the network or each other.
    """
    kind = NETWORKS[network]
    size = tuple(ceil(side / kind.size_divisor) * kind.size_divisor for side in recipe.size)
    images = (recipe.train[i].image for i in _spread(recipe.train))  # one at a time in memory
    looks = [(tuple(one.shape[1:]), _some(one)) for one in images]
    if kind.fixed_size and {shape for shape, _ in looks} != {size}:
        raise InputError(
            f"train: expected images of {' x '.join(map(str, size))} for {network}, which takes "
            "one size only, the data set has others. Use unet or swinunetr."
        )
    if len({len(some) for _, some in looks}) > 1:
        raise InputError(
            "train: expected images of as many channels everywhere, got some of "
            f"{' and '.join(map(str, sorted({len(some) for _, some in looks})))}."
        )
    pixels = torch.cat([some for _, some in looks], dim=1)
    mean, std = recipe.mean, None
    if mean is None:
        mean, std = _statistics(pixels)
    return TrainedNetwork(
        network=network,
        spatial_dims=recipe.spatial_dims,
        input_size=size,
        num_channels=len(pixels),
        class_names=tuple(recipe.class_names),
        mean=mean,
        std=std,
        intensity=recipe.intensity,
    )


def _spread(dataset: Dataset) -> Sequence[int]:
    """Numbers of at most a hundred samples, from all over a data set."""
    total = len(dataset.keys)
    return sorted({int(i) for i in np.linspace(0, total - 1, min(total, _NUM_FOR_STATISTICS))})


def _statistics(pixels: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel of pixels (C, n)."""
    deviations = (max(1e-3, float(one)) for one in pixels.std(1))
    return (
        tuple(round(float(one), 4) for one in pixels.mean(1)),
        tuple(round(one, 4) for one in deviations),
    )


def _some(image: Tensor) -> Tensor:
    """Pixels (C, n) from all over an image, at most a hundred thousand."""
    flat = image.flatten(1)
    return flat[:, :: ceil(flat.shape[1] / _NUMBERS_FOR_STATISTICS)].clone()
