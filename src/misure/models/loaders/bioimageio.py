"""`bioimageio:FOLDER`: model folders of the BioImage Model Zoo (rdf.yaml or bioimageio.yaml).

The folder says which axes the network takes, how images are prepared, and what follows its output;
all of it is followed as bioimageio.core does it, as functions of tensors. Weights as ONNX are data.
TorchScript and PyTorch run code of the folder, and are opened with `trust=True` alone. Nothing is
downloaded: every file must lie in the folder.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from misure._util.optional import require
from misure.errors import InputError
from misure.models.binding import Binding
from misure.models.loaders.bioimageio_description import (
    axes_of,
    description_in,
    num_channels_of,
    spatial_axes,
)
from misure.models.loaders.bioimageio_network import ZooNetwork
from misure.models.loaders.bioimageio_output import class_names_of, output_named, output_settings
from misure.models.loaders.bioimageio_steps import ZooPreprocessing, step_of
from misure.models.loaders.bioimageio_weights import chosen_weights, open_weights
from misure.models.loaders.file import reading
from misure.models.loaders.onnx import OnnxNetwork
from misure.models.loaders.registry import loader

if TYPE_CHECKING:
    from misure.models.model import SegmentationModel

_WHITE = {"uint8": 255.0, "uint16": 65535.0}


@loader("bioimageio", usage="bioimageio:FOLDER", extra="bioimageio")
def load(
    argument: str,
    device: torch.device,
    *,
    weights: str | None = None,
    trust: bool = False,
    gain: float | None = None,
    output: str | None = None,
    class_names: Any = None,
    preprocessing: Any = None,
) -> tuple[Any, dict[str, Any]]:
    """A model folder of the BioImage Model Zoo: ONNX, or with trust TorchScript or PyTorch.

    Statistics of its preprocessing are those of the image that is explained, and stay as they are
    while parts of it are hidden.

    Args:
        argument: the folder.
        device: where TorchScript and PyTorch compute.
        weights: `onnx`, `torchscript` or `pytorch_state_dict`; None: with trust the first with
            gradients that is there, else `onnx`.
        trust: whether code of the folder may run.
        gain: what images are multiplied with before the folder's preprocessing; None: 255 or 65535
            where the folder takes uint8 or uint16, since files of these are read as [0, 1].
        output: name of the output tensor; None: the only one.
        class_names, preprocessing: arguments of SegmentationModel, in place of the folder's.

    Raises:
        InputError: no such folder, files outside of it, or something that misure cannot follow.
        MissingDependencyError: bioimageio.core is missing.
    """
    folder = Path(argument)
    described, has_halo = description_in(folder)
    if len(described.inputs) != 1:
        names = ", ".join(str(each.id) for each in described.inputs)
        raise InputError(
            f"expected a network with one input in {folder}, got {names}. Wrap it in a function, "
            "and load that with python:."
        )
    given, taken = described.inputs[0], output_named(described, output, folder)
    net = open_weights(described, chosen_weights(described, weights, trust, folder), device, folder)
    settings, shift = output_settings(taken, folder)
    settings |= {"output": str(taken.id), "num_channels": num_channels_of(given)}
    settings |= class_names_of(taken) if class_names is None else {}
    if preprocessing is None:
        prepared = _preprocessing(described, folder, gain, has_halo=has_halo)
        settings["preprocessing"] = prepared
        if any(step.measures for step in prepared.steps):
            settings["binder"] = _bind
    if isinstance(net, OnnxNetwork):
        settings |= {"differentiable": False, "device": "cpu"}
    outputs = {str(each.id): axes_of(each, folder) for each in described.outputs}
    return ZooNetwork(net, axes_of(given, folder), outputs, {str(taken.id): shift}), settings


def _bind(model: "SegmentationModel", image: Tensor, _affine: Tensor | None) -> Binding:
    prepared = model.preprocessing
    if not isinstance(prepared, ZooPreprocessing):
        return Binding()
    return Binding(preprocessing=prepared.bound(image))


def _operators(tensor: Any, steps: Sequence[Any], folder: Path) -> list[Any]:
    core = require(
        "bioimageio.core.proc_ops", extra="bioimageio", purpose="load bioimageio: models"
    )
    if any(step.id == "custom" for step in steps):
        raise InputError(
            f"expected steps of the library in {folder}, got one of its own (custom). Wrap "
            "network and steps in a function, and load that with python: or function:."
        )
    with reading(f"steps of the library before and after the network of {folder}"):
        return [core.get_proc(step, tensor) for step in steps]


def _preprocessing(
    described: Any, folder: Path, gain: float | None, *, has_halo: bool
) -> ZooPreprocessing:
    given = described.inputs[0]
    spatial = spatial_axes(axes_of(given, folder))
    places = {"channel": 0} | {name: place for place, name in enumerate(spatial, start=1)}
    steps = []
    for operator, step in zip(
        _operators(given, given.preprocessing, folder), given.preprocessing, strict=True
    ):
        made = step_of(operator, places)
        if made is None:
            raise InputError(
                f"expected steps that misure can follow in {folder}, got {step.id}. Say "
                "preprocessing=..., or load the network with function:."
            )
        steps.append(made)
    sizes = [_size(next(axis for axis in given.axes if str(axis.id) == name)) for name in spatial]
    pad = getattr(given, "pad", None)
    return ZooPreprocessing(
        steps=tuple(steps),
        gain=_WHITE.get(given.dtype, 1.0) if gain is None else float(gain),
        halo=_halo(described, str(given.id), spatial) if has_halo else ((0, 0),) * len(spatial),
        least=tuple(least for least, _ in sizes),
        every=tuple(every for _, every in sizes),
        mode="symmetric" if pad is None else pad.mode,
        value=float(getattr(pad, "value", 0)),
        processor={"preprocessing": [step.model_dump(mode="json") for step in given.preprocessing]},
    )


def _size(axis: Any) -> tuple[int, int]:
    """The least length of an axis, and the step between lengths; 0 allows the least alone."""
    if isinstance(axis.size, int):
        return axis.size, 0
    if hasattr(axis.size, "step"):
        return int(axis.size.min), int(axis.size.step)
    if hasattr(axis.size, "min"):
        return int(axis.size.min), 1
    raise InputError(
        f"expected lengths of the axis {axis.id} that stand alone, got one that depends on another "
        "axis. Give the network images of its own size with preprocessing=...."
    )


def _halo(described: Any, name: str, spatial: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """Pixels that the library adds around the image; folders of the old form have none."""
    core = require(
        "bioimageio.core.digest_spec", extra="bioimageio", purpose="load bioimageio: models"
    )
    halo = {str(key): of for key, of in core.get_input_halo(described).items()}.get(name, {})
    widths = {str(axis): (each.left, each.right) for axis, each in halo.items()}
    return tuple(widths.get(axis, (0, 0)) for axis in spatial)
