"""What a data set is made of."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, Self, TypeGuard

import torch
from torch import Tensor

from misure._util.short_repr import ShortRepr
from misure._util.words import counted
from misure.errors import InputError
from misure.images.channel_names import check_order
from misure.images.numbering import Numbering
from misure.images.orientation import AS_STORED, ViewingOrder, spacing_mm
from misure.images.read import read_image
from misure.images.volume_file import VolumeFile
from misure.images.volumes import Files, files_of_image, volume_of

_SLICE = re.compile(r"[/_]slice\d+(\.\w+)*$")


@dataclass(frozen=True, repr=False)
class Sample(ShortRepr):
    """One image and what a person (or a generator) says is in it.

    Attributes:
        key: name of the sample, unique within its data set.
        image: (C, *spatial) float.
        annotation: (*spatial) int64, the class index of every pixel, -1 where it is ignored; None:
            the image is not annotated, or its classes overlap.
        relevance: (*spatial) bool: what a right explanation of the object at `point` must contain;
            None if that is not known.
        point: a pixel (*spatial) of the object that is to be explained; None: any.
        order: how to lay out a volume as axial slices.
        objects: the annotated objects, if they are known apart.
        affine: (4, 4) float64 to millimetres (RAS+), from the voxel indices of a volume, or from
            those of the volume (1, rows, columns) that an axial slice is; None for other images.
        regions: (K, *spatial) bool, the annotated pixels of each class, if classes overlap; None:
            see `annotation`.
        ignored: (*spatial) bool, with `regions`, where nothing is judged; None: nowhere.
    """

    key: str
    image: Tensor
    annotation: Tensor | None = None
    relevance: Tensor | None = None
    point: tuple[int, ...] | None = None
    order: ViewingOrder = AS_STORED
    objects: tuple["AnnotatedObject", ...] = ()
    affine: Tensor | None = None
    regions: Tensor | None = None
    ignored: Tensor | None = None

    def __post_init__(self) -> None:
        if self.annotation is not None and self.regions is not None:
            raise InputError(
                "expected an annotation of classes that exclude each other or regions of classes "
                f"that overlap, got both of {self.key}. Leave one out."
            )

    @property
    def is_annotated(self) -> bool:
        """Whether the class of pixels is known, or the classes."""
        return self.annotation is not None or self.regions is not None

    @property
    def annotated_shape(self) -> tuple[int, ...]:
        """The shape (*spatial) of what is annotated; that of the image if nothing is."""
        if self.annotation is not None:
            return tuple(self.annotation.shape)
        return tuple((self.image if self.regions is None else self.regions).shape[1:])

    @property
    def judged(self) -> Tensor:
        """Where pixels are judged, (*spatial) bool."""
        if self.annotation is not None:
            return self.annotation >= 0
        if self.ignored is not None:
            return ~self.ignored
        return torch.full(self.annotated_shape, self.is_annotated)

    def annotated_region(self, class_index: int) -> Tensor:
        """The annotated pixels (*spatial) bool of a class.

        Raises:
            InputError: no annotation, or regions of fewer classes.
        """
        if self.annotation is not None:
            return self.annotation == class_index
        if self.regions is None or not 0 <= class_index < len(self.regions):
            got = (
                "no annotation"
                if self.regions is None
                else f"{counted(len(self.regions), 'region')}"
            )
            raise InputError(
                f"expected an annotation of class {class_index}, got {got} of {self.key}."
            )
        return self.regions[class_index]

    def annotated_classes(self) -> list[int]:
        """The classes of which there are pixels."""
        if self.annotation is not None:
            return [int(index) for index in torch.unique(self.annotation[self.annotation >= 0])]
        if self.regions is None:
            return []
        return [index for index, region in enumerate(self.regions) if bool(region.any())]

    def annotated_class_at(self, point: tuple[int, ...]) -> int | None:
        """The class of a pixel (*spatial); None if it has none, several or is not annotated."""
        if self.annotation is not None:
            return int(self.annotation[point])
        at_point = [i for i in self.annotated_classes() if bool(self.annotated_region(i)[point])]
        return at_point[0] if len(at_point) == 1 else None

    @property
    def spacing_mm(self) -> tuple[float, ...] | None:
        """Millimetres from one voxel to the next along each axis (*spatial); None for pictures.

        For an axial slice: between its rows and between its columns.
        """
        if self.affine is None:
            return None
        return spacing_mm(self.affine.numpy())[4 - self.image.ndim :]


@dataclass(frozen=True, repr=False)
class AnnotatedObject(ShortRepr):
    """One annotated object.

    Attributes:
        class_index: its class, among the data set's.
        region: (*spatial) bool.
        name: of the object in its data set, such as `1768` in COCO.
    """

    class_index: int
    region: Tensor
    name: str = ""


@dataclass(frozen=True)
class Reading:
    """How a network wants its images read.

    Attributes:
        num_channels: C; None: as the file has it.
        slice_index: the axial slice to take of a volume, counted from the feet, from 0; None: the
            whole volume.
        intensity: the rule that scales the numbers of a volume; empty: none.
        volumes_as_they_are: whether only slices are scaled, since the network's model scales whole
            volumes itself.
        frame, depth: of pictures; see `read_image`.
        series: of a folder of DICOM files; see `read_image`.
        channels: the names of the channels in order, to find them among files that are named by
            channels (see `group_channels`); empty: as the names of the files say, if they do.
        numbering: how the numbers of annotations become class indices.
    """

    num_channels: int | None = None
    slice_index: int | None = None
    intensity: str = ""
    volumes_as_they_are: bool = False
    frame: int | str | None = None
    depth: int | None = None
    series: str | int | None = None
    channels: tuple[str, ...] = ()
    numbering: Numbering = field(default_factory=Numbering)

    @classmethod
    def for_model(
        cls,
        model: "TakesImages",
        slice_index: int | None = None,
        image_options: Mapping[str, Any] | None = None,
    ) -> Self:
        """The reading that a model's network wants.

        Args:
            model: a `SegmentationModel`, for example.
            slice_index: the axial slice to take of each volume; None: whole volumes.
            image_options: `frame` and `depth` of pictures, `series` of DICOM (see `read_image`),
                and `channels`, which comes before the channel names of the model.

        Raises:
            InputError: another option.
        """
        own = tuple(getattr(model, "channel_names", ()))
        return cls(
            model.num_channels,
            slice_index,
            model.intensity,
            volumes_as_they_are=True,
            numbering=_numbering_for(model),
            **{"channels": own, **checked_image_options(image_options or {})},
        )

    def volume(self, path: Files) -> VolumeFile | None:
        """The volume that an image is from, opened; None for pictures and arrays."""
        check_order(files_of_image(path), self.channels)
        return volume_of(path, series=self.series, frame=self.frame)

    def image(self, path: Files | VolumeFile, *, turned: bool = True) -> Tensor:
        """The image (C, *spatial) of a file, read so; see `read_image`."""
        if not isinstance(path, VolumeFile):
            check_order(files_of_image(path), self.channels)
        return read_image(
            path,
            num_channels=self.num_channels,
            slice_index=self.slice_index,
            intensity=self.intensity,
            volumes_as_they_are=self.volumes_as_they_are,
            turned=turned,
            frame=self.frame,
            depth=self.depth,
            series=self.series,
        )

    def photograph(self, path: Path, *, turned: bool) -> Tensor:
        """The image (C, H, W) of a photograph, which has three channels if none are asked for."""
        channels = self.num_channels or 3
        return replace(self, num_channels=channels, slice_index=None).image(path, turned=turned)


def _numbering_for(model: "TakesImages") -> Numbering:
    """How annotations made for a model are numbered, as far as the model knows."""
    if not getattr(model, "multilabel", False):
        return Numbering(offset=model.label_offset)
    return Numbering.of_overlapping(
        getattr(model, "label_regions", None), class_names=getattr(model, "class_names", ())
    )


def checked_image_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of how images are read, by their names; `channels` as a tuple of names.

    Raises:
        InputError: another option.
    """
    known = ("frame", "depth", "series", "channels")
    unknown = [name for name in options if name not in known]
    if unknown:
        raise InputError(f"expected image options {', '.join(known)}, got {unknown[0]!r}.")
    checked = dict(options)
    if "channels" in checked:
        given = checked["channels"]
        names = given.split(",") if isinstance(given, str) else given
        listed = names if isinstance(names, (list, tuple)) else [names]
        checked["channels"] = tuple(str(name).strip() for name in listed)
    return checked


