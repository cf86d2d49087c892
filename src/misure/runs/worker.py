"""What a run does with one sample: all its objects explained, saved and recorded.

The very same whether it is called in one process, in many, or on many machines. Nothing that is
recorded depends on who does it or in which order: seeds come from the sample's key, and the same
objects of a sample are always explained together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec import structs
from torch import Tensor

from misure._util.progress import shown_progress
from misure.datasets.sample import Dataset, Sample, SampleList, files_of
from misure.errors import RunFolderError, entrance, reason_of
from misure.explanation.annotated_objects import model_for_sample
from misure.explanation.answers.whole import Answer, answer
from misure.explanation.explanation import Explanation
from misure.images.spacing import known_spacing
from misure.methods import METHODS
from misure.methods.result import MethodResult
from misure.models.device import to_device
from misure.models.model import SegmentationModel
from misure.models.segmentation import Segmentation, logits_of
from misure.models.target import Target
from misure.runs.folder import RunFolder, RunWriter
from misure.runs.object_record import Explained, ObjectSigns, signs_of, write_object
from misure.runs.objects import RunObject, objects_of
from misure.runs.other_images import OtherImages
from misure.runs.plan import RunPlan
from misure.runs.record import FailedObject, FinishedSample
from misure.runs.source_files import described

_AT_ONCE = 8  # objects of a sample explained together; more need more memory and gain little


@dataclass(frozen=True)
class SampleOutcome:
    """How many objects of a sample were done, and how many failed."""

    num_done: int
    num_failed: int


class RunWorker:
    """A worker: a model, a data set, and a file to write records to.

    Args:
        model: explains.
        dataset: where samples come from.
        plan: what to do with each.
        folder: a run that has begun.
        revisions: sample -> how often it is explained anew with this, if it is.
    """

    def __init__(
        self,
        model: SegmentationModel,
        dataset: Dataset,
        plan: RunPlan,
        folder: RunFolder,
        revisions: Mapping[str, int] | None = None,
    ) -> None:
        self._model, self._dataset, self._plan = model, dataset, plan
        self._keys, self._revisions = dataset.keys, revisions or {}
        self._writer = RunWriter(folder)
        self._class_indices = [model.find_class(name) for name in plan.classes]
        self._others = OtherImages(dataset)

    @entrance("")  # so that recorded reasons are the same in every process
    @shown_progress(False)  # its process has the terminal of the run
    def work(self, index: int, key: str) -> SampleOutcome:
        """Explains all objects of one sample and records them; whatever fails is recorded too.

        Args:
            index, key: of the sample in the data set.

        Raises:
            RunFolderError: the data set is another than at the beginning.
            OSError: nothing can be written, so nothing can be recorded either.
        """
        self._check(index, key)
        finished = FinishedSample(
            sample=key,
            num_objects=1,
            revision=self._revisions.get(key, 0),
            files=described(files_of(self._dataset, index)),
        )
        try:
            sample, image, logits, segmentation, objects = self._segmented(index)
            model = segmentation.model
            signs = self._signs(model, image, logits, sample, objects)
            of_sample = self._options_of_sample(index, sample) if objects else {}
            del logits  # large, and of no use while the objects are explained
        except Exception as error:
            _raise_if_broken(error)
            return _record_failed_sample(self._writer, finished, reason_of(error))
        explained = self._explain(image, key, objects, of_sample)
        records = [
            write_object(
                self._writer,
                sample,
                segmentation,
                *parts,
                thumbnail_px=self._plan.thumbnail_px,
                revision=finished.revision,
            )
            for parts in zip(objects, signs, explained, strict=True)
        ]
        self._writer.append([*records, structs.replace(finished, num_objects=len(records))])
        num_failed = sum(isinstance(record, FailedObject) for record in records)
        return SampleOutcome(len(records) - num_failed, num_failed)

    @entrance("")
    def num_objects(self, index: int) -> int:
        """How many objects of a sample would be explained; the network segments it.

        Raises:
            MisureError, OSError: it cannot be read or segmented, or has no such object.
        """
        return len(self._segmented(index)[-1])

    def _segmented(
        self, index: int
    ) -> tuple[Sample, Tensor, Tensor, Segmentation, list[RunObject]]:
        """A sample, its image on the device, the logits, the segmentation, what to explain."""
        sample = self._dataset[index]
        image = to_device(sample.image, self._model.device)
        model = model_for_sample(self._model, sample).for_image(image, sample.affine)
        logits = logits_of(model, image)
        segmentation = Segmentation(model, logits, image.device, model.reported_objects)
        objects = objects_of(sample, segmentation, self._plan, self._class_indices)
        return sample, image, logits, segmentation, objects

    def _signs(
        self,
        model: SegmentationModel,
        image: Tensor,
        logits: Tensor,
        sample: Sample,
        objects: Sequence[RunObject],
    ) -> list[ObjectSigns]:
        """What is recorded of each object; logits are read by class, or by reported object."""
        signs: dict[str, ObjectSigns] = {}
        for reads_objects in (False, True):
            alike = [each for each in objects if (each.target.channel is not None) == reads_objects]
            if alike and reads_objects:
                model = alike[0].target.bound(model)
                logits = logits_of(model, image)
            found = signs_of(model, image, logits, sample, alike, self._plan) if alike else []
            signs |= {each.key: own for each, own in zip(alike, found, strict=True)}
        return [signs[each.key] for each in objects]

    def _check(self, index: int, key: str) -> None:
        """Raises a RunFolderError if the data set has another sample here than at the beginning."""
        keys = self._dataset.keys if isinstance(self._dataset, SampleList) else self._keys
        if index >= len(keys) or keys[index] != key:
            raise RunFolderError(
                f"expected sample {index} to be {key!r} as at the beginning, the source has "
                "changed. Give the same command again."
            )

    def _options_of_sample(self, index: int, sample: Sample) -> dict[str, Any]:
        """Options that a method which finds regions takes of the sample, and of another one."""
        if not METHODS[self._plan.method].finds_regions:
            return {}
        options: dict[str, Any] = {}
        if (spacing_mm := known_spacing(sample.spacing_mm)) is not None:
            options["spacing_mm"] = spacing_mm
        if "other_image" not in self._plan.method_options:
            other = self._others.of(index, sample.image)
            if other is not None:
                options["other_image"], options["other_image_name"] = other
        if self._plan.robust is not None:
            options["other_images"] = self._others.some(index)
        return options

    def _explain(
        self, image: Tensor, key: str, objects: Sequence[RunObject], of_sample: Mapping[str, Any]
    ) -> list[Explained]:
        """What explains each object; a few are explained together, one by one if that fails."""
        explained: list[Explained] = []
        at_once = 1 if self._plan.asks_more else _AT_ONCE
        for start in range(0, len(objects), at_once):
            batch = objects[start : start + at_once]
            try:
                targets = [part.target for part in batch]
                explained += self._explain_targets(image, key, targets, of_sample)
            except Exception as error:
                _raise_if_broken(error)
                explained += (
                    [error] if len(batch) == 1 else self._one_by_one(image, key, batch, of_sample)
                )
        return explained

    def _one_by_one(
        self, image: Tensor, key: str, objects: Sequence[RunObject], of_sample: Mapping[str, Any]
    ) -> list[Explained]:
        return [self._explain(image, key, [part], of_sample)[0] for part in objects]

    def _explain_targets(
        self, image: Tensor, key: str, targets: Sequence[Target], of_sample: Mapping[str, Any]
    ) -> Sequence[Explanation | MethodResult | Answer]:
        plan, seed = self._plan, self._plan.seed_of(key)
        method = METHODS[plan.method]
        shared = method.options_among({"dice_threshold": plan.dice_threshold})
        options = {**shared, **of_sample, **plan.method_options}
        if plan.objects == "asked":
            return [method(self._model, image, target, seed=seed, **options) for target in targets]
        if plan.asks_more:
            options |= {name: getattr(plan, name) for name in ("questions", "robust", "lost_dice")}
            if options.get("max_passes") is None:
                options.pop("max_passes", None)  # the usual number
            return [answer(self._model, image, target, seed=seed, **options) for target in targets]
        return method.explain_many(self._model, image, targets, seed=seed, **options)


def record_failure(folder: RunFolder, finished: FinishedSample, reason: str) -> SampleOutcome:
    """Records that a sample failed, for a reason that its worker can no longer record."""
    return _record_failed_sample(RunWriter(folder), finished, reason)


def _record_failed_sample(
    writer: RunWriter, finished: FinishedSample, reason: str
) -> SampleOutcome:
    key, revision = finished.sample, finished.revision
    failed = FailedObject(key=key, sample=key, reason=reason, revision=revision)
    writer.append([failed, finished])
    return SampleOutcome(0, 1)


def _raise_if_broken(error: Exception) -> None:
    """Raises a CUDA error after which this process can compute nothing any more.

    The process ends; its sample is tried by another one.
    """
    if "CUDA error" in str(error):
        raise error
