"""The smallest set of channels that suffices, by showing sets of channels.

Sets are shown in the order of their size, so that of the first that suffice it is known that no
smaller one does. If there are too many, channels are left out of all of them in halves, quarters
and so on down to single ones (delta debugging: Zeller and Hildebrandt, doi:10.1109/32.988498), and
then added to none of them, the best first; what comes out may not be the smallest.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb

from misure.explanation.answers.intervention import HiddenOutcome

Channels = tuple[int, ...]
"""Numbers of channels that are shown, in ascending order."""

Show = Callable[[Sequence[Channels]], Sequence[tuple[HiddenOutcome, ...]]]
"""Shows sets of channels; for each the outcome on each fill."""

MOST_SETS = 1024
"""Sets, at most, that are shown size by size if no budget is given: all of those of 10 channels."""


@dataclass(frozen=True)
class FoundSets:
    """Sets of channels that suffice.

    Attributes:
        sets: the smallest of those that were shown; empty if not even all channels suffice.
        is_smallest: whether every smaller set was shown, and none sufficed.
        are_all: whether every set of this size was shown, too.
    """

    sets: tuple[Channels, ...]
    is_smallest: bool
    are_all: bool


class ShownSets:
    """The sets of channels that were shown, with what came out.

    Args:
        num_channels: C.
        show: shows sets.
        dice_threshold: the Dice that a set has to reach on each fill.
        max_sets: sets, at most; None: any number.

    Attributes:
        outcomes: set -> its outcome on each fill.
    """

    def __init__(
        self, num_channels: int, show: Show, dice_threshold: float, max_sets: int | None
    ) -> None:
        self.everything = tuple(range(num_channels))
        self.outcomes: dict[Channels, tuple[HiddenOutcome, ...]] = {}
        self.dice_threshold = dice_threshold
        self._show, self._max_sets = show, max_sets

    @property
    def num_left(self) -> int | None:
        """Sets that may still be shown; None: any number."""
        return None if self._max_sets is None else self._max_sets - len(self.outcomes)

    def show(self, sets: Iterable[Channels]) -> bool:
        """Shows those that are not known yet; none of them, and False, if there are too many."""
        new = [one for one in dict.fromkeys(sets) if one not in self.outcomes]
        if self.num_left is not None and len(new) > self.num_left:
            return False
        if new:
            self.outcomes |= zip(new, self._show(new), strict=True)
        return True

    def dice(self, channels: Channels) -> float:
        """The least Dice of a shown set over the fills."""
        return min(outcome.dice for outcome in self.outcomes[channels])

    def suffices(self, channels: Channels, fill: int | None = None) -> bool:
        """Whether a shown set preserves the target: on each fill, or on one of them."""
        outcomes = self.outcomes[channels]
        judged = outcomes if fill is None else (outcomes[fill],)
        return all(outcome.dice >= self.dice_threshold for outcome in judged)

    def without(self, *channels: int) -> Channels:
        """All channels but some."""
        return tuple(each for each in self.everything if each not in channels)

    def has_all(self, size: int) -> bool:
        """Whether every set of a size was shown."""
        num_shown = sum(len(one) == size for one in self.outcomes)
        return num_shown == comb(len(self.everything), size)

    def smallest(self, fill: int | None = None) -> tuple[Channels, ...]:
        """The smallest sets that suffice among those that were shown, on each fill or on one."""
        enough = [one for one in self.outcomes if self.suffices(one, fill)]
        least = min(map(len, enough), default=0)
        return tuple(sorted(one for one in enough if len(one) == least))


def find_sets(shown: ShownSets) -> FoundSets:
    """The smallest sets of channels that suffice, as far as they are found.

    Args:
        shown: what was shown so far: all channels, and all but each of them; it grows.
    """
    if not shown.suffices(shown.everything):
        return FoundSets((), is_smallest=False, are_all=False)
    num = len(shown.everything)
    for size in range(num):
        level = combinations(shown.everything, size)
        if not (_affords(shown, size) and shown.show(level)):
            _leave_out(shown)
            _add(shown)
            break
        if len(shown.smallest()[0]) == size:
            break
    sets = shown.smallest()
    return FoundSets(
        sets,
        is_smallest=all(map(shown.has_all, range(len(sets[0])))),
        are_all=shown.has_all(len(sets[0])),
    )


def _leave_out(shown: ShownSets) -> None:
    """Leaves channels out of all of them, those with the least effect first."""
    kept = shown.everything
    order = sorted(kept, key=lambda channel: -shown.dice(shown.without(channel)))
    at_once = len(order) // 2
    while True:
        waiting, before = [each for each in order if each in kept], kept
        for start in range(0, len(waiting), at_once):
            gone = waiting[start : start + at_once]
            rest = tuple(each for each in kept if each not in gone)
            if not shown.show([rest]):
                return
            kept = rest if shown.suffices(rest) else kept
        if at_once == 1 and kept == before:
            return
        at_once = max(1, at_once // 2)


def _add(shown: ShownSets) -> None:
    """Adds channels to none of them, each time the best, as long as a smaller set may come out."""
    chosen: Channels = ()
    while len(chosen) + 1 < len(shown.smallest()[0]):
        larger = [tuple(sorted({*chosen, each})) for each in shown.without(*chosen)]
        if not shown.show(larger):
            return
        chosen = max(larger, key=shown.dice)


def _affords(shown: ShownSets, size: int) -> bool:
    """Whether all sets of a size may be shown, and enough are left to go on without them."""
    num, number = len(shown.everything), comb(len(shown.everything), size)
    if shown.num_left is None:
        return len(shown.outcomes) + number <= MOST_SETS + 2 * num
    larger = sum(comb(num, other) for other in range(size, num))
    return number <= shown.num_left - (0 if larger <= shown.num_left else 2 * num)
