"""Which file of labels belongs to which image, told by their names.

- the same name in two folders (Medical Segmentation Decathlon);
- `CASE_0000.nii.gz`, `CASE_0001.nii.gz` ... are the channels of `CASE.nii.gz` (nnU-Net);
- `img0001.nii.gz` with `label0001.nii.gz` (BTCV), `volume-0.nii` with `segmentation-0.nii` (LiTS):
  a word for what it is, and the same number.

Images and labels lie in two folders, at any depth; by the last two rules also in one.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from misure.errors import InputError, MissingDataError
from misure.images.nifti import is_nifti

_CHANNEL = re.compile(r"(.+)_(\d{4})")
_IMAGE = re.compile(r"(?:img|image|ct|volume)[_-]?(\d.*)", re.IGNORECASE)
_LABELS = re.compile(r"(?:label|labels|seg|segmentation)[_-]?(\d.*)", re.IGNORECASE)
_FOLDERS = (("imagesTr", "labelsTr"), ("images", "labels"), ("img", "label"))
_INSIDE = ("", "Training", "RawData/Training")


@dataclass(frozen=True)
class Pair:
    """An image and its labels.

    Attributes:
        case: a name, unique among pairs found together.
        channels: the files of the image, one for each channel (or one for all).
        labels: the file of the labels.
    """

    case: str
    channels: tuple[Path, ...]
    labels: Path


def folders_of(folder: Path) -> tuple[Path, Path]:
    """Where in a folder images lie, and where labels do: maybe both in itself.

    Raises:
        MissingDataError: there is no such folder.
    """
    if not folder.is_dir():
        raise MissingDataError(f"expected a folder with images and labels, got {folder}.")
    for inside in _INSIDE:
        for images, labels in _FOLDERS:
            found = folder / inside / images, folder / inside / labels
            if all(one.is_dir() for one in found):
                return found
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
        return [Pair(stem(images), (images,), labels)]
    image_files, label_files = _files(images), _files(labels)
    if images.resolve() == labels.resolve():
        label_files = _labels_among(image_files)
    image_files = [one for one in image_files if one not in set(label_files)]
    for what, files, place in (("images", image_files, images), ("labels", label_files, labels)):
        if not files:
            raise MissingDataError(
                f"expected {what} (.nii, .nii.gz) in {place}, found none. Name the folders "
                "of images and labels as nifti:IMAGES,LABELS."
            )
    pairs = _paired(image_files, label_files)
    used = {path for pair in pairs for path in pair.channels}
    left = [path for path in image_files if path not in used]
    if left:
        raise InputError(
            f"expected labels for every image, found none for {left[0]} in {labels}. "
            "Remove the image, or name the labels as it is named."
        )
    return sorted(pairs, key=lambda pair: pair.case)


def stem(path: Path) -> str:
    """The name of a NIfTI file without its ending."""
    return re.sub(r"\.nii(\.gz)?$", "", path.name, flags=re.IGNORECASE)


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise MissingDataError(f"expected a folder of NIfTI files, found none at {folder}.")
    return [
        path
        for path in sorted(folder.rglob("*"))
        if is_nifti(path)
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]


def _labels_among(files: Iterable[Path]) -> list[Path]:
    """Of images and labels in one folder, the labels."""
    files = list(files)
    with_channels = {match[1] for one in files if (match := _CHANNEL.fullmatch(stem(one)))}
    return [one for one in files if _LABELS.fullmatch(stem(one)) or stem(one) in with_channels]


def _paired(images: Sequence[Path], labels: Sequence[Path]) -> list[Pair]:
    by_name = _by_name(images)
    by_number = {match[1]: one for one in images if (match := _IMAGE.fullmatch(stem(one)))}
    pairs = []
    for name, path in _by_name(labels).items():
        number = _LABELS.fullmatch(name)
        if name in by_name:
            pairs.append(Pair(name, (by_name[name],), path))
        elif channels := _channels(name, images):
            pairs.append(Pair(name, channels, path))
        elif number and number[1] in by_number:
            image = by_number[number[1]]
            pairs.append(Pair(stem(image), (image,), path))
        else:
            raise InputError(
                f"expected an image for all labels, found none for {path}. It would be "
                f"named {name}, {name}_0000, or img0001 for label0001."
            )
    return pairs


def _by_name(files: Sequence[Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in files:
        other = found.setdefault(stem(path), path)
        if other != path:
            raise InputError(
                f"expected NIfTI files of different names, got {other} and {path}. Rename one."
            )
    return found


def _channels(case: str, images: Sequence[Path]) -> tuple[Path, ...]:
    """The images of a case as nnU-Net names them, in order; none where there is none."""
    found = {
        int(match[2]): one
        for one in images
        if (match := _CHANNEL.fullmatch(stem(one))) and match[1] == case
    }
    if sorted(found) != list(range(len(found))):
        raise InputError(
            f"expected the channels {case}_0000, {case}_0001 and so on, got "
            f"{', '.join(stem(found[number]) for number in sorted(found))}. Add the missing one."
        )
    return tuple(found[number] for number in sorted(found))