class TakesImages(Protocol):
    """A model, as far as reading images for it needs to know it."""

    num_channels: int | None
    intensity: str
    label_offset: int


AS_IT_IS = Reading()


def refuse_slice(reading: Reading, what: str = "slices") -> None:
    """Raises an InputError if `reading` names a slice: for data sets that have no volumes."""
    if reading.slice_index is not None:
        raise InputError(
            f"expected no --slice for a data set of {what}, got "
            f"{reading.slice_index}. Leave it out, or name the volumes."
        )


class Dataset(Protocol):
    """Samples by number; their keys are known before any of them is read.

    Any object with these two members is one (see `is_dataset`).
    """

    @property
    def keys(self) -> Sequence[str]:
        """The key of each sample, in order; none twice."""
        ...

    def __getitem__(self, index: int, /) -> Sample:
        """The sample with this number, from 0.

        Raises:
            MisureError: it cannot be read; the others may be.
        """
        ...


class SampleList(list[Sample]):
    """Samples in memory, as a data set."""

    @property
    def keys(self) -> list[str]:
        """The key of each sample."""
        return [sample.key for sample in self]


def is_dataset(value: object) -> TypeGuard[Dataset]:
    """Whether a value is a `Dataset`: `keys` that are a sequence (no method), samples by number.

    >>> is_dataset(SampleList()), is_dataset({"a": 1}), is_dataset([])
    (True, False, False)
    """
    return isinstance(getattr(value, "keys", None), Sequence) and hasattr(value, "__getitem__")


