"""Stage 2: the minimally sufficient region, the part of the sufficient region that is needed.

Whatever the search, the result is a region that was shown to the model and reached the threshold.
Searches that learn a soft map end with `top_region`: the smallest top part of the map that still
suffices. (A soft map proves nothing by itself: half-visible pixels still show the whole image at
half contrast.)
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor

from misure._util.progress import OnStep
from misure.errors import InputError
from misure.explanation.acceptance import hold_under_changes
from misure.explanation.growth import SufficientRegion
from misure.explanation.probe import Account, Probe, Query, Search
from misure.explanation.run_searches import run_searches
from misure.images.grid import Grid
from misure.images.regions import distance_px
from misure.models.model import SegmentationModel

_NUM_COARSE = 8
_NUM_FINE = 3
_FINE_ENOUGH = 0.01


@dataclass(frozen=True, eq=False)
class MinimallySufficientRegion:
    """What stage 2 found.

    Attributes:
        region: (*spatial) bool, in most searches part of the sufficient region; it may be empty
            (the model needs to see nothing).
        order: (*spatial) float32: what follows keeps pixels of larger values longer. It may hold
            what the search took for granted.
        dice: when the model sees this region alone; at least the threshold.
        grain_px: side of the smallest piece that the region may consist of.
        stopped_by: why the search ended: `end`, `max_passes` (a longer one might find a smaller
            region), `patience` (nothing smaller for many steps), or `no_search`.
        saliency_map: (*spatial) float32, a map that the search learnt, NaN where nothing is known;
            None: it learnt none, and the map is made of all outcomes.
    """

    region: Tensor
    order: Tensor
    dice: float
    grain_px: int = 1
    stopped_by: str = "end"
    saliency_map: Tensor | None = None


class Reduction(Protocol):
    """A search of stage 2: from sufficient regions to minimally sufficient ones.

    Its options are the fields of a frozen dataclass, so that presets can change them.

    Attributes:
        needs_gradients: whether it needs a network with gradients.
        least_shown: regions that it must at least be able to show, besides its result.
    """

    needs_gradients: ClassVar[bool]
    least_shown: ClassVar[int]

    def __call__(
        self,
        model: SegmentationModel,
        probes: Sequence[Probe],
        sufficient: Sequence[SufficientRegion],
        accounts: Sequence[Account],
        on_step: OnStep | None = None,
        /,
    ) -> list[MinimallySufficientRegion]:
        """The minimally sufficient region of each probe, found inside the sufficient one.

        Args:
            model: shown the regions; it comes back as it was.
            probes: targets with their presentations, all images of one shape.
            sufficient: what stage 1 found for each.
            accounts: for each probe, what has been spent on it; passes are counted there. A limit
                is kept; the result itself may be shown once out of what is reserved.
            on_step: called with progress.
        """
        ...


class SearchingReduction(ABC):
    """A reduction that is one search for each probe, all of them advancing together.

    Attributes:
        doing: what progress says.
        usual_passes: pass equivalents, stage 1 and the evidence included, within which it stays
            if no limit is asked for.
    """

    doing: ClassVar[str]
    usual_passes: ClassVar[int]

    def limit_of(self, account: Account) -> int:
        """Pass equivalents that may be spent on a target in all."""
        return self.usual_passes if account.limit is None else account.limit

    @abstractmethod
    def search(
        self, probe: Probe, sufficient: SufficientRegion, account: Account
    ) -> Search[MinimallySufficientRegion]:
        """The search of one probe, inside its sufficient region, within the budget that is left."""

    def __call__(
        self,
        model: SegmentationModel,
        probes: Sequence[Probe],
        sufficient: Sequence[SufficientRegion],
        accounts: Sequence[Account],
        on_step: OnStep | None = None,
    ) -> list[MinimallySufficientRegion]:
        """The region of each probe; all searches share their batches (see `Reduction`)."""
        searches = [self.search(*part) for part in zip(probes, sufficient, accounts, strict=True)]
        with model.borrowed():
            return run_searches(
                model, probes, searches, doing=self.doing, accounts=accounts, on_step=on_step
            )


def check_search_options(grain_px: int, max_parts: int = 1) -> None:
    """Raises an InputError if an option that several searches share is out of range."""
    if grain_px < 0:
        raise InputError(
            f"expected grain_px of 0 (chosen by the image's size) or more, got {grain_px}."
        )
    if max_parts < 1:
        raise InputError(f"expected max_parts of 1 or more, got {max_parts}.")


def order_of(region: Tensor, held: Iterable[Tensor]) -> Tensor:
    """The order (*spatial) float32 in [0, 1] in which pixels come and go.

    Those that many regions hold, of `region` and all that sufficed, go last.
    """
    order = region.float()
    for one in held:
        order += one
    return order.div_(order.max().clamp(min=1))


def map_in_units(values: Tensor, grid: Grid) -> Tensor:
    """Values (*cells) moved and scaled into [0.01, 1] inside the limit; their order stays."""
    low, high = values[grid.inside].min(), values[grid.inside].max()
    scaled = (values - low) / (high - low).clamp(min=torch.finfo(values.dtype).eps)
    return 0.01 + 0.99 * scaled


@dataclass(frozen=True)
class NoReduction:
    """No stage 2: the sufficient region is returned as it is, and is not minimal.

    Needs no gradients.
    """

    needs_gradients: ClassVar[bool] = False
    least_shown: ClassVar[int] = 0

    def __call__(
        self,
        _model: SegmentationModel,
        probes: Sequence[Probe],
        sufficient: Sequence[SufficientRegion],
        _accounts: Sequence[Account],
        _on_step: OnStep | None = None,
    ) -> list[MinimallySufficientRegion]:
        """The sufficient region of each probe; no pass is made."""
        results = []
        for probe, grown in zip(probes, sufficient, strict=True):
            nearness = 1 / (1 + distance_px(probe.target.region, probe.sampling))
            result = MinimallySufficientRegion(
                region=grown.region.clone(),
                order=nearness * grown.region,
                dice=grown.dice,
                stopped_by="no_search",
            )
            results.append(result)
        return results


def top_region(
    probe: Probe,
    saliency_map: Tensor,
    sufficient: SufficientRegion,
    account: Account | None = None,
) -> Search[MinimallySufficientRegion]:
    """The smallest top part of a map that suffices, found in about twenty passes.

    A top part holds all pixels from some value on, never the zeros; pixels of one value stay
    together. First the empty region and eight areas spread evenly on a logarithmic scale are tried,
    then the gap below the smallest that suffices is narrowed to 1 % of its area. The Dice need not
    rise with the area, so a smaller top part may still exist. If none suffices, the sufficient
    region itself is the result.

    Args:
        probe: the target that must be preserved.
        saliency_map: (*spatial) float, 0 outside the sufficient region.
        sufficient: what to fall back on.
        account: whose limit is kept.
    """
    account = account or Account()
    values, counts = _values_from_the_top(saliency_map)

    def region_of(level: int) -> Tensor:  # level -1 takes no value at all
        return saliency_map >= (values[level] if level >= 0 else torch.inf)

    suffices: list[int] = []
    last = len(values) - 1
    levels = sorted({-1, *_spread(counts, -1, last, _NUM_COARSE), last})
    misses = -1
    while levels:
        num = account.affordable(len(levels), probe.num_views)
        levels = levels[len(levels) - num :]  # the larger ones, which are likelier to suffice
        if not levels:
            break
        replies = yield Query([region_of(level) for level in levels], content_controls=True)
        passed = [i for i, reply in zip(levels, replies, strict=True) if probe.suffices(reply)]
        suffices = sorted({*suffices, *passed})
        if not suffices:
            break
        misses = max([level for level in [misses, *levels] if level < suffices[0]], default=-2)
        levels = _spread(counts, misses, suffices[0], _NUM_FINE)
    candidates = (region_of(level) for level in suffices)
    region, dice = yield from smallest_that_holds(probe, candidates, sufficient, account)
    stopped_by = "max_passes" if account.was_short else "end"
    return MinimallySufficientRegion(region, saliency_map, dice, stopped_by=stopped_by)


def smallest_that_holds(
    probe: Probe,
    candidates: Iterable[Tensor],
    sufficient: SufficientRegion,
    account: Account | None = None,
) -> Search[tuple[Tensor, float]]:
    """The first candidate that suffices when shown alone, and its Dice; else the sufficient region.

    It has to hold under the probe's `num_changes` small changes, too. Nothing of that is asked of
    the sufficient region: there is nothing else to fall back on.

    Args:
        probe: the target that must be preserved.
        candidates: regions (*spatial) bool that held in a batch, the smallest first.
        sufficient: what to fall back on.
        account: whose limit is kept; showing the first candidate is part of what is reserved.
    """
    for i, region in enumerate(candidates):
        if i and account and not account.affords(probe.passes_of_accepting):
            break
        (reply,) = yield Query([region], alone=True, content_controls=True)
        if not probe.suffices(reply):
            continue
        (holds,) = yield from hold_under_changes(probe, [region], alone=True)
        if holds:
            return region, reply.dice
    return sufficient.region.clone(), sufficient.dice


def _values_from_the_top(saliency_map: Tensor) -> tuple[list[float], np.ndarray]:
    """The positive values, largest first, and how many pixels have at least each."""
    values, counts = np.unique(saliency_map[saliency_map > 0].cpu().numpy(), return_counts=True)
    return values[::-1].tolist(), np.cumsum(counts[::-1])


def _spread(counts: np.ndarray, low: int, high: int, num_levels: int) -> list[int]:
    """Levels strictly between two, their areas evenly spread on a logarithmic scale; at least one.

    Empty if there is none between them, or if the two differ by less than `_FINE_ENOUGH`.
    """
    if high - low < 2:
        return []
    largest = counts[high]
    smallest = counts[low] if low >= 0 else max(1, largest // 256)
    if low >= 0 and largest - smallest <= _FINE_ENOUGH * largest:
        return []
    areas = np.geomspace(smallest, largest, num_levels + 2)[1:-1]
    levels = np.searchsorted(counts, areas).clip(low + 1, high - 1)  # values may have many pixels
    return sorted({int(level) for level in levels})
