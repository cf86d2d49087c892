"""What the model predicts when it sees the top of a map, or everything but the top.

All of these show regions to the model, alone and with hard edges, as everywhere in misure. Pixels
of one value are taken in a random order with a fixed seed, so a flat map counts as a random one.
Pixels that a map knows nothing about (NaN) rank below all others, and count as equal.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from scipy.integrate import trapezoid
from torch import Tensor

from misure._util.progress import OnStep
from misure.errors import InputError
from misure.explanation.growth import SufficientRegion
from misure.explanation.probe import Probe
from misure.explanation.reduction import top_region
from misure.explanation.run_searches import run_searches
from misure.explanation.show import try_regions
from misure.images.maps import fill_unknown
from misure.images.regions import area_fraction
from misure.metrics.maps import check_same_shape
from misure.metrics.metric import metric
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
        raise InputError(f"expected a fraction in [0, 1], got {fraction}.")
    values = fill_unknown(saliency_map).flatten().cpu()
    lot = torch.randperm(len(values), generator=torch.Generator().manual_seed(seed))
    order = lot[values[lot].sort(descending=True, stable=True).indices]
    region = torch.zeros(len(values), dtype=torch.bool)
    region[order[: round(fraction * len(values))]] = True
    return region.view(saliency_map.shape)


@metric(
    group="sufficiency",
    unit="Dice",
    better="higher",
    formula="Dice(top q of M), q the area of T; equal values in random order",
    source="after Petsiuk et al. 2018",
)
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
    check_same_shape(saliency_map, probe.target.region)
    return insertion_curve(model, probe, saliency_map, (fraction,))[0]


@metric(
    group="sufficiency",
    unit="image",
    better="lower",
    when_empty=1.0,
    formula="|smallest top part of M with Dice ≥ the threshold| / N",
)
def sufficient_area(
    model: SegmentationModel, probe: Probe, saliency_map: Tensor, *, top: Tensor | None = None
) -> float:
    """The smallest top part of the map that reaches the probe's threshold, as an area in [0, 1].

    1 if only the whole image does; about twenty passes.

    Args:
        model: the model that is shown the parts.
        probe: the target, how regions are shown, and the threshold.
        saliency_map: (*spatial) float.
        top: the result of `sufficient_top`, if it is known already.
    """
    check_same_shape(saliency_map, probe.target.region)
    if top is None:
        top = sufficient_top(model, probe, saliency_map)
    return area_fraction(top)


def sufficient_top(
    model: SegmentationModel, probe: Probe, saliency_map: Tensor, on_step: OnStep | None = None
) -> Tensor:
    """The smallest top part (*spatial) bool of the map that reaches the probe's threshold.

    The search is that of `top_region`. Values below zero are ranked like all others; pixels of one
    value stay together, so the only top of a flat map is the whole image.

    Args:
        model: the model that is shown the parts.
        probe: the target, how regions are shown, and the threshold.
        saliency_map: (*spatial) float.
        on_step: called with progress.
    """
    everything = torch.ones_like(probe.target.region)
    whole = SufficientRegion(everything, float("inf"), 1.0, "none")
    plain = replace(probe, excluded_contents=(), hidden_presentation=None)
    values = fill_unknown(saliency_map).cpu().numpy()
    _, ranks = np.unique(values, return_inverse=True)  # the lowest has rank 0
    ranked = torch.from_numpy(ranks.reshape(saliency_map.shape)).to(model.device)
    search = top_region(plain, ranked.double(), whole)
    (top,) = run_searches(model, [plain], [search], doing="cutting", on_step=on_step)
    return top.region.cpu()


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
    """Dice with the target when the top of the map is removed, for each of these fractions.

    Args:
        model: the model that is shown the rest.
        probe: the target and how regions are shown.
        saliency_map: (*spatial) float.
        fractions: of the image, in [0, 1].
    """
    return _curve(model, probe, saliency_map, fractions, removed=True)


def area_under(dices: Sequence[float], fractions: Sequence[float] = FRACTIONS) -> float:
    """The area under a curve of Dice over fractions, by trapezoids, in [0, 1].

    Args:
        dices: one for each fraction.
        fractions: rising, from 0 to 1.

    Raises:
        InputError: other numbers of both, or fractions that do not go from 0 to 1.
    """
    if len(dices) != len(fractions) or fractions[0] != 0 or fractions[-1] != 1:
        raise InputError(
            f"expected a Dice for each fraction from 0 to 1, got {len(dices)} for "
            f"{len(fractions)} from {fractions[0]} to {fractions[-1]}."
        )
    return float(trapezoid(dices, fractions))


@metric(
    group="sufficiency",
    unit="Dice",
    better="higher",
    formula="area under Dice(top f of M) over f = 0, .01, .02, .05, .1, .2, … 1, trapezoids",
    source="after Petsiuk et al. 2018",
)
def insertion(model: SegmentationModel, probe: Probe, saliency_map: Tensor) -> float:
    """The mean Dice with the target while more and more of the map's top is shown, in [0, 1].

    Args:
        model: the model that is shown the regions.
        probe: the target and how regions are shown.
        saliency_map: (*spatial) float.
    """
    return area_under(insertion_curve(model, probe, saliency_map))


@metric(
    group="sufficiency",
    unit="Dice",
    better="lower",
    formula="area under Dice(all but the top f of M) over the same f, trapezoids",
    source="after Petsiuk et al. 2018",
)
def deletion(model: SegmentationModel, probe: Probe, saliency_map: Tensor) -> float:
    """The mean Dice with the target while more and more of the map's top is removed, in [0, 1].

    Args:
        model: the model that is shown the regions.
        probe: the target and how regions are shown.
        saliency_map: (*spatial) float.
    """
    return area_under(deletion_curve(model, probe, saliency_map))


@metric(
    group="necessity",
    unit="Dice",
    better="lower",
    when_empty=1.0,
    formula="Dice(all but R)",
)
def necessity(model: SegmentationModel, probe: Probe, region: Tensor) -> float:
    """Dice with the target when a region is removed instead of shown, in [0, 1]; low: needed.

    Args:
        model: the model that is shown the rest.
        probe: the target and how regions are shown.
        region: (*spatial) bool; an empty one gives the Dice of the whole image.
    """
    check_same_shape(region, probe.target.region)
    return try_regions(model, [(probe, ~region.to(model.device))])[0].dice


def _curve(
    model: SegmentationModel,
    probe: Probe,
    saliency_map: Tensor,
    fractions: Sequence[float],
    *,
    removed: bool,
) -> list[float]:
    check_same_shape(saliency_map, probe.target.region)
    regions = [top_fraction(saliency_map, fraction).to(model.device) for fraction in fractions]
    shown = [~region if removed else region for region in regions]
    return [reply.dice for reply in try_regions(model, [(probe, region) for region in shown])]
