"""Pieces of an image: regions that are kept small, divided out of a region, and moved elsewhere.

The division is that of SLIC superpixels (Achanta et al., doi:10.1109/TPAMI.2012.120): k-means on
place and colour, after which each piece is made connected. It runs inside any region, in 2D and 3D,
with any number of channels, and needs no further library.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from misure._util.short_repr import ShortRepr
from misure.explanation.units import k_means
from misure.images.spacing import Sampling

_LEARNT_FROM = 20_000  # pixels from which the means are learnt, and that are assigned at a time
_STEPS = 10  # of k-means, as in SLIC


@dataclass(frozen=True, eq=False, repr=False)
class Piece(ShortRepr):
    """A region that is not empty, stored as the part of it inside its bounding box.

    Attributes:
        start: (axes,) the first corner of the box.
        mask: (*box) bool.
    """

    start: tuple[int, ...]
    mask: np.ndarray

    @classmethod
    def of(cls, region: Tensor) -> "Piece":
        """The piece that a region (*spatial) bool with any pixel is."""
        pixels = region.cpu().numpy()
        (box,) = ndimage.find_objects(pixels.astype(np.uint8))
        return cls(tuple(side.start for side in box), pixels[box].copy())

    @property
    def box(self) -> tuple[slice, ...]:
        """The pixels of the bounding box."""
        sides = zip(self.start, self.mask.shape, strict=True)
        return tuple(slice(start, start + length) for start, length in sides)

    @property
    def num_px(self) -> int:
        """Pixels of the piece."""
        return int(self.mask.sum())

    @property
    def centre(self) -> tuple[int, ...]:
        """The pixel nearest to the centre of gravity."""
        means = (float(axis.mean()) for axis in np.nonzero(self.mask))
        return tuple(s + round(mean) for s, mean in zip(self.start, means, strict=True))

    def region(self, spatial: Sequence[int]) -> Tensor:
        """The region (*spatial) bool, on the CPU."""
        region = torch.zeros(tuple(spatial), dtype=torch.bool)
        region[self.box] = torch.from_numpy(self.mask)
        return region

    def least(self, values: np.ndarray) -> float:
        """The smallest of values (*spatial) on the piece."""
        return float(values[self.box][self.mask].min())

    def places_elsewhere(self, forbidden: np.ndarray) -> np.ndarray:
        """The places (N, axes) int64 that the piece can be moved to and touch nothing forbidden.

        Args:
            forbidden: (*spatial) bool.
        """
        from scipy import signal  # slow to import, and every process of a run would wait for it

        widened = ndimage.binary_dilation(forbidden, np.ones((3,) * forbidden.ndim, bool))
        num_touched = signal.correlate(
            widened.astype(float), self.mask.astype(float), mode="valid", method="auto"
        )
        return np.argwhere(num_touched < 0.5)

    def moved(self, start: Sequence[int]) -> "Piece":
        """The same form at another place."""
        return replace(self, start=tuple(int(place) for place in start))


def divide(
    region: Tensor,
    number: int,
    *,
    image: Tensor | None = None,
    sampling: Sampling | None = None,
    seed: int = 0,
) -> list[Piece]:
    """Divides a region into compact pieces, at most `number` of them, in reading order.

    A difference of colour of one standard deviation of the region counts as much as a distance of
    the side of a piece.

    Args:
        region: (*spatial) bool; an empty one has no pieces.
        number: 1 or more.
        image: (C, *spatial) float, whose colours count; None: place alone counts.
        sampling: sides of a voxel relative to the smallest; None: they are equal.
        seed: of the pixels that the means begin with.
    """
    inside = region.cpu()
    places = inside.nonzero()
    if not len(places):
        return []
    scale = torch.tensor(sampling or (1.0,) * inside.ndim)
    side = (len(places) * prod(scale.tolist()) / number) ** (1 / inside.ndim)
    points = places.float() * scale / side
    if image is not None:
        colours = image.detach().cpu().float()[:, inside].T
        spread = colours.var(0, correction=0).mean().sqrt()
        if spread > 0:
            points = torch.cat([points, (colours - colours.mean(0)) / spread], 1)
    numbers = np.full(tuple(inside.shape), -1)
    numbers[inside.numpy()] = _groups(points, number, seed).numpy()
    connected = _connected(numbers, inside.numpy(), sampling)
    pieces = [
        Piece(tuple(side.start for side in box), connected[box] == group)
        for group, box in enumerate(ndimage.find_objects(connected), start=1)
        if box is not None
    ]
    return sorted(pieces, key=lambda piece: piece.centre)


def _groups(points: Tensor, number: int, seed: int) -> Tensor:
    """The group (N,) int64 of each point, with means that a part of the points is enough for."""
    generator = torch.Generator().manual_seed(seed)
    drawn = points[torch.randperm(len(points), generator=generator)[:_LEARNT_FROM]]
    _, means = k_means(drawn, number, generator, num_steps=_STEPS)
    parts = torch.split(points, _LEARNT_FROM)
    return torch.cat([torch.cdist(part, means).argmin(1) for part in parts])


def _connected(numbers: np.ndarray, inside: np.ndarray, sampling: Sampling | None) -> np.ndarray:
    """Groups (*spatial), from 1 on, 0 outside; each the largest part of what it was.

    What is left over of it goes to the nearest group.
    """
    kept = np.zeros(numbers.shape, np.int64)
    for group, box in enumerate(ndimage.find_objects(numbers + 1), start=1):
        if box is None:
            continue
        parts, num_parts = ndimage.label(numbers[box] + 1 == group)
        largest = 1 + int(np.argmax(np.bincount(parts.ravel(), minlength=num_parts + 1)[1:]))
        kept[box][parts == largest] = group
    nearest = ndimage.distance_transform_edt(
        kept == 0, sampling=sampling, return_distances=False, return_indices=True
    )
    return np.where(inside, kept[tuple(nearest)], 0)
