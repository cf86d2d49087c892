"""Annotations beside the objects of a report: the pixels of each, and the Dice with them."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from misure.datasets import Dataset
from misure.reliability.annotated import annotated_objects
from misure.reliability.read_examples import OpenedAnnotations, check_one_or_each


@dataclass(frozen=True)
class Annotated:
    """What is annotated of an object; many of them take little memory.

    Attributes:
        dice: of the object with its annotation, in [0, 1].
        shape: of the image.
        packed: the annotated pixels, compressed.
    """

    dice: float
    shape: tuple[int, ...]
    packed: bytes

    @classmethod
    def of(cls, dice: float, region: Tensor) -> Self:
        """From a Dice and the annotated pixels (*spatial) bool."""
        return cls(dice, tuple(region.shape), zlib.compress(np.packbits(region.numpy()).tobytes()))

    @property
    def region(self) -> Tensor:
        """The annotated pixels, (*spatial) bool."""
        bits = np.frombuffer(zlib.decompress(self.packed), np.uint8)
        flat = np.unpackbits(bits, count=int(np.prod(self.shape)))
        return torch.from_numpy(flat.astype(bool).reshape(self.shape))


def annotations_of(
    runs: Sequence[str | Path],
    annotations: Sequence[str | Dataset],
    numbering: Mapping[str, Any],
) -> list[dict[str, Annotated]]:
    """For each run key of an object -> what is annotated of it.

    Args:
        runs: run folders.
        annotations: for each run, or one for all (see `read_examples`); empty: none.
        numbering: options of `numbering_of`.

    Raises:
        RunFolderError: a damaged file in a run.
        InputError: another number of annotations than runs, or annotations that do not fit them.
    """
    if not annotations:
        return [{} for _ in runs]
    check_one_or_each(runs, annotations)
    opened = OpenedAnnotations(dict(numbering))
    found = []
    for number, run in enumerate(runs):
        dataset = opened.annotations(run, annotations[number if len(annotations) > 1 else 0])
        found.append(
            {
                key: Annotated.of(dice, region)
                for key, dice, region in annotated_objects(run, dataset)
            }
        )
    return found
