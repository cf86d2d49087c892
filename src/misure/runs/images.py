"""The images of a run: from its source, if that is still there, else its own small pictures."""

import io
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from misure.datasets import Dataset, Reading, open_dataset
from misure.datasets.sample import checked_image_options, files_of
from misure.errors import MisureError, RunFolderError
from misure.runs.folder import RunFolder
from misure.runs.record import DoneObject, SourceFile
from misure.runs.source_files import have_changed

_KEPT = 4  # images in memory: objects of a sample come one after the other


@dataclass(frozen=True)
class RunImage:
    """The image of an object.

    Attributes:
        pixels: (C, *spatial) float; of a thumbnail (C, h, w) in [0, 1], smaller.
        is_thumbnail: whether it is the run's own small picture, which of a volume is one slice.
    """

    pixels: Tensor
    is_thumbnail: bool


class RunImages:
    """Gives the images of the objects of a run.

    The source that the run names is opened for them. If it is gone, was in memory, or has another
    image of that name now, the thumbnail of the run stands for it.

    Args:
        run: the run folder.
    """

    def __init__(self, run: str | Path | RunFolder) -> None:
        self._folder = run if isinstance(run, RunFolder) else RunFolder(run)
        self._sample = lru_cache(_KEPT)(self._read)

    @cached_property
    def _dataset(self) -> tuple[Dataset, dict[str, int]] | None:
        settings = self._folder.settings()
        reading = Reading(
            slice_index=settings.slice_index,
            intensity=str(settings.model_settings.get("intensity") or ""),
            **checked_image_options(settings.image_options),
        )
        try:
            dataset = open_dataset(settings.source, reading)
        except (MisureError, OSError, ValueError):
            return None
        return dataset, {key: number for number, key in enumerate(dataset.keys)}

    @cached_property
    def _files(self) -> dict[str, list[SourceFile]]:
        """Key of a sample -> its files as they were."""
        with self._folder.index() as index:
            return {line.sample: line.files for line in index.finished()}

    def of(self, record: DoneObject, shape: tuple[int, ...]) -> RunImage:
        """The image of an object.

        Args:
            record: of the run.
            shape: (*spatial) of its regions.

        Raises:
            RunFolderError: the source has no such image, and the thumbnail is missing or damaged.
        """
        image = self._sample(record.sample)
        if image is not None and tuple(image.shape[1:]) == shape:
            return RunImage(image, is_thumbnail=False)
        return RunImage(self._thumbnail(record.thumbnail), is_thumbnail=True)

    def _read(self, key: str) -> Tensor | None:
        if self._dataset is None:
            return None
        dataset, numbers = self._dataset
        try:
            if have_changed(files_of(dataset, numbers[key]), self._files.get(key, [])):
                return None
            return dataset[numbers[key]].image
        except (KeyError, MisureError, OSError):
            return None

    def _thumbnail(self, name: str) -> Tensor:
        try:
            with Image.open(io.BytesIO(self._folder.storage.read(name)), formats=["JPEG"]) as file:
                pixels: np.ndarray[Any, Any] = np.asarray(file, np.float32) / 255
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            raise RunFolderError(
                f"expected an image in {name} of {self._folder.address}, but {error}."
            ) from error
        tensor = torch.from_numpy(pixels)
        return tensor[None] if tensor.ndim == 2 else tensor.movedim(-1, 0)
