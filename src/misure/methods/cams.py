"""Seg-Grad-CAM and Seg-XRes-CAM: feature maps weighted by the gradients of the target's score.

The score is the sum of the class's logits over the target, as published. Softmax sees differences
alone, and a network may put its decision into the *other* classes' logits, which that score does
not ask for: with `score="margin"` it is the lead over the best other class that is summed.

- Seg-Grad-CAM (Vinogradova, Dibrov, Myers 2020): channels are weighted by mean gradients.
- Seg-XRes-CAM (Hasany, Petitjean, Mériaudeau 2023): gradients are pooled over windows, laid out
  again, and multiplied with the feature map element by element. A window of 1 multiplies each
  gradient as it is; one as large as the map gives Seg-Grad-CAM.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from misure.errors import InputError
from misure.methods.layers import as_feature_map, captured, last_feature_layer
from misure.methods.method import method
from misure.methods.result import RawMap
from misure.models.logits import class_margin
from misure.models.model import SegmentationModel
from misure.models.preprocessing import resize
from misure.models.target import Target


@method(kind="feature_map", source="Vinogradova et al. 2020", needs_gradients=True)
def seg_grad_cam(
    model: SegmentationModel,
    image: Tensor,
    target: Target,
    *,
    layer: str = "",
    score: str = "logit",
) -> RawMap:
    """Seg-Grad-CAM at a layer; by default the last feature map before the head.

    Args:
        model, image, target: see `Method`.
        layer: dotted name; by default the last feature map before the head.
        score: `logit`, as published, or `margin`.
    """
    features, gradients, layer = _features(model, image, target, layer, score)
    weights = gradients.mean(tuple(range(2, gradients.ndim)), keepdim=True)
    return RawMap(_map_of(weights * features, model, image), layer)


@method(kind="feature_map", source="Hasany et al. 2023", needs_gradients=True)
def seg_xres_cam(
    model: SegmentationModel,
    image: Tensor,
    target: Target,
    *,
    layer: str = "",
    window: int = 4,
    pooling: str = "mean",
    score: str = "logit",
) -> RawMap:
    """Seg-XRes-CAM at a layer.

    Args:
        model, image, target: see `Method`.
        layer: dotted name; by default the last feature map before the head.
        window: side of the windows, in elements of the feature map.
        pooling: `mean` or `max`.
        score: `logit`, as published, or `margin`.

    Raises:
        InputError: a window below 1 or another pooling.
    """
    if window < 1 or pooling not in ("mean", "max"):
        raise InputError(
            f"expected a window of 1 or more and pooling mean or max, got {window} and {pooling!r}."
        )
    features, gradients, layer = _features(model, image, target, layer, score)
    sides = tuple(min(window, side) for side in gradients.shape[2:])
    pooled = _pooled(gradients, sides, pooling)
    whole = tuple(num * side for num, side in zip(pooled.shape[2:], sides, strict=True))
    laid_out = resize(pooled, whole)
    for axis, side in enumerate(features.shape[2:], start=2):
        laid_out = laid_out.narrow(axis, 0, side)  # the last windows may be cut off
    return RawMap(_map_of(laid_out * features, model, image), layer)


def _features(
    model: SegmentationModel, image: Tensor, target: Target, layer: str, score: str
) -> tuple[Tensor, Tensor, str]:
    """Feature map and gradients (1, K, *spatial') of the target's score, and the layer's name."""
    if score not in ("logit", "margin"):
        raise InputError(f"expected score logit or margin, got {score!r}.")
    layer = layer or last_feature_layer(model, image)
    with torch.enable_grad(), captured(model, layer) as outputs:
        logits = model(image[None].clone().requires_grad_())
        if len(outputs) != 1:
            raise InputError(
                f"expected a layer that is called once in a pass, {layer} is called "
                f"{len(outputs)} times. Choose another layer."
            )
        if len(outputs[0]) != 1:
            raise InputError(
                f"expected a layer with one output for the image, that of {layer} is "
                f"{tuple(outputs[0].shape)} (windows, perhaps). Choose another layer."
            )
        if score == "logit":
            scores = logits[0, target.logit_index]
        else:
            scores = class_margin(logits, target.logit_index, target.multilabel)[0]
        summed = scores[target.region].sum()
        gradients = None
        if outputs[0].requires_grad and summed.requires_grad:
            (gradients,) = torch.autograd.grad(summed, outputs[0], allow_unused=True)
    if gradients is None:
        raise InputError(
            f"expected a layer that the target's score depends on, {layer} has no part in "
            "it. Choose another layer."
        )
    shape = model.preprocessing.input_shape(image.shape[1:])
    return as_feature_map(outputs[0].detach(), shape), as_feature_map(gradients, shape), layer


def _pooled(gradients: Tensor, sides: tuple[int, ...], pooling: str) -> Tensor:
    """Gradients (1, K, *spatial') pooled over windows; the last ones may be cut off."""
    if gradients.ndim == 4:
        pool = F.avg_pool2d if pooling == "mean" else F.max_pool2d
    else:
        pool = F.avg_pool3d if pooling == "mean" else F.max_pool3d
    return pool(gradients, sides, ceil_mode=True)


def _map_of(weighted: Tensor, model: SegmentationModel, image: Tensor) -> Tensor:
    """The positive part of the sum over channels, at the image's own pixels."""
    summed = weighted.float().sum(1, keepdim=True).clamp(min=0)
    return model.preprocessing.to_image(summed, image.shape[1:])[0, 0]
