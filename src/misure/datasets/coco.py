"""COCO 2017 from a folder as it is downloaded: `val2017/` and `annotations/instances_val2017.json`.

Annotations: CC BY 4.0, cocodataset.org. Crowds are no objects; their pixels are ignored (-1 in the
annotation).
"""

import warnings
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from torch import Tensor

from misure._util.optional import require
from misure._util.records import decode, unusable
from misure.datasets.registry import dataset
from misure.datasets.sample import AS_IT_IS, AnnotatedObject, Reading, Sample
from misure.errors import InputError, MissingDataError
from misure.images.read import read_image

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

_SPLITS = ("val2017", "train2017")


class _Photograph(msgspec.Struct, frozen=True):
    id: int
    file_name: str
    height: int
    width: int

    @property
    def shape(self) -> tuple[int, int]:
        return self.height, self.width


class _Annotation(msgspec.Struct, frozen=True):
    """One object or crowd; `segmentation` is checked when it is drawn."""

    id: int
    image_id: int
    category_id: int
    segmentation: Any
    iscrowd: int | bool | None = 0


class _Category(msgspec.Struct, frozen=True):
    id: int
    name: str


class _Instances(msgspec.Struct, frozen=True):
    """What of COCO's instance annotations is used here; other fields are left alone."""

    images: list[_Photograph]
    annotations: list[_Annotation]
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
        self._folder = folder / split
        file = folder / "annotations" / f"instances_{split}.json"
        if not self._folder.is_dir() or not file.is_file():
            raise MissingDataError(
                f"expected {split}/ and annotations/instances_{split}.json in {folder}. Get both "
                "from https://cocodataset.org/#download and unpack them there."
            )
        self._reading = reading
        self._masks = require("pycocotools.mask", extra="coco", purpose="read COCO annotations")
        instances = _read(file)
        names = {category.id: category.name for category in instances.categories}
        self.class_names = tuple(class_names or ("background", *names.values()))
        self._class_of_category = {
            number: self.class_names.index(known)
            for number, name in names.items()
            for known in (name, _VOC_NAME_OF_COCO.get(name))
            if known in self.class_names
        }
        present = {path.name for path in self._folder.iterdir()}
        self._photographs = sorted(
            (photograph for photograph in instances.images if photograph.file_name in present),
            key=lambda photograph: photograph.file_name,
        )
        if not self._photographs:
            raise InputError(
                f"expected photographs that {file.name} lists in {self._folder}, found none of its "
                f"{len(instances.images)}. Are they of another year?"
            )
        self._annotations: dict[int, list[_Annotation]] = defaultdict(list)
        for annotation in instances.annotations:
            self._annotations[annotation.image_id].append(annotation)

    @property
    def keys(self) -> list[str]:
        """The file name of each photograph."""
        return [photograph.file_name for photograph in self._photographs]

    def __len__(self) -> int:
        return len(self._photographs)

    def files(self, index: int) -> list[Path]:
        """The file of a photograph."""
        return [self._folder / self._photographs[index].file_name]

    def __getitem__(self, index: int) -> Sample:
        photograph = self._photographs[index]
        path = self._folder / photograph.file_name
        image = read_image(path, num_channels=self._reading.num_channels or 3, turned=False)
        if tuple(image.shape[1:]) != photograph.shape:
            raise InputError(
                f"expected {path} to be {photograph.height} x {photograph.width} as its "
                f"annotation, got {' x '.join(map(str, image.shape[1:]))}. Is it a changed copy?"
            )
        annotations = self._annotations.get(photograph.id, [])
        objects = tuple(self._objects(annotations, photograph.shape))
        crowds = [
            self._region(annotation, photograph.shape)
            for annotation in annotations
            if annotation.iscrowd
        ]
        painted = _paint(objects, crowds, photograph.shape)
        return Sample(photograph.file_name, image, painted, objects=objects)

    def _objects(
        self, annotations: Sequence[_Annotation], shape: tuple[int, int]
    ) -> list[AnnotatedObject]:
        return [
            AnnotatedObject(
                self._class_of_category[annotation.category_id],
                self._region(annotation, shape),
                str(annotation.id),
            )
            for annotation in annotations
            if not annotation.iscrowd and annotation.category_id in self._class_of_category
        ]

    def _region(self, annotation: _Annotation, shape: tuple[int, int]) -> Tensor:
        """The region (H, W) bool of an annotation."""
        drawn = annotation.segmentation
        try:
            if isinstance(drawn, Mapping):
                return torch.from_numpy(_from_runs(drawn, shape))
            _check_polygons(drawn, shape)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # pycocotools with NumPy 2
                runs = self._masks.merge(self._masks.frPyObjects(drawn, *shape))
                mask: np.ndarray = self._masks.decode(runs)
        except Exception as error:  # whatever polygons and runs a file holds
            raise InputError(
                f"expected polygons or run lengths in annotation {annotation.id}, but they cannot "
                f"be drawn: {error}"
            ) from error
        return torch.from_numpy(mask.astype(bool))


