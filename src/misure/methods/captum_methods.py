"""Any method of captum on targets of misure, through one adapter.

`as_captum_forward(model, target)` is a function of images whose result is one score an image, so
captum's `target=` is not needed:

    captum.attr.IntegratedGradients(as_captum_forward(model, target)).attribute(image[None])
"""

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from misure._util.optional import require
from misure.errors import InputError
from misure.explanation.baselines import MADE_OF_SHOWN, USER
from misure.explanation.presentation import make_presentation
from misure.methods.layers import as_feature_map, captured, last_feature_layer, layer_of_name
from misure.methods.method import method
from misure.methods.result import RawMap
from misure.models.model import SegmentationModel
from misure.models.target import Target

_AT_ONCE = 8  # images in a batch


def as_captum_forward(model: SegmentationModel, target: Target) -> Callable[[Tensor], Tensor]:
    """The target's score as captum wants it: (N, C, *spatial) images to (N,) scores.

    The score is the sum of the class's logits over the target, and differentiable. If the network
    ignores the image, its gradient is zero.

    Args:
        model: the model to explain.
        target: what to explain; images must have its shape.
    """

    def forward(images: Tensor) -> Tensor:
        logits = model(images)[:, target.logit_index]
        scores = logits[:, target.region.to(logits.device)].sum(1)
        if images.requires_grad and not scores.requires_grad:
            return scores + 0 * images.flatten(1).sum(1)
        return scores

    return forward


class CaptumModule(torch.nn.Module):
    """The target's score as a torch module, for the methods of captum that hook into layers.

    Args:
        model: its network must be a torch module.
        target: what to explain.
    """

    def __init__(self, model: SegmentationModel, target: Target) -> None:
        super().__init__()
        if not isinstance(model.net, torch.nn.Module):
            raise InputError(
                f"expected a torch module, {model.name} is a function without "
                "layers. Use a method that needs none (rise, occlusion, misure)."
            )
        self.net = model.net
        self._forward = as_captum_forward(model, target)

    def forward(self, images: Tensor) -> Tensor:
        """Scores (N,) of images (N, C, *spatial)."""
        return self._forward(images)


@method(kind="gradients", source="Simonyan et al. 2014", needs_gradients=True, library="captum")
def saliency(
    model: SegmentationModel,
    image: Tensor,
    target: Target,
) -> Tensor:
    """The size of the score's gradient, largest over the channels."""
    method = _captum("Saliency")(as_captum_forward(model, target))
    gradients: Tensor = method.attribute(_leaf(image), abs=True)
    return gradients[0].amax(0)


@method(kind="gradients", source="Shrikumar et al. 2016", needs_gradients=True, library="captum")
def input_x_gradient(
    model: SegmentationModel,
    image: Tensor,
    target: Target,
) -> Tensor:
    """Image times gradient, summed over the channels; signed."""
    method = _captum("InputXGradient")(as_captum_forward(model, target))
    return _summed(method.attribute(_leaf(image)))


@method(kind="gradients", source="Sundararajan et al. 2017", needs_gradients=True, library="captum")
def integrated_gradients(
    model: SegmentationModel,
    image: Tensor,
    target: Target,
    *,
    seed: int = 0,
    num_steps: int = 32,
    baseline_image: str = "mean",
) -> Tensor:
    """Gradients along the way from the baseline image to the image; signed.

    Args:
        model, image, target: see `Method`.
        seed: of the baseline image `noise`.
        num_steps: gradients on the way.
        baseline_image: where the way begins.

    Raises:
        InputError: no steps.
    """
    if num_steps < 1:
        raise InputError(f"expected num_steps of 1 or more, got {num_steps}.")
    start = _baseline(model, image, baseline_image, seed)
    method = _captum("IntegratedGradients")(as_captum_forward(model, target))
    attributions = method.attribute(
        _leaf(image), baselines=start, n_steps=num_steps, internal_batch_size=_AT_ONCE
    )
    return _summed(attributions)


