"""Our own methods, as the others see them."""

from typing import Any

from torch import Tensor

from misure.explainer import explain
from misure.methods.method import Made
from misure.model import SegmentationModel
from misure.target import Target


def misure(
    model: SegmentationModel, image: Tensor, target: Target, *, seed: int = 0, **options: Any
) -> Made:
    """The preset `certified`, or `forward_only` where there are no gradients."""
    return _explained(model, image, target, seed, None, options)


def misure_paper(
    model: SegmentationModel, image: Tensor, target: Target, *, seed: int = 0, **options: Any
) -> Made:
    """The preset `paper`."""
    return _explained(model, image, target, seed, "paper", options)


def sufficient_region(
    model: SegmentationModel, image: Tensor, target: Target, *, seed: int = 0, **options: Any
) -> Made:
    """Stage 1 alone: nearness to the target, inside the sufficient region."""
    return _explained(model, image, target, seed, "sufficient_region", options)


def _explained(
    model: SegmentationModel,
    image: Tensor,
    target: Target,
    seed: int,
    preset: str | None,
    options: dict[str, Any],
) -> Made:
    given = {"preset": preset, "num_minimality_tests": 0} | options
    found = explain(model, image, target, seed=seed, **given)
    return Made(found.saliency_map, explanation=found)
