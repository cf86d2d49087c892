"""COCO 2017 from a folder as it is downloaded: `val2017/` and `annotations/instances_val2017.json`.

Annotations: CC BY 4.0, cocodataset.org. Crowds are no objects; their pixels are ignored (-1 in the
annotation).
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import torch
from msgspec import structs
from torch import Tensor

from misure._util.optional import require
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
)
from misure.datasets.coco_regions import draw_region
from misure.datasets.registry import dataset
from misure.datasets.sample import AS_IT_IS, AnnotatedObject, Reading, Sample
from misure.errors import InputError, MissingDataError

VOC_CLASS_NAMES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair",
    "cow", "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa",
    "train", "tvmonitor",
)  # fmt: skip
"""The classes of Pascal VOC, in their usual order."""

_VOC_NAME_OF_COCO = {
    "airplane": "aeroplane",
    "dining table": "diningtable",
    "motorcycle": "motorbike",
    "potted plant": "pottedplant",
    "couch": "sofa",
    "tv": "tvmonitor",
}


class Photograph(msgspec.Struct, frozen=True):
    """An image that the annotations list."""

    id: int
    file_name: str
    height: int
    width: int

    @property
    def shape(self) -> tuple[int, int]:
        return self.height, self.width


class Annotation(msgspec.Struct, frozen=True):
    """One object or crowd; `segmentation` is checked when it is drawn."""

    id: int
    image_id: int
    category_id: int
    segmentation: Any
    iscrowd: int | bool | None = 0


class _Category(msgspec.Struct, frozen=True):
    id: int
    name: str


class Instances(msgspec.Struct, frozen=True):
    """What of COCO's instance annotations is used here; other fields are left alone."""

    images: list[Photograph]
    annotations: list[Annotation]
    categories: list[_Category]


class CocoDataset:
    """Photographs with their annotated objects.

    Args:
        folder: holds `SPLIT/` with the photographs and `annotations/instances_SPLIT.json`. Only
            photographs that are there are samples.
        split: `val2017` or `train2017`; None: the first of them that is there.
        class_names: which classes, by COCO's or VOC's names, class 0 the background; None: all of
            COCO. Objects of other classes count as background.
        reading: how the network wants its images.

    Raises:
        MissingDataError: the folder or its annotations are not there.
        InputError: a file that is no such annotation, or one of other photographs.
        MissingDependencyError: pycocotools is missing.
    """

    def __init__(
        self,
        folder: Path,
        split: str | None = None,
        class_names: Sequence[str] | None = VOC_CLASS_NAMES,
        reading: Reading = AS_IT_IS,
    ) -> None:
        split = split or find_split(folder)
        photographs = folder / split
        file = folder / "annotations" / f"instances_{split}.json"
        if not photographs.is_dir() or not file.is_file():
            raise MissingDataError(
                f"expected {split}/ and annotations/instances_{split}.json in {folder}. Get both "
                "from https://cocodataset.org/#download and unpack them there."
            )
        check_reading(reading)
        self._reading = reading
        require("pycocotools.mask", extra="coco", purpose="read COCO annotations")
        instances = read_instances(file)
        names = {category.id: category.name for category in instances.categories}
        classes = [name for name in names.values() if not _is_background(name)]
        self.class_names = tuple(class_names or ("background", *classes))
        self._class_of_category = class_of_category(names, self.class_names)
        _check_classes(names, self._class_of_category, self.class_names, file)
        self._files = Photographs(photographs, [one.file_name for one in instances.images], file)
        self._photographs = sorted(
            (photograph for photograph in instances.images if photograph.file_name in self._files),
            key=lambda photograph: self._files.key(photograph.file_name),
        )
        self._annotations: dict[int, list[Annotation]] = defaultdict(list)
        for annotation in instances.annotations:
            self._annotations[annotation.image_id].append(annotation)

    @property
    def keys(self) -> list[str]:
        """The path of each photograph within the split."""
        return [self._files.key(photograph.file_name) for photograph in self._photographs]

    def __len__(self) -> int:
        return len(self._photographs)

    def files(self, index: int) -> list[Path]:
        """The file of a photograph."""
        return [self._files.path(self._photographs[index].file_name)]

    def __getitem__(self, index: int) -> Sample:
        photograph = self._photographs[index]
        name = photograph.file_name
        key, path = self._files.key(name), self._files.path(name)
        image = read_photograph(path, photograph.shape, self._reading)
        annotations = self._annotations.get(photograph.id, [])
        objects = tuple(self._objects(annotations, photograph.shape))
        crowds = [
            region
            for annotation in annotations
            if annotation.iscrowd
            if (region := self._region(annotation, photograph.shape)) is not None
        ]
        painted = _paint(objects, crowds, photograph.shape)
        return Sample(key, image, painted, objects=objects)

    def _objects(
        self, annotations: Sequence[Annotation], shape: tuple[int, int]
    ) -> list[AnnotatedObject]:
        return [
            AnnotatedObject(
                self._class_of_category[annotation.category_id], region, str(annotation.id)
            )
            for annotation in annotations
            if not annotation.iscrowd and self._class_of_category.get(annotation.category_id)
            if (region := self._region(annotation, shape)) is not None
        ]

    def _region(self, annotation: Annotation, shape: tuple[int, int]) -> Tensor | None:
        name = f"annotation {annotation.id} of image {annotation.image_id}"
        return draw_region(annotation.segmentation, shape, name)


