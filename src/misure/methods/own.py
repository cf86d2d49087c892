"""Our own methods, as the others see them."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from misure.explainer import choose_preset, explain
from misure.methods.method import Made
from misure.model import SegmentationModel
from misure.target import Target

PRESET_OF: dict[str, str | None] = {
    "misure": None,
    "misure_paper": "paper",
    "sufficient_region": "sufficient_region",
}
"""Method -> preset of `explain`; None is the default one, which depends on the network."""


def misure(
    model: SegmentationModel,
    image: Tensor,
    target: Target,
    *,
    seed: int = 0,
    dice_threshold: float = 0.9,
    baseline_image: str = "mean",
    **options: Any,
) -> Made:
    """The preset `certified`, or `forward_only` where there are no gradients."""
    given = {"dice_threshold": dice_threshold, "baseline_image": baseline_image, "seed": seed}
    return _explained("misure", model, image, target, given | options)


def misure_paper(
    model: SegmentationModel,
    image: Tensor,
    target: Target,
    *,
    seed: int = 0,
    dice_threshold: float = 0.9,
    baseline_image: str = "mean",
    **options: Any,
) -> Made:
    """The preset `paper`."""
    given = {"dice_threshold": dice_threshold, "baseline_image": baseline_image, "seed": seed}
    return _explained("misure_paper", model, image, target, given | options)


def sufficient_region(
    model: SegmentationModel,
    image: Tensor,
    target: Target,
    *,
    seed: int = 0,
    dice_threshold: float = 0.9,
    baseline_image: str = "mean",
    **options: Any,
) -> Made:
    """Stage 1 alone: nearness to the target, inside the sufficient region."""
    given = {"dice_threshold": dice_threshold, "baseline_image": baseline_image, "seed": seed}
    return _explained("sufficient_region", model, image, target, given | options)


def check_own_options(method: str, model: SegmentationModel, options: Mapping[str, Any]) -> None:
    """Raises an InputError where one of our methods does not know an option.

    Args:
        method: a key of `PRESET_OF`.
        model: the model to explain; its default preset depends on it.
        options: of the method.
    """
    of_preset = {
        key: value
        for key, value in options.items()
        if key not in ("dice_threshold", "other_image", "preset")
    }
    choose_preset(model, options.get("preset", PRESET_OF[method]), of_preset)


def _explained(
    method: str,
    model: SegmentationModel,
    image: Tensor,
    target: Target,
    options: Mapping[str, Any],
) -> Made:
    found = explain(
        model, image, target, **{"preset": PRESET_OF[method], "num_minimality_tests": 0, **options}
    )
    return Made(found.saliency_map, explanation=found)
