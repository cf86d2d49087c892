"""Regions: compared, measured, grown, taken apart, drawn.

A region is a bool tensor (*spatial) in which True means: *the model sees this pixel*. All functions
take 2D and 3D alike, unless they say otherwise.
"""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw
from scipy import ndimage
from torch import Tensor

from misure.errors import InputError
from misure.images.spacing import Sampling


def dice(a: Tensor, b: Tensor) -> float:
    """Dice coefficient of two regions, in [0, 1]: 2 |a and b| / (|a| + |b|).

    Two empty regions are equal, so their Dice is 1; one empty region gives 0.

    Args:
        a, b: (*spatial) bool, of the same shape.

    Raises:
        InputError: the regions differ in shape, or are not bool.

    >>> dice(torch.tensor([True, True, False]), torch.tensor([True, False, False]))
    0.6666666666666666
    """
    if a.shape != b.shape or a.dtype != torch.bool or b.dtype != torch.bool:
        raise InputError(
            f"expected two bool regions of the same shape, got {a.dtype} {tuple(a.shape)} "
            f"and {b.dtype} {tuple(b.shape)}."
        )
    total = int(a.sum()) + int(b.sum())
    return 2 * int((a & b).sum()) / total if total else 1.0


def soft_dice(probability: Tensor, region: Tensor, considered: Tensor) -> Tensor:
    """Differentiable Dice of probabilities with a region, in [0, 1], one for each of N.

    2 sum(p r) / (sum(p) + sum(r)) over the considered pixels (Milletari, arXiv 1606.04797, without
    the squares); 1 if both sums vanish.

    Args:
        probability: (N, *spatial) float in [0, 1].
        region: (N, *spatial) bool.
        considered: (N, *spatial) bool: pixels outside are left out of all sums.
    """
    smallest = torch.finfo(probability.dtype).eps
    r = (region & considered).to(probability.dtype).flatten(1)
    p = (probability * considered).flatten(1)
    return (2 * (p * r).sum(1) + smallest) / (p.sum(1) + r.sum(1) + smallest)


def area_fraction(region: Tensor) -> float:
    """Share of the image that the region covers, in [0, 1]."""
    return int(region.sum()) / region.numel()


def bounding_box(region: Tensor) -> tuple[slice, ...]:
    """The smallest box that holds a region (*spatial) bool; empty if the region is."""
    box = []
    for axis in range(region.ndim):
        there = region.movedim(axis, 0).flatten(1).any(1).nonzero()
        ends = (int(there[0]), int(there[-1]) + 1) if len(there) else (0, 0)
        box.append(slice(*ends))
    return tuple(box)


def packed(region: Tensor) -> bytes:
    """A region (*spatial) bool in one bit a pixel."""
    return np.packbits(region.cpu().numpy()).tobytes()


class PackedRegion:
    """A region (*spatial) bool, kept in one bit a pixel.

    Args:
        region: it.
    """

    def __init__(self, region: Tensor) -> None:
        self._bits = np.packbits(region.cpu().numpy())
        self._shape, self._device = region.shape, region.device

    def region(self) -> Tensor:
        """The region (*spatial) bool, a new tensor."""
        pixels = np.unpackbits(self._bits, count=self._shape.numel()).view(np.bool_)
        return torch.from_numpy(pixels).view(self._shape).to(self._device)


_AT_ONCE = 2**20
"""Pixels whose distances are computed at once, in double precision."""


