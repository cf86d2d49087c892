"""The Dice of each object of a run with the annotation of its image.

An object of a run is compared with

- the whole class in the annotation, if the run explained each class as a whole;
- the annotated objects that are its own, if the run explained connected objects. Each annotated
  object belongs to the object of the run, of its class, that it shares most pixels with. An object
  that none belongs to is compared with the annotated object it shares most pixels with; if it
  shares no pixel with any, its Dice is 0.

Ignored pixels (-1) count neither way.
"""

import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from misure._util.quoted import quoted
from misure.datasets.label_files import LabelFiles
from misure.datasets.nifti import LabelledVolumes, Slices
from misure.datasets.sample import Dataset, Sample
from misure.errors import InputError, MisureError, MisureWarning, reason_of
from misure.images.label_regions import read_regions
from misure.images.numbering import Numbering, NumberingError, needs_regions
from misure.images.regions import component_numbers, dice
from misure.runs.folder import RunFolder
from misure.runs.record import DoneObject, RunSettings

LabelMap = str | Mapping[int, int] | Mapping[str, int | Sequence[int]]
"""Number in a file -> class index; or, if classes overlap, class -> its numbers."""


def object_dices(run: str | Path, dataset: Dataset) -> dict[str, float]:
    """Key of each finished object -> its Dice with the annotation, in [0, 1].

    Arguments and errors are those of `annotated_objects`.
    """
    return {key: value for key, value, _ in annotated_objects(run, dataset)}


def annotated_objects(run: str | Path, dataset: Dataset) -> Iterator[tuple[str, float, Tensor]]:
    """The key of each finished object, its Dice in [0, 1], and the annotated pixels (*spatial).

    Samples without an annotation are left out, and objects that lie on ignored pixels only. A
    sample whose annotation cannot be used is left out with a warning, unless none can.

    Args:
        run: a run folder.
        dataset: the samples of the run, with annotations; their images are not used.

    Raises:
        RunFolderError: no run, or a damaged file in it.
        InputError: the data set lacks a sample or a class of the run, numbers of an annotation fit
            no class, or no annotation fits its image.
    """
    folder = RunFolder(run)
    is_whole = not folder.settings().instances
    if isinstance(dataset, LabelFiles) and dataset.numbering is None:
        dataset = dataset.with_numbering(numbering_of(folder))
    class_names = list(getattr(dataset, "class_names", ()))
    records_by_sample = _done_by_sample(folder)
    indices = {key: index for index, key in enumerate(dataset.keys)}
    _check_known(records_by_sample, indices, folder.address)
    class_of = _annotated_classes(records_by_sample.values(), class_names)
    num_annotated = 0
    unread: dict[str, MisureError] = {}
    for key, records in records_by_sample.items():
        regions = {record.key: folder.read_map(record.map)["target"] for record in records}
        try:
            sample = dataset[indices[key]]
            for record in records:
                _check_alignment(record, regions[record.key], sample)
        except NumberingError:  # may be true of all
            raise
        except MisureError as error:
            unread[key] = error
            continue
        if sample.is_annotated:
            matched = _matched_of_sample(records, regions, sample, class_of, is_whole)
            num_annotated += len(matched)
            yield from matched
    _tell_unread(unread, len(records_by_sample))
    if not num_annotated and folder.settings().model_settings.get("multilabel"):
        _check_regions(dataset, indices, records_by_sample)


def _check_regions(dataset: Dataset, indices: Mapping[str, int], samples: Iterable[str]) -> None:
    """Raises a NumberingError if nothing is annotated, since it is not said what numbers mean."""
    is_of_files = isinstance(dataset, LabelledVolumes | Slices)
    if is_of_files and not any(dataset[indices[key]].is_annotated for key in samples):
        raise NumberingError(needs_regions("the annotations"))


def _matched_of_sample(
    records: Sequence[DoneObject],
    regions: Mapping[str, Tensor],
    sample: Sample,
    class_of: Mapping[int, int],
    is_whole: bool,
) -> list[tuple[str, float, Tensor]]:
    """Key, Dice and annotated pixels of each object, without those on ignored pixels only."""
    found: list[tuple[str, float, Tensor]] = []
    judged = sample.judged
    for of_class in _by_class(records):
        annotated = _annotated_objects(sample, class_of[of_class[0].class_index], is_whole)
        matched = _matched([regions[record.key] for record in of_class], annotated, judged)
        found += [
            (record.key, value, union)
            for record, (value, union) in zip(of_class, matched, strict=True)
            if value is not None
        ]
    return found


def _tell_unread(unread: dict[str, MisureError], num_samples: int) -> None:
    """Warns of annotations that cannot be used; raises the first error if none can.

    Raises:
        MisureError: the first.
    """
    if not unread:
        return
    key, first = next(iter(unread.items()))
    if len(unread) == num_samples:
        raise first
    warnings.warn(
        f"the annotations of {len(unread)} of {num_samples} samples cannot be used and are left "
        f"out; the first is that of {key}: {reason_of(first)}",
        MisureWarning,
        stacklevel=3,
    )


