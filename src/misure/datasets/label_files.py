"""Annotations in a folder, one file an image: pictures of class numbers, or volumes of labels."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from misure._util.words import counted
from misure.datasets.annotation import annotation_of
from misure.datasets.sample import Sample
from misure.errors import InputError, MissingDataError, MisureWarning
from misure.images.labels import read_labels
from misure.images.numbering import Numbering, as_labels
from misure.images.pictures import PICTURE_SUFFIXES, exif_turn, read_class_numbers
from misure.images.volumes import is_volume, stem_of

_SUFFIXES = (
    *(".png", ".tif", ".tiff", ".bmp", ".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd"),
    *(".ome.tif", ".ome.tiff"),
)


class LabelFiles:
    """The annotations of images; the images themselves are not read.

    The annotation of the image `a/b.jpg` is `a/b.png` in the folder (or `a/b.jpg.png`; .tif and
    .bmp do too), a picture of one channel (or a palette) whose numbers are the classes; that of a
    volume is `b.nii.gz` (or .nrrd, .mha ...). An image without such a file has no annotation; a
    warning counts them.

    Args:
        folder: holds the files.
        keys: paths of the images relative to their own folder, as the samples of a run have them.
        numbering: how the numbers become class indices; None: they are class indices, and 255 is
            not judged in pictures that hold other classes (see `Numbering`).
        images: the folder of the images, if it is there: a warning says if an image is turned by
            its EXIF tag and its annotation has none.

    Attributes:
        numbering: as given.

    Raises:
        MissingDataError: the folder has an annotation of none of them.
        InputError: two images share an annotation, or one has several.
    """

    def __init__(
        self,
        folder: Path,
        keys: Sequence[str],
        numbering: Numbering | None = None,
        images: Path | None = None,
    ) -> None:
        self._images = images
        self._folder, self.keys, self.numbering = folder, list(keys), numbering
        self._paths = [self._path_of(key) for key in keys]
        missing = [key for key, path in zip(keys, self._paths, strict=True) if path is None]
        if len(missing) == len(self.keys):
            example = f", such as {stem_of(keys[0])}.png for {keys[0]}" if keys else ""
            raise MissingDataError(
                f"expected annotations in {folder}{example}, found none of "
                f"{counted(len(keys), 'image')} "
                "(whose paths must lie within their own folder)."
            )
        self._check_own()
        if missing:
            warnings.warn(
                f"{folder} has no annotation of {len(missing)} of {len(keys)} images, which are "
                f"left out; the first is {missing[0]}.",
                MisureWarning,
                stacklevel=2,
            )

    def with_numbering(self, numbering: Numbering) -> "LabelFiles":
        """The same annotations, their numbers read in another way."""
        other = LabelFiles.__new__(LabelFiles)
        other.__dict__ |= self.__dict__ | {"numbering": numbering}
        return other

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, index: int) -> Sample:
        path = self._paths[index]
        if path is None:
            return Sample(self.keys[index], torch.zeros(1, 1, 1))
        numbering = self.numbering or Numbering()
        if not is_volume(path):
            numbers = _numbers_of_picture(path)
            self._tell_turned(self.keys[index], path, numbers.shape[0] == numbers.shape[1])
            known = annotation_of(numbers, numbering, path, is_picture=True)
            return Sample(self.keys[index], numbers[None].float(), **known)
        numbers, affine = read_labels(path, numbering.ignore, channels=numbering.overlapping)
        image = numbers.float().reshape(-1, *numbers.shape[-3:])
        known = annotation_of(numbers, numbering, path)
        return Sample(self.keys[index], image, affine=torch.from_numpy(affine), **known)

    def _tell_turned(self, key: str, path: Path, is_square: bool) -> None:
        """Warns if an image is turned by its EXIF tag, and nothing shows how its annotation lies.

        Sides that a turn exchanges (tags 5 to 8) show it, unless they are equal.
        """
        image = (self._images or self._folder) / key
        if not (self._images and image.name.lower().endswith(PICTURE_SUFFIXES) and image.is_file()):
            return
        turn = exif_turn(image)
        if turn != 1 and (turn < 5 or is_square) and exif_turn(path) == 1:
            warnings.warn(
                f"{image} is turned by its EXIF tag, {path} has none and is taken for one of the "
                "turned image. If it is drawn on the pixels as they are stored, save the image "
                "without the tag.",
                MisureWarning,
                stacklevel=3,
            )

    def _path_of(self, key: str) -> Path | None:
        """The file with the annotation of an image, named without its ending or behind it."""
        stem = stem_of(key) if key else ""
        if not stem or Path(stem).is_absolute() or ".." in Path(stem).parts:
            return None
        for name in (key, stem):
            paths = [self._folder / f"{name}{suffix}" for suffix in _SUFFIXES]
            found = [path for path in paths if path.is_file()]
            if len(found) > 1:
                raise InputError(
                    f"expected one annotation of {key}, got {found[0]} and {found[1]}. Remove one."
                )
            if found:
                return found[0]
        return None

    def _check_own(self) -> None:
        """Raises an InputError if two images have one annotation."""
        key_of: dict[Path, str] = {}
        for key, path in zip(self.keys, self._paths, strict=True):
            other = key_of.setdefault(path, key) if path else key
            if other != key:
                raise InputError(
                    f"expected an annotation for each image, but {other} and {key} share {path}. "
                    f"Name them {Path(other).name}.png and {Path(key).name}.png."
                )


def read_class_picture(path: Path, numbering: Numbering | None = None) -> Tensor:
    """The class (H, W) int64 of each pixel, -1 where it is not judged.

    Args:
        path: a picture of class numbers, which is turned as its EXIF tag says.
        numbering: how its numbers become class indices; None: they are, and 255 is not judged if
            there are others.

    Raises:
        InputError: the picture is damaged, too large, one of colours or of grey levels, or its
            numbers fit no class.
    """
    return (numbering or Numbering()).classes(_numbers_of_picture(path), path, is_picture=True)


def _numbers_of_picture(path: Path) -> Tensor:
    return torch.from_numpy(as_labels(read_class_numbers(path), path))
