"""Layers: the feature maps of a network, by dotted name or from one traced forward pass."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from misure.errors import InputError
from misure.models.model import SegmentationModel
from misure.models.outputs import describe
from misure.models.prompted import PromptBinder


def last_feature_layer(model: SegmentationModel, image: Tensor) -> str:
    """The dotted name of the last layer before the head whose output is a spatial feature map.

    One traced forward pass finds it. Candidates are the layers that hold no other layers, are
    called once, have one output for the image, and that the logits depend on; none of those that
    see boxes cut out of the image (the heads of Mask R-CNN). The last candidate whose output is
    spatial and has another number of channels than the network's output is taken. If there is none,
    the head is the last layer with parameters, and the last spatial candidate called before it is
    taken.

    Args:
        model: its network must be a torch module.
        image: (C, *spatial) float.

    Raises:
        InputError: no torch module, or no such layer.
    """
    called, num_classes = called_layers(model, image, once=True)
    spatial = [
        name
        for name, shape in called.items()
        if len(shape) == image.ndim + 1
        and shape[0] == 1
        and prod(shape[2:]) > 1
        and not _head_of_boxes(model, name)
    ]
    features = [name for name in spatial if called[name][1] not in (num_classes, 1)]
    if not features:
        heads = [name for name in called if [*layer_of_name(model, name).parameters()]]
        behind = [*called].index(heads[-1]) if heads else 0
        features = [name for name in [*called][:behind] if name in spatial]
    if features:
        return features[-1]
    raise InputError(
        f"expected a network with a spatial feature map before its head, "
        f"{model.name} has none that can be found. Name a layer: layer='decoder.3'."
    )


def called_layers(
    model: SegmentationModel, image: Tensor, *, once: bool = False
) -> tuple[dict[str, tuple[int, ...]], int]:
    """The layers that a pass calls, and the number of classes that comes out.

    One traced forward pass finds all layers that hold no other layers and return a tensor: dotted
    name and shape of the output, in the order of their last call. If the network gives gradients,
    layers that the logits do not depend on (auxiliary heads) are left out.

    Args:
        model: its network must be a torch module.
        image: (C, *spatial) float.
        once: leave out layers that are called more than once (an activation used again and again).

    Raises:
        InputError: no torch module, or one of TorchScript.
    """
    model.examine(image[None])  # whose passes are not to be traced
    called: dict[str, tuple[tuple[int, ...], Any]] = {}
    num_calls = Counter[str]()

    def note(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            num_calls[name] += 1
            called.pop(name, None)  # the order is that of the last call
            if isinstance(output, Tensor):
                called[name] = (tuple(output.shape), output.grad_fn)

        return hook

    modules = _module_of(model).named_modules()
    leaves = [(name, layer) for name, layer in modules if name and not [*layer.children()]]
    handles = [module.register_forward_hook(note(name)) for name, module in leaves]
    try:
        with torch.set_grad_enabled(model.differentiable):
            logits = model(image[None].detach().clone().requires_grad_(model.differentiable))
    finally:
        for handle in handles:
            handle.remove()
    used = _nodes_behind(logits)
    shapes = {
        name: shape
        for name, (shape, node) in called.items()
        if (not used or node in used) and not (once and num_calls[name] > 1)
    }
    return shapes, logits.shape[1]


def _nodes_behind(tensor: Tensor) -> set[Any]:
    """All steps of the computation of a tensor; empty if none was recorded."""
    nodes: set[Any] = set()
    waiting: list[Any] = [tensor.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in nodes:
            nodes.add(node)
            waiting += [parent for parent, _ in node.next_functions]
    return nodes


def _head_of_boxes(model: SegmentationModel, layer: str) -> str:
    """The part of torchvision's detectors that a layer is in if it sees boxes, not the image."""
    name: str
    for name, module in _module_of(model).named_modules():
        is_head = any(each.__name__ == "RoIHeads" for each in type(module).__mro__)
        if is_head and layer.startswith(f"{name}."):
            return name
    return ""


def layer_of_name(model: SegmentationModel, layer: str) -> nn.Module:
    """The layer of a model's network with this dotted name.

    Raises:
        InputError: no torch module, or no layer of this name.
    """
    known: dict[str, nn.Module] = dict(_module_of(model).named_modules())
    if layer not in known:
        raise InputError(
            f"expected the dotted name of a layer of {model.name}, got {layer!r}. It has: "
            f"{', '.join(list(known)[1:9])} ..."
        )
    if head := _head_of_boxes(model, layer):
        raise InputError(
            f"expected a layer that sees the image, {layer} of {model.name} sees boxes cut out of "
            f"it: its feature maps have no place in the image. Choose one outside of {head}, such "
            "as one of the backbone."
        )
    return known[layer]


