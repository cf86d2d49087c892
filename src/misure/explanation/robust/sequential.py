"""How large a share is, by draws that end as soon as the answer is clear; with exact bounds.

Draws hold or do not, each with the same unknown probability, the *share*. They are looked at after
a number of them that is laid down beforehand, and end at a look where the share is clearly at least
`at_least`, or clearly below it. Looking several times and taking the Clopper-Pearson bound of the
last look would claim too much. So the errors of both answers are spent over the looks in proportion
to the number drawn (Lan and DeMets, doi:10.1093/biomet/70.3.659), and the bounds are those of the
whole procedure: outcomes are ordered by how well they speak for a large share (first those that
ended early with a yes, the earlier the better; last those that ended early with a no), and the
lower bound is the share at which an outcome as good as the one seen has the probability
1 - confidence (Jennison and Turnbull, doi:10.1080/00401706.1983.10487836). With a single look these
are the bounds of Clopper and Pearson. Each bound holds by itself with the confidence.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from misure.errors import InputError

_BATCH = 12  # draws from one look to the next


@dataclass(frozen=True)
class Looks:
    """After how many draws it is looked at them, and what ends them there.

    Attributes:
        nums: draws in all at each look, ascending.
        yes_from: draws that have to hold at each look but the last for a clear yes.
        no_up_to: draws up to which that many hold for a clear no; -1: never.
        confidence: of each bound, in (0, 1).
    """

    nums: tuple[int, ...]
    yes_from: tuple[int, ...]
    no_up_to: tuple[int, ...]
    confidence: float

    def is_clear(self, look: int, held: int) -> bool:
        """Whether draws end at this look (0, 1, ...), when this many of them hold."""
        if look == len(self.nums) - 1:
            return True
        return not self.no_up_to[look] < held < self.yes_from[look]

    def bounds(self, look: int, held: int) -> tuple[float, float]:
        """Lower and upper bound of the share, when draws ended at this look and this many held."""
        error = 1 - self.confidence

        def at_least_as_good(share: float) -> float:
            better, same = self._better_and_same(look, held, share)
            return better + same - error

        def at_most_as_good(share: float) -> float:
            return 1 - self._better_and_same(look, held, share)[0] - error

        return _root(at_least_as_good, 0.0), _root(at_most_as_good, 1.0)

    def _better_and_same(self, look: int, held: int, share: float) -> tuple[float, float]:
        """Probability of outcomes that speak better for a large share, and of this one."""
        yes, no, at_look = 0.0, 0.0, np.ones(1)
        for number in range(look + 1):
            at_look = _drawn_further(at_look, self._drawn_at(number), share)
            if number == look:
                break
            low, high = self.no_up_to[number] + 1, self.yes_from[number]
            no, yes = no + at_look[:low].sum(), yes + at_look[high:].sum()
            at_look[:low], at_look[high:] = 0, 0
        same = float(at_look[held])
        if held <= (self.no_up_to[look] if look < len(self.no_up_to) else -1):
            return float(1 - no - at_look[:held].sum() - same), same
        return float(yes + at_look[held + 1 :].sum()), same

    def _drawn_at(self, look: int) -> int:
        """Draws between the look before and this one."""
        return self.nums[look] - (self.nums[look - 1] if look else 0)


def _drawn_further(held: np.ndarray, num: int, share: float) -> np.ndarray:
    """Probabilities (n + num + 1,) of numbers held, of those (n + 1,) before `num` more draws."""
    from scipy import stats  # slow to import, and most explanations ask nothing of this

    return np.convolve(held, stats.binom.pmf(np.arange(num + 1), num, share))


def _root(function: Callable[[float], float], end: float) -> float:
    """The share at which a monotone function vanishes; `end` if it has one sign alone."""
    from scipy import optimize

    low, high = function(0.0), function(1.0)
    return end if low * high > 0 else float(optimize.brentq(function, 0.0, 1.0, xtol=1e-12))


@lru_cache(maxsize=64)
def plan_looks(num: int, at_least: float | None = None, confidence: float = 0.95) -> Looks:
    """The looks at draws, laid down before the first of them.

    Args:
        num: draws at most, 1 or more.
        at_least: the share that is asked about, in (0, 1): draws end early where it is clear. None:
            a single look, at all draws.
        confidence: of each bound, in (0, 1).

    Raises:
        InputError: a number out of range.
    """
    if num < 1:
        raise InputError(f"expected 1 or more draws, got {num}.")
    if not 0 < confidence < 1:
        raise InputError(f"expected a confidence above 0 and below 1, got {confidence}.")
    if at_least is None:
        return Looks((num,), (), (), confidence)
    if not 0 < at_least < 1:
        raise InputError(f"expected at_least above 0 and below 1, got {at_least}.")
    nums = (*range(_BATCH, num, _BATCH), num)
    yes_from, no_up_to = [], []
    spent_on_yes, spent_on_no, going_on = 0.0, 0.0, np.ones(1)
    for before, now in zip((0, *nums), nums[:-1], strict=False):
        allowed = (1 - confidence) * now / num
        going_on = _drawn_further(going_on, now - before, at_least)
        downward = spent_on_yes + np.cumsum(going_on[::-1])
        num_yes = int(np.searchsorted(downward, allowed, side="right"))
        num_no = int(np.searchsorted(spent_on_no + np.cumsum(going_on), allowed, side="right"))
        yes_from.append(now + 1 - num_yes)
        no_up_to.append(num_no - 1)
        spent_on_yes += going_on[now + 1 - num_yes :].sum()
        spent_on_no += going_on[:num_no].sum()
        going_on[now + 1 - num_yes :], going_on[:num_no] = 0, 0
    return Looks(nums, tuple(yes_from), tuple(no_up_to), confidence)
