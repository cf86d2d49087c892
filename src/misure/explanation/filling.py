"""Removed pixels, filled in smoothly from the shown ones; nothing that is hidden takes part.

Push-pull, after Gortler, Grzeszczuk, Szeliski, Cohen, The Lumigraph (SIGGRAPH 1996). On the way
down a pyramid each cell takes the average of what is shown in it, weighted by visibility. On the
way up a cell in which nothing is shown takes the interpolated colour of the next coarser level. So
a hidden pixel looks like the nearest shown ones, and far from them like the average of all.

Gradients with respect to visibility do not flow through the fill: they say what the content of a
pixel does, not what the colour does that it would spread over its hidden neighbours. Searches by
gradients end at smaller regions so (measured in docs/results/baselines.md).

Built of slices and sums alone: faster on a CPU than pooling and interpolation.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from misure.images.spacing import Sampling

_ABOUT_CUBES = 2.0  # an axis is halved if its cells are shorter than this times the shortest side
_TO_NEIGHBOUR = 0.25  # the share of the neighbour in linear interpolation by a factor of 2


@torch.no_grad()
def fill_in(
    images: Tensor, visibility: Tensor, empty: Tensor, sampling: Sampling | None = None
) -> Tensor:
    """The baseline images (N, C, *spatial): each made of what its visibility shows.

    A pixel counts as much as it is visible, so a soft edge takes part, and an image that is partly
    visible everywhere is filled with a blurred copy of itself. The result carries no gradient.

    Args:
        images: (N, C, *spatial) float, in 2D or 3D.
        visibility: (N, *spatial) in [0, 1].
        empty: (N, C, *spatial), each of one colour: the baseline image when nothing is shown.
        sampling: sides of a voxel relative to the smallest; None: they are equal. The cells of the
            pyramid become cubes as far as halving axes allows.
    """
    num_colours, weight = images.shape[1], visibility[:, None]
    finest = images.new_empty(len(weight), num_colours + 1, *images.shape[2:])
    torch.mul(weight, images, out=finest[:, :num_colours])
    finest[:, num_colours:] = weight
    levels = [finest]  # colour times weight, weight
    del finest
    halved: list[list[int]] = []
    sides = list(sampling or (1.0,) * visibility[0].ndim)
    while max(levels[-1].shape[2:]) > 1:
        axes = _axes_to_halve(levels[-1].shape[2:], sides)
        cells = levels[-1]
        for axis in axes:
            cells = _halve(cells, axis + 2)
            sides[axis] *= 2
        if len(levels) == 1:
            levels[0] = levels[0].new_empty(0, *levels[0].shape[1:])  # only its shape is needed
        levels.append(cells.div_(cells[:, -1:].clamp(min=1)))
        halved.append(axes)
    corner = (slice(0, 1),) * visibility[0].ndim
    colour = empty[(slice(None), slice(None), *corner)]
    for level, finer in zip(levels[:0:-1], levels[-2::-1], strict=True):
        colour = level[:, :-1] + (1 - level[:, -1:]) * colour
        for axis in reversed(halved.pop()):
            colour = _double(colour, axis + 2, finer.shape[axis + 2])
    return colour


def _axes_to_halve(shape: Sequence[int], sides: Sequence[float]) -> list[int]:
    """The axes that are longer than one cell, but those whose cells are far longer than others."""
    long = [axis for axis, length in enumerate(shape) if length > 1]
    shortest = min(sides[axis] for axis in long)
    return [axis for axis in long if sides[axis] < _ABOUT_CUBES * shortest]


def _halve(values: Tensor, axis: int) -> Tensor:
    """The sums of pairs of neighbours along an axis; the last of an odd number stays alone."""
    pairs, alone = divmod(values.shape[axis], 2)
    before = (slice(None),) * axis
    evens, odds = (values[(*before, slice(first, 2 * pairs, 2))] for first in (0, 1))
    sums = evens + odds
    return torch.cat([sums, values.narrow(axis, 2 * pairs, 1)], axis) if alone else sums


def _double(values: Tensor, axis: int, length: int) -> Tensor:
    """Linear interpolation along an axis to twice the length, of which the first are kept."""
    num = values.shape[axis]
    lefts, rights = values.narrow(axis, 0, num - 1), values.narrow(axis, 1, num - 1)
    shares = (_TO_NEIGHBOUR, 1 - _TO_NEIGHBOUR)
    doubled = values.new_empty(*values.shape[:axis], length, *values.shape[axis + 1 :])
    doubled.narrow(axis, 0, 1).copy_(values.narrow(axis, 0, 1))
    before = (slice(None),) * axis
    for first, share in enumerate(shares, start=1):
        between = doubled[(*before, slice(first, 2 * num - 1, 2))]
        between.copy_(torch.lerp(lefts, rights, share))
    rest = length - 2 * num + 1
    doubled.narrow(axis, length - rest, rest).copy_(values.narrow(axis, num - 1, rest))
    return doubled
