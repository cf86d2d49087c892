"""A search that keeps a share of baseline images: the smallest of some regions that is robust.

Of candidates, smallest first, it takes the first whose share of baseline images on which it answers
the question is large enough by its lower bound (see `robustness`).
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from misure.explanation.answers.baseline_draws import BaselineDraws
from misure.explanation.answers.robustness import NUM_IMAGES, Robustness, measure_robustness
from misure.explanation.answers.sequential import plan_looks
from misure.explanation.probe import Account, Probe, Search
from misure.images.regions import distance_px
from misure.images.spacing import Sampling, short_side_px

GROW_BY = (1 / 16, 1 / 8, 1 / 4)
"""By how much the sufficient region is grown, in units of the short side."""


def most_robust(
    probe: Probe,
    candidates: Sequence[Tensor],
    otherwise: Tensor,
    draws: BaselineDraws,
    *,
    at_least: float,
    num_images: int = NUM_IMAGES,
    confidence: float = 0.95,
    account: Account | None = None,
) -> Search[tuple[Tensor, list[Robustness]]]:
    """The first candidate that answers the question on a share of all baseline images.

    The share is at least `at_least` by its lower bound. The error is divided among the candidates,
    so that trying several does not make a false claim likelier.

    Args:
        probe: the target, and what is asked of the regions.
        candidates: regions (*spatial) bool, the smallest first; few, for each is shown on many.
        otherwise: (*spatial) bool, what to fall back on, such as the whole image.
        draws: the baseline images, the same for all.
        at_least: the share, in (0, 1).
        num_images: baseline images for each, at most.
        confidence: of the claim about the region that is returned.
        account: whose limit is kept. A region that it does not afford is not tried.

    Returns:
        The region, and the robustness of each that was tried, in this order: the last is that of
        the region, if its answer is `yes`; else the region is `otherwise`, of which nothing is
        asked.
    """
    tried: list[Robustness] = []
    if not candidates:
        return otherwise.clone(), tried
    looks = plan_looks(num_images, at_least, 1 - (1 - confidence) / len(candidates))
    for region in candidates:
        if account and not account.affords(num_images + draws.most_passes):
            break
        tried.append((yield from measure_robustness(probe, region, draws, looks, at_least)))
        if tried[-1].answer == "yes":
            return region, tried
    return otherwise.clone(), tried


def grown_candidates(
    minimal: Tensor,
    sufficient: Tensor,
    num_between: int = 1,
    grow_by: Sequence[float] = GROW_BY,
    sampling: Sampling | None = None,
) -> list[Tensor]:
    """Regions for `most_robust`: the minimal one, some larger, the sufficient one, some larger.

    Those between take the pixels of the sufficient region nearest to the minimal one; their areas
    are evenly spread on a logarithmic scale. Those beyond are the sufficient region grown. Each
    holds the one before, and none is the whole image.

    Args:
        minimal, sufficient: (*spatial) bool.
        num_between: how many lie between, 0 or more.
        grow_by: by how much the sufficient region is grown, in units of the short side.
        sampling: sides of a voxel relative to the smallest; None: equal.
    """
    whole = minimal | sufficient
    smallest, largest = int(minimal.sum()), int(whole.sum())
    num_between = num_between if smallest else 0
    distance = distance_px(minimal, sampling).clamp(max=whole.numel())
    order = distance.where(whole, torch.inf).flatten().argsort(stable=True)
    candidates = [minimal.clone()]
    for share in torch.linspace(0, 1, num_between + 2)[1:].tolist():
        num = round(max(1, smallest) * (largest / max(1, smallest)) ** share)
        region = torch.zeros_like(minimal).flatten()
        region[order[:num]] = True
        candidates.append(region.view_as(minimal))
    side, beyond = short_side_px(whole.shape, sampling), distance_px(whole, sampling)
    candidates += [beyond <= share * side for share in grow_by]
    areas = [int(region.sum()) for region in candidates]
    return [
        region
        for region, before, area in zip(candidates, [-1, *areas], areas, strict=False)
        if before < area < whole.numel()
    ]
