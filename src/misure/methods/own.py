"""Our own methods, as the others see them."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from misure.explanation.explain import choose_preset, explain
from misure.methods.method import RawMap
from misure.models.model import SegmentationModel
from misure.models.target import Target

PRESET_OF: dict[str, str | None] = {
    "misure": None,
    "misure_paper": "paper",
    "sufficient_region": "sufficient_region",
}
"""Method -> preset of `explain`; None is the default one, which depends on the network."""


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


def _method(name: str, doc: str) -> Callable[..., RawMap]:
    """The function of one of our methods (see `Method`)."""

    def explained(
        model: SegmentationModel,
        image: Tensor,
        target: Target,
        *,
        seed: int = 0,
        dice_threshold: float = 0.9,
        baseline_image: str = "mean",
        **options: Any,
    ) -> RawMap:
        given = {"preset": PRESET_OF[name], "num_minimality_tests": 0, **options}
        given |= {"dice_threshold": dice_threshold, "baseline_image": baseline_image}
        found = explain(model, image, target, seed=seed, **given)
        return RawMap(found.saliency_map, explanation=found)

    explained.__name__ = explained.__qualname__ = name
    explained.__doc__ = doc
    return explained


misure = _method("misure", "The preset `smallest`, or `forward_only` where there are no gradients.")
misure_paper = _method("misure_paper", "The preset `paper`.")
sufficient_region = _method(
    "sufficient_region", "Stage 1 alone: nearness to the target, inside the sufficient region."
)