@contextmanager
def captured(model: SegmentationModel, layer: str) -> Iterator[list[Tensor]]:
    """A context in which a layer's outputs are gathered; gradients can be taken for them.

    Args:
        model: its network must be a torch module.
        layer: dotted name.

    Raises:
        InputError: no torch module, or no layer of this name.
    """
    outputs: list[Tensor] = []

    def hook(_module: nn.Module, _inputs: Any, output: Any) -> Any:
        first = next(iter(output), None) if isinstance(output, (tuple, list)) else output
        if not isinstance(first, Tensor):
            raise InputError(
                f"expected a layer that returns a tensor, {layer} returns "
                f"{describe(output)}. Choose another layer."
            )
        tensor = first
        outputs.append(tensor)
        # What follows gets a copy: an activation that works in place would change what is kept.
        copy = tensor.clone()
        return copy if isinstance(output, Tensor) else type(output)([copy, *list(output)[1:]])

    handle = layer_of_name(model, layer).register_forward_hook(hook)
    try:
        yield outputs
    finally:
        handle.remove()


def as_feature_map(tensor: Tensor, input_shape: tuple[int, ...]) -> Tensor:
    """A layer's output as a feature map (N, K, *spatial'); a transformer's tokens are laid out.

    Args:
        tensor: (N, K, *spatial'); or (N, *spatial', K) if only that has the input's aspect (Swin);
            or tokens (N, L, K) in the order of the pixels. If patches divide the input, up to five
            more tokens (a class token, registers) may come first.
        input_shape: (*spatial) of the network's input, for the tokens' aspect.

    Raises:
        InputError: none of these.
    """
    if tensor.ndim == len(input_shape) + 2:
        first, last = (
            _have_aspect(sides, input_shape) for sides in (tensor.shape[2:], tensor.shape[1:-1])
        )
        return tensor.movedim(-1, 1) if last and not first else tensor
    if tensor.ndim == 3:
        for extra in range(6):
            num = tensor.shape[1] - extra
            scale = (num / prod(input_shape)) ** (1 / len(input_shape))
            sides = tuple(round(side * scale) for side in input_shape)
            patches = {Fraction(long, side) for long, side in zip(input_shape, sides, strict=True)}
            is_exact = len(patches) == 1 and next(iter(patches)).denominator == 1
            if num > 0 and prod(sides) == num and (is_exact or not extra):
                tokens = tensor[:, extra:].transpose(1, 2)
                return tokens.reshape(*tokens.shape[:2], *sides)
    raise InputError(
        f"expected an output (N, K, *spatial) or tokens (N, L, K) for an input of "
        f"{tuple(input_shape)}, got {tuple(tensor.shape)}. Choose another layer."
    )


def _have_aspect(sides: tuple[int, ...], input_shape: tuple[int, ...]) -> bool:
    """Whether one scale turns the input's sides into these, each rounded up or down."""
    pairs = [*zip(sides, input_shape, strict=True)]
    return max((side - 1) / long for side, long in pairs) < min(
        (side + 1) / long for side, long in pairs
    )


def _module_of(model: SegmentationModel) -> nn.Module:
    if model.border_px:
        raise InputError(
            f"expected a network whose image is not mirrored beyond its edges, {model.name} has "
            f"border_px={model.border_px}: the place of its feature maps is not known. Use a "
            "method that needs none (rise, occlusion, misure)."
        )
    if model.windows is not None:
        raise InputError(
            f"expected a network that sees the whole image, {model.name} sees one window after the "
            "other: a layer has one feature map for each. Use a method that needs none (rise, "
            "occlusion, misure), or explain a crop without window."
        )
    if isinstance(model.binder, PromptBinder):
        raise InputError(
            f"expected a network that takes images alone, {model.name} draws what a prompt names: "
            "its layers mix image and prompt, and none is known to be a map of the image. Use a "
            "method that needs no layer (rise, occlusion, misure)."
        )
    if not isinstance(model.net, nn.Module):
        raise InputError(
            f"expected a torch module, {model.name} is a function without layers. Use a "
            "method that needs none (rise, occlusion, misure)."
        )
    if isinstance(model.net, torch.jit.ScriptModule):
        raise InputError(
            f"expected a network whose layers can be seen, {model.name} is TorchScript. Use "
            "a method that needs none (rise, occlusion, misure), or load it with python:."
        )
    return model.net
