"""How far predictions of the search for readable regions can be trusted."""

import math
from dataclasses import dataclass

_LEAST_SPREAD, _MOST_SPREAD = 0.015, 0.12  # of an error, in standard deviations


@dataclass
class Trust:
    """How far the predicted score of a region can be trusted, learnt from those that were tried.

    The error is taken to be normal; its mean and its variance grow in proportion to the changed
    share of the region. It begins as if a few errors of the usual size had been seen.
    """

    _risen: float = 0.0
    _changed: float = 0.3
    _spread: float = 0.4
    _number: float = 4.0

    def learn(self, expected: float, changed: float, found: float) -> None:
        """Learns from a prediction and what was found."""
        if changed > 0:
            error = found - expected
            self._risen += error
            self._changed += changed
            self._spread += (error - self._bias * changed) ** 2 / changed
            self._number += 1

    def probability(self, expected: float, changed: float, threshold: float) -> float:
        """That a region reaches the threshold, in [0, 1].

        Args:
            expected: the predicted score.
            changed: share of the region that changes.
            threshold: score to reach.
        """
        spread = math.sqrt(_LEAST_SPREAD**2 + self._spread / self._number * changed)
        missing = threshold - expected - self._bias * changed
        return 0.5 * math.erfc(missing / (min(_MOST_SPREAD, spread) * math.sqrt(2)))

    @property
    def _bias(self) -> float:
        return self._risen / self._changed
