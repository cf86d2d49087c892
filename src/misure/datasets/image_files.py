"""Image files as a data set, without annotations."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from misure.datasets.sample import AS_IT_IS, Reading, Sample
from misure.errors import InputError
from misure.images.nifti import NiftiFile, is_nifti
from misure.images.orientation import affine_of_slice
from misure.images.read import read_image

SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".npy", ".nii", ".nii.gz",
)  # fmt: skip


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
        """The file of a sample."""
        return [self._paths[index]]

    def __getitem__(self, index: int) -> Sample:
        path, key = self._paths[index], self.keys[index]
        if not is_nifti(path):
            return Sample(key, read_image(path, **asdict(self._reading)))
        file, number = NiftiFile(path), self._reading.slice_index
        image = read_image(file, **asdict(self._reading))
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
        images = [image for image in sorted(path.rglob("*")) if _is_image(image.relative_to(path))]
        folder = path
    else:
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
        raise InputError(f"expected images ({', '.join(SUFFIXES)}) in {path}, found none.")
    is_inside = all(image.is_relative_to(folder) for image in images)
    return images, folder if is_inside else None


def _is_image(path: Path) -> bool:
    is_hidden = any(part.startswith(".") for part in path.parts)
    return not is_hidden and path.name.lower().endswith(SUFFIXES)
