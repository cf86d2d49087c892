"""The order of a saliency map, from everything that was shown on the way: a regression, no pass.

Each region that a search showed is one observation: the visible share of every block, and the Dice
that came out. The logit of the Dice is regressed on the shares,

    logit(Dice) = a + sum over blocks of share x effect + noise,

with a Gaussian prior on the effects: mean 0, and neighbours alike (covariance exp(-d^2 / 2) at a
distance of d blocks, reflected at the frame). The sizes of prior and noise are those that make the
outcomes likeliest (type II maximum likelihood). The posterior mean of the effects ranks what was
removed too. To it come the smallest sufficient region that holds a pixel, and the mean of the
gradients if the search asked for them. Nothing else enters: neither the score by which a search
chose its regions nor the nearness to the target.

The posterior also says how much the outcomes tell about a block. Where its variance is within 2 %
of the prior's, they tell nothing, and the map is NaN there; so it is where no region ever reached.
"""

from collections.abc import Sequence
from functools import reduce

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from misure.explanation.shown import Shown, block_counts, means
from misure.images.spacing import Sampling

_CLAMP = 0.05  # of the Dice, before its logit is taken
_RANGE = 1.0  # of the prior's covariance: s, in blocks
_CELLS = 128  # on the short side, of the mean gradient
_QUANTILES = (0.01, 0.99)  # beyond which gradients are cut off
_NOISES = 10.0 ** np.arange(-4, 3.1, 0.5)  # variances that are tried, relative to the prior's share
_LEAST_DIFFERENCE = 1e-5  # of the logit; less is rounding
_LEAST_AREA = 1e-4  # share of the image; smaller sufficient regions are all alike
_LEAST_TOLD = 0.02  # share of a block's prior variance that the outcomes must take away


def outcome_scores(
    shown: Shown, spatial: Sequence[int], sampling: Sampling | None = None
) -> tuple[Tensor, Tensor]:
    """How much each pixel matters, and whether anything is known about it.

    The score is the sum of the effect of the regression, the logarithm of the area of the smallest
    region that sufficed and holds the pixel, and the mean gradient if there are gradients; each
    moved and scaled to [0, 1]. What every region held has the score 1: it belongs to the innermost
    of them, whatever that would do without it.

    Args:
        shown: everything that was shown for the target.
        spatial: of the image.
        sampling: sides of a voxel relative to the smallest; None: they are equal.

    Returns:
        Scores (*spatial) float32 in [0, 1], all 1 if they do not differ; and (*spatial) bool.
    """
    if not shown.dices:
        return torch.ones(tuple(spatial)), torch.zeros(tuple(spatial), dtype=torch.bool)
    shares = torch.stack(shown.shares).cpu().double().numpy()
    sides = _sides_of_blocks(spatial, shares.shape[1:], sampling)
    effects, told = _regression(shares, _logit(np.array(shown.dices)), sides)
    always, ever = shares.min(0) == 1, shares.max(0) > 0
    scores = _in_units(_enlarged(effects, spatial, "linear"))
    if shown.least_areas is not None:
        held = shown.least_areas.cpu().clamp(min=_LEAST_AREA, max=1).log_().neg_()
        scores.add_(_in_units(held))
        del held
    if shown.gradients is not None:
        scores.add_(_in_units(_cut_off(shown.gradients.cpu().float(), sampling)))
    scores = _in_units(scores)
    is_known = _enlarged(ever & (told >= _LEAST_TOLD), spatial, "nearest") > 0
    return scores.masked_fill_(_enlarged(always, spatial, "nearest") > 0, 1.0), is_known


def _cut_off(gradients: Tensor, sampling: Sampling | None) -> Tensor:
    """Gradients (*spatial) as means over cells, without the most extreme of them."""
    spatial = gradients.shape
    cells = means(gradients, block_counts(spatial, sampling, _CELLS))
    low, high = np.quantile(cells.numpy(), _QUANTILES)
    return _enlarged(cells.numpy().clip(low, high), spatial, "linear")


