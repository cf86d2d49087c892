"""The questions of a whole answer, and how one budget is divided among them."""

from collections.abc import Iterable, Sequence

from misure._util.suggestions import did_you_mean
from misure.errors import InputError

SUFFICIENT = "sufficient"
ALL = "all"

ASKED_OF_DRAWN = (SUFFICIENT, "necessary", "surroundings", "reasons", "effects")
"""What can be asked about an object that the model draws, in the order of tables."""

ROBUSTNESS = "robustness"
USUAL_PASSES = 250
"""Pass equivalents of the whole answer if no other number is asked for."""

_LEAST = {
    SUFFICIENT: 48,
    "surroundings": 26,
    "reasons": 9,
    "necessary": 26,
    "effects": 20,
    ROBUSTNESS: 21,
}

_FIXED = {"effects": 0.12, ROBUSTNESS: 0.14}  # of the budget as a whole
_WEIGHTS = {SUFFICIENT: 9, "surroundings": 3, "reasons": 1, "necessary": 2}  # of the rest, in turn


def as_questions(names: Sequence[str]) -> tuple[str, ...]:
    """The questions that some names mean, each once: `sufficient` first, which is always there.

    >>> as_questions(["effects", "necessary"])
    ('sufficient', 'necessary', 'effects')

    Args:
        names: among `ASKED_OF_DRAWN`; `all` means all of them.

    Raises:
        InputError: another name.
    """
    for name in names:
        if name not in (*ASKED_OF_DRAWN, ALL):
            raise InputError(
                f"expected questions among {', '.join(ASKED_OF_DRAWN)} and {ALL}, got {name!r}."
                f"{did_you_mean(name, [*ASKED_OF_DRAWN, ALL])}"
            )
    return tuple(
        name for name in ASKED_OF_DRAWN if name == SUFFICIENT or name in names or ALL in names
    )


def least_passes(parts: Iterable[str]) -> int:
    """The smallest budget that is enough for some parts of an answer.

    Args:
        parts: questions, and `ROBUSTNESS`.
    """
    return sum(_LEAST[part] for part in parts)


class SharedBudget:
    """One budget for all parts of an answer: what one leaves over is there for the next.

    Args:
        max_passes: in all.
        parts: that are asked for: questions, and `ROBUSTNESS`.
    """

    def __init__(self, max_passes: int, parts: Iterable[str]) -> None:
        self._max_passes = max_passes
        self._parts = tuple(parts)
        self._left = max_passes - self.fixed(ROBUSTNESS)
        self._open = [part for part in _WEIGHTS if part in self._parts]

    def fixed(self, part: str) -> int:
        """What `effects` or `ROBUSTNESS` may take; 0 if it is not asked for."""
        if part not in self._parts:
            return 0
        share = int(_FIXED[part] * self._max_passes)
        return max(share, _LEAST[part]) if part == ROBUSTNESS else share

    def share(self, part: str) -> int:
        """What the next of the other parts may take, such that the later ones have enough."""
        later = self._open[self._open.index(part) + 1 :]
        if not later:
            return self._left
        weight = _WEIGHTS[part]
        share = int(weight / (weight + sum(_WEIGHTS[each] for each in later)) * self._left)
        return min(share, self._left - least_passes(later))

    def spend(self, num_passes: int) -> None:
        """Takes what a part took."""
        self._left -= num_passes
