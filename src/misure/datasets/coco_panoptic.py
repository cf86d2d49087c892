"""COCO's panoptic annotations: every pixel has a class, things and stuff alike.

As downloaded: `val2017/`, `annotations/panoptic_val2017.json` and `annotations/panoptic_val2017/`
with one PNG a photograph, whose colours are the numbers of its segments (R + 256 G + 256² B).
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from misure.datasets.coco import find_split
from misure.datasets.sample import AS_IT_IS, AnnotatedObject, Reading, Sample
from misure.errors import InputError, MissingDataError
from misure.images.read import opened_picture, read_image


class CocoPanopticDataset:
    """Photographs with the class of every pixel, and their objects.

    Class 0 is what no segment holds (never annotated so: those pixels are -1), then come the
    categories, things and stuff, in the file's order. Crowds and what nobody named are -1; objects
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
        self._photographs, self._segments = folder / split, file.with_suffix("")
        if (
            not all(one.is_dir() for one in (self._photographs, self._segments))
            or not file.is_file()
        ):
            raise MissingDataError(
                f"expected {split}/, annotations/{file.name} and "
                f"annotations/{file.stem}/ with its PNGs in {folder}. Get them from "
                "https://cocodataset.org/#download and unpack them there."
            )
        self._reading = reading
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            categories = content["categories"]
            self.class_names = ("unlabelled", *(str(one["name"]) for one in categories))
            self._is_thing = [False, *(bool(one["isthing"]) for one in categories)]
            self._class_of = {one["id"]: number for number, one in enumerate(categories, start=1)}
            name_of = {one["id"]: str(one["file_name"]) for one in content["images"]}
            there = {path.name for path in self._photographs.iterdir()}
            entries = [
                (name_of[one["image_id"]], str(one["file_name"]), list(one["segments_info"]))
                for one in content["annotations"]
            ]
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            reason = f"no {error}" if isinstance(error, KeyError) else error
            raise InputError(
                f"expected panoptic annotations as COCO publishes them, but "
                f"{file} cannot be used: {reason}."
            ) from error
        self._entries = sorted((one for one in entries if one[0] in there), key=lambda one: one[0])
        if not self._entries:
            raise InputError(
                f"expected photographs that {file.name} lists in "
                f"{self._photographs}, found none of its {len(entries)}. Are they of another year?"
            )

    @property
    def keys(self) -> list[str]:
        """The file name of each photograph."""
        return [name for name, _, _ in self._entries]

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> Sample:
        name, picture, segments = self._entries[index]
        path = self._photographs / name
        image = read_image(path, num_channels=self._reading.num_channels or 3, turned=False)
        numbers = _read_numbers(self._segments / Path(picture).name)
        if image.shape[1:] != numbers.shape:
            raise InputError(
                f"expected {path} to be {' x '.join(map(str, numbers.shape))} "
                f"as its annotation, got {' x '.join(map(str, image.shape[1:]))}. Is it a changed "
                "copy?"
            )
        annotation = np.full(numbers.shape, -1, np.int64)
        objects = []
        for one in segments:
            class_index, number, is_crowd = self._read_segment(one, picture)
            if is_crowd:
                continue
            region = numbers == number
            if not region.any():
                raise InputError(
                    f"expected segment {number} in {picture}, found no pixel "
                    "of it. Is it a changed copy?"
                )
            annotation[region] = class_index
            if self._is_thing[class_index]:
                objects.append(AnnotatedObject(class_index, torch.from_numpy(region), str(number)))
        return Sample(name, image, torch.from_numpy(annotation), objects=tuple(objects))

    def _read_segment(self, one: Any, picture: str) -> tuple[int, int, bool]:
        try:
            return self._class_of[one["category_id"]], int(one["id"]), bool(one.get("iscrowd", 0))
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise InputError(
                f"expected segments with an id and a known category_id for {picture}, got {one!r}."
            ) from error


def _read_numbers(path: Path) -> np.ndarray:
    """The number (H, W) of the segment that each pixel belongs to."""
    with opened_picture(path, "expected a PNG of segments") as picture:
        if picture.mode not in ("RGB", "RGBA"):
            raise InputError(
                f"expected segments as colours (RGB) in {path}, got a picture "
                f"of mode {picture.mode}. Is it one of classes?"
            )
        colours = np.asarray(picture.convert("RGB")).astype(np.int64)
    numbers: np.ndarray = colours @ np.array([1, 256, 65536])
    return numbers
