"""Annotations in a folder, one file an image: pictures of class numbers, or NIfTI labels."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from misure.datasets.sample import Sample
from misure.errors import InputError, MissingDataError
from misure.images.labels import read_labels
from misure.images.nifti import is_nifti, nifti_stem
from misure.images.read import opened_picture

_SUFFIXES = (".png", ".nii.gz", ".nii")
_IGNORED = 255  # the border of Pascal VOC's objects, and what most annotation tools leave open


class LabelFiles:
    """The annotations of images; the images themselves are not read.

    The annotation of the image `a/b.jpg` is `a/b.png` in the folder, a picture of one channel (or a
    palette) whose numbers are the classes, 255 where a pixel is ignored; that of a volume is
    `b.nii.gz`. An image without such a file has no annotation.

    Args:
        folder: holds the files.
        keys: paths of the images relative to their own folder, as the samples of a run have them.

    Raises:
        MissingDataError: the folder has an annotation of none of them.
    """

    def __init__(self, folder: Path, keys: Sequence[str]) -> None:
        self._folder, self.keys = folder, list(keys)
        self._paths = [self._path_of(key) for key in keys]
        if not any(self._paths):
            example = f", such as {nifti_stem(keys[0])}.png for {keys[0]}" if keys else ""
            raise MissingDataError(
                f"expected annotations in {folder}{example}, found none of {len(keys)} images "
                "(whose paths must lie within their own folder)."
            )

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, index: int) -> Sample:
        path = self._paths[index]
        if path is None:
            return Sample(self.keys[index], torch.zeros(1, 1, 1))
        if not is_nifti(path):
            classes = read_class_picture(path)
            return Sample(self.keys[index], classes[None].float(), classes)
        labels, affine = read_labels(path)
        return Sample(
            self.keys[index], labels[None].float(), labels, affine=torch.from_numpy(affine)
        )

    def _path_of(self, key: str) -> Path | None:
        stem = nifti_stem(key) if key else ""
        is_inside = bool(stem) and not Path(stem).is_absolute() and ".." not in Path(stem).parts
        paths = (self._folder / f"{stem}{suffix}" for suffix in _SUFFIXES)
        return next((path for path in paths if is_inside and path.is_file()), None)


def read_class_picture(path: Path) -> Tensor:
    """The class (H, W) int64 of each pixel, -1 where the picture says 255.

    Raises:
        InputError: the picture is damaged, too large or one of colours.
    """
    expected = "expected a picture of class numbers"
    with opened_picture(path, expected) as picture:
        if picture.mode not in ("1", "L", "P", "I;16", "I"):
            raise InputError(
                f"{expected}, in one channel or with a palette, got {picture.mode} in {path}. Is "
                "it a picture of colours?"
            )
        numbers: np.ndarray = np.asarray(picture).astype(np.int64)
    return torch.from_numpy(np.where(numbers == _IGNORED, -1, numbers))
