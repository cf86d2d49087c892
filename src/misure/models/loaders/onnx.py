"""`onnx:FILE`: by onnxruntime, without gradients: only presets that need none can be used.

The file is data: operators of its own code are not loaded, and weights are read from its own folder
alone.
"""

import re
from collections.abc import Sequence
from mmap import ACCESS_READ, mmap
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
from misure.models.loaders.yolo_onnx import YoloOutputs, is_yolo, yolo_settings
from misure.models.sides import CHANNELS, seem_channels_last

_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}
_MOST_CHANNELS, _MANY = 16, 10**9
_LOCATION = rb"\x0a\x08location\x12([\x80-\xff]?[\x00-\x7f])"  # protobuf: key, length of the value


class OnnxNetwork:
    """An onnxruntime session as a function of an image batch."""

    def __init__(self, session: Any, *, channels_last: bool = False) -> None:
        self._session, self._channels_last = session, channels_last
        self._input = session.get_inputs()[0]
        self._names = [output.name for output in session.get_outputs()]

    def __call__(self, images: Tensor) -> dict[str, Tensor] | Tensor:
        images = images.movedim(1, -1) if self._channels_last else images
        array = images.detach().cpu().numpy().astype(_TYPES[self._input.type], order="C")
        outputs = self._session.run(None, {self._input.name: array})
        tensors = dict(zip(self._names, map(torch.from_numpy, outputs), strict=True))
        return next(iter(tensors.values())) if len(tensors) == 1 else tensors


@loader("onnx", usage="onnx:FILE", extra="onnx")
def load(
    argument: str,
    device: torch.device,
    *,
    input_channels_last: bool | None = None,
    imgsz: int | Sequence[int] | None = None,
    min_score: float | None = None,
    iou: float | None = None,
) -> tuple[Any, dict[str, Any]]:
    """An ONNX network, run by onnxruntime; without gradients.

    The input size is known if it was exported for one. Inputs (N, *spatial, C), as Keras and
    TensorFlow have them, are recognised by their sides. A YOLO network of instances is recognised
    by the metadata that ultralytics writes.

    Args:
        argument: the file.
        device: a GPU is used if onnxruntime can.
        input_channels_last: whether the input is (N, *spatial, C); None: its sides tell.
        imgsz, min_score, iou: of YOLO networks alone (see `ultralytics:`).

    Raises:
        InputError: the file is missing or damaged, or does not take one batch of floats.
        MissingDependencyError: onnxruntime is missing.
    """
    path = existing_file(argument)
    session = open_session(path, device)
    inputs = session.get_inputs()
    if len(inputs) != 1 or inputs[0].type not in _TYPES:
        raise InputError(
            f"expected a network with one input of floats, {path} takes "
            f"{', '.join(f'{entry.name}: {entry.type}' for entry in inputs)}."
        )
    shape = _sides(inputs[0])
    metadata = session.get_modelmeta().custom_metadata_map
    options = {"imgsz": imgsz, "min_score": min_score, "iou": iou}
    if is_yolo(metadata):
        _, takes_one = settings_for_shape(shape, path)
        outputs = [_sides(output) for output in session.get_outputs()]
        settings = yolo_settings(path, metadata, shape, outputs, options)
        settings |= {"differentiable": False, "device": "cpu"}
        net = OnnxNetwork(session)
        return YoloOutputs(OneByOne(net) if takes_one else net), settings
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise InputError(
            f"expected {given[0]} for a YOLO network of instances alone; the metadata of {path} "
            "are not those that ultralytics writes."
        )
    is_last = input_channels_last
    if is_last is None:
        is_last = len(shape) in (4, 5) and _is_channels_last(shape[1:], path)
    settings, takes_one = settings_for_shape(_channels_first(shape) if is_last else shape, path)
    net = OnnxNetwork(session, channels_last=is_last)
    settings |= {"differentiable": False, "device": "cpu"}
    return (OneByOne(net) if takes_one else net), settings


def _is_channels_last(shape: Sequence[int | None], path: Path) -> bool:
    """Whether an input without its batch axis is (*spatial, C); free sides are None.

    Raises:
        InputError: it may be both.
    """
    first, *middle, last = (_MANY if side is None else side for side in shape)
    if seem_channels_last(shape) or last > _MOST_CHANNELS:
        return last <= _MOST_CHANNELS
    if first > _MOST_CHANNELS and min(middle) > _MOST_CHANNELS:
        return True
    if first <= _MOST_CHANNELS and (first in CHANNELS or last not in CHANNELS):
        return False
    raise InputError(
        f"expected to know which axis of {tuple(shape)} holds the channels of the input of {path}, "
        "the first or the last. Say input_channels_last=True or input_channels_last=False."
    )


def open_session(path: Path, device: torch.device) -> Any:
    """The onnxruntime session of a file.

    Raises:
        InputError: the file is damaged, or names data outside of its own folder.
        MissingDependencyError: onnxruntime is missing.
    """
    check_external_data(path)
    runtime = require("onnxruntime", extra="onnx", purpose="load onnx: models")
    fast = ["CUDAExecutionProvider"] if device.type == "cuda" else []
    providers = [name for name in fast if name in runtime.get_available_providers()]
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = torch.get_num_threads()
    with reading(f"an ONNX network in {path}"):
        return runtime.InferenceSession(
            str(path), options, providers=[*providers, "CPUExecutionProvider"]
        )


def _sides(entry: Any) -> list[int | None]:
    """The shape of an input or output; None for a side that is free."""
    return [side if isinstance(side, int) else None for side in entry.shape]


def _channels_first(shape: Sequence[int | None]) -> list[int | None]:
    return [shape[0], shape[-1], *shape[1:-1]]


def check_external_data(path: Path) -> None:
    """Refuses a file that would read data from outside its own folder.

    ONNX may keep weights in other files, which it names by relative paths.

    Raises:
        InputError: such a path is absolute, or leads out of the folder.
    """
    folder = path.resolve().parent
    for location in _external_locations(path):
        if not (folder / location).resolve().is_relative_to(folder):
            raise InputError(
                f"expected the weights of {path} in its own folder, it names {location[:80]!r}. "
                "Do not open the file, or save it with its data inside."
            )


def _external_locations(path: Path) -> list[str]:
    """The files that an ONNX file names: entries `location` of its external data."""
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        return [
            data[found.end() : found.end() + _length(found.group(1))].decode(errors="replace")
            for found in re.finditer(_LOCATION, data)
        ]


def _length(varint: bytes) -> int:
    """The number that protobuf writes as these one or two bytes, seven bits each."""
    return sum((byte & 0x7F) << (7 * place) for place, byte in enumerate(varint))
