"""Which file of labels belongs to which image, by their names.

- The same name in two folders (Medical Segmentation Decathlon).
- `CASE_0000.nii.gz`, `CASE_0001.nii.gz` ... are the channels of `CASE.nii.gz` (nnU-Net).
- `img0001.nii.gz` with `label0001.nii.gz` (BTCV), `volume-0.nii` with `segmentation-0.nii` (LiTS):
  what it is, and the same number.

Images and labels lie in two folders, at any depth; by the last two rules they may share one.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from misure.datasets.channel_files import ordered_channels
from misure.datasets.image_files import warn_of_left_out
from misure.errors import InputError, MissingDataError
from misure.images.channel_names import named_channel
from misure.images.pictures import OTHER_VOLUMES
from misure.images.tiff import TIFF_SUFFIXES
from misure.images.volumes import VOLUME_SUFFIXES, stem_of

_SUFFIXES = (*VOLUME_SUFFIXES, *TIFF_SUFFIXES)
_IMAGE = re.compile(r"(?:img|image|ct|volume)[_-]?(\d.*)", re.IGNORECASE)
_LABELS = re.compile(r"(?:label|labels|seg|segmentation)[_-]?(\d.*)", re.IGNORECASE)
_FOLDERS = (("imagesTr", "labelsTr"), ("images", "labels"), ("img", "label"))
_INSIDE = ("", "Training", "RawData/Training")


@dataclass(frozen=True)
class Pair:
    """An image and its labels.

    Attributes:
        case: a name, unique among the pairs of a folder.
        channels: the files of the image, one for each channel (or one for all).
        labels: the file of the labels.
    """

    case: str
    channels: tuple[Path, ...]
    labels: Path


def folders_of(folder: Path) -> tuple[Path, Path]:
    """The folders of images and of labels inside a folder; twice the folder if it has none.

    Raises:
        MissingDataError: there is no such folder.
    """
    if not folder.is_dir():
        raise MissingDataError(f"expected a folder with images and labels, got {folder}.")
    for inside in _INSIDE:
        for images, labels in _FOLDERS:
            folders = folder / inside / images, folder / inside / labels
            if all(path.is_dir() for path in folders):
                return folders
    return folder, folder


def find_pairs(images: Path, labels: Path) -> list[Pair]:
    """All images with their labels, sorted by case.

    Args:
        images, labels: a folder each, maybe the same one; or a file each.

    Raises:
        MissingDataError: there are none.
        InputError: an image without labels, labels without image, a channel that is missing, or
            one name twice.
    """
    if images.is_file() and labels.is_file():
        return [Pair(_name(images), (images,), labels)]
    image_files, label_files = _files(images), _files(labels)
    if images.resolve() == labels.resolve():
        label_files = _labels_among(image_files)
    image_files = [path for path in image_files if path not in set(label_files)]
    for what, files, folder in (("images", image_files, images), ("labels", label_files, labels)):
        if not files:
            raise MissingDataError(
                f"expected {what} (.nii, .nii.gz, .nrrd, .mha ...) in {folder}, found none. Name "
                "the folders of images and labels as nifti:IMAGES,LABELS."
            )
    for folder in {images, labels}:
        warn_of_left_out(folder, _other_volumes(folder), len(image_files))
    pairs = _paired(image_files, label_files)
    used = {path for pair in pairs for path in pair.channels}
    left = [path for path in image_files if path not in used]
    if left:
        raise InputError(
            f"expected labels for every image, found none for {left[0]} in {labels}. Remove the "
            "image, or name its labels as one of the rules for pairs says."
        )
    return sorted(pairs, key=lambda pair: pair.case)


def _name(path: Path) -> str:
    return stem_of(path.name)


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise MissingDataError(f"expected a folder of volumes, found none at {folder}.")
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.name.lower().endswith(_SUFFIXES)
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]


def _other_volumes(folder: Path) -> list[Path]:
    """The files of a folder that are volumes of other formats, by their names."""
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in OTHER_VOLUMES and not path.name.startswith(".")
    ]


def _labels_among(files: Iterable[Path]) -> list[Path]:
    """The files of labels among images and labels that share a folder."""
    names = {path: _name(path) for path in files}
    named = [named_channel(path) for path in names]
    with_channels = {one.case for one in named if one and one.is_numbered}
    return [
        path for path, name in names.items() if _LABELS.fullmatch(name) or name in with_channels
    ]


def _paired(images: Sequence[Path], labels: Sequence[Path]) -> list[Pair]:
    image_of_name = _by_name(images)
    image_of_number = {
        match[1]: path for path in images if (match := _IMAGE.fullmatch(_name(path)))
    }
    pairs = []
    for name, path in _by_name(labels).items():
        number = _LABELS.fullmatch(name)
        if name in image_of_name:
            pairs.append(Pair(name, (image_of_name[name],), path))
        elif channels := _channels(name, images):
            pairs.append(Pair(name, channels, path))
        elif number and number[1] in image_of_number:
            image = image_of_number[number[1]]
            pairs.append(Pair(_name(image), (image,), path))
        else:
            raise InputError(
                f"expected an image for all labels, found none for {path}. It would be named "
                f"{name}, {name}_0000, or img0001 for label0001."
            )
    return pairs


def _by_name(files: Sequence[Path]) -> dict[str, Path]:
    path_of_name: dict[str, Path] = {}
    for path in files:
        other = path_of_name.setdefault(_name(path), path)
        if other != path:
            raise InputError(
                f"expected volumes of different names, got {other} and {path}. Rename one."
            )
    return path_of_name


def _channels(case: str, images: Sequence[Path]) -> tuple[Path, ...]:
    """The images of a case as nnU-Net names them, in order; empty if it has none."""
    named = {path: named_channel(path) for path in images}
    return ordered_channels(
        case,
        {
            one.channel: path
            for path, one in named.items()
            if one and one.is_numbered and one.case == case
        },
    )