def _check_polygons(polygons: Any, shape: tuple[int, int]) -> None:
    """Raises a ValueError where pycocotools would crash, or draw something else."""
    for polygon in polygons:
        points = np.asarray(polygon, float)
        if points.ndim != 1 or len(points) < 6 or len(points) % 2:
            raise ValueError("a polygon needs three points or more, x and y of each.")
        sides = np.resize(shape[::-1], len(points))
        if not ((points >= -sides) & (points <= 2 * sides)).all():  # NaN is not inside either
            raise ValueError("a polygon lies far outside of the photograph.")


def _from_runs(segmentation: Mapping[str, Any], shape: tuple[int, int]) -> np.ndarray:
    """The region (H, W) bool of run lengths, column by column, plain or compressed.

    Raises:
        ValueError: they are of another size, or do not fill it.
    """
    counts = segmentation["counts"]
    runs = _uncompressed(counts) if isinstance(counts, str) else [int(count) for count in counts]
    if list(segmentation["size"]) != list(shape):
        raise ValueError(f"the run lengths are of {segmentation['size']}, not {list(shape)}.")
    if min(runs, default=-1) < 0 or sum(runs) != shape[0] * shape[1]:
        raise ValueError(f"the run lengths do not add up to {shape[0]} x {shape[1]}.")
    region: np.ndarray = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return np.ascontiguousarray(region.reshape(shape[::-1]).T)


def _uncompressed(text: str) -> list[int]:
    """Run lengths of COCO's text: five bits a character, from the third on less the last but one.

    The sixth bit says that a number goes on, the fifth of its last character that it is negative.
    """
    runs: list[int] = []
    number = shift = 0
    for character in text:
        bits = ord(character) - 48
        number |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            number -= 1 << shift
        runs.append(number + (runs[-2] if len(runs) > 2 else 0))
        number = shift = 0
    return runs


def find_split(folder: Path) -> str:
    """The first of val2017 and train2017 that is in a folder; val2017 if neither is."""
    return next((split for split in _SPLITS if (folder / split).is_dir()), _SPLITS[0])


def _read(file: Path) -> _Instances:
    what = f"instance annotations as COCO publishes them in {file}"
    try:
        content = file.read_bytes()
    except OSError as error:
        raise unusable(what, error) from error
    instances = decode(content, _Instances, what)
    categories = {category.id for category in instances.categories}
    for annotation in instances.annotations:
        if annotation.category_id not in categories:
            reason = f"annotation {annotation.id} is of no category that is listed"
            raise unusable(what, ValueError(reason))
    return instances


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


def folder_and_split(rest: str) -> tuple[Path, str | None]:
    """The folder and the split of `FOLDER,SPLIT`; None if there is no split.

    Raises:
        InputError: no folder.
    """
    is_all = "," not in rest or Path(rest).is_dir()  # a folder's name may have a comma
    folder, _, split = (rest, "", "") if is_all else rest.rpartition(",")
    if not folder:
        raise InputError("expected coco:FOLDER or coco:FOLDER,SPLIT, got no folder.")
    return Path(folder), split or None
