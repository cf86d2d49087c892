"""`ultralytics:FILE.pt`: YOLO networks of instances (YOLO-seg), as ultralytics saves them.

Such a file is a pickle: opening it runs code that is in it, so `trust=True` has to be said. The
same network exported to ONNX is data alone (`onnx:FILE`), but gives no gradients.
"""

import os
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from misure._util.optional import require
from misure.errors import InputError, ModelError
from misure.models.instances import instance_settings
from misure.models.loaders.file import existing_file, reading
from misure.models.loaders.letterbox import checked_letterbox
from misure.models.loaders.registry import loader
from misure.models.loaders.yolo import (
    IOU,
    MIN_SCORE,
    MOST_OBJECTS,
    PROPOSALS,
    PROTOTYPES,
    TASK,
    YoloReader,
    no_instances,
)
from misure.models.outputs import describe

_DEFAULT_SIDE = 640


class YoloNetwork(nn.Module):
    """A network of ultralytics as one that returns proposals and prototypes.

    Args:
        net: a SegmentationModel of ultralytics.
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Proposals and prototypes (see `YoloReader`) of images (N, C, H, W).

        Raises:
            ModelError: the network returns something else.
        """
        output = self.net(images)
        first = output[0] if isinstance(output, (tuple, list)) else output
        pair = first if isinstance(first, (tuple, list)) else output
        if not all(isinstance(each, Tensor) for each in pair[:2]):
            raise ModelError(f"expected proposals and prototypes, got {describe(output)}.")
        return {PROPOSALS: pair[0], PROTOTYPES: pair[1]}


class Suppression:
    """NMS of ultralytics.

    Args:
        num_classes: K.
        min_score: score above which a box is reported.
        iou: overlap above which a box is dropped.
    """

    def __init__(self, num_classes: int, min_score: float, iou: float) -> None:
        self._nms = require("ultralytics.utils.nms", extra="ultralytics", purpose="read YOLO")
        self._options = {"conf_thres": min_score, "iou_thres": iou, "nc": num_classes}

    def __call__(self, proposals: Tensor) -> Tensor:
        """The numbers (R,) of the proposals (4 + K + M, A) that are reported, the best first."""
        _, numbers = self._nms.non_max_suppression(
            proposals[None].clone(), max_det=MOST_OBJECTS, return_idxs=True, **self._options
        )
        kept: Tensor = numbers[0].flatten().long()
        return kept


@loader("ultralytics", usage="ultralytics:FILE.pt", extra="ultralytics")
def load(
    argument: str,
    _device: torch.device,
    *,
    trust: bool = False,
    imgsz: int | Sequence[int] | None = None,
    min_score: float = MIN_SCORE,
    iou: float = IOU,
) -> tuple[nn.Module, dict[str, Any]]:
    """A YOLO network of instances, as ultralytics saves it; with trust=True alone.

    Images are prepared, boxes chosen and masks drawn as `YOLO.predict(retina_masks=True)` does.

    Args:
        argument: the file.
        trust: whether code of the file may run.
        imgsz: height and width of the network's input, or one number for both; None: those that it
            was trained with.
        min_score: score above which an object is reported.
        iou: overlap above which a box of the same class with a lower score is dropped.

    Raises:
        InputError: the file is not trusted, missing or damaged, or its network has no instances.
        MissingDependencyError: ultralytics is missing.
    """
    path = existing_file(argument)
    if trust is not True:
        raise InputError(
            f"expected trust=True for {path}: a file of ultralytics is a pickle, and opening it "
            "runs code that is in it. Say so if you trust it, or use the network's ONNX export "
            "(onnx:FILE), which is data alone, but gives no gradients."
        )
    os.environ.setdefault("YOLO_AUTOINSTALL", "false")  # a file may name packages to be installed
    library = require("ultralytics", extra="ultralytics", purpose="load ultralytics: models")
    ops = require("ultralytics.utils.ops", extra="ultralytics", purpose="read YOLO")
    with reading(f"a network of ultralytics in {path}"):
        opened = library.YOLO(str(path))
    if opened.task != TASK:
        raise InputError(no_instances(str(path), str(opened.task)))
    with reading(f"a network of ultralytics in {path}"):
        net = opened.model.float().eval()
        net = net.fuse(verbose=False)
        names = [str(net.names[number]) for number in range(len(net.names))]
        stride = max(int(net.stride.max()), 32)
        known = opened.overrides.get("imgsz") or _DEFAULT_SIDE
    sides = [known] * 2 if isinstance(known, int) else list(known)
    reader = YoloReader(
        len(names),
        min_score,
        iou,
        suppress=Suppression(len(names), min_score, iou),
        draw=ops.process_mask_native,
    )
    return YoloNetwork(net), {
        "preprocessing": checked_letterbox(imgsz, sides, stride, is_least=True),
        "class_names": names,
        "num_channels": int(net.yaml.get("channels", 3)),
        **instance_settings(reader, f"ultralytics:{path}"),
    }
