"""Stage 2 without gradients, for networks that are only a function.

Hierarchical removal: blocks of a quarter of the image's short side are removed as long as the model
still predicts the target, then blocks of half that side, and so on down to the grain. At each size
the least important blocks go first: those farthest from the target.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from misure.explanation.growth import SufficientRegion
from misure.explanation.probe import Account, Probe, Query, Search
from misure.explanation.reduction import (
    MinimallySufficientRegion,
    SearchingReduction,
    check_search_options,
    smallest_that_holds,
)
from misure.explanation.removal import remove_blocks
from misure.images.grid import default_grain_px
from misure.images.spacing import short_side_px

_COARSEST = 4  # blocks on the short side, to begin with


@dataclass(frozen=True)
class ForwardReduction(SearchingReduction):
    """The smallest region that removal by forward passes finds within a budget.

    Attributes:
        grain_px: side of the smallest block; 0: 1/128 of the short side.
    """

    grain_px: int = 0

    doing: ClassVar[str] = "removing"
    needs_gradients: ClassVar[bool] = False
    usual_passes: ClassVar[int] = 400
    least_shown: ClassVar[int] = 1

    def __post_init__(self) -> None:
        check_search_options(self.grain_px)

    def search(
        self, probe: Probe, sufficient: SufficientRegion, account: Account
    ) -> Search[MinimallySufficientRegion]:
        spatial = probe.target.region.shape
        grain_px = self.grain_px or default_grain_px(spatial, probe.sampling)
        nearness = 1 / (1 + probe.distance)
        nothing = torch.zeros_like(sufficient.region)
        (reply,) = yield Query([nothing], content_controls=True)
        is_done = probe.suffices(reply)
        held = [nothing if is_done else sufficient.region]
        cell_px = max(grain_px, short_side_px(spatial, probe.sampling) // _COARSEST)
        # both accounts count together, for they share their cost
        limited = replace(account, limit=self.limit_of(account), was_short=False)
        while not is_done:
            region, _, is_one_minimal = yield from remove_blocks(
                probe, held[0], nearness, cell_px, limited
            )
            held.insert(0, region)
            if not is_one_minimal:
                break
            is_done = cell_px == grain_px
            cell_px = max(grain_px, cell_px // 2)
        region, dice = yield from smallest_that_holds(probe, held, sufficient, account)
        return MinimallySufficientRegion(
            region=region,
            order=nearness * sufficient.region * (1 + region) / 2,
            dice=dice,
            grain_px=grain_px,
            stopped_by="end" if is_done else "max_passes",
        )
