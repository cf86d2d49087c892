"""Image files as a data set, without annotations."""

import os
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch

from misure._util.quoted import quoted
from misure.datasets.sample import AS_IT_IS, Reading, Sample
from misure.errors import InputError, MisureWarning
from misure.images.nifti import NiftiFile, is_nifti
from misure.images.orientation import affine_of_slice
from misure.images.pictures import PICTURE_SUFFIXES

SUFFIXES = (*PICTURE_SUFFIXES, ".npy", ".nii", ".nii.gz")

_NO_IMAGES = {
    ".txt", ".md", ".rst", ".json", ".jsonl", ".geojson", ".csv", ".tsv", ".xlsx", ".xls", ".xml",
    ".yaml", ".yml", ".toml", ".ini", ".html", ".log", ".db", ".py", ".ipynb", ".sh", ".lst",
}  # fmt: skip
"""Endings of files that lie beside images and are none."""


class ImageFiles:
    """Files that `read_image` can read, each read when it is asked for.

    Args:
        paths: the files.
        folder: that they lie in, or None; the key of a sample is its path, relative to this folder.
        reading: how the network wants its images.

    Raises:
        InputError: there is no path, or one path twice.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        folder: Path | None = None,
        reading: Reading = AS_IT_IS,
    ) -> None:
        self._paths = list(paths)
        self.keys = [
            (path.relative_to(folder) if folder else path).as_posix() for path in self._paths
        ]
        files = Counter(os.path.normpath(path.absolute()) for path in self._paths)
        twice = [path for path, num in files.items() if num > 1]
        if not paths or twice:
            got = f"{twice[0]} twice" if twice else "none"
            raise InputError(f"expected paths of different images, got {got}.")
        self._reading = reading

    def __len__(self) -> int:
        return len(self.keys)

    def files(self, index: int) -> list[Path]:
        """The file that a sample is read from."""
        return [self._paths[index]]

    def __getitem__(self, index: int) -> Sample:
        path, key = self._paths[index], self.keys[index]
        if not is_nifti(path):
            return Sample(key, self._reading.image(path))
        file, number = NiftiFile(path), self._reading.slice_index
        image = self._reading.image(file)
        affine = file.affine
        if number is not None:
            affine = affine_of_slice(affine, number, file.order, file.shape[:3])
        return Sample(key, image, order=file.order, affine=torch.from_numpy(affine))


def list_images(path: Path) -> tuple[list[Path], Path | None]:
    """The image files of a folder, or those that a text file names, and the folder they lie in.

    The folder is None if the files that a text file names lie elsewhere.

    Args:
        path: a folder, which is searched at any depth, in the order of the names, without names
            that begin with a dot; or a text file with one path a line, relative to the file.

    Raises:
        InputError: there are no images, or the file is no text.
    """
    if path.is_dir():
        images, others = _images_and_others(path)
        folder = path
    else:
        others = []
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except ValueError as error:
            raise InputError(
                f"expected a folder or a text file with one path a line, got {path}. "
                "To explain a single image use misure explain."
            ) from error
        images = [path.parent / line.strip() for line in lines if line.strip()]
        folder = path.parent
    if not images:
        instead = f" but {by_suffix(others)}" if others else ""
        raise InputError(f"expected images ({', '.join(SUFFIXES)}) in {path}, found none{instead}.")
    warn_of_left_out(path, others, len(images))
    is_inside = all(image.is_relative_to(folder) for image in images)
    return images, folder if is_inside else None


def _images_and_others(folder: Path) -> tuple[list[Path], list[Path]]:
    """The images in a folder, and other files that may be some; hidden files are neither."""
    images, others = [], []
    for path in sorted(folder.rglob("*")):
        if any(part.startswith(".") for part in path.relative_to(folder).parts):
            continue
        if path.name.lower().endswith(SUFFIXES):
            images.append(path)
        elif path.suffix.lower() not in _NO_IMAGES and path.is_file():
            others.append(path)
    return images, others


def warn_of_left_out(folder: Path, files: Sequence[Path], num_taken: int) -> None:
    """Warns of files in a folder that may be images and are not taken, if there are any."""
    if files:
        warnings.warn(
            f"left out of {folder}: {by_suffix(files)}; {num_taken} are taken. Files that end in "
            f"{', '.join(SUFFIXES)} are read.",
            MisureWarning,
            stacklevel=2,
        )


def by_suffix(files: Sequence[Path]) -> str:
    """How many files there are of each ending, such as `3 .dcm, 1 without ending`."""
    counts = Counter(quoted(path.suffix.lower() or "without ending", 20) for path in files)
    return ", ".join(f"{num} {suffix}" for suffix, num in sorted(counts.items()))
