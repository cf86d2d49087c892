"""Loading models by name: `load_model("SCHEME:ARGUMENT")`, one file for each scheme.

Files are taken as hostile: weights are read from safetensors or with `weights_only=True`, programs
that could do more than compute are refused. Only `python:` and `function:` run Python code, from
the file that the user names.
"""

from collections.abc import Callable
from inspect import signature
from typing import Any

import torch
from torch import Tensor

from misure.errors import InputError, entrance
from misure.models.device import choose_device
from misure.models.loaders import (
    function,
    hf,
    onnx,
    python,
    torch_export,
    torchscript,
    torchvision,
    trained,
)
from misure.models.model import SegmentationModel

Loader = Callable[[str, torch.device], tuple[Callable[[Tensor], Any], dict[str, Any]]]
"""From (argument, device) to the network and the SegmentationModel arguments known for it."""

LOADERS: dict[str, Loader] = {
    "triangle": trained.load_shipped,
    "trained": trained.load,
    "hf": hf.load,
    "torchvision": torchvision.load,
    "torchscript": torchscript.load,
    "export": torch_export.load,
    "onnx": onnx.load,
    "python": python.load,
    "function": function.load,
}

OPTIONS = tuple(
    option
    for option in signature(SegmentationModel).parameters
    if option not in ("net", "device", "differentiable", "name")
)
"""Arguments of SegmentationModel that may be passed to load_model."""

USAGE = (
    "triangle, trained:FILE_OR_FOLDER, hf:ID_OR_FOLDER, torchvision:NAME, torchscript:FILE, "
    "export:FILE.pt2, onnx:FILE, python:FILE.py:FUNCTION or function:FILE.py:FUNCTION"
)


@entrance("load_model")
def load_model(
    spec: str, *, device: str | torch.device = "auto", **options: Any
) -> SegmentationModel:
    """The model that a specification names.

    Args:
        spec: `triangle` (shipped), `trained:FILE_OR_FOLDER` (written by `misure train`),
            `hf:ID_OR_FOLDER` (transformers, semantic segmentation heads; preprocessing from the
            folder's processor config), `torchvision:NAME`, `torchscript:FILE`,
            `export:FILE.pt2`, `onnx:FILE` (no gradients), `python:FILE.py:FUNCTION` (a function
            without arguments that returns a network or a SegmentationModel),
            `function:FILE.py:FUNCTION` (a function from NumPy images (N, C, *spatial) float32 to
            logits (N, K, *spatial); no gradients).
        device: where to put it; `auto` takes a GPU if there is one.
        options: arguments of SegmentationModel, over those that the file itself tells.

    Raises:
        InputError: an unknown scheme, a missing or damaged file, an unknown option.
        MissingDataError: weights that would have to be downloaded are not there.
        MissingDependencyError: an optional library is missing; the message tells which.
    """
    scheme, _, argument = spec.partition(":")
    if scheme not in LOADERS or (not argument and scheme != "triangle"):
        raise InputError(f"expected {USAGE}, got {spec!r}.")
    place = choose_device(device)
    net, settings = LOADERS[scheme](argument, place)
    if isinstance(net, SegmentationModel):
        elsewhere = device != "auto" and net.device != place
        if options or elsewhere:
            given = [*options, *["device"] * elsewhere]
            raise InputError(
                f"expected no options with {spec}, whose function returns a whole "
                f"SegmentationModel, got {', '.join(given)}. Set them there."
            )
        return net
    unknown = [option for option in options if option not in OPTIONS]
    if unknown:
        raise InputError(
            f"expected options of SegmentationModel ({', '.join(OPTIONS)}), got {unknown[0]!r}."
        )
    if isinstance(net, torch.nn.Module):
        net.to(place)
    arguments: dict[str, Any] = {"name": spec, "device": place} | settings | options
    return SegmentationModel(net, **arguments)
