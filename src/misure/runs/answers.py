"""The answers to further questions about an object, as a run writes them."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, BinaryIO

import torch
from torch import Tensor

from misure._util.arrays import write_arrays
from misure.explanation.answers.reasons import Reasons
from misure.explanation.answers.whole import Answer
from misure.runs.answer_record import ChannelsGroup, EffectsGroup, HiddenRegionGroup, ReasonsGroup
from misure.runs.folder import RunFolder, RunWriter
from misure.runs.record import DoneObject, ExplainedObject

ANSWER_FIELDS = (
    *("summary", "passes", "necessary", "surroundings", "reasons", "effects", "channels"),
)
"""Fields of an `ExplainedObject` that are there only if more is asked than what suffices."""


def answer_fields(
    writer: RunWriter, key: str, answer: Answer, class_name: Callable[[int], str]
) -> dict[str, Any]:
    """The fields of a record that hold an answer; the files that they name are on disk.

    Args:
        writer: of the run.
        key: of the object.
        answer: about it.
        class_name: number of a class -> its name.

    Raises:
        OSError, RunFolderError: a file cannot be written.
    """
    fields: dict[str, Any] = {"summary": answer.sentences(), "passes": answer.passes}
    for name, hidden in (("necessary", answer.necessary), ("surroundings", answer.surroundings)):
        if hidden is not None:
            fields[name] = HiddenRegionGroup.of(hidden, writer.save(name, key, ".npz", hidden.save))
    if answer.reasons is not None:
        file = writer.save("reasons", key, ".npz", partial(_save_reasons, answer.reasons))
        fields["reasons"] = ReasonsGroup.of(answer.reasons, file)
    if answer.effects is not None:
        fields["effects"] = EffectsGroup.of(answer.effects, class_name)
    if answer.channels is not None:
        fields["channels"] = ChannelsGroup.of(answer.channels)
    return fields


def answered_regions(
    folder: RunFolder, record: DoneObject, shape: Sequence[int]
) -> dict[str, Tensor]:
    """Question -> region (*spatial) bool, as far as one was found: hidden, or of other reasons.

    Args:
        folder: of the run.
        record: of an object.
        shape: (*spatial) of its image.

    Raises:
        RunFolderError: a file is missing or damaged, or of another image.
    """
    if not isinstance(record, ExplainedObject):
        return {}
    regions = {
        name: folder.read_region(group.map, "region", shape)
        for name, group in (("necessary", record.necessary), ("surroundings", record.surroundings))
        if group is not None and group.is_found
    }
    if record.reasons and record.reasons.num_reasons > 1:
        regions["reasons"] = folder.read_region(record.reasons.map, "regions", shape)[1:].any(0)
    return regions


def _save_reasons(found: Reasons, file: BinaryIO) -> None:
    write_arrays(file, {"regions": torch.stack(found.regions).numpy()})
