"""What a run does with one sample: all its objects explained, saved and recorded.

The very same whether it is called in one process, in many, or on many machines. Nothing that is
recorded depends on who does it or in which order: seeds come from the sample's key, and the same
objects of a sample are always explained together.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from misure.augmented import augmented_dices
from misure.datasets.sample import Dataset, Sample
from misure.device import seed_of, to_device
from misure.drawing import as_colours, grey_range, viewing_plane
from misure.errors import InputError, MisureError, RunFolderError, reason_of
from misure.explainer import explain_all
from misure.explanation import Explanation
from misure.methods import METHODS
from misure.methods.method import MethodResult
from misure.methods.own import PRESET_OF, check_own_options
from misure.model import SegmentationModel
from misure.prediction import prediction_record
from misure.preprocessing import resize
from misure.region import area_fraction
from misure.run_folder import RunFolder, RunWriter
from misure.segmentation import Segmentation, logits_of
from misure.target import Target

_AT_ONCE = 8  # objects of a sample explained together; more need more memory and gain little
_THUMBNAIL_PX = 384  # of the longer side
_LEFT_OUT = ("misure_version", "settings", "model_settings", "model", "preset", "image", "seed")
"""Fields of `explanation.json` that are the same for all items, or said elsewhere."""


@dataclass(frozen=True)
class Plan:
    """What to do with every sample.

    Attributes:
        classes: names or numbers of the classes to explain; empty: all but class 0.
        instances: each connected object by itself, instead of each class as a whole.
        min_area: smallest object, as a fraction of the image.
        method: name in `METHODS`.
        method_options: its options.
        dice_threshold: Dice from which a target counts as preserved.
        seed: of the run; each sample has a seed of its own, made of this and its key.
        test_time_augmentation: also record how well each object is drawn again on slightly changed
            images (see `augmented_dices`), for four passes a sample.
    """

    classes: tuple[str, ...] = ()
    instances: bool = False
    min_area: float = 0.001
    method: str = "misure"
    method_options: Mapping[str, Any] = field(default_factory=dict)
    dice_threshold: float = 0.9
    seed: int = 0
    test_time_augmentation: bool = False

    def check(self, model: SegmentationModel) -> None:
        """Raises an InputError where something makes no sense, before any work is done."""
        if self.method not in METHODS:
            raise InputError(
                f"run: expected a method among {', '.join(METHODS)}, got {self.method!r}."
            )
        METHODS[self.method].check_options(self.method_options)
        if self.method in PRESET_OF:
            check_own_options(self.method, model, self.method_options)
        for name in self.classes:
            model.find_class(name)
        if not 0 <= self.min_area < 1 or not 0 < self.dice_threshold <= 1:
            raise InputError(
                f"run: expected min_area in [0, 1) and dice_threshold in (0, 1], got "
                f"{self.min_area} and {self.dice_threshold}."
            )

    def settings(self) -> dict[str, Any]:
        """As plain values."""
        return {**asdict(self), "classes": list(self.classes)}

    def seed_of(self, key: str) -> int:
        """The seed of a sample, in [0, 2**32)."""
        return seed_of(f"{self.seed}:{key}")


@dataclass(frozen=True)
class Item:
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
class Outcome:
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
        self, model: SegmentationModel, dataset: Dataset, plan: Plan, folder: RunFolder
    ) -> None:
        self._model, self._dataset, self._plan = model, dataset, plan
        self._writer = RunWriter(folder)
        self._class_indices = [model.find_class(name) for name in plan.classes]

    def work(self, index: int, key: str) -> Outcome:
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
            self._writer.append([_failed(key, key, error), {"sample": key, "num_items": 1}])
            return Outcome(0, 1)
        lines = []
        for item, about, made in zip(items, told, self._made(image, key, items), strict=True):
            lines.append(self._line(sample, segmentation, item, about, made))
        self._writer.append([*lines, {"sample": key, "num_items": len(lines)}])
        num_failed = sum(line["status"] == "failed" for line in lines)
        return Outcome(len(lines) - num_failed, num_failed)

    def _told(
        self, image: Tensor, sample: Sample, logits: Tensor, items: Sequence[Item]
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

    def _items(self, key: str, segmentation: Segmentation) -> list[Item]:
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
                items.append(Item(name, target, number))
        return items

    def _made(
        self, image: Tensor, key: str, items: Sequence[Item]
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
        self, image: Tensor, key: str, items: Sequence[Item]
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
        item: Item,
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
        item: Item,
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

    def _thumbnail(self, sample: Sample, item: Item) -> str:
        """Of a volume the slice with most of the item, else the whole image."""
        take, _ = viewing_plane(item.target.region, sample.order)
        plane, (low, high) = take(sample.image).float().cpu(), grey_range(sample.image)
        scale = min(1.0, _THUMBNAIL_PX / max(plane.shape[1:]))
        small = resize(plane[None], [max(1, round(scale * side)) for side in plane.shape[1:]])[0]
        pixels = (as_colours(small, low, high) * 255).round().astype(np.uint8)
        key = sample.key if sample.image.ndim == 3 else item.key
        return self._writer.save_thumbnail(key, pixels)


def record_failure(folder: RunFolder, key: str, reason: str) -> Outcome:
    """Records that a sample failed, for a reason that its worker could not tell any more."""
    failed = _failed(key, key, MisureError(reason))
    RunWriter(folder).append([failed, {"sample": key, "num_items": 1}])
    return Outcome(0, 1)


def _raise_if_broken(error: Exception) -> None:
    """Raises a CUDA error after which this process can compute nothing any more.

    The process ends; its sample is tried by another one.
    """
    if "CUDA error" in str(error):
        raise error


def _about(item: Item) -> dict[str, Any]:
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
