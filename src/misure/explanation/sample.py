"""A sample of pixels at which a search watches how sure the network is.

The Dice is one number for each region shown, and says nothing where the target is lost. The margin
of the class (its lead over the best rival) at some hundred pixels says where a region helps, and
how much is missing.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from misure.images.regions import distance_px
from misure.images.spacing import Sampling, short_side_px

_PIXELS = 240
_NEAR = 1 / 16  # of the short side: pixels outside the target are drawn mostly from this near


@dataclass(frozen=True, eq=False)
class PixelSample:
    """Pixels of an image: half of them of the target, half of the others, most of these near it.

    Attributes:
        indices: (n,) int64, positions in the flattened image.
        weights: (n,) float32, how many pixels each of them stands for.
        is_target: (n,) bool, whether they belong to the target.
        loses: whether the target is to be lost.
    """

    indices: Tensor
    weights: Tensor
    is_target: Tensor
    loses: bool = False

    @cached_property
    def wanted(self) -> Tensor:
        """(n,) float32: 1 for pixels of the target, -1 for the others.

        If the target is to be lost: -1 for its pixels, 0 for the others.
        """
        is_target = self.is_target.float()
        return -is_target if self.loses else 2 * is_target - 1

    def deficit(self, margins: Tensor) -> float:
        """The sum of all wrong margins, relative to the number of target pixels; 0 or more."""
        return float((self._shares * (-self.wanted * margins).clamp(min=0)).sum())

    def fall_of_loss(self, margins: Tensor, unit: float) -> Tensor:
        """How much the loss falls (n,) when a margin rises a little.

        The loss is the sum of softplus(-wanted x margin / unit), relative to the number of target
        pixels.

        Args:
            margins: (n,) float32.
            unit: the margin that counts as safe.
        """
        return self._shares * self.wanted * torch.sigmoid(-self.wanted * margins / unit) / unit

    def expected_scores(self, margins: Tensor, spread: Tensor) -> list[float]:
        """The score, in [0, 1], to expect of S regions whose margins are known up to some spread.

        It is the Dice, or 1 - Dice if the target is to be lost.

        Args:
            margins: (S, n) float32.
            spread: (S, n) float32, standard deviations, above 0.
        """
        drawn = self.weights * torch.special.ndtr(margins / spread)
        total = drawn.sum(1) + self.weights[self.is_target].sum()
        dices = 2 * drawn[:, self.is_target].sum(1) / total
        scores: list[float] = (1 - dices if self.loses else dices).tolist()
        return scores

    @cached_property
    def _shares(self) -> Tensor:
        return self.weights / self.weights[self.is_target].sum()


def sample_pixels(
    target: Tensor, ignored: Tensor, sampling: Sampling | None = None, *, loses: bool = False
) -> PixelSample:
    """A sample of an image's pixels, the same for the same target.

    Args:
        target: (*spatial) bool, not empty.
        ignored: (*spatial) bool, pixels to leave out.
        sampling: sides of a voxel relative to the smallest; None: they are equal.
        loses: whether the target is to be lost.
    """
    generator = torch.Generator().manual_seed(0)
    target, ignored = target.cpu(), ignored.cpu()
    distance = distance_px(target, sampling).flatten()
    inside = (target & ~ignored).flatten().nonzero().flatten()
    outside = (~target & ~ignored).flatten().nonzero().flatten()
    num_inside, num_outside = (min(_PIXELS // 2, len(part)) for part in (inside, outside))
    drawn = inside[torch.randperm(len(inside), generator=generator)[:num_inside]]
    near = _NEAR * short_side_px(target.shape, sampling)
    odds = distance[outside].div_(near).add_(1).square_().reciprocal_()
    indices, weights = [drawn], [torch.full((num_inside,), len(inside) / max(1, num_inside))]
    if num_outside:
        others = _draw(odds, num_outside, generator)
        chances = (odds[others] / odds.sum() * num_outside).clamp(max=1)
        indices.append(outside[others])
        weights.append(1 / chances)
    is_target = torch.arange(num_inside + num_outside) < num_inside
    return PixelSample(torch.cat(indices), torch.cat(weights), is_target, loses)


def _draw(odds: Tensor, number: int, generator: torch.Generator) -> Tensor:
    """Positions drawn without repetition with these odds (Efraimidis and Spirakis, 2006)."""
    keys = torch.rand(len(odds), generator=generator).clamp_(min=1e-9).log_().div_(odds)
    return keys.topk(number).indices
