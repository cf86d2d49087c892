"""`torchvision:NAME`: segmentation networks of torchvision with their default weights.

Mask R-CNN reports instances (see `torchvision_detection`). For the others images are prepared as
the transforms of the weights prepare pictures of Pillow: the short side is resized, with whole grey
levels, then mean and std.
"""

from pathlib import Path
from typing import Any
from urllib.error import URLError

import torch
from torch import nn

from misure._util.optional import require
from misure.errors import InputError, MissingDataError
from misure.models.loaders.file import reading
from misure.models.loaders.registry import loader
from misure.models.loaders.torchvision_detection import (
    MIN_SCORE,
    checked_sizes,
    mask_rcnn_settings,
    no_masks,
)
from misure.models.preprocessing import Preprocessing

_LEVELS = 255


@loader("torchvision", usage="torchvision:NAME", extra="torchvision")
def load(
    argument: str,
    _device: torch.device,
    *,
    min_score: float | None = None,
    min_size: int | None = None,
    max_size: int | None = None,
    rpn_post_nms_top_n_test: int | None = None,
    box_detections_per_img: int | None = None,
) -> tuple[nn.Module, dict[str, Any]]:
    """A segmentation network or a Mask R-CNN of torchvision, with default weights and class names.

    Args:
        argument: its name in torchvision.
        min_score: of Mask R-CNN alone: score from which an object is reported; None: 0.5.
        min_size, max_size, rpn_post_nms_top_n_test, box_detections_per_img: of Mask R-CNN alone, as
            in torchvision: the short side that images are resized to, the most that the long side
            may have, proposals kept, and boxes listed; None: 800, 1333, 1000, 100.

    Raises:
        InputError: no such network, or an option that is none of its.
        MissingDataError: the weights are missing, and cannot be downloaded.
        MissingDependencyError: torchvision is missing.
    """
    models = require("torchvision.models", extra="torchvision", purpose="load torchvision: models")
    segmentation = require(
        "torchvision.models.segmentation", extra="torchvision", purpose="load torchvision: models"
    )
    detection = require(
        "torchvision.models.detection", extra="torchvision", purpose="load torchvision: models"
    )
    detectors = models.list_models(detection)
    masked = [name for name in detectors if name.startswith("maskrcnn")]
    names = [*models.list_models(segmentation), *masked]
    if argument in detectors and argument not in masked:
        raise InputError(no_masks(argument, masked))
    if argument not in names:
        raise InputError(
            f"expected a segmentation network of torchvision ({', '.join(names)}), "
            f"got {argument!r}."
        )
    given_sizes = {
        "min_size": min_size,
        "max_size": max_size,
        "rpn_post_nms_top_n_test": rpn_post_nms_top_n_test,
        "box_detections_per_img": box_detections_per_img,
    }
    sizes = {option: value for option, value in given_sizes.items() if value is not None}
    given = [*(["min_score"] if min_score is not None else []), *sizes]
    if given and argument not in masked:
        raise InputError(
            f"expected {given[0]} for {' or '.join(masked)} alone: {argument} names a class for "
            "each pixel."
        )
    sizes = checked_sizes(sizes)
    weights = models.get_model_weights(argument).DEFAULT
    class_names = weights.meta["categories"]
    with reading(f"the weights of {argument} from {weights.url}"):
        state = _read_weights(weights.url)
        extras = {"aux_loss": True} if any(key.startswith("aux_") for key in state) else {}
        net = models.get_model(
            argument,
            weights=None,
            weights_backbone=None,
            num_classes=len(class_names),
            **extras,
            **sizes,
        )
        net.load_state_dict(state)
    if argument in masked:
        settings = mask_rcnn_settings(
            net, class_names, MIN_SCORE if min_score is None else min_score, argument
        )
        return net, settings
    prepared = _preprocessing(weights.transforms())
    return net, {"preprocessing": prepared, "class_names": class_names, "num_channels": 3}


def _preprocessing(transform: Any) -> Preprocessing:
    """What a `SemanticSegmentation` transform of torchvision does to a picture of Pillow."""
    name = transform.interpolation.value
    short = transform.resize_size
    return Preprocessing(
        mean=tuple(transform.mean),
        std=tuple(transform.std),
        input_size=int(short[0]) if short else None,
        interpolation={"bilinear": "linear"}.get(name, name),
        levels=_LEVELS,
    )


def _read_weights(url: str) -> dict[str, torch.Tensor]:
    try:
        state: dict[str, torch.Tensor] = torch.hub.load_state_dict_from_url(
            url, map_location="cpu", progress=False, check_hash=True, weights_only=True
        )
    except (URLError, OSError) as error:
        folder = Path(torch.hub.get_dir()) / "checkpoints"
        raise MissingDataError(
            f"expected the weights {Path(url).name} in {folder}; they are missing "
            f"and cannot be downloaded ({error}). Put the file from {url} there."
        ) from error
    return state
