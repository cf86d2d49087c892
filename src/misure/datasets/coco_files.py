"""What COCO's kinds of annotations have in common: photographs, categories, splits."""

import os
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Protocol

from torch import Tensor

from misure._util.quoted import quoted
from misure._util.records import unusable
from misure.datasets.image_files import SUFFIXES
from misure.datasets.sample import Reading, refuse_slice
from misure.errors import InputError, MisureWarning

_SPLITS = ("val2017", "train2017")


class Category(Protocol):
    """A category as an annotation file lists it."""

    @property
    def id(self) -> int: ...

    @property
    def name(self) -> str: ...


class Photographs:
    """The photographs of a split, at any depth of its folder.

    Args:
        folder: of the split.
        names: file names as the annotations list them, relative to `folder` or to the folder above
            it.
        file: the annotations, for messages.

    Raises:
        InputError: one name twice, or no photograph of them is there.
    """

    def __init__(self, folder: Path, names: Sequence[str], file: Path) -> None:
        self._folder = folder
        twice = [name for name, num in Counter(names).items() if num > 1]
        if twice:
            raise InputError(
                f"expected a photograph to be listed once in {file}, got {twice[0]!r} twice."
            )
        present = set(_files_in(folder))
        self._key_of = {
            name: key for name in names if (key := self._within(name)) and key in present
        }
        if not self._key_of:
            raise InputError(
                f"expected photographs that {file.name} lists in {folder}, found none of its "
                f"{len(names)}{f', such as {names[0]}' if names else ''}. Are they of another year?"
            )
        unlisted = sorted(present - set(self._key_of.values()))
        if unlisted:
            warnings.warn(
                f"left out of {folder}: {len(unlisted)} of {len(present)} photographs, which "
                f"{file.name} does not list; the first is {unlisted[0]}.",
                MisureWarning,
                stacklevel=3,
            )

    def _within(self, name: str) -> str:
        parts = PurePosixPath(name.replace("\\", "/")).parts
        is_above = len(parts) > 1 and parts[0] == self._folder.name
        return "/".join(parts[1:] if is_above else parts)

    def __contains__(self, name: str) -> bool:
        return name in self._key_of

    def key(self, name: str) -> str:
        """The path of a photograph within the split, as a run over the folder names it."""
        return self._key_of[name]

    def path(self, name: str) -> Path:
        """The file of a photograph."""
        return self._folder / self._key_of[name]


def within(folder: Path, name: str) -> Path:
    """The file of a name that annotations list, which may have folders, inside a folder.

    Raises:
        InputError: the name leads out of the folder.
    """
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise InputError(f"expected a file name within {folder}, got {quoted(name)}.")
    return folder / name


def _files_in(folder: Path) -> Iterable[str]:
    """The paths of pictures in a folder, relative to it, without hidden ones."""
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                yield (Path(place) / name).relative_to(folder).as_posix()


def read_photograph(path: Path, shape: tuple[int, int], reading: Reading) -> Tensor:
    """The image (C, H, W) of a photograph, of the shape that its annotation has.

    COCO draws on the pixels as they are stored. Some tools draw on the photograph as its EXIF tag
    turns it: their shape shows it, unless it is the same either way.

    Raises:
        InputError: the photograph is of another shape.
    """
    stored = reading.photograph(path, turned=False)
    if tuple(stored.shape[1:]) == shape:
        return stored
    upright = reading.photograph(path, turned=True)
    if tuple(upright.shape[1:]) == shape:
        return upright
    got = " × ".join(map(str, stored.shape[1:]))
    turned = f" ({upright.shape[1]} × {upright.shape[2]} as its EXIF tag turns it)"
    raise InputError(
        f"expected {path} to be {shape[0]} × {shape[1]} as its annotation, got {got}"
        f"{turned if upright.shape != stored.shape else ''}. Is it a changed copy?"
    )


def check_categories(categories: Sequence[Category], what: str) -> None:
    """Raises an InputError if two categories have one name or one id."""
    for values in ([one.name for one in categories], [one.id for one in categories]):
        twice = [value for value, num in Counter(values).items() if num > 1]
        if twice:
            reason = f"its categories have {twice[0]!r} twice. Rename one, or merge them"
            raise unusable(what, ValueError(reason))


def check_images(ids: Sequence[int], of_annotations: Sequence[tuple[str, int]], what: str) -> None:
    """Raises an InputError if an image has the id of another, or an annotation that of none.

    Args:
        ids: of the images.
        of_annotations: what each annotation is called, and the id of its image.
        what: was expected, and where.
    """
    twice = [number for number, num in Counter(ids).items() if num > 1]
    if twice:
        raise unusable(what, ValueError(f"two images have the id {twice[0]}"))
    known = set(ids)
    lost = [(name, number) for name, number in of_annotations if number not in known]
    if lost:
        name, number = lost[0]
        reason = f"{name} is of image {number}, which is not listed ({len(lost)} such annotations)"
        raise unusable(what, ValueError(reason))


def find_split(folder: Path) -> str:
    """The first of val2017 and train2017 that is in a folder; val2017 if neither is."""
    return next((split for split in _SPLITS if (folder / split).is_dir()), _SPLITS[0])


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


def check_reading(reading: Reading) -> None:
    """Raises an InputError if `reading` says what photographs with named classes do not need."""
    refuse_slice(reading, "photographs")
    if reading.numbering.ignore is not None or reading.numbering.label_map is not None:
        raise InputError(
            "expected no ignored numbers and no label map for annotations that name their classes "
            "themselves, got some. Leave them out."
        )
