"""The Dice of each object of a run with the annotation of its image.

An object of a run is compared with

- the whole class in the annotation, if the run explained each class as a whole;
- the annotated objects that are its own, if the run explained connected objects. Each annotated
  object belongs to the object of the run, of its class, that it shares most pixels with. An object
  that none belongs to is compared with the annotated object it shares most pixels with; if it
  shares no pixel with any, its Dice is 0.

Ignored pixels (-1) count neither way.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from misure.datasets.sample import Dataset, Sample
from misure.errors import InputError
from misure.images.regions import component_numbers, dice
from misure.runs.folder import RunFolder
from misure.runs.record import DoneObject


def object_dices(run: str | Path, dataset: Dataset) -> dict[str, float]:
    """Key of each finished object -> its Dice with the annotation, in [0, 1].

    Samples without an annotation are left out, and objects that lie on ignored pixels only.

    Args:
        run: a run folder.
        dataset: the samples of the run, with annotations; their images are not used.

    Raises:
        RunFolderError: no run, or a damaged file in it.
        InputError: the data set lacks a sample or a class of the run, or an annotation does not
            fit its image.
    """
    folder = RunFolder(run)
    is_whole = not folder.settings().instances
    class_names = list(getattr(dataset, "class_names", ()))
    records_by_sample = _done_by_sample(folder)
    indices = {key: index for index, key in enumerate(dataset.keys)}
    _check_known(records_by_sample, indices, folder.address)
    dices: dict[str, float] = {}
    for key, records in records_by_sample.items():
        sample = dataset[indices[key]]
        if sample.annotation is None:
            continue
        regions = {record.key: folder.read_map(record.map)["target"] for record in records}
        for record in records:
            _check_alignment(record, regions[record.key], sample)
        for of_class in _by_class(records):
            class_index = _annotated_class(of_class[0], class_names)
            matched = matched_dices(
                [regions[record.key] for record in of_class],
                _annotated_objects(sample, class_index, is_whole),
                sample.annotation >= 0,
            )
            dices |= {
                record.key: value
                for record, value in zip(of_class, matched, strict=True)
                if value is not None
            }
    return dices


def _done_by_sample(folder: RunFolder) -> dict[str, list[DoneObject]]:
    """Key of a sample -> the records of its finished objects."""
    records_by_sample: dict[str, list[DoneObject]] = defaultdict(list)
    for record in folder.records():
        if isinstance(record, DoneObject):
            records_by_sample[record.sample].append(record)
    return records_by_sample


def _by_class(records: Sequence[DoneObject]) -> Iterator[list[DoneObject]]:
    """The records of each class."""
    for class_index in {record.class_index for record in records}:
        yield [record for record in records if record.class_index == class_index]


def _check_known(
    records_by_sample: dict[str, list[DoneObject]], indices: dict[str, int], address: str | Path
) -> None:
    """Raises an InputError if a sample of the run is not in the data set."""
    missing = [key for key in records_by_sample if key not in indices]
    if missing:
        raise InputError(
            f"expected annotations of the samples of {address}, {missing[0]!r} (and "
            f"{len(missing) - 1} more) of its {len(records_by_sample)} are not among the "
            f"{len(indices)} annotated ones. Name the data set of the run."
        )


def _check_alignment(record: DoneObject, region: Tensor, sample: Sample) -> None:
    """Raises an InputError unless the annotation lies pixel by pixel on the image."""
    if sample.annotation is not None and region.shape != sample.annotation.shape:
        raise InputError(
            f"expected an annotation of {tuple(region.shape)} for {sample.key}, got "
            f"{tuple(sample.annotation.shape)}. Is it of another image?"
        )
    if record.affine is None or sample.affine is None:
        return
    if not torch.allclose(torch.tensor(record.affine).double(), sample.affine, atol=1e-3):
        raise InputError(
            f"expected an annotation with the position and orientation of {sample.key}, its affine "
            "differs. Resample it to the image."
        )


def matched_dices(
    predicted: Sequence[Tensor], annotated: Sequence[Tensor] | Tensor, judged: Tensor
) -> list[float | None]:
    """The Dice in [0, 1] of each predicted object with the annotated objects that are its own.

    None for an object that lies on ignored pixels only.

    Args:
        predicted: objects of one class, (*spatial) bool each.
        annotated: objects of the class, (*spatial) bool each; or (*spatial) int64: the number of
            the object that each pixel belongs to, from 1, and 0 for none.
        judged: (*spatial) bool, False for ignored pixels.
    """
    objects = _Numbered(annotated) if isinstance(annotated, Tensor) else _Separate(annotated)
    regions = [region & judged for region in predicted]
    shared = [objects.shared(region) for region in regions]
    own: dict[int, list[int]] = defaultdict(list)
    if shared and len(shared[0]):
        num_shared, owner = torch.stack(shared).max(0)
        for number in torch.nonzero(num_shared).ravel().tolist():
            own[int(owner[number])].append(number)
    dices: list[float | None] = []
    for i, region in enumerate(regions):
        numbers = own.get(i, [])
        if not numbers and len(shared[i]) and shared[i].max() > 0:
            numbers = [int(shared[i].argmax())]
        union = objects.union(numbers, region) & judged
        dices.append(dice(region, union) if bool(region.any()) else None)
    return dices


class _Separate:
    """Annotated objects as one region each, which may overlap."""

    def __init__(self, regions: Sequence[Tensor]) -> None:
        self._regions = regions

    def shared(self, region: Tensor) -> Tensor:
        """Number of pixels that each object shares with a region."""
        return torch.tensor([int((own & region).sum()) for own in self._regions])

    def union(self, numbers: Sequence[int], like: Tensor) -> Tensor:
        """The pixels of the objects of these numbers, from 0."""
        union = torch.zeros_like(like)
        for number in numbers:
            union |= self._regions[number]
        return union


class _Numbered:
    """Annotated objects as numbers of pixels: any number of objects takes the memory of one."""

    def __init__(self, numbers: Tensor) -> None:
        self._numbers, self._count = numbers, int(numbers.max())

    def shared(self, region: Tensor) -> Tensor:
        """Number of pixels that each object shares with a region."""
        return torch.bincount(self._numbers[region], minlength=self._count + 1)[1:]

    def union(self, numbers: Sequence[int], _like: Tensor) -> Tensor:
        """The pixels of the objects of these numbers, from 0."""
        return torch.isin(self._numbers, torch.tensor(numbers, dtype=torch.int64) + 1)


def _annotated_objects(sample: Sample, class_index: int, is_whole: bool) -> list[Tensor] | Tensor:
    """The annotated objects of a class: the class as a whole, or its objects.

    Connected parts count as objects if the sample does not tell objects apart.
    """
    if sample.annotation is None:
        return []
    whole = sample.annotation == class_index
    if is_whole:
        return [whole]
    regions = [known.region for known in sample.objects if known.class_index == class_index]
    return regions or component_numbers(whole)


def _annotated_class(record: DoneObject, class_names: Sequence[str]) -> int:
    """The index of a record's class among the classes of the annotations."""
    if not class_names:
        return record.class_index
    if record.class_name not in class_names:
        raise InputError(
            f"expected annotations with the classes of the run, {record.class_name!r} is not among "
            f"{', '.join(class_names)}."
        )
    return class_names.index(record.class_name)
