"""An anchor of the search for readable regions, and the units of which it can lose or gain some."""

from collections.abc import Sequence
from functools import cached_property

from torch import Tensor

from misure.explanation.reductions.readable.state import Seen, State
from misure.explanation.response import Around
from misure.explanation.units import compact_groups, scattered_groups
from misure.images.regions import distance_px

_LARGE = 0.03  # of the image: from here on pieces are compact
_SCREENED_SMALL, _PIECES_LARGE, _SCREENED_LARGE = 16, 9, 6
_MORE = 1.6  # times as many after a round without progress
_MOST = 40
_UNIT = 0.15  # of the loss, in standard deviations of the margins


class Workplace:
    """An anchor, and the units of which it can lose or gain some."""

    def __init__(self, state: State, anchor: Seen) -> None:
        self.state, self.anchor, self.region = state, anchor, anchor.region
        self.response, self.shares = state.response_for(self.region)
        self.own: list[int] = (self.shares > 0).nonzero().flatten().tolist()

    @cached_property
    def neighbours(self) -> list[int]:
        """The units next to the anchor."""
        state, is_finest = self.state, self.response is self.state.responses[-1]
        reach_px = state.grain_px * (1 if self.anchor.suffices and is_finest else 2)
        near = distance_px(self.region, state.probe.sampling) <= reach_px
        is_near = (self.response.units.shares(near) > 0.3) & (self.shares < 0.5)
        neighbours: list[int] = is_near.nonzero().flatten().tolist()
        return neighbours

    @property
    def is_large(self) -> bool:
        """Whether its pieces are compact."""
        return self.anchor.area >= _LARGE

    def changed(self, without: Sequence[int], added: Sequence[int]) -> Tensor:
        """The anchor without some units and with others, made readable."""
        units, region = self.response.units, self.region
        kept = region & ~units.region(without, region)
        return self.state.readable(kept | units.region(added, region))

    def around(self) -> Around:
        """What the response says around the anchor by now."""
        return self.response.around(self.shares, self.anchor.margins)

    def worth(self, around: Around, margins: Tensor) -> Tensor:
        """How much the loss falls (U,) when a unit becomes visible, at these margins."""
        unit = _UNIT * self.response.scale
        return around.effects @ self.state.probe.sample.fall_of_loss(margins, unit)

    def groups(self) -> list[list[int]]:
        """Groups of own units for a screening: the most promising ones if there are many."""
        units, generator = self.response.units, self.state.generator
        more = _MORE**self.anchor.rounds_without
        if not self.is_large:
            number = min(_MOST, int(_SCREENED_SMALL * more))
            return scattered_groups(units, self.own, number, generator)
        number = min(_MOST, int(_SCREENED_LARGE * more))
        groups = compact_groups(units, self.own, max(_PIECES_LARGE, number), generator)
        worth = self.worth(self.around(), self.anchor.margins) * self.shares
        visible = units.num_px * self.shares

        def promise(group: list[int]) -> float:
            area = visible[group].sum()
            by_area = worth[group].sum() / area * 0.2 * units.num_px.sum()
            return float(by_area - (units.distances * visible)[group].sum() / area)

        return sorted(groups, key=promise)[:number]
