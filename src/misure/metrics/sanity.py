"""Whether a map depends on what the network has learnt (Adebayo et al. 2018).

The parameters are drawn anew layer by layer, from the head down to the input, and the map of the
same target is made again at some stations on the way. A map that looks the same as before does not
explain this network: it explains the image, or the architecture. So the map must fall apart.
"""

import copy
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from misure.dependency import require
from misure.errors import MisureError
from misure.methods.layers import called_layers
from misure.metrics.localisation import check_same_shape
from misure.metrics.stability import Remake, rank_correlation
from misure.model import SegmentationModel

NUM_STATIONS = 4
"""How many networks are looked at: the head alone drawn anew, 1/3, 2/3 and all of the layers."""


def randomisation_rank_correlation(
    saliency_map: Tensor, randomised_maps: Sequence[Tensor]
) -> float:
    """Mean rank correlation of the map with those of randomised networks, in [-1, 1].

    Args:
        saliency_map: (*spatial) float.
        randomised_maps: each (*spatial) float (see `make_randomised_maps`).
    """
    return float(np.mean([rank_correlation(saliency_map, one) for one in randomised_maps]))


def randomisation_ssim(saliency_map: Tensor, randomised_maps: Sequence[Tensor]) -> float:
    """Mean structural similarity of the map with those of randomised networks, in [-1, 1].

    Each map is divided by its largest value; scikit-image's SSIM, in windows of 7 pixels, averaged
    over the pixels where at least one of the two is positive. (Elsewhere both are flat, and a map
    of few pixels would be similar to any other.) Two empty maps give 1.

    Args:
        saliency_map, randomised_maps: as in `randomisation_rank_correlation`.

    Raises:
        MissingDependencyError: without scikit-image.
    """
    return float(np.mean([_ssim(saliency_map, one) for one in randomised_maps]))


def make_randomised_maps(
    model: SegmentationModel, image: Tensor, remake: Remake, seed: int
) -> list[Tensor] | None:
    """Maps of the same target, of networks whose layers were drawn anew from the head down.

    A layer is drawn anew by its own `reset_parameters`; parameters of a layer without one by a
    Gaussian of their own mean and deviation. Where a method finds nothing to explain any more, its
    map is empty.

    Args:
        model: the model; it is copied, and stays as it is.
        image: (C, *spatial) float.
        remake: makes the map again.
        seed: of the new parameters, and of the method.

    Returns:
        `NUM_STATIONS` maps, each (*spatial); None for a network that is no torch module.
    """
    if not isinstance(model.net, nn.Module):
        return None
    net = copy.deepcopy(model.net)
    layers = dict(net.named_modules())
    with_parameters = [name for name, one in layers.items() if [*one.parameters(recurse=False)]]
    called = [name for name in called_layers(model, image)[0] if name in with_parameters]
    from_the_head = [*reversed(called or with_parameters)]
    never_called = [name for name in with_parameters if name not in from_the_head]
    stations = np.linspace(1, len(from_the_head), NUM_STATIONS).round().astype(int).tolist()
    randomised, maps, done = model.with_network(net), [], 0
    for station in stations:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(seed + station)
            for name in from_the_head[done:station]:
                _draw_anew(layers[name])
            if station == len(from_the_head):
                for name in never_called:  # parameters of whole blocks, such as positions
                    _draw_anew(layers[name])
        done = station
        try:
            maps.append(remake(randomised, image, seed))
        except MisureError:
            maps.append(torch.zeros(image.shape[1:]))
    return maps


def _draw_anew(layer: nn.Module) -> None:
    """Draws the layer's own parameters anew, not those of layers inside it."""
    reset = getattr(layer, "reset_parameters", None)
    if callable(reset):
        reset()
        return
    for parameter in layer.parameters(recurse=False):
        mean, deviation = parameter.float().mean(), parameter.float().std(correction=0)
        parameter.copy_(mean + deviation * torch.randn(parameter.shape).to(deviation))


def _ssim(a: Tensor, b: Tensor) -> float:
    check_same_shape("randomisation_ssim", a, b)
    metrics = require("skimage.metrics", extra="metrics", purpose="compare maps by SSIM")
    first, second = (
        (one.double() / one.double().abs().max().clamp(min=1e-300)).numpy() for one in (a, b)
    )
    _, of_each_pixel = metrics.structural_similarity(first, second, data_range=1.0, full=True)
    somewhere = (first > 0) | (second > 0)
    return float(of_each_pixel[somewhere].mean()) if somewhere.any() else 1.0
