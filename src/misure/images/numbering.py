"""Numbering: how the numbers in a file of annotations become class indices.

A number is ignored, renamed by a map, or shifted by an offset. What neither the user nor the
network says is checked: 255 is taken for "not judged" only in pictures that hold other classes too,
and a number above the network's last class is an error, as all the others may be shifted then.

Classes of a network may overlap. Then a rule says which numbers each of them has, or each class has
a channel of its own in the file; numbers alone say too little.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor

from misure.errors import InputError
from misure.images.label_regions import IGNORED, regions_by_class

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
        overlapping: whether the network's classes overlap.
        regions: then the numbers of each class; None: that is not known.
    """

    ignore: tuple[int, ...] | None = None
    offset: int = 0
    label_map: Mapping[int, int] | None = field(default=None, hash=False)
    num_classes: int | None = None
    overlapping: bool = False
    regions: tuple[tuple[int, ...], ...] | None = None

    @classmethod
    def of_overlapping(
        cls,
        regions: Mapping[str, Sequence[int]] | None,
        *,
        ignore: Sequence[int] | None = None,
        class_names: Sequence[str] = (),
        num_classes: int | None = None,
    ) -> Self:
        """The numbering for a network whose classes overlap.

        Args:
            regions: class -> its numbers (see `read_regions`); None: that is not known.
            ignore: numbers whose pixels are not judged, beside those of `regions["ignore"]`.
            class_names, num_classes: of the network, if known.

        Raises:
            InputError: a class of the rule is not the network's, or the network's not the rule's.
        """
        if regions is None:
            given = None if ignore is None else tuple(ignore)
            return cls(given, num_classes=num_classes, overlapping=True)
        by_class = regions_by_class(regions, class_names, num_classes)
        named = regions.get(IGNORED) if IGNORED not in class_names else None
        known = None if ignore is None and named is None else (*(ignore or ()), *(named or ()))
        return cls(known, num_classes=len(by_class), overlapping=True, regions=by_class)

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
        low, present = _present(numbers)
        ignored = self._ignored(present, path, is_picture)
        judged = [number for number in present if number not in ignored]
        if is_picture and self.label_map is None:
            _check_no_photograph(numbers, judged, path)
        table = torch.full((present[-1] - low + 1,), -1, dtype=torch.int64)
        for number, class_index in self._class_of(judged, path).items():
            table[number - low] = class_index
        return table[numbers - low]

    def class_regions(
        self, numbers: Tensor, path: Path | str, *, is_picture: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Regions (K, *spatial) bool of classes that overlap, and where nothing is judged.

        Args:
            numbers: (*spatial) int64.
            path: the file that they are from, for the message.
            is_picture: whether 255 may mean that a pixel is not judged.

        Returns:
            The regions, and (*spatial) bool: pixels that are not judged.

        Raises:
            NumberingError: the numbers of the classes are not known, or others are there.
        """
        if self.regions is None:
            raise NumberingError(needs_regions(str(path)))
        if self.num_classes not in (None, len(self.regions)):
            raise InputError(
                f"expected the numbers of each of {self.num_classes} classes, got those of "
                f"{len(self.regions)}."
            )
        low, present = _present(numbers)
        ignored = self._ignored(present, path, is_picture)
        known = {0, *(number for region in self.regions for number in region)}
        unknown = [number for number in present if number not in known | ignored]
        if unknown:
            raise NumberingError(
                f"expected labels among {_first(sorted(known))}, which the classes have, got "
                f"{_first(unknown)} in {path}. Add them to a class, or say that they are not "
                f"judged: ignore={'+'.join(map(str, unknown[:15]))} in the same rule."
            )
        table = torch.tensor(
            [[one in region and one not in ignored for one in present] for region in self.regions]
        )
        places = torch.zeros(present[-1] - low + 1, dtype=torch.int64)
        places[torch.tensor(present) - low] = torch.arange(len(present))
        not_judged = torch.tensor([number in ignored for number in present])
        where = places[numbers - low]
        return table[:, where], not_judged[where]

    def channel_regions(self, channels: Tensor, path: Path | str) -> tuple[Tensor, Tensor]:
        """The same of an annotation with one channel for each class.

        Args:
            channels: (K, *spatial) int64, 1 in the class and 0 beside it.
            path: the file that they are from, for the message.

        Raises:
            NumberingError: another number of channels, or other numbers.
        """
        if not self.overlapping or len(channels) != (self.num_classes or len(channels)):
            wanted = f"{self.num_classes} channels, one for each class" if self.overlapping else ""
            raise NumberingError(
                f"expected an annotation of {wanted or 'one channel'}, got {len(channels)} in "
                f"{path}."
            )
        ignored = torch.isin(channels, torch.tensor(self.ignore or (), dtype=torch.int64))
        _, present = _present(channels.masked_fill(ignored, 0))
        if not set(present) <= {0, 1}:
            raise NumberingError(
                f"expected 0 and 1 in each channel of an annotation, got {_first(present)} in "
                f"{path}."
            )
        return (channels == 1) & ~ignored, ignored.any(0)

    def _ignored(self, present: Sequence[int], path: Path | str, is_picture: bool) -> set[int]:
        if self.ignore is not None:
            return set(self.ignore)
        named = {*(self.label_map or {}), *(one for region in self.regions or () for one in region)}
        if not is_picture or NOT_JUDGED not in present or NOT_JUDGED in named:
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


def needs_regions(what: str) -> str:
    """The sentence that says that numbers alone are too little where classes overlap."""
    return (
        f"expected the numbers of each class, since the network's classes overlap, got none for "
        f'{what}. Say them: label_regions="WT=1+2+4,TC=1+4,ET=4" (--model-option '
        "label_regions=WT=1+2+4,TC=1+4,ET=4; of reliability --label-map, or --label-offset 0 if "
        "the number is the class), or give the annotation one channel for each class."
    )


def _present(numbers: Tensor) -> tuple[int, list[int]]:
    """The lowest number, and all that are there, in order."""
    if not numbers.numel():
        return 0, [0]
    low = int(numbers.min())
    steps = torch.nonzero(torch.bincount((numbers - low).ravel())).ravel()
    return low, [low + step for step in steps.tolist()]


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
            f"which change at {100 * busy:.0f} % of the pixels, as grey levels of a photograph "
            "do. Name the folder of the annotations, or a label_map if these are classes."
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
