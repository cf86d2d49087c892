"""What was shown for a target: every region on the way, in the coarse, and the Dice that came out.

A region is kept as the visible share of each block, so that hundreds of them take little memory.
Of the regions that sufficed, each pixel keeps the area of the smallest that holds it; of gradients,
their sum, each in units of its own size.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from misure.images.spacing import Sampling, short_side_px

NUM_BLOCKS = 32
"""Blocks on the short side of an image; the others have as many as make them about cubes."""


@dataclass
class Shown:
    """Everything that was shown for one target.

    Attributes:
        shares: for each region, the visible share of each block, (*blocks) float16 in [0, 1].
        dices: for each region, the Dice with the target.
        least_areas: (*spatial) float32, the share of the image of the smallest sufficient region
            that holds a pixel, infinite if none does; None: no region has sufficed.
        gradients: (*spatial) float32, the sum of all gradients, each divided by the root of the
            mean of its squares; None: no query asked for one.
    """

    shares: list[Tensor] = field(default_factory=list)
    dices: list[float] = field(default_factory=list)
    least_areas: Tensor | None = None
    gradients: Tensor | None = None

    def add(
        self,
        region: Tensor,
        dice: float,
        suffices: bool,
        *,
        gradient: Tensor | None = None,
        sampling: Sampling | None = None,
    ) -> None:
        """Keeps one more region.

        Args:
            region: (*spatial) bool, or a visibility (*spatial) float in [0, 1].
            dice: with the target.
            suffices: whether the target was preserved; of a visibility it does not count.
            gradient: (*spatial) float, how much more of a pixel would help; None: not asked for.
            sampling: sides of a voxel relative to the smallest; None: they are equal.
        """
        self.shares.append(visible_shares(region, sampling).half())
        self.dices.append(dice)
        if suffices and region.dtype == torch.bool:
            area = region.float().mean()
            if self.least_areas is None:
                self.least_areas = area.where(region, torch.inf)
            else:
                is_less = (self.least_areas < area).logical_not_().logical_and_(region)
                self.least_areas.masked_fill_(is_less, area)
        if gradient is not None:
            size = gradient.square().mean().sqrt() + torch.finfo(gradient.dtype).tiny
            own = gradient / size
            self.gradients = own if self.gradients is None else own.add_(self.gradients)

    def with_those_of(self, other: "Shown") -> "Shown":
        """What was shown here, and then what was shown there."""
        return Shown(
            self.shares + other.shares,
            self.dices + other.dices,
            _least(self.least_areas, other.least_areas),
            _sum(self.gradients, other.gradients),
        )


def _sum(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    if a is None or b is None:
        return b if a is None else a
    return a + b


def _least(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    if a is None or b is None:
        only = b if a is None else a
        return None if only is None else only.clone()  # it changes when more is shown
    return torch.minimum(a, b)


def visible_shares(region: Tensor, sampling: Sampling | None = None) -> Tensor:
    """The mean visibility (*blocks) float32 of each block of a region or visibility (*spatial)."""
    return means(region.float(), block_counts(region.shape, sampling))


def means(values: Tensor, blocks: Sequence[int]) -> Tensor:
    """The mean (*blocks) float32 of values (*spatial) float over each block."""
    return F.interpolate(values[None, None], tuple(blocks), mode="area")[0, 0]


def block_counts(
    spatial: Sequence[int], sampling: Sampling | None = None, num_blocks: int = NUM_BLOCKS
) -> list[int]:
    """Blocks along each axis of an image: `num_blocks` on the short side, at most one a pixel."""
    sides = sampling or (1.0,) * len(spatial)
    block_px = short_side_px(spatial, sampling) / num_blocks
    return [
        min(num, max(1, round(num * side / block_px)))
        for num, side in zip(spatial, sides, strict=True)
    ]
