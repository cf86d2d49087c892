"""The response of a network to pieces of an image, learnt from all regions shown so far.

At each sampled pixel the margin is taken to change by the sum of what the hidden and added units
do there. These effects are unknown; a normal prior says that a unit acts mostly on pixels near it,
that neighbours act alike, and all units a little. The posterior (Gaussian process regression,
Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, section 2.1) predicts regions
that were never shown. Effects do not add up over long ways, so the model is always taken around one
region that was shown, and other regions count less the more they differ from it.
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from misure.explanation.sample import PixelSample
from misure.explanation.units import Units, k_means

_GROUPS = 12  # of sampled pixels; the members of a group share their prior
_REACH = 1 / 8  # of the short side: how far a unit acts
_FAR = 0.02  # what is left of it farther away
_NEAR, _WIDE = 1 / 16, 1 / 5  # of the short side: how near units act alike, half each
_OWN = 0.3  # what each unit does for itself, in variance
_COMMON = 0.3  # what all of them do
_SHARED = 0.7  # correlation of what a drawn response does to groups of pixels, from group to group
_NOISE = 0.05  # of a margin, in standard deviations of the margins
_CURVATURE = 0.15  # share of the prior variance by which effects fail to add up
_CAUTION = 0.3  # standard deviations of the prediction that count
_LEAST_SPREAD = 0.05
_LATEST = 128  # regions that are used


@dataclass(frozen=True, eq=False)
class Around:
    """The response around one region that was shown.

    Attributes:
        shares, margins: (U,) and (n,) of that region.
        effects: (U, n), expected rise of each margin when a unit becomes visible.
    """

    shares: Tensor
    margins: Tensor
    effects: Tensor
    _response: "Response"
    _changes: Tensor
    _factors: Tensor
    _covariances: Tensor

    def drawn(self, generator: torch.Generator) -> "Around":
        """One of the responses that are possible after what was shown.

        A response is drawn from the prior, and moved by what it misses (Matheron's rule, Wilson et
        al., Efficiently sampling functions from Gaussian process posteriors, ICML 2020).
        """
        response, effects = self._response, self.effects.clone()
        root, num_shown = response.root, self._changes.shape[0]
        common = root @ torch.randn(len(root), generator=generator)
        for i, reach in enumerate(response.reach.T):
            own = root @ torch.randn(len(root), generator=generator)
            prior = reach * (_SHARED * common + math.sqrt(1 - _SHARED**2) * own)
            missed = self._changes @ prior + _NOISE * torch.randn(num_shown, generator=generator)
            weights = torch.cholesky_solve(missed[:, None], self._factors[i])[:, 0]
            moved = prior - (self._covariances[i] * reach).T @ weights
            effects[:, response.group == i] += response.scale * moved[:, None]
        return replace(self, effects=effects)

    def scores(self, shares: Tensor, margins: Tensor) -> list[float]:
        """The score to expect of S regions.

        Args:
            shares: (S, U), the visible share of each unit.
            margins: (S, n), the margins to expect, by `effects`.
        """
        response, changes = self._response, shares - self.shares
        changed = (changes != 0).any(0).nonzero().flatten()
        acting = changes[:, changed] * response.reach.T[:, None, changed]  # (groups, S, changed)
        prior = ((acting @ response.alike[changed][:, changed]) * acting).sum(2)
        covariances = self._covariances[:, :, changed] @ acting.mT
        known = torch.linalg.solve_triangular(self._factors, covariances, upper=False)
        variance = (prior - known.square().sum(1)).clamp(min=0) + _CURVATURE * prior
        spread = (_CAUTION**2 * variance + _LEAST_SPREAD**2).sqrt()[response.group].T
        return response.sample.expected_scores(margins, response.scale * spread)


class Response:
    """What regions did, as the visible share of each unit, and the margins that came out.

    Args:
        units: the pieces.
        sample: the pixels.
        places: (n, axes) float32, where the pixels are, relative to the short side.

    Attributes:
        scale: the standard deviation of the first margins.
    """

    def __init__(self, units: Units, sample: PixelSample, places: Tensor) -> None:
        self.units, self.sample = units, sample
        generator = torch.Generator().manual_seed(0)
        self.group, means = k_means(places, _GROUPS, generator)
        sizes = (units.num_px / units.num_px.mean()).sqrt()
        self.reach = (torch.exp(-torch.cdist(units.centres, means) / _REACH) + _FAR) * sizes[
            :, None
        ]
        apart = torch.cdist(units.centres, units.centres)
        near, wide = (torch.exp(-0.5 * (apart / reach) ** 2) for reach in (_NEAR, _WIDE))
        self.alike = (near + wide) / 2 + _OWN * torch.eye(len(apart)) + _COMMON
        self.scale = 1.0
        self._shares: list[Tensor] = []
        self._margins: list[Tensor] = []

    @cached_property
    def root(self) -> Tensor:
        """(U, U) float32, the lower Cholesky factor of `alike`."""
        root: Tensor = torch.linalg.cholesky(self.alike)
        return root

    def add(self, region: Tensor, margins: Tensor) -> None:
        """Learns from a region (*spatial) bool and its margins (n,)."""
        if not self._margins:
            self.scale = float(margins.std(correction=0)) + torch.finfo(margins.dtype).tiny
        self._shares.append(self.units.shares(region))
        self._margins.append(margins)

    def around(self, shares: Tensor, margins: Tensor) -> Around:
        """The response around a region that was shown, from the latest regions."""
        changes = torch.stack(self._shares[-_LATEST:]) - shares
        rises = (torch.stack(self._margins[-_LATEST:]) - margins) / self.scale
        changed = (changes != 0).any(0).nonzero().flatten()
        acting = changes[:, changed] * self.reach.T[:, None, changed]  # (groups, shown, changed)
        covariances = acting @ self.alike[changed]
        between = covariances[:, :, changed] @ acting.mT
        noise = _NOISE**2 + _CURVATURE * between.diagonal(dim1=1, dim2=2) + 1e-5
        factors = torch.linalg.cholesky(between + torch.diag_embed(noise))
        effects = torch.zeros(len(shares), len(margins))
        for i, reach in enumerate(self.reach.T):
            own = self.group == i
            weights = torch.cholesky_solve(rises[:, own], factors[i])
            effects[:, own] = (covariances[i] * reach).T @ weights
        return Around(shares, margins, self.scale * effects, self, changes, factors, covariances)
