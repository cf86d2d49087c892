"""What a MONAI bundle does with the network's output: its postprocessing."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import log
from typing import Any

from misure.errors import InputError
from misure.models.loaders.monai_config import Resolver
from misure.models.loaders.monai_steps import base_name, shown_name

_NOTHING_TO_DO = (
    "SaveImage",
    "EnsureType",
    "ToTensor",
    "CastToType",
    "ToDevice",
    "EnsureChannelFirst",
)


@dataclass(frozen=True)
class Result:
    """How classes come out of the network's output.

    Attributes:
        activation: `softmax` or `sigmoid`; empty: none is named.
        rule: `argmax` or `threshold`; empty: none is named.
        threshold: of probabilities, or of the output itself without an activation.
        brings_back: what is interpolated at the image's own pixels, see `StepsPreprocessing`.
        nearest: whether it is the nearest voxel that counts there.
    """

    activation: str = ""
    rule: str = ""
    threshold: float = 0.5
    brings_back: str = "logits"
    nearest: bool = False

    def are_classes_apart(self, num_channels: int) -> bool:
        """Whether each of the network's channels is a class of its own, with a sigmoid."""
        return num_channels > 1 and self.activation != "softmax" and self.rule != "argmax"

    @property
    def least_logit(self) -> float:
        """The logit from which on a pixel belongs to a class that has a threshold."""
        if self.rule != "threshold":
            return 0.0
        p = self.threshold
        return p if self.activation != "sigmoid" else log(p) - log(1 - p)


def result_of(transforms: Sequence[Any], resolver: Resolver, without: Sequence[str]) -> Result:
    """The result that a bundle's postprocessing makes of the network's output.

    Args:
        transforms: mappings with `_target_`, as the configuration has them.
        resolver: follows their references.
        without: names of transforms that are left out.

    Raises:
        InputError: a transform, or an argument of one, that is not known.
    """
    result = Result()
    for raw in transforms:
        name, shown = base_name(raw), shown_name(raw)
        if name in _NOTHING_TO_DO or {name, shown} & {*without}:
            continue
        if name == "Activations":
            result = replace(result, activation=_activation(resolver.value(raw), shown))
        elif name == "Invert":
            is_nearest = _of_pred(resolver.value(raw.get("nearest_interp", True)))
            done = result.activation if not result.rule else "logits"
            result = replace(result, nearest=bool(is_nearest), brings_back=done or "logits")
        elif name == "AsDiscrete":
            result = _discrete(result, resolver.value(raw), shown)
        else:
            raise InputError(
                "expected postprocessing by Activationsd, Invertd, AsDiscreted and SaveImaged, got "
                f"{shown}, which changes the segmentation. To explain the network without it, say "
                f"without={shown} (--model-option without={shown})."
            )
    return result


def _activation(arguments: dict[str, Any], shown: str) -> str:
    given = [each for each in ("softmax", "sigmoid") if _of_pred(arguments.get(each))]
    if _of_pred(arguments.get("other")) or len(given) > 1:
        raise InputError(f"expected softmax or sigmoid in {shown} of the bundle, got another.")
    return given[0] if given else ""


def _discrete(result: Result, arguments: dict[str, Any], shown: str) -> Result:
    if _of_pred(arguments.get("rounding")):
        raise InputError(f"expected argmax or a threshold in {shown} of the bundle, got rounding.")
    threshold = _of_pred(arguments.get("threshold"))
    if _of_pred(arguments.get("argmax")):
        return replace(result, rule="argmax")
    if threshold is None or threshold is False:
        return result  # to_onehot of labels, say
    level = 0.5 if threshold is True else threshold
    is_logit = result.activation != "sigmoid"
    if not isinstance(level, (int, float)) or not (is_logit or 0 < level < 1):
        raise InputError(f"expected a threshold between 0 and 1 in {shown}, got {threshold!r}.")
    if result.activation == "softmax":
        raise InputError(
            f"expected argmax after softmax in {shown} of the bundle, got a threshold. Leave it "
            f"out with without={shown}: the largest class then wins."
        )
    return replace(result, rule="threshold", threshold=float(level))


def _of_pred(value: Any) -> Any:
    """The first entry of an argument with one for each key: that of the prediction."""
    return value[0] if isinstance(value, list) and value else value
