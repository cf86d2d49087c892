"""Instances and panoptic segments of transformers networks, as the library itself lists them.

What is reported is what the image processor's own post-processing makes of the network's output,
on every image shown: classes, scores and masks are the library's. Gradients flow through the mask
and the class logits of the query that a reported mask is of.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from inspect import signature
from types import SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from misure._util.words import counted
from misure.errors import InputError, ModelError
from misure.models.instances.detections import Detections, Pixels, Reported, signed
from misure.models.outputs import describe

SEMANTIC, INSTANCE, PANOPTIC = "semantic", "instance", "panoptic"
OBJECTS = (SEMANTIC, INSTANCE, PANOPTIC)

_KEYS = (("class_queries_logits", "masks_queries_logits"), ("logits", "pred_masks"))
_SURE = 0.5  # above it no query has two classes, by a softmax


@dataclass(frozen=True, eq=False)
class QueryReader:
    """Reads the instances, or the panoptic segments, of networks of queries.

    Attributes:
        processor: an image processor of transformers, whose post-processing is used.
        objects: `instance` or `panoptic`.
        num_classes: K.
        min_score: least score of what is reported.
        is_sigmoid: whether each class of a query has a sigmoid of its own; else they exclude each
            other, and the last one means "none".
        stuff: class indices whose panoptic segments are one, however many queries they have.
    """

    processor: Any
    objects: str
    num_classes: int
    min_score: float
    is_sigmoid: bool = False
    stuff: tuple[int, ...] = ()

    def detections(self, output: Any, inputs: Tensor) -> list[Detections]:
        """The proposals on each of N images, of what the network returned for inputs (N, ...)."""
        classes, masks = (output[key].float() for key in self._keys(output))
        if len(classes) != len(inputs):
            raise ModelError(
                f"expected queries for each of {counted(len(inputs), 'image')}, "
                f"got {describe(output)}."
            )
        shares = classes.sigmoid() if self.is_sigmoid else classes.softmax(-1)[..., :-1]
        missing = self.num_classes - shares.shape[-1]
        if missing == 1:  # Conditional DETR: the library takes its last class for "none"
            shares = F.pad(shares, (0, 1))
        if self._weighs_masks:
            shares = shares * _certainty(masks)[..., None]
        return [
            QueryDetections(*each, keys=self._keys(output))
            for each in zip(shares, masks, classes, strict=True)
        ]

    def reported(self, found: Detections, pixels: Pixels) -> list[Reported]:
        """What the library reports of the queries on an image."""
        if not isinstance(found, QueryDetections):
            raise TypeError(f"expected QueryDetections, got {type(found).__name__}")
        segments = self.listed(found, pixels.spatial)
        if not segments:
            return []
        near = found.scores.detach().amax(1).topk(min(len(found.scores), 3 * len(segments))).indices
        with torch.no_grad():
            masks = pixels(found.masks[near]) > 0
        reported = []
        for class_index, score, region in segments:
            query = int(near[_nearest(masks, found.scores[near, class_index], region, score)])
            own = found.scores[query, class_index]
            draw = partial(_drawn, found.masks[query], region, pixels)
            reported.append(Reported(class_index, own - own.detach() + score, draw, region))
        return reported

    def listed(
        self, found: "QueryDetections", spatial: Sequence[int]
    ) -> list[tuple[int, float, Tensor]]:
        """Class, score and region (*spatial) of each segment that the library lists."""
        classes, masks = found.class_logits.detach(), found.masks.detach()
        if self.min_score >= _SURE:  # those below can be left out: none of theirs is listed
            likely = found.scores.detach().amax(1) >= self.min_score * (1 - 1e-3)
            if self._weighs_masks:
                likely = classes.softmax(-1)[..., :-1].amax(1) >= self.min_score
            classes, masks = classes[likely], masks[likely]
        if not len(classes):
            return []
        output = SimpleNamespace(**dict(zip(found.keys, (classes[None], masks[None]), strict=True)))
        post_process = getattr(self.processor, f"post_process_{self.objects}_segmentation")
        listed = post_process(
            output,
            threshold=self.min_score,
            target_sizes=[tuple(spatial)],
            **self._options(post_process),
        )[0]
        segments, entries = torch.as_tensor(listed["segmentation"]), listed["segments_info"]
        regions = (
            [segments[number].bool() for number in range(len(entries))]
            if segments.ndim == 3
            else [segments == entry["id"] for entry in entries]
        )
        return [
            (int(entry["label_id"]), float(entry["score"]), region.to(masks.device))
            for entry, region in zip(entries, regions, strict=True)
            if bool(region.any())
        ]

    def settings(self) -> dict[str, Any]:
        """How the output is read, as plain values."""
        return {
            "objects": self.objects,
            "min_score": self.min_score,
            "stuff": list(self.stuff),
            "post_processing": type(self.processor).__name__,
        }

    @property
    def _weighs_masks(self) -> bool:
        """Whether the library multiplies the score of an instance with the certainty of its mask.

        DETR and OneFormer do not.
        """
        name = type(self.processor).__name__
        return self.objects == INSTANCE and name.startswith(("MaskFormer", "Mask2Former", "Eomt"))

    def _options(self, post_process: Any) -> dict[str, Any]:
        known = signature(post_process).parameters
        fused = {
            "label_ids_to_fuse": set(self.stuff),
            "stuff_classes": [*self.stuff],
            "return_binary_maps": True,  # masks may overlap
        }
        return {name: value for name, value in fused.items() if name in known}

    @staticmethod
    def _keys(output: Any) -> tuple[str, str]:
        for keys in _KEYS:
            if isinstance(output, Mapping) and all(key in output for key in keys):
                return keys
        raise ModelError(
            f"expected classes and masks of queries, the network returned {describe(output)}."
        )


@dataclass(frozen=True, eq=False)
class QueryDetections(Detections):
    """Proposals with the numbers that the network returned for them.

    Attributes:
        class_logits: (Q, K or K + 1).
        keys: under which the library knows the logits of classes and masks.
    """

    class_logits: Tensor
    keys: tuple[str, str]


def default_score(processor: Any, objects: str) -> float:
    """The least score by which the library itself lists segments."""
    post_process = getattr(processor, f"post_process_{objects}_segmentation", None)
    if post_process is None:
        raise InputError(
            f"expected an image processor with post_process_{objects}_segmentation, "
            f"{type(processor).__name__} has none. Say another one of objects={', '.join(OBJECTS)}."
        )
    return float(signature(post_process).parameters["threshold"].default)


def _certainty(masks: Tensor) -> Tensor:
    """The mean probability (N, Q) of the pixels of masks (N, Q, *any), logits."""
    flat = masks.flatten(2)
    is_inside = (flat > 0).float()
    return (flat.sigmoid() * is_inside).sum(2) / (is_inside.sum(2) + 1e-6)


def _nearest(masks: Tensor, scores: Tensor, region: Tensor, score: float) -> int:
    """The number of the query whose mask (Q, *spatial) and score (Q,) come nearest to a segment."""
    shared = (masks & region).flatten(1).sum(1)
    either = (masks | region).flatten(1).sum(1).clamp(min=1)
    return int((shared / either - (scores.detach() - score).abs()).argmax())


def _drawn(mask: Tensor, region: Tensor, pixels: Pixels) -> Tensor:
    return signed(pixels(mask[None])[0], region)
