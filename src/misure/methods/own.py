"""Our own methods, as the others see them."""

from typing import Any

from torch import Tensor

from misure.explainer import explain
from misure.methods.method import Made
from misure.model import SegmentationModel
from misure.target import Target


def misure(
    model: SegmentationModel,
    image: Tensor,
    target: Target,
    *,
    seed: int = 0,
    dice_threshold: float = 0.9,
    **options: Any,
) -> Made:
    """The preset `certified`, or `forward_only` where there are no gradients."""
    return _explained(model, image, target, seed, None, dice_threshold, options)


def misure_paper(
    model: SegmentationModel,
    image: Tensor,
    target: Target,
    *,
    seed: int = 0,
    dice_threshold: float = 0.9,
    **options: Any,
) -> Made:
    """The preset `paper`."""
    return _explained(model, image, target, seed, "paper", dice_threshold, options)


def sufficient_region(
    model: SegmentationModel,
    image: Tensor,
    target: Target,
    *,
    seed: int = 0,
    dice_threshold: float = 0.9,
    **options: Any,
) -> Made:
    """Stage 1 alone: nearness to the target, inside the sufficient region."""
    return _explained(model, image, target, seed, "sufficient_region", dice_threshold, options)


def _explained(
    model: SegmentationModel,
    image: Tensor,
    target: Target,
    seed: int,
    preset: str | None,
    dice_threshold: float,
    options: dict[str, Any],
) -> Made:
    given = {"preset": preset, "num_minimality_tests": 0} | options
    found = explain(model, image, target, dice_threshold=dice_threshold, seed=seed, **given)
    return Made(found.saliency_map, explanation=found)
