"""COCO 2017 from a folder as it is downloaded: `val2017/` and `annotations/instances_val2017.json`.

Annotations: CC BY 4.0, cocodataset.org. Crowds are left out of the objects, and nobody is judged
on them: their pixels are -1 in the annotation.
"""

import contextlib
import io
import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from misure._util.optional import require
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

_KINDS: dict[str, type] = {
    "id": int, "image_id": int, "category_id": int, "height": int, "width": int,
    "file_name": str, "name": str, "segmentation": object,
}  # fmt: skip


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
        self._photographs = folder / split
        file = folder / "annotations" / f"instances_{split}.json"
        if not self._photographs.is_dir() or not file.is_file():
            raise MissingDataError(
                f"expected {split}/ and annotations/instances_{split}.json in "
                f"{folder}. Get both from https://cocodataset.org/#download and unpack them there."
            )
        self._reading = reading
        self._coco = _read(file)
        names = {one["id"]: one["name"] for one in self._coco.dataset["categories"]}
        self.class_names = tuple(class_names or ("background", *names.values()))
        self._class_of_category = {
            number: self.class_names.index(known)
            for number, name in names.items()
            for known in (name, _VOC_NAME_OF_COCO.get(name))
            if known in self.class_names
        }
        there = {path.name for path in self._photographs.iterdir()}
        listed = self._coco.dataset["images"]
        self._entries = sorted(
            (one for one in listed if one["file_name"] in there), key=lambda one: one["file_name"]
        )
        if not self._entries:
            raise InputError(
                f"expected photographs that {file.name} lists in "
                f"{self._photographs}, found none of its {len(listed)}. Are they of another year?"
            )

    @property
    def keys(self) -> list[str]:
        """The file name of each photograph."""
        return [one["file_name"] for one in self._entries]

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> Sample:
        entry = self._entries[index]
        path = self._photographs / entry["file_name"]
        image = read_image(path, num_channels=self._reading.num_channels or 3, turned=False)
        if image.shape[1:] != (entry["height"], entry["width"]):
            raise InputError(
                f"expected {path} to be {entry['height']} x {entry['width']} as its "
                f"annotation, got {' x '.join(map(str, image.shape[1:]))}. Is it a changed copy?"
            )
        drawn = self._coco.imgToAnns.get(entry["id"], [])
        shape = entry["height"], entry["width"]
        objects = tuple(self._objects(drawn, shape))
        crowds = [self._region(one, shape) for one in drawn if one.get("iscrowd")]
        annotation = _paint(objects, crowds, shape)
        return Sample(entry["file_name"], image, annotation, objects=objects)

    def _objects(
        self, drawn: Sequence[Mapping[str, Any]], shape: tuple[int, int]
    ) -> list[AnnotatedObject]:
        return [
            AnnotatedObject(
                self._class_of_category[one["category_id"]],
                self._region(one, shape),
                str(one["id"]),
            )
            for one in drawn
            if not one.get("iscrowd") and one["category_id"] in self._class_of_category
        ]

    def _region(self, drawn: Mapping[str, Any], shape: tuple[int, int]) -> Tensor:
        try:
            if isinstance(drawn["segmentation"], Mapping):
                return torch.from_numpy(_from_runs(drawn["segmentation"], shape))
            _check_polygons(drawn["segmentation"], shape)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # pycocotools with NumPy 2
                mask: np.ndarray = self._coco.annToMask(drawn)
        except Exception as error:  # whatever polygons and runs others wrote
            raise InputError(
                f"expected polygons or run lengths in annotation {drawn.get('id')}, "
                f"but they cannot be drawn: {error}"
            ) from error
        return torch.from_numpy(mask.astype(bool))


def _check_polygons(polygons: Any, shape: tuple[int, int]) -> None:
    """Raises a ValueError where pycocotools would crash, or draw what nobody meant."""
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
        ValueError: of another size, or they do not fill it.
    """
    counts = segmentation["counts"]
    runs = _uncompressed(counts) if isinstance(counts, str) else [int(one) for one in counts]
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
    """The first of val2017 and train2017 that is in a folder; val2017 where neither is."""
    return next((one for one in _SPLITS if (folder / one).is_dir()), _SPLITS[0])


def _read(file: Path) -> Any:
    """The annotations, indexed by image."""
    coco_module = require("pycocotools.coco", extra="coco", purpose="read COCO annotations")
    try:
        with file.open(encoding="utf-8") as text:
            content = json.load(text)
        for key, fields in (
            ("images", ("id", "file_name", "height", "width")),
            ("annotations", ("id", "image_id", "category_id", "segmentation")),
            ("categories", ("id", "name")),
        ):
            for one in content[key]:
                missing = [field for field in fields if field not in one]
                if missing:
                    raise ValueError(f"an entry of {key} has no {missing[0]}")
                odd = [field for field in fields if not isinstance(one[field], _KINDS[field])]
                if odd:
                    raise ValueError(f"an entry of {key} has {one[odd[0]]!r} as {odd[0]}")
        listed = {one["id"] for one in content["categories"]}
        for one in content["annotations"]:
            if one["category_id"] not in listed:
                raise ValueError(f"annotation {one['id']} is of no category that is listed")
        coco = coco_module.COCO()
        coco.dataset = content
        with contextlib.redirect_stdout(io.StringIO()):
            coco.createIndex()
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else error
        raise InputError(
            f"expected instance annotations as COCO publishes them, but {file} "
            f"cannot be used: {reason}."
        ) from error
    return coco


def _paint(
    objects: Sequence[AnnotatedObject], crowds: Sequence[Tensor], shape: tuple[int, int]
) -> Tensor:
    """The class of every pixel: crowds below, then objects, small ones over large ones."""
    annotation = torch.zeros(shape, dtype=torch.int64)
    for crowd in crowds:
        annotation[crowd] = -1
    for one in sorted(objects, key=lambda one: -int(one.region.sum())):
        annotation[one.region] = one.class_index
    return annotation
