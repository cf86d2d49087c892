"""COCO's panoptic annotations: every pixel has a class, things and stuff alike.

As downloaded: `val2017/`, `annotations/panoptic_val2017.json` and `annotations/panoptic_val2017/`
with one PNG a photograph, whose colours are the numbers of its segments (R + 256 G + 256² B).
"""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch

from misure._util.quoted import quoted
from misure._util.records import decode, unusable
from misure.datasets.coco_files import (
    Photographs,
    check_categories,
    check_images,
    check_reading,
    find_split,
    folder_and_split,
    read_photograph,
    within,
)
from misure.datasets.registry import dataset
from misure.datasets.sample import AS_IT_IS, AnnotatedObject, Reading, Sample
from misure.errors import InputError, MissingDataError
from misure.images.pictures import opened_picture


class _Photograph(msgspec.Struct, frozen=True):
    id: int
    file_name: str


class _Segment(msgspec.Struct, frozen=True):
    id: int
    category_id: int
    iscrowd: int | bool | None = 0


class _Annotation(msgspec.Struct, frozen=True):
    """The segments of a photograph, each checked when its sample is read."""

    image_id: int
    file_name: str
    segments_info: list[Any]


class _Category(msgspec.Struct, frozen=True):
    id: int
    name: str
    isthing: int | bool


class _Panoptic(msgspec.Struct, frozen=True):
    """What of COCO's panoptic annotations is used here; other fields are left alone."""

    categories: list[_Category]
    images: list[_Photograph]
    annotations: list[_Annotation]


class CocoPanopticDataset:
    """Photographs with the class of every pixel, and their objects.

    Class 0 is `unlabelled`; no pixel is annotated with it. Then come the categories, things and
    stuff, in the file's order. Crowds and pixels outside of every segment are ignored (-1). Objects
    are the things.

    Args:
        folder: as downloaded; only photographs that are there are samples.
        split: `val2017` or `train2017`; None: the first of them that is there.
        reading: how the network wants its images.

    Raises:
        MissingDataError: the folder or its annotations are not there.
        InputError: a file that is no such annotation, or one of other photographs.
    """

    def __init__(self, folder: Path, split: str | None = None, reading: Reading = AS_IT_IS) -> None:
        split = split or find_split(folder)
        file = folder / "annotations" / f"panoptic_{split}.json"
        photographs, self._pictures = folder / split, file.with_suffix("")
        if not (photographs.is_dir() and self._pictures.is_dir() and file.is_file()):
            raise MissingDataError(
                f"expected {split}/, annotations/{file.name} and annotations/{file.stem}/ with its "
                f"PNGs in {folder}. Get them from https://cocodataset.org/#download and unpack "
                "them there."
            )
        check_reading(reading)
        self._reading = reading
        content, name_of = _read(file)
        self.class_names = ("unlabelled", *(category.name for category in content.categories))
        self._is_thing = [False, *(bool(category.isthing) for category in content.categories)]
        self._class_of = {
            category.id: number for number, category in enumerate(content.categories, start=1)
        }
        names = [name_of[annotation.image_id] for annotation in content.annotations]
        self._files = Photographs(photographs, names, file)
        self._entries = sorted(
            (
                (name, annotation)
                for name, annotation in zip(names, content.annotations, strict=True)
                if name in self._files
            ),
            key=lambda entry: self._files.key(entry[0]),
        )

    @property
    def keys(self) -> list[str]:
        """The path of each photograph within the split."""
        return [self._files.key(name) for name, _ in self._entries]

    def __len__(self) -> int:
        return len(self._entries)

    def files(self, index: int) -> list[Path]:
        """The file of a photograph."""
        return [self._files.path(self._entries[index][0])]

    def __getitem__(self, index: int) -> Sample:
        name, entry = self._entries[index]
        picture = entry.file_name
        numbers = _read_numbers(within(self._pictures, picture))
        shape = (numbers.shape[0], numbers.shape[1])
        image = read_photograph(self._files.path(name), shape, self._reading)
        annotation = np.full(numbers.shape, -1, np.int64)
        objects = []
        for segment in (self._segment(values, picture) for values in entry.segments_info):
            if segment.iscrowd:
                continue
            region = numbers == segment.id
            if not region.any():
                raise InputError(
                    f"expected segment {segment.id} in {picture}, found no pixel of it. Is it a "
                    "changed copy?"
                )
            class_index = self._class_of[segment.category_id]
            annotation[region] = class_index
            if self._is_thing[class_index]:
                objects.append(
                    AnnotatedObject(class_index, torch.from_numpy(region), str(segment.id))
                )
        return Sample(
            self._files.key(name), image, torch.from_numpy(annotation), objects=tuple(objects)
        )

    def _segment(self, values: Any, picture: str) -> _Segment:
        try:
            segment = msgspec.convert(values, _Segment)
        except msgspec.ValidationError:
            segment = None
        if segment is None or segment.category_id not in self._class_of:
            raise InputError(
                f"expected segments with an id and a known category_id for {picture}, got "
                f"{quoted(repr(values))}."
            )
        return segment


def _read(file: Path) -> tuple[_Panoptic, dict[int, str]]:
    """The annotations of a file, and number -> file name of its photographs."""
    what = f"panoptic annotations as COCO publishes them in {file}"
    try:
        data = file.read_bytes()
    except OSError as error:
        raise unusable(what, error) from error
    content = decode(data, _Panoptic, what)
    check_categories(content.categories, what)
    check_images(
        [photograph.id for photograph in content.images],
        [(one.file_name, one.image_id) for one in content.annotations],
        what,
    )
    return content, {photograph.id: photograph.file_name for photograph in content.images}


def _read_numbers(path: Path) -> np.ndarray:
    """The number (H, W) int64 of the segment that each pixel belongs to."""
    with opened_picture(path, "expected a PNG of segments") as picture:
        if picture.mode not in ("RGB", "RGBA"):
            raise InputError(
                f"expected segments as colours (RGB) in {path}, got a picture of mode "
                f"{picture.mode}. Is it one of classes?"
            )
        colours = np.asarray(picture.convert("RGB")).astype(np.int64)
    numbers: np.ndarray = colours @ np.array([1, 256, 65536])
    return numbers


@dataset("coco-panoptic", usage="coco-panoptic:FOLDER,SPLIT")
def open_panoptic(rest: str, reading: Reading) -> CocoPanopticDataset:
    """COCO 2017 with its panoptic annotations, things and stuff: every pixel has a class."""
    return CocoPanopticDataset(*folder_and_split(rest), reading)