def _in_units(values: Tensor) -> Tensor:
    """Values (*spatial) moved and scaled into [0, 1]; all 1 if they do not differ."""
    low, high = values.min(), values.max()
    if high - low < _LEAST_DIFFERENCE:
        return torch.ones_like(values)
    return (high - values).div_(high - low).neg_().add_(1)


def _sides_of_blocks(
    spatial: Sequence[int], blocks: Sequence[int], sampling: Sampling | None
) -> np.ndarray:
    """Sides of a block along each axis, relative to the smallest."""
    sides = np.array(spatial) * np.array(sampling or 1.0) / np.array(blocks)
    return np.asarray(sides / sides.min())


def _logit(dices: np.ndarray) -> np.ndarray:
    clamped = dices.clip(_CLAMP, 1 - _CLAMP)
    return np.asarray(np.log(clamped / (1 - clamped)))


def _regression(
    shares: np.ndarray, outcomes: np.ndarray, sides: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The posterior mean (*blocks) of the effects, and the share of their variance taken away.

    With as many unknowns as blocks and few observations, all is done among the observations:
    with X the shares without their mean and C the prior's covariance, the effects are
    C X' (X C X' + noise)^-1 y.

    Args:
        shares: (N, *blocks).
        outcomes: (N,).
        sides: of a block along each axis, relative to the smallest.
    """
    shares, outcomes = shares - shares.mean(0), outcomes - outcomes.mean()
    blocks = shares.shape[1:]
    covariances = [_covariance(num, side) for num, side in zip(blocks, sides, strict=True)]
    smooth_shares = _covaried(shares, covariances)
    rows = len(outcomes)
    covariance = shares.reshape(rows, -1) @ smooth_shares.reshape(rows, -1).T
    variances, directions = np.linalg.eigh((covariance + covariance.T) / 2)
    variances = variances.clip(0)
    if variances.max() <= 0:  # nothing differs between the regions
        return np.zeros(blocks), np.zeros(blocks)
    along = directions.T @ outcomes
    noise = min(_NOISES * variances.mean(), key=lambda noise: _surprise(along, variances + noise))
    precision = 1 / (variances + noise)
    flat = smooth_shares.reshape(rows, -1)
    effects = (directions @ (precision * along)) @ flat
    taken_away = (precision @ (directions.T @ flat) ** 2).reshape(blocks)
    prior = reduce(np.multiply.outer, [covariance.diagonal() for covariance in covariances])
    return effects.reshape(blocks), taken_away / prior


def _surprise(along: np.ndarray, variances: np.ndarray) -> float:
    """Minus the log likelihood of outcomes along independent directions, up to constants.

    Their variances are known up to a common factor, which is the likeliest one.
    """
    factor = np.mean(along**2 / variances) + np.finfo(float).tiny
    return float(len(along) * np.log(factor) + np.log(variances).sum())


def _covaried(shares: np.ndarray, covariances: Sequence[np.ndarray]) -> np.ndarray:
    """Shares (N, *blocks) times the covariance of the prior, which is a product over the axes."""
    for axis, covariance in enumerate(covariances, start=1):
        shares = np.moveaxis(np.moveaxis(shares, axis, -1) @ covariance, -1, axis)
    return shares


def _covariance(num: int, side: float) -> np.ndarray:
    """The prior's covariance (N, N) of blocks along one axis.

    Reflected at the frame, so that a block there has as much in common with the others as any: a
    region that is all of the image must not look as if its middle mattered more.
    """
    places = np.arange(num)
    through, sums = places[:, None] - places, places[:, None] + places + 1
    distances = side * np.stack([through, sums, 2 * num - sums])
    return np.asarray(np.exp(-0.5 * (distances / _RANGE) ** 2).sum(0))


def _enlarged(of_blocks: np.ndarray, spatial: Sequence[int], mode: str) -> Tensor:
    """Values (*spatial) float32 at the pixels of blocks."""
    values = torch.from_numpy(of_blocks).float()[None, None]
    if mode == "nearest":
        return F.interpolate(values, tuple(spatial), mode=mode)[0, 0]
    mode = "bilinear" if len(spatial) == 2 else "trilinear"
    return F.interpolate(values, tuple(spatial), mode=mode, align_corners=False)[0, 0]
