"""Image files as a data set, without annotations."""

import os
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch

from misure._util.quoted import quoted
from misure.datasets.channel_files import group_channels
from misure.datasets.sample import AS_IT_IS, Reading, Sample
from misure.errors import InputError, MisureWarning
from misure.images.channel_names import case_of_files
from misure.images.dicom import is_dicom
from misure.images.orientation import affine_of_slice
from misure.images.pictures import PICTURE_SUFFIXES
from misure.images.volumes import VOLUME_SUFFIXES, Files, files_of_image, source_files

SUFFIXES = (*PICTURE_SUFFIXES, ".npy", *VOLUME_SUFFIXES)

_NO_IMAGES = {
    ".txt", ".md", ".rst", ".json", ".jsonl", ".geojson", ".csv", ".tsv", ".xlsx", ".xls", ".xml",
    ".yaml", ".yml", ".toml", ".ini", ".html", ".log", ".db", ".py", ".ipynb", ".sh", ".lst",
}  # fmt: skip
"""Endings of files that lie beside images and are none."""


class ImageFiles:
    """Files that `read_image` can read, each read when it is asked for.

    Args:
        images: the file of each, or the files of its channels (see `read_image`).
        folder: that they lie in, or None; the key of a sample is the path of its file, relative to
            this folder; of several files, what their names have in common.
        reading: how the network wants its images.
        keys: of the samples, if others are wanted.

    Raises:
        InputError: there is no image, or one twice.
    """

    def __init__(
        self,
        images: Sequence[Files],
        folder: Path | None = None,
        reading: Reading = AS_IT_IS,
        keys: Sequence[str] = (),
    ) -> None:
        self._images = [files_of_image(image) for image in images]
        self.keys = list(keys) or [_key(files, folder) for files in self._images]
        files = Counter(
            ",".join(os.path.normpath(path.absolute()) for path in paths) for paths in self._images
        )
        twice = [path for path, num in files.items() if num > 1]
        if not images or twice:
            got = f"{twice[0]} twice" if twice else "none"
            raise InputError(f"expected paths of different images, got {got}.")
        self._reading = reading

    def __len__(self) -> int:
        return len(self.keys)

    def paths(self, index: int) -> tuple[Path, ...]:
        """The paths that name an image: its file, its folder, or the files of its channels."""
        return self._images[index]

    def files(self, index: int) -> list[Path]:
        """The files that a sample is read from."""
        return [file for path in self._images[index] for file in source_files(path)]

    def path(self, index: int) -> Path:
        """The image as a command takes it: its path, or those of its channels with commas."""
        return Path(",".join(map(str, self._images[index])))

    def __getitem__(self, index: int) -> Sample:
        files, key = self._images[index], self.keys[index]
        volume, number = self._reading.volume(files), self._reading.slice_index
        if volume is None:
            return Sample(key, self._reading.image(files))
        image = self._reading.image(volume)
        affine = volume.affine
        if number is not None:
            affine = affine_of_slice(affine, number, volume.order, volume.shape[:3])
        known = torch.from_numpy(affine) if volume.has_spacing else None
        return Sample(key, image, order=volume.order, affine=known)


def _key(files: tuple[Path, ...], folder: Path | None) -> str:
    first = files[0].relative_to(folder) if folder else files[0]
    if len(files) == 1:
        return first.as_posix() if first != Path() else files[0].resolve().name
    return (first.parent / case_of_files(files)).as_posix()


def open_images(path: Path, reading: Reading = AS_IT_IS) -> ImageFiles:
    """The images of a folder, or those that a text file names, as a data set.

    In a folder, files that are named as channels of one case are one image (see `group_channels`),
    and so are all DICOM files of a folder. A line of a text file may name several files, with
    commas between them.

    Raises:
        InputError: as of `list_images` and `group_channels`.
    """
    images, folder = list_images(path)
    if not path.is_dir():
        return ImageFiles(images, folder, reading)
    named = group_channels([files[0] for files in images], reading)
    keys = [image.case or _key(image.files, folder) for image in named]
    return ImageFiles([image.files for image in named], folder, reading, keys)


def list_images(path: Path) -> tuple[list[tuple[Path, ...]], Path | None]:
    """The image files of a folder, or those that a text file names, and the folder they lie in.

    The folder is None if the files that a text file names lie elsewhere.

    Args:
        path: a folder, which is searched at any depth, in the order of the names, without names
            that begin with a dot; or a text file with one path a line, relative to the file.

    Raises:
        InputError: there are no images, or the file is no text.
    """
    images: list[tuple[Path, ...]]
    if path.is_dir():
        paths, others = _images_and_others(path)
        images, folder = [(image,) for image in paths], path
    else:
        others = []
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except ValueError as error:
            raise InputError(
                f"expected a folder or a text file with one path a line, got {path}. "
                "To explain a single image use misure explain."
            ) from error
        images = [_of_line(line.strip(), path.parent) for line in lines if line.strip()]
        folder = path.parent
    if not images:
        instead = f" but {by_suffix(others)}" if others else ""
        raise InputError(f"expected images ({', '.join(SUFFIXES)}) in {path}, found none{instead}.")
    warn_of_left_out(path, others, len(images))
    is_inside = all(file.is_relative_to(folder) for files in images for file in files)
    return images, folder if is_inside else None


def _of_line(line: str, folder: Path) -> tuple[Path, ...]:
    whole = folder / line
    return (whole,) if whole.exists() else tuple(folder / file for file in files_of_image(line))


def _images_and_others(folder: Path) -> tuple[list[Path], list[Path]]:
    """The images in a folder, and other files that may be some; hidden files are neither.

    DICOM files stand for the folder that they lie in.
    """
    images, others = dict[Path, None](), []
    for path in sorted(folder.rglob("*")):
        if any(part.startswith(".") for part in path.relative_to(folder).parts):
            continue
        if not path.is_file():
            continue
        if is_dicom(path):
            images[path.parent] = None
        elif path.name.lower().endswith(SUFFIXES):
            images[path] = None
        elif path.suffix.lower() not in _NO_IMAGES and not _is_of_a_header(path):
            others.append(path)
    return sorted(images), others


def _is_of_a_header(path: Path) -> bool:
    """Whether a file holds the voxels of a header beside it that is named alike."""
    stem = path.with_suffix("")
    while stem.suffix in (".raw", ".img"):  # a.raw.gz
        stem = stem.with_suffix("")
    return any(stem.with_suffix(suffix).is_file() for suffix in (".mhd", ".nhdr"))


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
