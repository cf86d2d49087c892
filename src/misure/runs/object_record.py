"""Records of objects, made of what explains them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from torch import Tensor

from misure._util.records import convert, encode
from misure.datasets.sample import Sample
from misure.errors import RunFolderError, reason_of
from misure.explanation.answers.whole import Answer
from misure.explanation.explanation import Explanation
from misure.explanation.record import CostRecord, TargetRecord
from misure.images.spacing import known_spacing
from misure.methods.result import MethodResult
from misure.models.augmentation import augmented_dices
from misure.models.confidence import prediction_record
from misure.models.model import SegmentationModel
from misure.models.segmentation import Segmentation
from misure.runs.answers import ANSWER_FIELDS, answer_fields
from misure.runs.context import context_entries
from misure.runs.folder import RunWriter
from misure.runs.objects import RunObject
from misure.runs.plan import RunPlan
from misure.runs.record import (
    DoneObject,
    ExplainedObject,
    FailedObject,
    ObjectRecord,
    Prediction,
    Timing,
)
from misure.runs.thumbnail import thumbnail

Explained = Explanation | MethodResult | Answer | Exception
"""What came of explaining an object."""

_OF_RUNS = {"context", *ANSWER_FIELDS}
_COPIED = set(ExplainedObject.__struct_fields__) - set(DoneObject.__struct_fields__) - _OF_RUNS
"""Fields of a record that are an explanation's own values."""


@dataclass(frozen=True)
class ObjectSigns:
    """What is recorded of an object besides what explains it.

    Attributes:
        prediction: what the prediction alone says.
        augmented_dice: Dice with what the network segments on changed images; None unless asked
            for.
    """

    prediction: Prediction
    augmented_dice: dict[str, float] | None = None


def signs_of(
    model: SegmentationModel,
    image: Tensor,
    logits: Tensor,
    sample: Sample,
    objects: Sequence[RunObject],
    plan: RunPlan,
) -> list[ObjectSigns]:
    """What is recorded of each object of a sample besides what explains it.

    Args:
        model: segments.
        image: (C, *spatial) on the model's device.
        logits: (K, *spatial) of it.
        sample: whose image it is.
        objects: taken from the logits.
        plan: says whether changed images are segmented too.
    """
    targets = [run_object.target for run_object in objects]
    predictions = [
        convert(prediction_record(logits, target), Prediction, "numbers of a prediction")
        for target in targets
    ]
    if not (plan.test_time_augmentation and objects):
        return [ObjectSigns(prediction) for prediction in predictions]
    dices = augmented_dices(
        model, image, targets, plan.seed_of(sample.key), sample.order, sample.affine
    )
    return [ObjectSigns(*pair) for pair in zip(predictions, dices, strict=True)]


def write_object(
    writer: RunWriter,
    sample: Sample,
    segmentation: Segmentation,
    run_object: RunObject,
    signs: ObjectSigns,
    explained: Explained,
    *,
    thumbnail_px: int,
    revision: int = 0,
) -> ObjectRecord:
    """The record of an object, done or failed; the files that it names are on disk.

    Args:
        writer: of the run.
        sample: whose object it is.
        segmentation: of the sample's image.
        run_object: the object.
        signs: what else is recorded of it.
        explained: what explains it, or why nothing does.
        thumbnail_px: longer side of its image for the report, at most.
        revision: how often the sample was explained anew.

    Raises:
        OSError, RunFolderError: a file cannot be written.
    """
    try:
        if isinstance(explained, Exception):
            raise explained
        picture = thumbnail(sample, run_object.target, thumbnail_px)
        record = _done(writer, sample, segmentation, run_object, signs, explained, picture)
        record = msgspec.structs.replace(record, revision=revision)
        encode(record)  # a number that is NaN is a failure of this object alone
    except (OSError, RunFolderError):
        raise
    except Exception as error:
        return FailedObject(
            key=run_object.key,
            sample=sample.key,
            reason=reason_of(error),
            class_index=run_object.target.class_index,
            class_name=run_object.target.class_name,
            instance=run_object.instance,
            target=TargetRecord.of(run_object.target, known_spacing(sample.spacing_mm)),
            prediction=signs.prediction,
            augmented_dice=signs.augmented_dice,
            revision=revision,
        )
    return record


def _done(
    writer: RunWriter,
    sample: Sample,
    segmentation: Segmentation,
    run_object: RunObject,
    signs: ObjectSigns,
    explained: Explanation | MethodResult | Answer,
    picture: np.ndarray,
) -> DoneObject:
    target = run_object.target
    explanation = explained if isinstance(explained, Explanation) else explained.explanation
    saved = explained.explanation if isinstance(explained, Answer) else explanation or explained
    cost = CostRecord.of(explained.cost)
    image_key = sample.key if sample.image.ndim == 3 else run_object.key
    fields: dict[str, Any] = {
        "key": run_object.key,
        "sample": sample.key,
        "class_index": target.class_index,
        "class_name": target.class_name,
        "instance": run_object.instance,
        "map": writer.save("maps", run_object.key, ".npz", saved.save),
        "thumbnail": writer.save_thumbnail(image_key, picture),
        "target": TargetRecord.of(saved.target, known_spacing(sample.spacing_mm)),
        "cost": cost.counts(),
        "affine": None if sample.affine is None else sample.affine.tolist(),
        "viewing_order": sample.order if target.region.ndim == 3 else None,
        "prediction": signs.prediction,
        "augmented_dice": signs.augmented_dice,
        "num_classes": segmentation.num_classes,
        "timing": Timing(seconds=cost.seconds),
    }
    if isinstance(explained, MethodResult):
        fields["layer"] = explained.layer
        fields["timing"] = Timing(seconds=cost.seconds, peak_memory_mb=explained.peak_memory_mb)
    if explanation is None:
        return DoneObject(**fields)
    values = msgspec.structs.asdict(explanation.values)
    fields |= {name: values[name] for name in _COPIED}
    if isinstance(explained, Answer):
        class_name = segmentation.model.class_name
        fields |= answer_fields(writer, run_object.key, explained, class_name)
    return ExplainedObject(**fields, context=context_entries(explanation, segmentation))
