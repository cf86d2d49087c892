"""What a run does with one sample: all its objects explained, saved and recorded.

The very same whether it is called in one process, in many, or on many machines. Nothing that is
recorded depends on who does it or in which order: seeds come from the sample's key, and the same
objects of a sample are always explained together.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from misure.datasets.sample import Dataset, Sample
from misure.errors import MisureError, RunFolderError, reason_of
from misure.explanation.explain import explain_all
from misure.explanation.explanation import Explanation
from misure.images.planes import as_colours, grey_range, viewing_plane
from misure.images.regions import area_fraction
from misure.methods import METHODS
from misure.methods.method import MethodResult
from misure.methods.own import PRESET_OF
from misure.models.augmentation import augmented_dices
from misure.models.confidence import prediction_record
from misure.models.device import to_device
from misure.models.model import SegmentationModel
from misure.models.preprocessing import resize
from misure.models.segmentation import Segmentation, logits_of
from misure.models.target import Target
from misure.runs.folder import RunFolder, RunWriter
from misure.runs.plan import RunPlan

_AT_ONCE = 8  # objects of a sample explained together; more need more memory and gain little
_THUMBNAIL_PX = 384  # of the longer side
_LEFT_OUT = ("misure_version", "settings", "model_settings", "model", "preset", "image", "seed")
"""Fields of `explanation.json` that are the same for all items, or said elsewhere."""


@dataclass(frozen=True)
class RunObject:
    """One object to explain.

    Attributes:
        key: `SAMPLE#CLASS`, or `SAMPLE#CLASS.INSTANCE`; unique in a run.
        target: the object.
        instance: its number among the connected objects of its class, 0 the largest.
    """

    key: str
    target: Target
    instance: int | None = None


@dataclass(frozen=True)
class SampleOutcome:
    """How many items of a sample were done, and how many failed."""

    num_done: int
    num_failed: int


class RunWorker:
    """A worker: a model, a data set, and a file to write records to.

    Args:
        model: explains.
        dataset: where samples come from.
        plan: what to do with each.
        folder: a run that has begun.
    """

    def __init__(
        self, model: SegmentationModel, dataset: Dataset, plan: RunPlan, folder: RunFolder
    ) -> None:
        self._model, self._dataset, self._plan = model, dataset, plan
        self._writer = RunWriter(folder)
        self._class_indices = [model.find_class(name) for name in plan.classes]

    def work(self, index: int, key: str) -> SampleOutcome:
        """Explains all objects of one sample and records them; whatever fails is recorded too.

        Args:
            index, key: of the sample in the data set.

        Raises:
            RunFolderError: the data set is another than at the beginning.
            OSError: nothing can be written, so nothing can be recorded either.
        """
        if index >= len(self._dataset.keys) or self._dataset.keys[index] != key:
            raise RunFolderError(
                f"run: expected sample {index} to be {key!r} as at the beginning, the source has "
                "changed. Give the same command again."
            )
        try:
            sample = self._dataset[index]
            image = to_device(sample.image, self._model.device)
            logits = logits_of(self._model, image)
            segmentation = Segmentation(self._model, logits, image.device)
            items = list(self._items(key, segmentation))
            told = self._told(image, sample, logits, items)
            del logits  # large, and of no use while the objects are explained
        except Exception as error:
            _raise_if_broken(error)
            self._writer.append([_failed(key, key, error), {"sample": key, "num_objects": 1}])
            return SampleOutcome(0, 1)
        lines = []
        for item, about, made in zip(items, told, self._made(image, key, items), strict=True):
            lines.append(self._line(sample, segmentation, item, about, made))
        self._writer.append([*lines, {"sample": key, "num_objects": len(lines)}])
        num_failed = sum(line["status"] == "failed" for line in lines)
        return SampleOutcome(len(lines) - num_failed, num_failed)

    def _told(
        self, image: Tensor, sample: Sample, logits: Tensor, items: Sequence[RunObject]
    ) -> list[dict[str, Any]]:
        """What is recorded of each object besides what explains it."""
        targets = [item.target for item in items]
        told: list[dict[str, Any]] = []
        told += [{"prediction": prediction_record(logits, one)} for one in targets]
        if self._plan.test_time_augmentation and items:
            seed = self._plan.seed_of(sample.key)
            dices = augmented_dices(self._model, image, targets, seed, sample.order)
            for one, of_target in zip(told, dices, strict=True):
                one["augmented_dice"] = of_target
        return told

    def _items(self, key: str, segmentation: Segmentation) -> list[RunObject]:
        """The objects of a sample, by class and size."""
        plan, items = self._plan, []
        found = {one.class_index: one for one in segmentation.found_classes()}
        foreground = [index for index in sorted(found) if not self._model.is_background(index)]
        for class_index in dict.fromkeys(self._class_indices or foreground):
            if class_index not in found:
                continue
            numbers = range(found[class_index].num_objects) if plan.instances else [None]
            for number in numbers:
                target = segmentation.target(class_index, instance=number)
                if area_fraction(target.region) < plan.min_area:
                    break  # the next ones are smaller
                name = f"{key}#{class_index}" + ("" if number is None else f".{number}")
                items.append(RunObject(name, target, number))
        return items

    def _made(
        self, image: Tensor, key: str, items: Sequence[RunObject]
    ) -> list[Explanation | MethodResult | Exception]:
        """What explains each item; a few are found together, one by one where that fails."""
        made: list[Explanation | MethodResult | Exception] = []
        for start in range(0, len(items), _AT_ONCE):
            some = items[start : start + _AT_ONCE]
            try:
                made += self._make(image, key, [item.target for item in some])
            except Exception as error:
                _raise_if_broken(error)
                made += [error] if len(some) == 1 else self._one_by_one(image, key, some)
        return made

    def _one_by_one(
        self, image: Tensor, key: str, items: Sequence[RunObject]
    ) -> list[Explanation | MethodResult | Exception]:
        return [self._made(image, key, [item])[0] for item in items]

    def _make(
        self, image: Tensor, key: str, targets: Sequence[Target]
    ) -> Sequence[Explanation | MethodResult]:
        plan, seed = self._plan, self._plan.seed_of(key)
        if plan.method in PRESET_OF:
            return explain_all(
                self._model,
                image,
                targets,
                dice_threshold=plan.dice_threshold,
                preset=PRESET_OF[plan.method],
                seed=seed,
                **plan.method_options,
            )
        method = METHODS[plan.method]
        return [
            method(self._model, image, one, seed=seed, **plan.method_options) for one in targets
        ]

    def _line(
        self,
        sample: Sample,
        segmentation: Segmentation,
        item: RunObject,
        about: Mapping[str, Any],
        made: Explanation | MethodResult | Exception,
    ) -> dict[str, Any]:
        """The line of an item, done or failed."""
        try:
            if isinstance(made, Exception):
                raise made
            line = {**self._recorded(sample, segmentation, item, made), **about}
            json.dumps(line, allow_nan=False)  # a figure that is none is a failure of this item
        except OSError:
            raise
        except Exception as error:
            return {**_failed(item.key, sample.key, error), **_about(item), **about}
        return line

    def _recorded(
        self,
        sample: Sample,
        segmentation: Segmentation,
        item: RunObject,
        made: Explanation | MethodResult,
    ) -> dict[str, Any]:
        """The line of an explained item, its files already on disk."""
        map_name = self._writer.save("maps", item.key, ".npz", made.save)
        record = {k: v for k, v in made.record().items() if k not in _LEFT_OUT}
        seconds = record["cost"].pop("seconds")
        if isinstance(made, Explanation):
            record["context"] = _context(made, segmentation)
        return {
            "key": item.key,
            "sample": sample.key,
            "status": "done",
            "reason": "",
            **_about(item),
            "map": map_name,
            "thumbnail": self._thumbnail(sample, item),
            **record,
            "affine": None if sample.affine is None else sample.affine.tolist(),
            "viewing_order": sample.order if item.target.region.ndim == 3 else None,
            "timing": {"seconds": seconds},
        }

    def _thumbnail(self, sample: Sample, item: RunObject) -> str:
        """Of a volume the slice with most of the item, else the whole image."""
        take, _ = viewing_plane(item.target.region, sample.order)
        plane, (low, high) = take(sample.image).float().cpu(), grey_range(sample.image)
        scale = min(1.0, _THUMBNAIL_PX / max(plane.shape[1:]))
        small = resize(plane[None], [max(1, round(scale * side)) for side in plane.shape[1:]])[0]
        pixels = (as_colours(small, low, high) * 255).round().astype(np.uint8)
        key = sample.key if sample.image.ndim == 3 else item.key
        return self._writer.save_thumbnail(key, pixels)


def record_failure(folder: RunFolder, key: str, reason: str) -> SampleOutcome:
    """Records that a sample failed, for a reason that its worker could not tell any more."""
    failed = _failed(key, key, MisureError(reason))
    RunWriter(folder).append([failed, {"sample": key, "num_objects": 1}])
    return SampleOutcome(0, 1)


def _raise_if_broken(error: Exception) -> None:
    """Raises a CUDA error after which this process can compute nothing any more.

    The process ends; its sample is tried by another one.
    """
    if "CUDA error" in str(error):
        raise error


def _about(item: RunObject) -> dict[str, Any]:
    return {
        "class_index": item.target.class_index,
        "class_name": item.target.class_name,
        "instance": item.instance,
    }


def _failed(key: str, sample: str, error: Exception) -> dict[str, Any]:
    return {"key": key, "sample": sample, "status": "failed", "reason": reason_of(error)}


def _context(made: Explanation, segmentation: Segmentation) -> list[dict[str, Any]]:
    """On which classes the region lies outside its object, by the model's own segmentation."""
    outside = made.minimally_sufficient_region & ~made.target.region
    classes, counts = torch.unique(segmentation.class_map().cpu()[outside], return_counts=True)
    name = segmentation.model.class_name
    return [
        {
            "class_index": int(one),
            "class_name": name(int(one)) if one >= 0 else "none",
            "pixels": int(num),
        }
        for one, num in zip(classes, counts, strict=True)
    ]