def _is_background(name: str) -> bool:
    return name.strip().lower() == "background"


def class_of_category(names: Mapping[int, str], class_names: Sequence[str]) -> dict[int, int]:
    """Id of a category -> index of its class; a category called background is class 0.

    Args:
        names: of the categories, by their ids.
        class_names: of the classes, by COCO's names or VOC's; other categories are left out.
    """
    return {
        number: 0 if _is_background(name) else class_names.index(known)
        for number, name in names.items()
        for known in (name, _VOC_NAME_OF_COCO.get(name))
        if known in class_names or _is_background(name)
    }


def _check_classes(
    names: Mapping[int, str], class_of: Mapping[int, int], class_names: Sequence[str], file: Path
) -> None:
    """Raises an InputError if there are categories, and none of them is a class."""
    if names and not any(class_of.values()):
        raise InputError(
            f"expected categories among {', '.join(class_names)} in {file}, got "
            f"{quoted(', '.join(names.values()))}. To take them all name coco-all:FOLDER."
        )


def read_instances(file: Path) -> Instances:
    """COCO's instance annotations.

    Raises:
        InputError: no such file, or annotations that contradict each other.
    """
    what = f"instance annotations as COCO publishes them in {file}"
    try:
        content = file.read_bytes()
    except OSError as error:
        raise unusable(what, error) from error
    instances = decode(content, Instances, what)
    instances = structs.replace(instances, categories=_without_doubles(instances))
    check_categories(instances.categories, what)
    check_images(
        [photograph.id for photograph in instances.images],
        [(f"annotation {one.id}", one.image_id) for one in instances.annotations],
        what,
    )
    categories = {category.id for category in instances.categories}
    for annotation in instances.annotations:
        if annotation.category_id not in categories:
            reason = f"annotation {annotation.id} is of no category that is listed"
            raise unusable(what, ValueError(reason))
    return instances


def _without_doubles(instances: Instances) -> list[_Category]:
    """The categories, but for those that no annotation has and whose name another one has."""
    used = {annotation.category_id for annotation in instances.annotations}
    names = {category.name for category in instances.categories if category.id in used}
    return [
        category
        for category in instances.categories
        if category.id in used or category.name not in names
    ]


def _paint(
    objects: Sequence[AnnotatedObject], crowds: Sequence[Tensor], shape: tuple[int, int]
) -> Tensor:
    """The class of every pixel: crowds below, then objects, small ones over large ones."""
    annotation = torch.zeros(shape, dtype=torch.int64)
    for crowd in crowds:
        annotation[crowd] = -1
    for drawn in sorted(objects, key=lambda drawn: -int(drawn.region.sum())):
        annotation[drawn.region] = drawn.class_index
    return annotation


@dataset("coco", usage="coco:FOLDER,SPLIT", extra="coco")
def open_coco(rest: str, reading: Reading) -> CocoDataset:
    """COCO 2017 with the classes of Pascal VOC, which most networks for photographs know.

    The split is `val2017` or `train2017`; by default the first of them that is there.
    """
    folder, split = folder_and_split(rest)
    return CocoDataset(folder, split, reading=reading)


@dataset("coco-all", usage="coco-all:FOLDER,SPLIT", extra="coco")
def open_all_of_coco(rest: str, reading: Reading) -> CocoDataset:
    """COCO 2017 with its own 80 classes."""
    folder, split = folder_and_split(rest)
    return CocoDataset(folder, split, None, reading)