def distance_px(region: Tensor, sampling: Sampling | None = None) -> Tensor:
    """Euclidean distance (*spatial) float32 of every pixel to the region, in pixels; 0 inside.

    If the region is empty, all distances are infinite.

    Args:
        region: (*spatial) bool.
        sampling: sides of a voxel relative to the smallest, the unit; None: they are equal.
    """
    if not bool(region.any()):
        return torch.full(region.shape, torch.inf, device=region.device)
    nearest = ndimage.distance_transform_edt(
        ~region.cpu().numpy(), sampling=sampling, return_distances=False, return_indices=True
    )
    distance = np.empty(region.shape, np.float32)
    num_rows = max(1, _AT_ONCE * len(distance) // distance.size)
    for start in range(0, len(distance), num_rows):  # all at once would take eight times the memory
        rows = slice(start, start + num_rows)
        squared = np.zeros(distance[rows].shape)
        places = np.ix_(np.arange(len(distance))[rows], *map(np.arange, distance.shape[1:]))
        for axis, of_axis in enumerate(nearest[:, rows]):
            steps = np.subtract(of_axis, places[axis], dtype=np.float64)
            if sampling:
                steps *= sampling[axis]
            squared += np.multiply(steps, steps, out=steps)
        distance[rows] = np.sqrt(squared, out=squared)
    return torch.from_numpy(distance).to(region.device)


def distance_px_up_to(region: Tensor, limit: int, sampling: Sampling | None = None) -> Tensor:
    """Euclidean distance (*spatial) float32 of every pixel to the region, in pixels, up to `limit`.

    Faster than `distance_px` for small limits, and computed on the region's own device: squared
    distances along one axis after the other, each over `limit` neighbours on both sides
    (Felzenszwalb and Huttenlocher, doi:10.4086/toc.2012.v008a019, without the envelope).

    Args:
        region: (*spatial) bool; if it is empty, all distances are `limit`.
        limit: 1 or more.
        sampling: sides of a voxel relative to the smallest, the unit; None: they are equal.
    """
    far = float(limit * limit)
    squared = torch.where(region, 0.0, far)
    for axis in range(region.ndim):
        nearest = squared.clone()
        unit = sampling[axis] if sampling else 1
        for step in range(1, min(int(limit / unit), region.shape[axis] - 1) + 1):
            farther = (step * unit) ** 2
            rest = region.shape[axis] - step
            from_below, from_above = squared.narrow(axis, 0, rest), squared.narrow(axis, step, rest)
            upper, lower = nearest.narrow(axis, step, rest), nearest.narrow(axis, 0, rest)
            torch.minimum(upper, from_below + farther, out=upper)
            torch.minimum(lower, from_above + farther, out=lower)
        squared = nearest
    return squared.sqrt()


def dilate(region: Tensor, sampling: Sampling | None = None) -> Tensor:
    """The region dilated once by 3 px: in 2D with a 7 x 7 ellipse, in 3D with a ball.

    Args:
        region: (*spatial) bool.
        sampling: sides of a voxel relative to the smallest, the unit; None: they are equal. Along
            each axis the region grows by one voxel at least.
    """
    if sampling is not None:
        distance = distance_px(region, sampling)
        near = np.ones((3,) * region.ndim, bool)  # one voxel each way, or it might never grow
        grown = ndimage.binary_dilation(region.cpu().numpy(), structure=near)
        return (distance <= 3) | torch.from_numpy(grown).to(region.device)
    structure = _ELLIPSE if region.ndim == 2 else _ball(region.ndim)
    grown = ndimage.binary_dilation(region.cpu().numpy(), structure=structure)
    return torch.from_numpy(grown).to(region.device)


_ELLIPSE = np.abs(np.arange(-3, 4)) <= np.array([0, 2, 3, 3, 3, 2, 0])[:, None]
"""OpenCV's MORPH_ELLIPSE of size 7 (rows of 1, 5, 7, 7, 7, 5, 1 pixels)."""


def _ball(num_dimensions: int) -> np.ndarray:
    offset = np.indices((7,) * num_dimensions) - 3
    ball: np.ndarray = (offset**2).sum(0) <= 9
    return ball


def broad_parts(
    region: Tensor, breadth_px: int, max_parts: int, sampling: Sampling | None = None
) -> Tensor:
    """The largest parts of a region, without what is narrower than a square of this side.

    Each pixel that is left lies in a square (3D: a cube) inside the image that is left as a whole:
    the region is opened by it (Serra, Image Analysis and Mathematical Morphology, 1982).

    Args:
        region: (*spatial) bool.
        breadth_px: side of the square, 1 or more, in units of the smallest side of a voxel.
        max_parts: connected parts to keep, 1 or more; pixels that touch at a corner are connected.
        sampling: sides of a voxel relative to the smallest; None: they are equal.
    """
    sides = [max(1, round(breadth_px / unit)) for unit in sampling or (1,) * region.ndim]
    sides = [min(side, length) for side, length in zip(sides, region.shape, strict=True)]
    opened = region.cpu().numpy()
    if max(sides) > 1:
        padded = np.pad(opened.astype(np.uint8), [(side, side) for side in sides])
        opened = ndimage.grey_opening(padded, size=sides) > 0
        opened = opened[tuple(slice(side, -side) for side in sides)]
    left = torch.from_numpy(np.ascontiguousarray(opened)).to(region.device)
    numbers = component_numbers(left)
    return (numbers > 0) & (numbers <= max_parts)


def component_numbers(region: Tensor) -> Tensor:
    """The number (*spatial) int64 of each pixel's connected part: 0 outside, 1 in the largest part.

    Pixels that touch at a corner are connected. Parts of equal size are numbered in reading order.
    """
    every_neighbour = np.ones((3,) * region.ndim)
    parts, num_parts = ndimage.label(region.cpu().numpy(), structure=every_neighbour)
    sizes = np.bincount(parts.ravel(), minlength=num_parts + 1)[1:]
    number_of = np.zeros(num_parts + 1, np.int64)
    number_of[np.argsort(-sizes, kind="stable") + 1] = np.arange(1, num_parts + 1)
    return torch.from_numpy(number_of[parts]).to(region.device)


def innermost(region: Tensor | np.ndarray) -> tuple[int, ...]:
    """The pixel that is farthest from a region's edge and from the image's, the first of several.

    >>> innermost(torch.tensor([[1, 1, 1, 0, 1]]) > 0)
    (0, 0)
    >>> innermost(torch.ones(3, 5, dtype=torch.bool))
    (1, 1)

    Args:
        region: (*spatial) bool, with at least one pixel.
    """
    padded = np.pad(np.asarray(region.cpu() if isinstance(region, Tensor) else region), 1)
    depth = ndimage.distance_transform_edt(padded)[(slice(1, -1),) * padded.ndim]
    return tuple(int(place) for place in np.unravel_index(int(depth.argmax()), depth.shape))


def check_point(spatial: Sequence[int], point: Sequence[int]) -> tuple[int, ...]:
    """The point as a tuple.

    Raises:
        InputError: it is no pixel of an image of this shape.
    """
    if len(point) != len(spatial) or not all(
        0 <= p < side for p, side in zip(point, spatial, strict=True)
    ):
        raise InputError(f"expected a point inside {tuple(spatial)}, got {tuple(point)}.")
    return tuple(point)


def draw_box(shape: Sequence[int], box: Sequence[int]) -> Tensor:
    """The region (*shape) bool inside a box.

    Args:
        shape: (*spatial) of the image.
        box: first row, first column, end row, end column (3D: depth first); ends are exclusive.

    Raises:
        InputError: the box has another number of values, is empty or leaves the image.
    """
    n = len(shape)
    starts, ends = tuple(box[:n]), tuple(box[n:])
    if len(box) != 2 * n or not all(
        0 <= start < end <= size for start, end, size in zip(starts, ends, shape, strict=True)
    ):
        raise InputError(
            f"expected {2 * n} values, starts before ends, inside {tuple(shape)}, got {tuple(box)}."
        )
    region = torch.zeros(tuple(shape), dtype=torch.bool)
    region[tuple(map(slice, starts, ends))] = True
    return region


def draw_polygon(shape: Sequence[int], polygon: Sequence[tuple[float, float]]) -> Tensor:
    """The region (H, W) bool inside a polygon, its border included.

    Args:
        shape: (H, W) of the image.
        polygon: at least three (row, column).

    Raises:
        InputError: the image is not 2D, or the polygon has fewer than three corners.
    """
    if len(shape) != 2 or len(polygon) < 3 or any(len(corner) != 2 for corner in polygon):
        raise InputError(
            "expected at least three corners (row, column) on a 2D image, got "
            f"{len(polygon)} on shape {tuple(shape)}. In 3D use a box."
        )
    picture = Image.new("1", (shape[1], shape[0]))
    ImageDraw.Draw(picture).polygon([(column, row) for row, column in polygon], fill=1, outline=1)
    return torch.from_numpy(np.array(picture))
