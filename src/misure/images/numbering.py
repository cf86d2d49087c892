"""Numbering: how the numbers in a file of annotations become class indices.

A number is ignored, renamed by a map, or shifted by an offset. What neither the user nor the
network says is checked: 255 is taken for "not judged" only in pictures that hold other classes too,
and a number above the network's last class is an error, as all the others may be shifted then.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from misure.errors import InputError

NOT_JUDGED = 255
"""In pictures: the border of Pascal VOC's objects, and what most annotation tools leave open."""

_LARGEST_LABEL = 65535
_ROUNDED = 1e-3
"""Labels this near to a whole number are that number, which scaling in a header may have moved."""

_MANY, _BUSY = 32, 1 / 3


class NumberingError(InputError):
    """An annotation does not hold numbers of classes: others of its data set may not either."""


@dataclass(frozen=True)
class Numbering:
    """How the numbers of annotations become class indices.

    Attributes:
        ignore: numbers whose pixels are not judged; None: 255, in pictures that hold other classes.
        offset: added to each number; pixels that it takes below 0 are not judged.
        label_map: number in the file -> class index, 0 staying 0; `offset` is not added then.
            None: no map.
        num_classes: K of the network, if known; numbers above the last class are refused.
    """

    ignore: tuple[int, ...] | None = None
    offset: int = 0
    label_map: Mapping[int, int] | None = field(default=None, hash=False)
    num_classes: int | None = None

    def classes(self, numbers: Tensor, path: Path | str, *, is_picture: bool = False) -> Tensor:
        """Class indices (*spatial) int64 of numbers, -1 where a pixel is not judged.

        Args:
            numbers: (*spatial) int64.
            path: the file that they are from, for the message.
            is_picture: whether 255 may mean that a pixel is not judged.

        Raises:
            NumberingError: numbers of no class, or of which it is not clear what they mean.
        """
        if not numbers.numel():
            return numbers
        low = int(numbers.min())
        steps = torch.nonzero(torch.bincount((numbers - low).ravel())).ravel()
        present = [low + step for step in steps.tolist()]
        ignored = self._ignored(present, path, is_picture)
        judged = [number for number in present if number not in ignored]
        if is_picture and self.label_map is None:
            _check_no_photograph(numbers, judged, path)
        table = torch.full((present[-1] - low + 1,), -1, dtype=torch.int64)
        for number, class_index in self._class_of(judged, path).items():
            table[number - low] = class_index
        return table[numbers - low]

    def _ignored(self, present: Sequence[int], path: Path | str, is_picture: bool) -> set[int]:
        if self.ignore is not None:
            return set(self.ignore)
        if not is_picture or NOT_JUDGED not in present or NOT_JUDGED in (self.label_map or {}):
            return set()
        last = (self.num_classes or 0) - 1 - self.offset
        if last >= NOT_JUDGED or set(present) <= {0, NOT_JUDGED}:
            meaning = "is also a class" if last >= NOT_JUDGED else "may be the object of a mask"
            is_alone = set(present) == {NOT_JUDGED}  # says nothing of the other pictures
            raise (InputError if is_alone else NumberingError)(
                f"expected class numbers, got {_first(present)} in {path}, where 255 {meaning} or "
                "means that a pixel is not judged. Say label_map={255: 1} (--label-map 255=1) or "
                "ignore=(255,) (--ignore 255)."
            )
        return {NOT_JUDGED}

    def _class_of(self, judged: Sequence[int], path: Path | str) -> dict[int, int]:
        """Number -> class index, -1 or less for those that the offset takes below 0."""
        if self.label_map is None:
            class_of = {number: max(number + self.offset, -1) for number in judged}
        else:
            class_of = _renamed(judged, self.label_map, path)
        last = None if self.num_classes is None else self.num_classes - 1
        beyond = [number for number, index in class_of.items() if last is not None and index > last]
        if beyond:
            raise NumberingError(
                f"expected labels of the classes 0 to {last}, which are all there are, got "
                f"{_first(beyond)} in {path}. If the labels begin at 1, say label_offset=-1 "
                f"(--label-offset -1); ignore=({beyond[0]},) (--ignore {beyond[0]}) leaves one "
                f"out, label_map={{{beyond[0]}: CLASS}} (--label-map {beyond[0]}=CLASS) renames it."
            )
        return class_of


def _renamed(
    judged: Sequence[int], label_map: Mapping[int, int], path: Path | str
) -> dict[int, int]:
    complete = {0: 0, **label_map}
    unknown = [number for number in judged if number not in complete]
    if unknown:
        raise NumberingError(
            f"expected labels among {_first(sorted(complete))}, got {_first(unknown)} in {path}. "
            "Add it to label_map (--label-map NUMBER=CLASS)."
        )
    return {number: complete[number] for number in judged}


def _check_no_photograph(numbers: Tensor, judged: Sequence[int], path: Path | str) -> None:
    """Raises a NumberingError if numbers change from pixel to pixel, as grey levels do."""
    if len(judged) <= _MANY:
        return
    busy = float((numbers[:, 1:] != numbers[:, :-1]).float().mean())
    if busy > _BUSY:
        raise NumberingError(
            f"expected a picture of class numbers, got {path} with {len(judged)} different ones, "
            f"which change at {busy:.0%} of the pixels, as grey levels of a photograph do. Name "
            "the folder of the annotations, or a label_map if these are classes."
        )


def as_labels(numbers: np.ndarray, path: Path, ignore: Sequence[int] | None = None) -> np.ndarray:
    """Labels int64, of the shape of `numbers`, whatever type these have.

    Numbers within 0.001 of a whole one are rounded: scaling in a header moves them so far.

    Args:
        numbers: whole numbers from 0 to 65535.
        path: the file that they are from, for the message.
        ignore: other numbers that are allowed, such as -1.

    Raises:
        InputError: one of them is no such number.
    """
    if numbers.dtype.kind not in "buif" or not bool(np.isfinite(numbers).all()):
        raise InputError(
            f"expected whole numbers as labels, got others ({numbers.dtype}) in {path}. Is it an "
            "image?"
        )
    whole = np.rint(numbers) if numbers.dtype.kind == "f" else numbers
    between = np.abs(whole - numbers) > _ROUNDED if numbers.dtype.kind == "f" else np.zeros(1)
    if between.any():
        raise InputError(
            f"expected whole numbers as labels, up to {_ROUNDED:g} of rounding, got "
            f"{float(numbers[between][0]):.6g} in {path}. Is it an image, or resampled "
            "with interpolation?"
        )
    judged = whole[~np.isin(whole, list(ignore))] if ignore else whole
    low, high = (int(judged.min()), int(judged.max())) if judged.size else (0, 0)
    if low < 0 or high > _LARGEST_LABEL:
        raise InputError(
            f"expected labels from 0 to {_LARGEST_LABEL}, got {low} to {high} in {path}. Is it an "
            "image? A number that means not judged can be ignored (--ignore)."
        )
    return whole.astype(np.int64)


def _first(numbers: Sequence[int]) -> str:
    text = ", ".join(map(str, numbers[:15]))
    return f"{text} ..." if len(numbers) > 15 else text
