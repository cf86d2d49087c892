"""`onnx:FILE`: with gradients by onnx2torch if that can be imported, else by onnxruntime.

onnx2torch imports torchvision. Without gradients only presets that need none can be used.
"""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from misure._util.optional import require
from misure.errors import InputError
from misure.models.loaders.file import existing_file, reading
from misure.models.loaders.fixed_shape import OneByOne, settings_for_shape
from misure.models.loaders.registry import loader

_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}


class OnnxNetwork:
    """An onnxruntime session as a function of an image batch."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._input = session.get_inputs()[0]
        self._names = [output.name for output in session.get_outputs()]

    def __call__(self, images: Tensor) -> dict[str, Tensor] | Tensor:
        array = images.detach().cpu().numpy().astype(_TYPES[self._input.type])
        outputs = self._session.run(None, {self._input.name: array})
        tensors = dict(zip(self._names, map(torch.from_numpy, outputs), strict=True))
        return next(iter(tensors.values())) if len(tensors) == 1 else tensors


@loader("onnx", usage="onnx:FILE", extra="onnx")
def load(argument: str, device: torch.device) -> tuple[Any, dict[str, Any]]:
    """An ONNX network; without gradients unless onnx2torch is installed.

    The input size is known if it was exported for one.

    Raises:
        InputError: the file is missing or damaged, or does not take one batch of floats.
        MissingDependencyError: onnxruntime is missing.
    """
    path = existing_file(argument)
    runtime = require("onnxruntime", extra="onnx", purpose="load onnx: models")
    fast = ["CUDAExecutionProvider"] if device.type == "cuda" else []
    providers = [name for name in fast if name in runtime.get_available_providers()]
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = torch.get_num_threads()
    with reading(f"an ONNX network in {path}"):
        session = runtime.InferenceSession(
            str(path), options, providers=[*providers, "CPUExecutionProvider"]
        )
    inputs = session.get_inputs()
    if len(inputs) != 1 or inputs[0].type not in _TYPES:
        raise InputError(
            f"expected a network with one input of floats, {path} takes "
            f"{', '.join(f'{entry.name}: {entry.type}' for entry in inputs)}."
        )
    shape = [side if isinstance(side, int) else None for side in inputs[0].shape]
    settings, takes_one = settings_for_shape(shape, path)
    net: Callable[[Tensor], Any] | None = _with_gradients(path)
    if net is None:
        net = OnnxNetwork(session)
        settings |= {"differentiable": False, "device": "cpu"}
    return (OneByOne(net) if takes_one else net), settings


def _with_gradients(path: Path) -> torch.nn.Module | None:
    try:
        onnx2torch = import_module("onnx2torch")
    except (ImportError, RuntimeError):
        return None
    with reading(f"an ONNX network that onnx2torch knows in {path}"):
        net: torch.nn.Module = onnx2torch.convert(path)
    return net