def numbering_of(
    run: RunFolder,
    *,
    ignore: Sequence[int] | None = None,
    label_offset: int | None = None,
    label_map: LabelMap | None = None,
) -> Numbering:
    """How annotations of a run's images are numbered, unless they say it themselves.

    Args:
        run: its settings know the network's `label_offset`, its records the number of classes.
        ignore: numbers that are not judged; None: 255, in pictures that hold other classes.
        label_offset: None: that of the network.
        label_map: number in the file -> class index; or, if classes overlap, class -> its numbers
            (see `read_regions`); None: no map, or the network's `label_regions`.

    Raises:
        InputError: a map of the wrong kind for the network.
    """
    settings = run.settings()
    num_classes = _num_classes(run) or len(settings.class_names) or None
    if settings.model_settings.get("multilabel"):
        regions = _regions_of(settings, label_map)
        if regions is None and label_offset is not None:
            regions = {str(i): (i - label_offset,) for i in range(num_classes or 0)} or None
        return Numbering.of_overlapping(
            regions, ignore=ignore, class_names=settings.class_names, num_classes=num_classes
        )
    if isinstance(label_map, str) or not all(isinstance(key, int) for key in label_map or ()):
        raise InputError(
            f"expected label_map as NUMBER=CLASS, since the classes of {run.address} exclude each "
            f"other, got {label_map!r}."
        )
    return Numbering(
        ignore=None if ignore is None else tuple(ignore),
        offset=_offset_of(settings) if label_offset is None else label_offset,
        label_map=cast("Mapping[int, int] | None", label_map),
        num_classes=num_classes,
    )


def _regions_of(
    settings: RunSettings, label_map: LabelMap | None
) -> Mapping[str, Sequence[int]] | None:
    """Class -> its numbers, of a network whose classes overlap."""
    if label_map is None:
        known = settings.model_settings.get("label_regions")
        return read_regions(known) if known else None
    if isinstance(label_map, str) or any(isinstance(key, str) for key in label_map):
        return read_regions(cast("str | Mapping[str, Sequence[int]]", label_map))
    regions: dict[str, list[int]] = defaultdict(list)
    for number, class_index in label_map.items():
        regions[str(class_index)].append(cast("int", number))
    return regions


def _num_classes(run: RunFolder) -> int | None:
    done = (record for record in run.each_record() if isinstance(record, DoneObject))
    return next((record.num_classes for record in done), None)


def _offset_of(settings: RunSettings) -> int:
    offset = settings.model_settings.get("label_offset", 0)
    return offset if isinstance(offset, int) else 0


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
    shape = sample.annotated_shape
    if sample.is_annotated and tuple(region.shape) != shape:
        is_turned = tuple(region.shape) == shape[::-1]
        hint = " Is the photograph turned by its EXIF tag and the annotation not?"
        raise InputError(
            f"expected an annotation of {tuple(region.shape)} for {sample.key}, got "
            f"{shape}.{hint if is_turned else ' Is it of another image?'}"
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
    return [value for value, _ in _matched(predicted, annotated, judged)]


def _matched(
    predicted: Sequence[Tensor], annotated: Sequence[Tensor] | Tensor, judged: Tensor
) -> list[tuple[float | None, Tensor]]:
    """The Dice of each predicted object as in `matched_dices`, and the pixels of its own ones."""
    objects = _Numbered(annotated) if isinstance(annotated, Tensor) else _Separate(annotated)
    regions = [region & judged for region in predicted]
    shared = [objects.shared(region) for region in regions]
    own: dict[int, list[int]] = defaultdict(list)
    if shared and len(shared[0]):
        num_shared, owner = torch.stack(shared).max(0)
        for number in torch.nonzero(num_shared).ravel().tolist():
            own[int(owner[number])].append(number)
    matched: list[tuple[float | None, Tensor]] = []
    for i, region in enumerate(regions):
        numbers = own.get(i, [])
        if not numbers and len(shared[i]) and shared[i].max() > 0:
            numbers = [int(shared[i].argmax())]
        union = objects.union(numbers, region) & judged
        matched.append((dice(region, union) if bool(region.any()) else None, union))
    return matched


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
    whole = sample.annotated_region(class_index)
    if is_whole:
        return [whole]
    regions = [known.region for known in sample.objects if known.class_index == class_index]
    return regions or component_numbers(whole)


def _annotated_classes(
    records_by_sample: Iterable[Sequence[DoneObject]], class_names: Sequence[str]
) -> dict[int, int]:
    """Class in the records -> its index among the classes of the annotations, by its name."""
    found = {
        record.class_index: record.class_name for records in records_by_sample for record in records
    }
    if not class_names:
        return {class_index: class_index for class_index in found}
    for name in found.values():
        if name not in class_names:
            raise InputError(
                f"expected annotations with the classes of the run, {name!r} is not among "
                f"{quoted(', '.join(class_names))}."
            )
    return {class_index: list(class_names).index(name) for class_index, name in found.items()}
