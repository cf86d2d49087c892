"""The image processors of SAM 2, SAM 3 and EdgeTAM, which squeeze images into a square.

transformers has them with torchvision only. They do nothing but resize bilinearly, rescale and
normalise, so that misure does it without them, and the same whether torchvision is installed or
not. Keys that ask for more are refused.
"""

import warnings
from collections.abc import Mapping, Sequence
from math import isclose
from typing import Any

from misure.errors import InputError, MisureWarning
from misure.models.preprocessing import Preprocessing

_IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
_HALF = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
_SAM2 = {"size": {"height": 1024, "width": 1024}, **_IMAGENET}
_SAM3 = {"size": {"height": 1008, "width": 1008}, **_HALF}
SQUEEZING: dict[str, dict[str, Any]] = {
    "Sam2Model": _SAM2,
    "EdgeTamModel": _SAM2,
    "Sam3Model": _SAM3,
    "Sam3TrackerModel": _SAM3,
}
"""Class of network -> the defaults of its image processor."""

_ALWAYS = {
    "do_resize": True,
    "do_rescale": True,
    "do_normalize": True,
    "do_center_crop": False,
    "do_pad": False,
    "resample": 2,
    "rescale_factor": 1 / 255,
}
_IGNORED = ("do_convert_rgb", "do_mask_resize", "default_to_square", "do_reduce_labels")


def squeezed_settings(
    argument: str,
    keys: Mapping[str, Any] | None,
    architecture: str,
    processor: Any,
    given: Sequence[str],
) -> dict[str, Any]:
    """Arguments of SegmentationModel that do what the folder's image processor does.

    Args:
        argument: the folder, for messages.
        keys: of its image processor; None: no file has them.
        architecture: class of the network, a name in `SQUEEZING`.
        processor: as of `preprocessing_settings`.
        given: names of arguments of SegmentationModel that the user gives.

    Raises:
        InputError: keys that ask for what these processors do not do.
    """
    if processor is False:
        return {}
    defaults = SQUEEZING[architecture]
    is_assumed = keys is None and processor is None
    if is_assumed and {"mean", "std", "input_size"} <= set(given):
        return {}
    if is_assumed:
        warnings.warn(
            f"{argument} has no preprocessor_config.json, which says how an image becomes the "
            f"network's input; the defaults of {architecture} are assumed (size "
            f"{defaults['size']}). Say processor=default if they are right.",
            MisureWarning,
            stacklevel=2,
        )
    known = {} if processor == "default" else dict(keys or {})
    known |= dict(processor) if isinstance(processor, Mapping) else {}
    record = defaults | {key: value for key, value in known.items() if value is not None}
    _check(argument, record)
    size = record["size"]
    return {
        "preprocessing": Preprocessing(
            mean=tuple(map(float, record["image_mean"])),
            std=tuple(map(float, record["image_std"])),
            input_size=(int(size["height"]), int(size["width"])),
            levels=255,
            processor=record,
        )
    }


def _check(argument: str, record: Mapping[str, Any]) -> None:
    size = record["size"]
    if not (isinstance(size, Mapping) and {"height", "width"} <= set(size)):
        raise InputError(
            f"expected a size with height and width in the image processor of {argument}, got "
            f"{size!r}. Say processor=default, or processor=false and mean, std and input_size."
        )
    for key, value in record.items():
        if key in _IGNORED or not (key in _ALWAYS or key.startswith("do_")):
            continue
        wanted = _ALWAYS.get(key, False)
        is_same = value == wanted or (key == "rescale_factor" and isclose(value, 1 / 255))
        if not is_same:
            raise InputError(
                f"expected {key} as {wanted} in the image processor of {argument}, got {value!r}, "
                "which misure cannot follow. Say processor=default, or processor=false and mean, "
                "std and input_size."
            )
