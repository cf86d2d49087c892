"""What the model draws when it sees the top of a map, or everything but the top.

All of these show regions to the model, hard and by themselves, as everywhere in misure; pixels of
one value are taken in an order drawn by lot with a fixed seed, so that a flat map is a random one.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from misure.errors import InputError
from misure.explanation.growth import SufficientRegion
from misure.explanation.probe import Probe
from misure.explanation.reduction import top_region
from misure.explanation.run_searches import run_searches
from misure.explanation.show import try_regions
from misure.images.regions import area_fraction
from misure.metrics.maps import check_same_shape
from misure.models.model import SegmentationModel

FRACTIONS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Where insertion and deletion curves are taken."""


def top_fraction(saliency_map: Tensor, fraction: float, *, seed: int = 0) -> Tensor:
    """The region (*spatial) bool of the map's largest values, of this fraction of the pixels.

    Args:
        saliency_map: (*spatial) float.
        fraction: in [0, 1].
        seed: of the order among equal values.

    Raises:
        InputError: a fraction out of range.
    """
    if not 0 <= fraction <= 1:
        raise InputError(f"top_fraction: expected a fraction in [0, 1], got {fraction}.")
    values = saliency_map.flatten().cpu()
    lot = torch.randperm(len(values), generator=torch.Generator().manual_seed(seed))
    order = lot[values[lot].sort(descending=True, stable=True).indices]
    region = torch.zeros(len(values), dtype=torch.bool)
    region[order[: round(fraction * len(values))]] = True
    return region.view(saliency_map.shape)


def sufficiency(
    model: SegmentationModel, probe: Probe, saliency_map: Tensor, q: float | None = None
) -> float:
    """Dice with the target when only the top q of the map is shown, in [0, 1].

    Args:
        model: the model that is shown it.
        probe: the target and how regions are shown.
        saliency_map: (*spatial) float.
        q: fraction of the image; None: the target's own area.
    """
    fraction = area_fraction(probe.target.region) if q is None else q
    check_same_shape("sufficiency", saliency_map, probe.target.region)
    return insertion_curve(model, probe, saliency_map, (fraction,))[0]


def necessity(model: SegmentationModel, probe: Probe, region: Tensor) -> float:
    """Dice with the target when a region is removed instead of shown, in [0, 1]; low: needed.

    Args:
        model: the model that is shown the rest.
        probe: the target and how regions are shown.
        region: (*spatial) bool; an empty one gives the Dice of the whole image.
    """
    check_same_shape("necessity", region, probe.target.region)
    return try_regions(model, [(probe, ~region.to(model.device))])[0].dice


def sufficient_area(
    model: SegmentationModel, probe: Probe, saliency_map: Tensor, *, top: Tensor | None = None
) -> float:
    """The smallest top part of the map that reaches the probe's threshold, as an area in [0, 1].

    1 where only the whole image does; about twenty passes.

    Args:
        model: the model that is shown the parts.
        probe: the target, how regions are shown, and the threshold.
        saliency_map: (*spatial) float.
        top: what `sufficient_top` found, where that is known already.
    """
    check_same_shape("sufficient_area", saliency_map, probe.target.region)
    if top is None:
        top = sufficient_top(model, probe, saliency_map)
    return area_fraction(top)


def sufficient_top(model: SegmentationModel, probe: Probe, saliency_map: Tensor) -> Tensor:
    """The smallest top part (*spatial) bool of the map that reaches the probe's threshold.

    Found as `top_region` does. Values below zero are ranked like all others; pixels of one value
    stay together, so a flat map has no top but the whole image.

    Args:
        model, probe, saliency_map: as in `sufficient_area`.
    """
    everything = torch.ones_like(probe.target.region)
    whole = SufficientRegion(everything, float("inf"), 1.0, "none")
    plain = replace(probe, excluded_contents=())
    _, ranks = np.unique(saliency_map.cpu().numpy(), return_inverse=True)  # the lowest has rank 0
    ranked = torch.from_numpy(ranks.reshape(saliency_map.shape)).to(model.device)
    search = top_region(plain, ranked.double(), whole)
    (found,) = run_searches(model, [plain], [search], doing="cutting")
    return found.region.cpu()


def insertion_curve(
    model: SegmentationModel,
    probe: Probe,
    saliency_map: Tensor,
    fractions: Sequence[float] = FRACTIONS,
) -> list[float]:
    """Dice with the target when the top of the map is shown, for each of these fractions.

    Args:
        model: the model that is shown the regions.
        probe: the target and how regions are shown.
        saliency_map: (*spatial) float.
        fractions: of the image, in [0, 1].
    """
    return _curve(model, probe, saliency_map, fractions, removed=False)


def deletion_curve(
    model: SegmentationModel,
    probe: Probe,
    saliency_map: Tensor,
    fractions: Sequence[float] = FRACTIONS,
) -> list[float]:
    """Dice with the target when the top of the map is removed; see `insertion_curve`."""
    return _curve(model, probe, saliency_map, fractions, removed=True)


def area_under(dices: Sequence[float], fractions: Sequence[float] = FRACTIONS) -> float:
    """The area under a curve of Dice over fractions, by trapezoids, in [0, 1].

    Args:
        dices: one for each fraction.
        fractions: rising, from 0 to 1.

    Raises:
        InputError: not as many, or not from 0 to 1.
    """
    if len(dices) != len(fractions) or fractions[0] != 0 or fractions[-1] != 1:
        raise InputError(
            f"area_under: expected a Dice for each fraction from 0 to 1, got {len(dices)} for "
            f"{len(fractions)} from {fractions[0]} to {fractions[-1]}."
        )
    return float(np.trapezoid(dices, fractions))


def insertion(model: SegmentationModel, probe: Probe, saliency_map: Tensor) -> float:
    """The area under the insertion curve, in [0, 1]; see `insertion_curve`."""
    return area_under(insertion_curve(model, probe, saliency_map))


def deletion(model: SegmentationModel, probe: Probe, saliency_map: Tensor) -> float:
    """The area under the deletion curve, in [0, 1]; see `deletion_curve`."""
    return area_under(deletion_curve(model, probe, saliency_map))


def _curve(
    model: SegmentationModel,
    probe: Probe,
    saliency_map: Tensor,
    fractions: Sequence[float],
    *,
    removed: bool,
) -> list[float]:
    check_same_shape("deletion" if removed else "insertion", saliency_map, probe.target.region)
    regions = [top_fraction(saliency_map, fraction).to(model.device) for fraction in fractions]
    shown = [~region if removed else region for region in regions]
    return [reply.dice for reply in try_regions(model, [(probe, one) for one in shown])]
