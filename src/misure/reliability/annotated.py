"""How good each object of a run is, where somebody annotated the images.

The Dice of an object of a run with

- the whole class in the annotation, where the run took each class as a whole;
- the annotated objects that are its own, where it took connected objects one by one. Each annotated
  object belongs to the one of the run's objects of its class that it shares most pixels with. An
  object that none belongs to is compared with the annotated object it shares most pixels with, and
  has a Dice of 0 where there is none.

Pixels that nobody judged (-1) count neither way.
"""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from misure.datasets.sample import Dataset, Sample
from misure.errors import InputError
from misure.images.regions import component_numbers, dice
from misure.runs.folder import RunFolder
from misure.runs.record import DoneObject


def object_dices(run: str | Path, dataset: Dataset) -> dict[str, float]:
    """Key of each finished item -> its Dice in [0, 1] with the annotation.

    Samples without an annotation are left out, and objects that lie where nobody judged.

    Args:
        run: a run folder.
        dataset: the samples of the run, with annotations; their images are not looked at.

    Raises:
        RunFolderError: no run, or a damaged file in it.
        InputError: the data set has none of the run's samples, or not its classes.
    """
    folder = RunFolder(run)
    is_whole = not folder.settings().instances
    of_sample: dict[str, list[DoneObject]] = defaultdict(list)
    for record in folder.records():
        if isinstance(record, DoneObject):
            of_sample[record.sample].append(record)
    numbers = {key: number for number, key in enumerate(dataset.keys)}
    missing = [key for key in of_sample if key not in numbers]
    if missing:
        raise InputError(
            f"reliability: expected annotations of the samples of {folder.address}, {missing[0]!r} "
            f"(and {len(missing) - 1} more) of its {len(of_sample)} are not among the "
            f"{len(numbers)} annotated ones. Name the data set that the run was made of."
        )
    class_names = list(getattr(dataset, "class_names", ()))
    found: dict[str, float] = {}
    for key, records in of_sample.items():
        sample = dataset[numbers[key]]
        if sample.annotation is None:
            continue
        regions = {record.key: folder.read_map(record.map)["target"] for record in records}
        for record in records:
            _check_place(record, regions[record.key], sample)
        for class_index in {record.class_index for record in records}:
            of_class = [record for record in records if record.class_index == class_index]
            drawn = [regions[record.key] for record in of_class]
            index = _index(of_class[0], class_names)
            annotated = _objects(sample, sample.annotation == index, index, is_whole)
            judged = sample.annotation >= 0
            matched = matched_dices(drawn, annotated, judged)
            for record, value in zip(of_class, matched, strict=True):
                if value is not None:
                    found[record.key] = value
    return found


def _check_place(record: DoneObject, region: Tensor, sample: Sample) -> None:
    """Raises an InputError unless the annotation lies pixel by pixel on the image."""
    if sample.annotation is not None and region.shape != sample.annotation.shape:
        raise InputError(
            f"reliability: expected an annotation of {tuple(region.shape)} for {sample.key}, got "
            f"{tuple(sample.annotation.shape)}. Is it of another image?"
        )
    if record.affine is None or sample.affine is None:
        return
    if not torch.allclose(torch.tensor(record.affine).double(), sample.affine, atol=1e-3):
        raise InputError(
            f"reliability: expected an annotation in the place and orientation of {sample.key}, "
            "its affine is another. Resample it to the image."
        )


def matched_dices(
    drawn: Sequence[Tensor], annotated: Sequence[Tensor] | Tensor, judged: Tensor
) -> list[float | None]:
    """The Dice in [0, 1] of each drawn object with the annotated ones that are its own.

    None for an object that lies where nobody judged.

    Args:
        drawn: objects of one class, (*spatial) bool.
        annotated: the same; or the number (*spatial) int64 of the annotated object that each pixel
            belongs to, 0 for none.
        judged: (*spatial) bool; other pixels count neither way.
    """
    objects = _Numbered(annotated) if isinstance(annotated, Tensor) else _Apart(annotated)
    shared = [objects.shared(one & judged) for one in drawn]
    own: dict[int, list[int]] = defaultdict(list)
    if shared and len(shared[0]):
        most, owner = torch.stack(shared).max(0)
        for j in torch.nonzero(most).ravel().tolist():
            own[int(owner[j])].append(j)
    dices: list[float | None] = []
    for i, one in enumerate(drawn):
        mine = own.get(i, [])
        if not mine and len(shared[i]) and shared[i].max() > 0:
            mine = [int(shared[i].argmax())]
        wanted = objects.union(mine, one) & judged
        dices.append(dice(one & judged, wanted) if bool((one & judged).any()) else None)
    return dices


class _Apart:
    """Objects as regions of their own, which may overlap."""

    def __init__(self, regions: Sequence[Tensor]) -> None:
        self._regions = regions

    def shared(self, region: Tensor) -> Tensor:
        """Pixels that each object shares with a region."""
        return torch.tensor([int((one & region).sum()) for one in self._regions])

    def union(self, numbers: Sequence[int], like: Tensor) -> Tensor:
        """The pixels of some objects."""
        found = torch.zeros_like(like)
        for number in numbers:
            found |= self._regions[number]
        return found


class _Numbered:
    """Objects as numbers of pixels: however many they are, they take the memory of one."""

    def __init__(self, numbers: Tensor) -> None:
        self._numbers, self._count = numbers, int(numbers.max())

    def shared(self, region: Tensor) -> Tensor:
        return torch.bincount(self._numbers[region], minlength=self._count + 1)[1:]

    def union(self, numbers: Sequence[int], _like: Tensor) -> Tensor:
        return torch.isin(self._numbers, torch.tensor(numbers, dtype=torch.int64) + 1)


def _objects(
    sample: Sample, whole: Tensor, class_index: int, is_whole: bool
) -> list[Tensor] | Tensor:
    """The annotated objects of a class; connected parts where they are not told apart."""
    if is_whole:
        return [whole]
    own = [one.region for one in sample.objects if one.class_index == class_index]
    return own or component_numbers(whole)


def _index(record: DoneObject, class_names: Sequence[str]) -> int:
    """The class of a record among those of the annotations."""
    if not class_names:
        return record.class_index
    name = record.class_name
    if name not in class_names:
        raise InputError(
            f"reliability: expected annotations with the classes of the run, {name!r} is not among "
            f"{', '.join(class_names)}."
        )
    return class_names.index(name)