@method(kind="gradients", source="Springenberg et al. 2015", needs_gradients=True, library="captum")
def guided_backprop(
    model: SegmentationModel,
    image: Tensor,
    target: Target,
) -> Tensor:
    """Gradients whose positive part alone passes ReLU layers; signed.

    This concerns layers of `torch.nn.ReLU` only. Other activations (ReLU6, GELU, functions) pass
    gradients as they are; if a network has both, the map is guided in part.

    Raises:
        InputError: the network has no such layer.
    """
    net = model.net
    layers = net.modules() if isinstance(net, torch.nn.Module) else ()
    if not any(isinstance(layer, torch.nn.ReLU) for layer in layers):
        raise InputError(
            f"expected a network with layers of torch.nn.ReLU, {model.name} has "
            "none that can be seen. Use saliency, which is what would come out."
        )
    method = _captum("GuidedBackprop")(CaptumModule(model, target))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Setting backward hooks on ReLU")
        return _summed(method.attribute(_leaf(image)))


@method(kind="feature_map", source="Selvaraju et al. 2017", needs_gradients=True, library="captum")
def layer_grad_cam(
    model: SegmentationModel, image: Tensor, target: Target, *, layer: str = ""
) -> RawMap:
    """Captum's Grad-CAM at a layer: an independent twin of `seg_grad_cam`.

    Args:
        model, image, target: see `Method`.
        layer: dotted name; by default the last feature map before the head.

    Raises:
        InputError: a layer whose output is no feature map (N, K, *spatial), or has no part in the
            score.
    """
    layer = layer or last_feature_layer(model, image)
    method = _captum("LayerGradCam")(CaptumModule(model, target), layer_of_name(model, layer))
    try:
        with captured(model, layer) as outputs:
            attributions = method.attribute(_leaf(image), relu_attributions=True)
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            f"expected a layer that captum can explain, got {layer}: {error} "
            "Choose another layer, or use seg_grad_cam."
        ) from error
    shape = model.preprocessing.input_shape(image.shape[1:])
    if not all(len(each) == 1 and as_feature_map(each, shape) is each for each in outputs):
        raise InputError(
            f"expected a layer with an output (1, K, *spatial) for an image, that "
            f"of {layer} has its channels last, or is of windows. Use seg_grad_cam, or another."
        )
    return RawMap(model.preprocessing.to_image(attributions, image.shape[1:])[0, 0], layer)


@method(kind="perturbation", source="Zeiler and Fergus 2014", library="captum")
def occlusion(
    model: SegmentationModel,
    image: Tensor,
    target: Target,
    *,
    seed: int = 0,
    window: int = 0,
    stride: int = 0,
    baseline_image: str = "mean",
) -> Tensor:
    """How much the score falls when a window is hidden, averaged over a pixel's windows; signed.

    Args:
        model, image, target: see `Method`.
        seed: of the baseline image `noise`.
        window: side in pixels; 0: 1/8 of the short side.
        stride: between windows, in pixels; 0: half a window.
        baseline_image: what is seen in the window.

    Raises:
        InputError: a stride larger than the window, so that pixels are left out.
    """
    window = window or max(1, min(image.shape[1:]) // 8)
    stride = stride or max(1, window // 2)
    if not 1 <= stride <= window <= min(image.shape[1:]):
        raise InputError(
            f"expected 1 <= stride <= window <= {min(image.shape[1:])}, got a stride "
            f"of {stride} and a window of {window}."
        )
    method = _captum("Occlusion")(as_captum_forward(model, target))
    with torch.no_grad():
        attributions = method.attribute(
            image[None],
            sliding_window_shapes=(image.shape[0], *[window] * (image.ndim - 1)),
            strides=(image.shape[0], *[stride] * (image.ndim - 1)),
            baselines=_baseline(model, image, baseline_image, seed),
            perturbations_per_eval=_AT_ONCE,
        )
    return _summed(attributions / image.shape[0])


def _captum(name: str) -> Any:
    return getattr(require("captum.attr", extra="captum", purpose=f"run {name}"), name)


def _leaf(image: Tensor) -> Tensor:
    return image[None].clone().requires_grad_()


def _baseline(model: SegmentationModel, image: Tensor, kind: str, seed: int) -> Tensor:
    if "," in kind or kind in MADE_OF_SHOWN or kind.startswith(USER):
        raise InputError(
            f"expected one baseline image for this method, the same whatever is shown, got {kind}. "
            "Choose one with --option METHOD.baseline_image=mean, or method_options."
        )
    shown = make_presentation(model, image, baseline_image=kind, seed=seed)
    return shown.baseline_image[None].contiguous()


def _summed(attributions: Tensor) -> Tensor:
    """Attributions (1, C, *spatial) summed over the channels; with their sign."""
    return attributions[0].detach().sum(0)
