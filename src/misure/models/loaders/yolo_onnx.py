"""ONNX files that ultralytics exports: told by their metadata, read as YOLO networks of instances.

misure has its own NMS here, so neither ultralytics nor torchvision is needed.
"""

import ast
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from misure.errors import InputError
from misure.models.instances import instance_settings
from misure.models.loaders.letterbox import checked_letterbox
from misure.models.loaders.yolo import (
    IOU,
    MIN_SCORE,
    PROPOSALS,
    PROTOTYPES,
    TASK,
    YoloReader,
    are_chosen,
    no_instances,
)

_KEYS = ("task", "names", "stride")
_MOST_TEXT = 1_000_000


class YoloOutputs:
    """A network with two outputs, as one that returns proposals and prototypes by name.

    Args:
        net: (images) -> its outputs by name, in the order of the file.
    """

    def __init__(self, net: Callable[[Tensor], Any]) -> None:
        self._net = net

    def __call__(self, images: Tensor) -> dict[str, Tensor]:
        return dict(zip((PROPOSALS, PROTOTYPES), self._net(images).values(), strict=True))


def is_yolo(metadata: Mapping[str, str]) -> bool:
    """Whether the metadata of an ONNX file are those that ultralytics writes."""
    return all(key in metadata for key in _KEYS)


def yolo_settings(
    path: Path,
    metadata: Mapping[str, str],
    input_shape: Sequence[int | None],
    output_shapes: Sequence[Sequence[int | None]],
    options: Mapping[str, Any],
) -> dict[str, Any]:
    """Arguments of SegmentationModel for an ONNX file of ultralytics.

    Args:
        path: the file, for messages.
        metadata: of the file.
        input_shape: (N, C, H, W); None for a side that is free.
        output_shapes: of its outputs.
        options: `imgsz`, (H, W) or one number for both; `min_score`, score above which an object is
            reported; `iou`, overlap above which NMS drops a box; None: as ultralytics.

    Raises:
        InputError: the network has no instances, or the file contradicts itself.
    """
    task = metadata["task"].strip()
    if task != TASK:
        raise InputError(no_instances(str(path), task))
    names = _names(path, _value(path, metadata, "names"))
    if len(output_shapes) != 2:
        raise InputError(
            f"expected two outputs, boxes and prototypes, {path} has {len(output_shapes)}."
        )
    if None not in (*output_shapes[0][1:], output_shapes[1][1]):
        are_chosen(output_shapes[0], output_shapes[1], len(names))
    stride = _value(path, metadata, "stride")
    fixed = [side for side in input_shape[2:] if side is not None]
    is_fixed = len(fixed) == 2
    known = fixed if is_fixed else _value(path, metadata, "imgsz")
    if not isinstance(stride, int) or stride < 1 or not isinstance(known, list) or len(known) != 2:
        raise InputError(
            f"expected stride as a number and imgsz as two in the metadata of {path}, got "
            f"{str(stride)[:40]} and {str(known)[:40]}."
        )
    box = checked_letterbox(options["imgsz"], known, stride, is_least=not is_fixed)
    if is_fixed and list(box.sides) != fixed:
        raise InputError(f"expected imgsz={fixed}, for which {path} was exported, got {box.sides}.")
    min_score, iou = (
        default if options[name] is None else options[name]
        for name, default in (("min_score", MIN_SCORE), ("iou", IOU))
    )
    reader = YoloReader(len(names), min_score, iou)
    return {
        "preprocessing": box,
        "class_names": names,
        "num_channels": input_shape[1],
        **instance_settings(reader, f"onnx:{path}"),
    }


def _value(path: Path, metadata: Mapping[str, str], key: str) -> Any:
    """A value of the metadata: numbers, texts, lists and dictionaries, never code."""
    text = metadata.get(key, "")
    try:
        if len(text) > _MOST_TEXT:
            raise ValueError("it is too long")
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise InputError(
            f"expected a value of Python as {key} in the metadata of {path}, got {text[:60]!r}."
        ) from error


def _names(path: Path, names: Any) -> list[str]:
    numbers = list(names) if isinstance(names, dict) else []
    if not numbers or numbers != list(range(len(numbers))):
        raise InputError(
            f"expected the names of classes 0 to K - 1 in the metadata of {path}, got "
            f"{str(names)[:60]}."
        )
    return [str(name) for name in names.values()]
