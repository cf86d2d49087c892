"""Batches for training: which samples a step sees depends on the seed and the step alone.

So training that was killed continues as if nothing had happened.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from misure.datasets.sample import Dataset
from misure.datasets.triangle.dataset import TriangleDataset
from misure.errors import InputError

Augment = Callable[[Tensor, Tensor, int], tuple[Tensor, Tensor]]
"""(image (C, *spatial), annotation (*spatial), seed) -> image and annotation, augmented."""

_KEPT_BYTES = 2_000_000_000


@dataclass
class Batches:
    """Batches of a data set with annotations, shuffled anew in every epoch.

    Args:
        dataset: its samples have annotations.
        batch_size: N.
        size: (*spatial) of the batches: larger images are cropped at random positions, smaller ones
            are padded.
        seed: of the order, the positions and the augmentation.
        augment: changes the crops; None: no augmentation.
        fill: C numbers to pad with: a value that is nothing to the network.
    """

    dataset: Dataset
    batch_size: int
    size: Sequence[int]
    seed: int = 0
    augment: Augment | None = None
    fill: Sequence[float] = (0.0,)
    _kept: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)
    _kept_bytes: int = 0

    def __call__(self, step: int) -> tuple[Tensor, Tensor]:
        """Images (N, C, *size) float and annotations (N, *size) int64 of a step, counted from 0."""
        pairs = [self._pair(step * self.batch_size + i) for i in range(self.batch_size)]
        images, annotations = zip(*pairs, strict=True)
        return torch.stack(images), torch.stack(annotations)

    def _pair(self, number: int) -> tuple[Tensor, Tensor]:
        total = len(self.dataset.keys)
        epoch, position = divmod(number, total)
        order = np.random.default_rng([self.seed, epoch]).permutation(total)
        image, annotation = self._read(int(order[position]))
        rng = np.random.default_rng([self.seed, 1, number])
        image, annotation = cut_or_pad(image, annotation, self.size, rng, self.fill)
        if self.augment is not None:
            image, annotation = self.augment(image, annotation, int(rng.integers(2**31)))
        return image, annotation

    def _read(self, index: int) -> tuple[Tensor, Tensor]:
        if index in self._kept:
            return self._kept[index]
        sample = self.dataset[index]
        if sample.annotation is None:
            has = "regions of classes that overlap" if sample.is_annotated else "none"
            raise InputError(
                f"expected samples with annotations, one class for each pixel, {sample.key} has "
                f"{has}. Train on triangle, synapse: or nifti: data."
            )
        pair = sample.image, sample.annotation
        size = sum(tensor.numel() * tensor.element_size() for tensor in pair)
        seen_again = not isinstance(self.dataset, TriangleDataset)  # made for one epoch
        if seen_again and self._kept_bytes + size <= _KEPT_BYTES:
            self._kept[index] = pair
            self._kept_bytes += size
        return pair


def cut_or_pad(
    image: Tensor,
    annotation: Tensor,
    size: Sequence[int],
    rng: np.random.Generator,
    fill: Sequence[float] = (0.0,),
) -> tuple[Tensor, Tensor]:
    """A crop (C, *size) of an image and of its annotation, padded at the end if it is smaller.

    The position is random; half of the crops hold at least one pixel of a class other than 0.
    """
    starts = _starts(annotation, size, rng)
    window = tuple(slice(start, start + side) for start, side in zip(starts, size, strict=True))
    image, annotation = image[(slice(None), *window)], annotation[window]
    missing: list[int] = []
    for side, wanted in zip(reversed(annotation.shape), reversed(list(size)), strict=True):
        missing += [0, wanted - side]
    ground = torch.tensor(fill).view(-1, *[1] * len(size))
    pad: Any = torch.nn.functional.pad
    return pad(image - ground, missing) + ground, pad(annotation, missing)


def _starts(annotation: Tensor, size: Sequence[int], rng: np.random.Generator) -> list[int]:
    largest = [max(0, have - want) for have, want in zip(annotation.shape, size, strict=True)]
    starts = [int(rng.integers(limit + 1)) for limit in largest]
    if any(largest) and rng.random() < 0.5:
        pixels = torch.nonzero(annotation > 0)
        if len(pixels):
            centre = pixels[int(rng.integers(len(pixels)))].tolist()
            starts = [
                int(np.clip(at - want // 2, 0, limit))
                for at, want, limit in zip(centre, size, largest, strict=True)
            ]
    return starts
