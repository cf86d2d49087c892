"""The inputs, classes and scaling of a network, from a part of the training samples."""

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


def describe_network(recipe: TrainingRecipe, network: str) -> TrainedNetwork:
    """What is known of a network before it is trained: its inputs, classes and scaling.

    Args:
        recipe: its training part is sampled.
        network: name in `NETWORKS`.

    Raises:
        InputError: images of a size that the network does not take, or with different numbers of
            channels.
    """
    kind = NETWORKS[network]
    size = tuple(ceil(side / kind.size_divisor) * kind.size_divisor for side in recipe.size)
    shapes, pixel_sets = [], []
    for index in _spread(recipe.train):  # one image at a time in memory
        image = recipe.train[index].image
        shapes.append(tuple(image.shape[1:]))
        pixel_sets.append(_pixels(image))
    if kind.fixed_size and {*shapes} != {size}:
        raise InputError(
            f"expected images of {' x '.join(map(str, size))} for {network}, which takes one size "
            "only, the data set has others. Use unet or swinunetr."
        )
    numbers_of_channels = sorted({len(pixels) for pixels in pixel_sets})
    if len(numbers_of_channels) > 1:
        raise InputError(
            "expected images with the same number of channels, got some with "
            f"{' and '.join(map(str, numbers_of_channels))}."
        )
    pixels = torch.cat(pixel_sets, dim=1)
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
    """Indices of at most a hundred samples, spread over a data set."""
    total = len(dataset.keys)
    return sorted({int(i) for i in np.linspace(0, total - 1, min(total, _NUM_FOR_STATISTICS))})


def _statistics(pixels: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel of pixels (C, n)."""
    deviations = (max(1e-3, float(std)) for std in pixels.std(1))
    return (
        tuple(round(float(mean), 4) for mean in pixels.mean(1)),
        tuple(round(std, 4) for std in deviations),
    )


def _pixels(image: Tensor) -> Tensor:
    """Pixels (C, n) spread over an image, at most a hundred thousand."""
    flat = image.flatten(1)
    return flat[:, :: ceil(flat.shape[1] / _NUMBERS_FOR_STATISTICS)].clone()
