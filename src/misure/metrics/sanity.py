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

from misure._util.optional import require
from misure._util.seeds import seed_device
from misure.errors import InputError
from misure.methods.layers import called_layers
from misure.metrics.maps import check_same_shape, positive_part
from misure.metrics.metric import metric
from misure.metrics.stability import Remake, map_or_nothing, rank_correlation
from misure.models.model import SegmentationModel

_WINDOW = 7

NUM_STATIONS = 4
"""How many networks are looked at: the head alone drawn anew, 1/3, 2/3 and all of the layers."""


@metric(
    group="sanity",
    range=(-1.0, 1.0),
    better="lower",
    when_empty=0.0,
    formula="mean rank correlation (Spearman) of M with the maps of 4 randomised networks",
    source="Adebayo et al. 2018, cascading",
)
def randomisation_rank_correlation(
    saliency_map: Tensor, randomised_maps: Sequence[Tensor]
) -> float:
    """Mean rank correlation of the map with those of randomised networks, in [-1, 1].

    Args:
        saliency_map: (*spatial) float.
        randomised_maps: each (*spatial) float (see `make_randomised_maps`).
    """
    return float(np.mean([rank_correlation(saliency_map, other) for other in randomised_maps]))


@metric(
    group="sanity",
    range=(-1.0, 1.0),
    better="lower",
    when_empty=1.0,
    formula="mean SSIM of M with the maps of 4 randomised networks, where either map is positive",
    source="Adebayo et al. 2018, cascading",
)
def randomisation_ssim(saliency_map: Tensor, randomised_maps: Sequence[Tensor]) -> float:
    """Mean structural similarity of the map with those of randomised networks, in [-1, 1].

    The positive part of each map, without its offset, is divided by its largest value. The SSIM is
    scikit-image's, in windows of 7 pixels a side (less in smaller images), averaged over the pixels
    where at least one of the two is positive. (Elsewhere both are flat, and a map of few pixels
    would be similar to any other.) Two empty maps give 1, an empty one and another 0.

    Args:
        saliency_map: (*spatial) float.
        randomised_maps: each (*spatial) float (see `make_randomised_maps`).

    Raises:
        MissingDependencyError: without scikit-image.
    """
    return float(np.mean([_ssim(saliency_map, other) for other in randomised_maps]))


def make_randomised_maps(
    model: SegmentationModel, image: Tensor, remake: Remake, seed: int
) -> list[Tensor] | None:
    """Maps of the same target, of networks whose layers were drawn anew from the head down.

    A layer is drawn anew by its own `reset_parameters`; parameters of a layer without one by a
    Gaussian of their own mean and deviation. If a method finds nothing to explain any more, its map
    is empty.

    Args:
        model: the model; it is copied, and stays as it is.
        image: (C, *spatial) float.
        remake: makes the map again.
        seed: of the new parameters, and of the method.

    Returns:
        `NUM_STATIONS` maps, each (*spatial); None for a network that is no torch module, or has no
        parameters.
    """
    if not isinstance(model.net, nn.Module):
        return None
    net = copy.deepcopy(model.net)
    layers = dict(net.named_modules())
    with_parameters = [name for name, layer in layers.items() if [*layer.parameters(recurse=False)]]
    if not with_parameters:
        return None
    can_be_traced = not isinstance(net, torch.jit.ScriptModule)
    called = called_layers(model, image)[0] if can_be_traced else {}
    in_order = [name for name in called if name in with_parameters]
    from_the_head = [*reversed(in_order or with_parameters)]
    never_called = [name for name in with_parameters if name not in from_the_head]
    stations = np.linspace(1, len(from_the_head), NUM_STATIONS).round().astype(int).tolist()
    randomised, maps, done = model.with_network(net), [], 0
    accelerators = [model.device] if model.device.type == "cuda" else []
    for station in stations:
        with torch.random.fork_rng(devices=accelerators), torch.no_grad():
            seed_device(model.device, seed + station)
            for name in from_the_head[done:station]:
                _draw_anew(layers[name])
            if station == len(from_the_head):
                for name in never_called:  # parameters of whole blocks, such as positions
                    _draw_anew(layers[name])
        done = station
        maps.append(map_or_nothing(remake, randomised, image, seed))
    return maps


def _draw_anew(layer: nn.Module) -> None:
    """Draws the layer's own parameters anew, not those of layers inside it.

    Parameters that its `reset_parameters` leaves as they were (weights that it computes from
    others, as with weight normalisation) are drawn from a Gaussian.
    """
    before = [parameter.clone() for parameter in layer.parameters(recurse=False)]
    reset = getattr(layer, "reset_parameters", None)
    if callable(reset):
        reset()
    for parameter, old in zip(layer.parameters(recurse=False), before, strict=True):
        if not torch.equal(parameter, old):
            continue
        mean, deviation = parameter.float().mean(), parameter.float().std(correction=0)
        parameter.copy_(mean + deviation * torch.randn(parameter.shape).to(deviation))


def _ssim(a: Tensor, b: Tensor) -> float:
    check_same_shape(a, b)
    metrics = require("skimage.metrics", extra="metrics", purpose="compare maps by SSIM")
    window = min(_WINDOW, (min(a.shape) - 1) // 2 * 2 + 1)
    if window < 3:
        raise InputError(f"expected maps of 3 pixels or more a side, got {tuple(a.shape)}.")
    positives = (positive_part(each) for each in (a, b))
    first, second = ((each / each.max().clamp(min=1e-300)).numpy() for each in positives)
    if not first.any() or not second.any():
        return float(first.any() == second.any())
    _, ssim_by_pixel = metrics.structural_similarity(
        first, second, win_size=window, data_range=1.0, full=True
    )
    return float(ssim_by_pixel[(first > 0) | (second > 0)].mean())
