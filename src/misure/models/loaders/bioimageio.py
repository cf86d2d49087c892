"""`bioimageio:FOLDER`: model folders of the BioImage Model Zoo (rdf.yaml or bioimageio.yaml).

The folder says which axes the network takes, how images are prepared, and what follows its output;
all of it is followed as bioimageio.core does it, as functions of tensors. Weights as ONNX are data.
TorchScript and PyTorch run code of the folder, and are opened with `trust=True` alone. Nothing is
downloaded: every file must lie in the folder.
"""

import re
from collections.abc import Mapping, Sequence
from math import log
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from misure._util.optional import require
from misure._util.quoted import quoted
from misure.errors import InputError
from misure.models.binding import Binding
from misure.models.loaders.bioimageio_steps import ZooPreprocessing, step_of
from misure.models.loaders.file import reading
from misure.models.loaders.onnx import OnnxNetwork, open_session
from misure.models.loaders.registry import TRUST_IT, loader

if TYPE_CHECKING:
    from misure.models.model import SegmentationModel

_FILES = ("bioimageio.yaml", "rdf.yaml")
_LARGEST_TEXT = 5_000_000  # bytes
_WITH_CODE = ("torchscript", "pytorch_state_dict")
_WEIGHTS = (*_WITH_CODE, "onnx")
_WHITE = {"uint8": 255.0, "uint16": 65535.0}
_SPACE = ("z", "y", "x")


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
    described, has_halo = _description(folder)
    if len(described.inputs) != 1:
        names = ", ".join(str(each.id) for each in described.inputs)
        raise InputError(
            f"expected a network with one input in {folder}, got {names}. Wrap it in a function, "
            "and load that with python:."
        )
    given, taken = described.inputs[0], _output(described, output, folder)
    net = _open(described, _chosen(described, weights, trust, folder), device, folder)
    settings, shift = _output_settings(taken, folder)
    settings |= {"output": str(taken.id), "num_channels": _num_channels(given)}
    settings |= _class_names(taken) if class_names is None else {}
    if preprocessing is None:
        prepared = _preprocessing(described, folder, gain, has_halo=has_halo)
        settings["preprocessing"] = prepared
        if any(step.measures for step in prepared.steps):
            settings["binder"] = _bind
    if isinstance(net, OnnxNetwork):
        settings |= {"differentiable": False, "device": "cpu"}
    outputs = {str(each.id): _axes(each, folder) for each in described.outputs}
    return ZooNetwork(net, _axes(given, folder), outputs, {str(taken.id): shift}), settings