def files_of(dataset: Dataset, index: int) -> list[Path]:
    """The files that the image of a sample is read from; empty if its data set does not say.

    Args:
        dataset: says so by a method `files(index)`, if it has one.
        index: of the sample.
    """
    files = getattr(dataset, "files", None)
    return list(files(index)) if callable(files) else []


def as_dataset(samples: Dataset | Iterable[Sample]) -> Dataset:
    """A data set as it is; samples in a list, tuple or iterator as a data set.

    Raises:
        InputError: neither a data set nor samples, or two samples with one key.
    """
    dataset = samples if is_dataset(samples) else _sample_list(samples)
    twice = [key for key, num in Counter(dataset.keys).items() if num > 1]
    if twice:
        raise InputError(
            f"expected samples with different keys, got {twice[0]!r} twice. Rename or remove one."
        )
    return dataset


def _sample_list(samples: object) -> SampleList:
    expected = "expected a data set (keys, and samples by number) or a list of Sample"
    if not isinstance(samples, Iterable) or isinstance(samples, Mapping):
        raise InputError(f"{expected}, got {type(samples).__name__}.")
    dataset = SampleList(samples)
    for value in dataset:
        if not isinstance(value, Sample):
            raise InputError(f"{expected}, got {type(value).__name__} in it.")
    return dataset


def case_of(key: str) -> str:
    """The case that a sample is from: its key without the number of the slice.

    >>> case_of("case0008/slice012"), case_of("case0005_slice003.png"), case_of("a.png")
    ('case0008', 'case0005', 'a.png')
    """
    return _SLICE.sub("", key)
