"""YOLO networks of instances, as ultralytics trains them: their input, and how masks are assembled.

The network proposes boxes, each with a score for each class and with coefficients; the mask of a
box is the sum of prototypes with these coefficients, cut off at the box. Of boxes of one class that
overlap, the one with the best score is reported (non-maximum suppression, NMS). Masks are drawn at
the pixels of the image, as by `YOLO.predict(retina_masks=True)`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from misure.errors import InputError, ModelError
from misure.models.instances import Detections, Pixels, Reported
from misure.models.instances.detections import LEAST_LOGIT, signed
from misure.models.loaders.letterbox import Letterbox
from misure.models.outputs import describe

TASK = "segment"
"""The name that ultralytics gives to networks of instances."""

PROPOSALS, PROTOTYPES = "proposals", "prototypes"
MIN_SCORE, IOU, MOST_OBJECTS = 0.25, 0.7, 300
"""The values of `YOLO.predict`: least score, overlap from which NMS drops a box, most objects."""

_CLASS_OFFSET = 7680  # pixels that lie between boxes of two classes, so that none overlap
_MOST_TRIED, _MOST_OTHERS = 500, 50

Suppress = Callable[[Tensor], Tensor]
"""Proposals (4 + K + M, A) -> the numbers (R,) of those that are reported, the best first."""

Draw = Callable[[Tensor, Tensor, Tensor, tuple[int, ...]], Tensor]
"""(prototypes (M, h, w), coefficients (R, M), boxes (R, 4) in the image, (H, W)) -> (R, H, W)."""


@dataclass(frozen=True, eq=False)
class YoloDetections(Detections):
    """Proposals of a YOLO network; those that it reports come first.

    Attributes:
        boxes: (Q, 4) left, top, right and bottom in pixels of the network's input.
        coefficients: (Q, M).
        prototypes: (M, h, w).
        classes: of each proposal that is reported.
    """

    boxes: Tensor
    coefficients: Tensor
    prototypes: Tensor
    classes: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class YoloReader:
    """Reads the proposals and prototypes of a YOLO network.

    Attributes:
        num_classes: K.
        min_score: score above which a box is reported.
        iou: overlap above which NMS drops a box of the same class with a lower score.
        suppress: NMS; None: that of misure, which drops the same boxes as that of ultralytics.
        draw: what the masks are; None: misure assembles them in the same way.
    """

    num_classes: int
    min_score: float = MIN_SCORE
    iou: float = IOU
    suppress: Suppress | None = None
    draw: Draw | None = None

    def __post_init__(self) -> None:
        if not 0 < self.iou <= 1:
            raise InputError(f"expected iou above 0 and at most 1, got {self.iou!r}.")

    def detections(self, output: Any, inputs: Tensor) -> list[Detections]:
        """The proposals on each of N images, of what the network returned for inputs (N, ...).

        Args:
            output: `proposals`, (N, 4 + K + M, A) or, if the network itself has dropped some
                (N, A, 6 + M), and `prototypes` (N, M, h, w).
            inputs: (N, C, H, W).

        Raises:
            ModelError: they do not fit each other.
        """
        if not isinstance(output, dict) or {PROPOSALS, PROTOTYPES} - set(output):
            raise ModelError(f"expected proposals and prototypes, got {describe(output)}.")
        proposals, prototypes = output[PROPOSALS].float(), output[PROTOTYPES].float()
        is_chosen = are_chosen(proposals.shape, prototypes.shape, self.num_classes)
        read = self._of_chosen if is_chosen else self._of_all
        return [
            read(each, own, tuple(inputs.shape[2:]))
            for each, own in zip(proposals, prototypes, strict=True)
        ]

    def reported(self, found: Detections, pixels: Pixels) -> list[Reported]:
        """What the network reports of its proposals on an image."""
        if not isinstance(found, YoloDetections) or not isinstance(pixels.preprocessing, Letterbox):
            raise TypeError(f"expected YoloDetections in a Letterbox, got {type(found).__name__}")
        number = len(found.classes)
        boxes = pixels.preprocessing.boxes_to_image(found.boxes[:number], pixels.spatial)
        draws = [partial(_drawn, found, q, boxes[q], pixels) for q in range(number)]
        if self.draw is None:
            regions: list[Tensor | None] = [None] * number
        else:
            masks = self.draw(
                found.prototypes.detach(),
                found.coefficients[:number].detach(),
                boxes.detach(),
                pixels.spatial,
            ).bool()
            regions = list(masks)
            draws = [partial(_signed, *pair) for pair in zip(draws, masks, strict=True)]
        each = [
            Reported(k, found.scores[q, k], draws[q], regions[q])
            for q, k in enumerate(found.classes)
        ]
        return [one for one in each if bool(one.region.any())]

    def settings(self) -> dict[str, Any]:
        """How the output is read, as plain values."""
        return {"instances": "yolo", "min_score": self.min_score, "iou": self.iou}

    def _of_all(
        self, proposals: Tensor, prototypes: Tensor, sides: tuple[int, ...]
    ) -> YoloDetections:
        """The proposals (4 + K + M, A) that are reported, and the best of the others."""
        scores = proposals[4 : 4 + self.num_classes].T
        boxes = corners_of(proposals[:4].T)
        with torch.no_grad():
            suppress = self.suppress or partial(
                reported_boxes, self.num_classes, self.min_score, self.iou
            )
            kept = suppress(proposals.detach())
            best, classes = scores.max(1)
            likely = best.topk(min(len(best), _MOST_TRIED)).indices
            others = likely[suppressed(boxes[likely], best[likely], classes[likely], self.iou)]
            others = torch.unique(torch.cat([others[:_MOST_OTHERS], scores.argmax(0)]))
            numbers = torch.cat([kept, others[~torch.isin(others, kept)]])
        return self._made(
            scores[numbers],
            boxes[numbers],
            proposals[4 + self.num_classes :].T[numbers],
            prototypes,
            tuple(classes[kept].tolist()),
            sides,
        )

    def _of_chosen(
        self, proposals: Tensor, prototypes: Tensor, sides: tuple[int, ...]
    ) -> YoloDetections:
        """Proposals (A, 6 + M): box, score, class, coefficients; the best come first."""
        is_reported = proposals[:, 4] > self.min_score
        order = torch.cat([is_reported.nonzero()[:MOST_OBJECTS, 0], (~is_reported).nonzero()[:, 0]])
        number = min(int(is_reported.sum()), MOST_OBJECTS)
        proposals = proposals[order[: number + _MOST_OTHERS]]
        classes = [int(k) for k in proposals[:, 5].tolist()]
        if classes and not 0 <= min(classes) <= max(classes) < self.num_classes:
            raise ModelError(
                f"expected classes from 0 to {self.num_classes - 1}, the network reports "
                f"{min(classes)} to {max(classes)}."
            )
        is_class = F.one_hot(proposals[:, 5].long(), self.num_classes)
        return self._made(
            proposals[:, 4:5] * is_class,
            proposals[:, :4],
            proposals[:, 6:],
            prototypes,
            tuple(classes[:number]),
            sides,
        )

    def _made(
        self,
        scores: Tensor,
        boxes: Tensor,
        coefficients: Tensor,
        prototypes: Tensor,
        classes: tuple[int, ...],
        sides: tuple[int, ...],
    ) -> YoloDetections:
        masks = assembled(coefficients, prototypes)
        rows, columns = (side / own for side, own in zip(masks.shape[1:], sides, strict=True))
        in_masks = boxes * boxes.new_tensor([columns, rows, columns, rows])
        return YoloDetections(
            scores=scores,
            masks=cut_off(masks, in_masks),
            boxes=boxes,
            coefficients=coefficients,
            prototypes=prototypes,
            classes=classes,
        )


def are_chosen(
    proposals: Sequence[int | None], prototypes: Sequence[int | None], num_classes: int
) -> bool:
    """Whether the network itself has chosen proposals: (N, A, 6 + M), instead of (N, 4 + K + M, A).

    Args:
        proposals, prototypes: shapes; None for a side that is free.
        num_classes: K.

    Raises:
        ModelError: neither, or both.
    """
    if len(proposals) == 3 and len(prototypes) == 4 and prototypes[1] is not None:
        is_all = proposals[1] == 4 + num_classes + prototypes[1]
        is_chosen = proposals[2] == 6 + prototypes[1]
        if is_all != is_chosen:
            return is_chosen
    raise ModelError(
        f"expected boxes, scores for {num_classes} classes and coefficients (N, 4 + K + M, A) with "
        f"M prototypes (N, M, h, w), got {tuple(proposals)} and {tuple(prototypes)}. Is it a "
        "network of instances (task segment), with these classes?"
    )


def corners_of(boxes: Tensor) -> Tensor:
    """Left, top, right, bottom (A, 4) of boxes (A, 4) with centre, width and height."""
    centre, half = boxes[:, :2], boxes[:, 2:] / 2
    return torch.cat([centre - half, centre + half], 1)


def reported_boxes(num_classes: int, min_score: float, iou: float, proposals: Tensor) -> Tensor:
    """The numbers (R,) of the proposals (4 + K + M, A) that are reported, the best first."""
    scores, classes = proposals[4 : 4 + num_classes].max(0)
    likely = (scores > min_score).nonzero()[:, 0]
    boxes = corners_of(proposals[:4, likely].T)
    kept = suppressed(boxes, scores[likely], classes[likely], iou)
    return likely[kept[:MOST_OBJECTS]]


def suppressed(boxes: Tensor, scores: Tensor, classes: Tensor, iou: float) -> Tensor:
    """The numbers (R,) of the boxes (A, 4) that NMS keeps, the best score first.

    From the best to the worst, a box is dropped if its IoU with one of its class that is kept is
    above `iou`. `torchvision.ops.nms` does the same.

    Args:
        boxes: left, top, right, bottom.
        scores: (A,).
        classes: (A,) whole numbers.
        iou: in (0, 1].
    """
    order = scores.sort(descending=True, stable=True).indices
    apart = (boxes + classes[:, None] * _CLASS_OFFSET)[order]
    areas = (apart[:, 2] - apart[:, 0]) * (apart[:, 3] - apart[:, 1])
    left = torch.arange(len(order), device=boxes.device)
    kept: list[int] = []
    while len(left):
        first, left = left[0], left[1:]
        kept.append(int(first))
        corner = torch.maximum(apart[first, :2], apart[left, :2])
        end = torch.minimum(apart[first, 2:], apart[left, 2:])
        shared = (end - corner).clamp(min=0).prod(1)
        left = left[~(shared / (areas[first] + areas[left] - shared) > iou)]
    return order[torch.tensor(kept, dtype=torch.int64, device=boxes.device)]


def assembled(coefficients: Tensor, prototypes: Tensor) -> Tensor:
    """Masks (Q, h, w), logits, of coefficients (Q, M) and prototypes (M, h, w)."""
    return (coefficients @ prototypes.flatten(1)).view(-1, *prototypes.shape[1:])


def cut_off(masks: Tensor, boxes: Tensor) -> Tensor:
    """Logits (Q, h, w), below 0 outside of boxes (Q, 4) in the pixels of the masks.

    There they are at most minus the distance to the box, so that gradients lead to its edges.
    """
    left, top, right, bottom = (each[:, None, None] for each in boxes.unbind(1))
    rows = torch.arange(masks.shape[1], device=masks.device)[None, :, None]
    columns = torch.arange(masks.shape[2], device=masks.device)[None, None]
    is_inside = (columns >= left) & (columns < right) & (rows >= top) & (rows < bottom)
    beyond = torch.maximum(
        torch.maximum(left - columns, columns - right), torch.maximum(top - rows, rows - bottom)
    )
    outside = torch.minimum(masks, -beyond).clamp(max=-LEAST_LOGIT)
    return torch.where(is_inside, masks, outside)


def _drawn(found: YoloDetections, number: int, box: Tensor, pixels: Pixels) -> Tensor:
    mask = assembled(found.coefficients[number][None], found.prototypes)
    return cut_off(pixels(mask), box[None])[0]


def _signed(draw: Callable[[], Tensor], region: Tensor) -> Tensor:
    return signed(draw(), region)


def no_instances(path: str, task: str) -> str:
    """The sentence for a network of another task."""
    return (
        f"expected a YOLO network of instances (task {TASK}), {path} is of task {task[:40]}: it "
        "reports no masks of objects. Use its -seg variant."
    )