class ZooNetwork(nn.Module):
    """A network with the axes of its folder, from images (N, C, *spatial) to named tensors.

    Args:
        net: from a tensor with the axes of the input to one, or several, with those of outputs.
        input_axes: names of axes, in the order of the network.
        outputs: name of each output -> names of its axes.
        shifts: name of an output -> what is taken from it, one number or one for each channel.
    """

    def __init__(
        self,
        net: Any,
        input_axes: Sequence[str],
        outputs: Mapping[str, Sequence[str]],
        shifts: Mapping[str, Sequence[float]],
    ) -> None:
        super().__init__()
        self.net = net
        self._input_axes, self._outputs, self._shifts = input_axes, outputs, shifts

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Tensors (N, K, *spatial) of images (N, C, *spatial)."""
        if "batch" in self._input_axes:
            return self._shown(images)
        each = [self._shown(image[None]) for image in images]
        return {name: torch.cat([one[name] for one in each]) for name in each[0]}

    def _shown(self, images: Tensor) -> dict[str, Tensor]:
        order = ["batch", "channel", *_spatial(self._input_axes)]
        left_out = [place for place, name in enumerate(order) if name not in self._input_axes]
        for place in reversed(left_out):
            images = images.squeeze(place)
        kept = [name for name in order if name in self._input_axes]
        found = self.net(images.permute([kept.index(name) for name in self._input_axes]))
        values = [*found.values()] if isinstance(found, dict) else found
        tensors = [values] if isinstance(values, Tensor) else values
        return {
            name: self._in_order(tensor, name)
            for name, tensor in zip(self._outputs, tensors, strict=False)
        }

    def _in_order(self, tensor: Tensor, name: str) -> Tensor:
        axes = self._outputs[name]
        if tensor.ndim != len(axes):
            raise InputError(
                f"expected the output {name} with the axes {', '.join(axes)}, got a tensor "
                f"{tuple(tensor.shape)}. Correct the description of the folder."
            )
        order = ["batch", "channel", *_spatial(axes)]
        tensor = tensor.permute([axes.index(name) for name in order if name in axes])
        for place, each in enumerate(order):
            tensor = tensor if each in axes else tensor.unsqueeze(place)
        if name not in self._shifts or not any(self._shifts[name]):
            return tensor
        shift = torch.tensor(self._shifts[name], device=tensor.device)
        return tensor - shift.view(-1, *[1] * (tensor.ndim - 2))


def _bind(model: "SegmentationModel", image: Tensor, _affine: Tensor | None) -> Binding:
    prepared = model.preprocessing
    if not isinstance(prepared, ZooPreprocessing):
        return Binding()
    return Binding(preprocessing=prepared.bound(image))


def _description(folder: Path) -> tuple[Any, bool]:
    """The description in a folder, in the library's newest form, and whether halos are added.

    The library adds them for descriptions from 0.5 on. Nothing is downloaded.
    """
    spec = require("bioimageio.spec", extra="bioimageio", purpose="load bioimageio: models")
    found = [folder / name for name in _FILES if (folder / name).is_file()]
    if not found:
        raise InputError(
            f"expected a folder with {' or '.join(_FILES)} at {folder}, found none. Unpack the "
            "archive of the model, and name the folder."
        )
    if found[0].stat().st_size > _LARGEST_TEXT:
        raise InputError(f"expected at most {_LARGEST_TEXT:,} bytes in {found[0]}, got more.")
    text = found[0].read_text(encoding="utf-8", errors="replace")
    if re.search(r"^\s*-?\s*[\"']?output_of[\"']?\s*:\s*\S", text, re.M):
        raise InputError(
            f"expected a model that stands alone in {folder}, its input is the output of another. "
            "Wrap both in a function, and load that with python: or function:."
        )
    with reading(f"the description of a model in {found[0]}"):
        described = spec.load_description(
            found[0], format_version="latest", perform_io_checks=False
        )
    if getattr(described, "type", "") != "model" or not hasattr(described, "weights"):
        summary = described.validation_summary
        errors = [error.msg for detail in summary.details for error in detail.errors]
        raise InputError(
            f"expected the description of a model in {found[0]}: "
            f"{quoted(errors[0] if errors else getattr(described, 'type', 'another kind'))}."
        )
    has_halo = not re.search(r"^format_version\s*:\s*[\"']?0\.[0-4]\b", text, re.M)
    return described, has_halo


def _output(described: Any, name: str | None, folder: Path) -> Any:
    named = {str(each.id): each for each in described.outputs}
    if name is None and len(named) == 1:
        return described.outputs[0]
    if name not in named:
        raise InputError(
            f"expected output=... among {', '.join(named)} for {folder}, got {name!r}. Name the "
            "tensor of the classes."
        )
    return named[name]


def _chosen(described: Any, name: str | None, trust: bool, folder: Path) -> str:
    """The weights to open."""
    there = [
        each
        for each in (*_WEIGHTS, *type(described.weights).model_fields)
        if getattr(described.weights, each, None) is not None
    ]
    there = [*dict.fromkeys(there)]
    if name is not None and name not in there:
        raise InputError(
            f"expected weights among {', '.join(there)}, which {folder} has, got {name!r}."
        )
    usable = [each for each in there if each in _WEIGHTS] if name is None else [name]
    if not usable or usable[0] not in _WEIGHTS:
        raise InputError(
            f"expected weights as onnx, torchscript or pytorch_state_dict in {folder}, got "
            f"{', '.join(there)}. Export the network to ONNX, and load that with onnx:."
        )
    if trust or (allowed := [each for each in usable if each not in _WITH_CODE]) == usable:
        return usable[0]
    if allowed:
        return allowed[0]
    raise InputError(
        f"expected trust=True for the weights of {folder} ({', '.join(usable)}): opening them runs "
        f"code of the folder. {TRUST_IT} Weights as onnx need no trust."
    )


def _inside(path: Any, folder: Path) -> Path:
    """The path of a file of the folder.

    Raises:
        InputError: it lies elsewhere, or is an address.
    """
    place = Path(str(path.absolute() if hasattr(path, "absolute") else path))
    if "://" in str(path) or not place.resolve().is_relative_to(folder.resolve()):
        raise InputError(
            f"expected every file of the model in {folder}, its description names "
            f"{quoted(path)!r}; nothing is downloaded. Put the file there, and name it so."
        )
    return place


def _open(described: Any, kind: str, device: torch.device, folder: Path) -> Any:
    """The network with its weights."""
    entry = getattr(described.weights, kind)
    path = _inside(entry.source, folder)
    with reading(f"the weights {path.name} of {folder}"):
        entry.validate_sha256(force_recompute=True)
    if kind == "onnx":
        return OnnxNetwork(open_session(path, device))
    if kind == "torchscript":
        with reading(f"a TorchScript archive in {path}"):
            return torch.jit.load(path, map_location=device)  # type: ignore[no-untyped-call]
    if hasattr(entry.architecture, "source"):
        _inside(entry.architecture.source, folder)
    core = require(
        "bioimageio.core.backends.pytorch_backend",
        extra="bioimageio",
        purpose="load bioimageio: models",
    )
    with reading(f"the network and the weights of {folder}"):
        return core.load_torch_model(entry, load_state=True, devices=[device])


def _axes(tensor: Any, folder: Path) -> list[str]:
    """Names of the axes of a tensor: batch, channel, z, y, x."""
    names = []
    for axis in tensor.axes:
        name = axis.type if axis.type in ("batch", "channel") else str(axis.id)
        if name not in ("batch", "channel", *_SPACE):
            raise InputError(
                f"expected the axes batch, channel, {', '.join(_SPACE)} in {folder}, "
                f"{tensor.id} has {name!r}. Wrap the network, and load that with python:."
            )
        names.append(name)
    if len(_spatial(names)) < 2:
        raise InputError(f"expected two or three axes of space in {folder}, got {names}.")
    return names


def _spatial(axes: Sequence[str]) -> list[str]:
    return [name for name in _SPACE if name in axes]


def _channel_axis(tensor: Any) -> Any:
    return next((axis for axis in tensor.axes if axis.type == "channel"), None)


def _num_channels(tensor: Any) -> int:
    axis = _channel_axis(tensor)
    return 1 if axis is None else int(axis.size)


def _class_names(tensor: Any) -> dict[str, Any]:
    """Names of the classes, if there are several; their number is checked at the first pass."""
    axis = _channel_axis(tensor)
    if axis is None or axis.size == 1:
        return {}
    return {"class_names": [str(name) for name in axis.channel_names]}


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
    spatial = _spatial(_axes(given, folder))
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


def _output_settings(taken: Any, folder: Path) -> tuple[dict[str, Any], list[float]]:
    """What the numbers of the output are after its postprocessing, and what is taken from them.

    Segmentation is where the last step cuts: a threshold t of a sigmoid becomes logit(t), so that
    positive logits are what the folder calls foreground.
    """
    every = taken.postprocessing
    steps = [step for step in every if not _keeps_numbers(step, is_last=step is every[-1])]
    names = [step.id for step in steps]
    num = _num_channels(taken)
    several = {"multilabel": True} if num > 1 else {}
    if names == []:
        return {}, []
    if names == ["softmax"] and str(steps[0].kwargs.axis) == str(_channel_axis(taken).id):
        return {"probabilities": False}, []  # the network's own logits
    if names in (["sigmoid"], ["sigmoid", "binarize"], ["binarize"]):
        cuts = _list(steps[-1].kwargs.threshold) if names[-1] == "binarize" else []
        is_of_sigmoid = names[0] == "sigmoid"
        if len(cuts) in (0, 1, num) and all(0 < cut < 1 or not is_of_sigmoid for cut in cuts):
            cuts = [log(cut / (1 - cut)) if is_of_sigmoid else float(cut) for cut in cuts]
            return several | {"probabilities": False}, cuts
    raise InputError(
        f"expected after the network of {folder} nothing, a sigmoid, a softmax or a threshold, got "
        f"{', '.join(names)}. Wrap network and steps in a function, and load it with function:."
    )


def _keeps_numbers(step: Any, *, is_last: bool) -> bool:
    """Whether a step after the network changes no number that decides."""
    return step.id == "ensure_dtype" and (is_last or str(step.kwargs.dtype).startswith("float"))


def _list(value: Any) -> list[Any]:
    return [*value] if isinstance(value, (list, tuple)) else [value]
