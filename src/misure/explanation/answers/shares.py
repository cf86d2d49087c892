"""The questions of a whole answer, and how one budget is divided among them."""

from collections.abc import Collection, Iterable, Sequence

from misure._util.suggestions import did_you_mean
from misure.errors import InputError
from misure.explanation.presets import DRAWS
from misure.explanation.robust.measured import passes_for

SUFFICIENT = "sufficient"
ALL = "all"

CHANNELS = "channels"

ASKED_OF_DRAWN = (SUFFICIENT, "necessary", "surroundings", "reasons", "effects", CHANNELS)
"""What can be asked about an object that the model draws, in the order of tables."""

USUAL_PASSES = 250
"""Pass equivalents of the whole answer if no other number is asked for."""

_LEAST = {
    SUFFICIENT: 48,
    "surroundings": 26,
    "reasons": 9,
    "necessary": 26,
    "effects": 20,
    CHANNELS: 30,
}

_EFFECTS, _CHANNELS = 0.12, 0.2  # of the budget as a whole
_WEIGHTS = {SUFFICIENT: 9, "surroundings": 3, "reasons": 1, "necessary": 2}  # of the rest, in turn


def as_questions(names: Sequence[str]) -> tuple[str, ...]:
    """The questions that some names mean, each once: `sufficient` first, which is always there.

    >>> as_questions(["effects", "necessary"])
    ('sufficient', 'necessary', 'effects')

    Args:
        names: among `ASKED_OF_DRAWN`; `all` means all of them but `channels`, which says nothing of
            most photographs.

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
        name
        for name in ASKED_OF_DRAWN
        if name == SUFFICIENT or name in names or (ALL in names and name != CHANNELS)
    )


def least_passes(questions: Iterable[str], robust: float | None = None) -> int:
    """The smallest budget that is enough for some questions.

    Args:
        questions: among `ASKED_OF_DRAWN`.
        robust: the share of baseline images on which what suffices should hold; None: not asked.
    """
    return sum(_LEAST[question] for question in questions) + _passes_of(robust)


def _passes_of(robust: float | None) -> int:
    """What it takes to accept a region that should be robust, and to measure whether it is."""
    return passes_for(robust) + DRAWS if robust else 0


def least_share_of_sufficient(
    max_passes: int, questions: Collection[str], robust: float | None = None
) -> int:
    """What is left for what suffices if those that come first take all of their shares.

    Args:
        max_passes, questions, robust: as of `SharedBudget`.
    """
    budget = SharedBudget(max_passes, questions, robust)
    for question in ("effects", CHANNELS):
        if question in questions:
            budget.spend(budget.share(question))
    return budget.share(SUFFICIENT)


class SharedBudget:
    """One budget for all parts of an answer: what one leaves over is there for the next.

    Args:
        max_passes: in all.
        questions: that are asked.
        robust: as of `least_passes`; what it takes belongs to `sufficient`.
    """

    def __init__(
        self, max_passes: int, questions: Collection[str], robust: float | None = None
    ) -> None:
        self._left = max_passes
        self._of_robust = _passes_of(robust)
        self._open = [question for question in _WEIGHTS if question in questions]
        rest = max_passes - least_passes(self._open, robust)
        of_channels = _LEAST[CHANNELS] if CHANNELS in questions else 0
        self._of_effects = min(int(_EFFECTS * max_passes), rest - of_channels)
        of_effects = self._of_effects if "effects" in questions else 0
        self._of_channels = min(int(_CHANNELS * max_passes), rest - of_effects)

    def share(self, question: str) -> int:
        """What the next question may take, such that the later ones have enough."""
        if question == "effects":
            return self._of_effects
        if question == CHANNELS:
            return self._of_channels
        later = self._open[self._open.index(question) + 1 :]
        if not later:
            return self._left
        weight, kept = _WEIGHTS[question], self._of_robust if question == SUFFICIENT else 0
        share = weight / (weight + sum(_WEIGHTS[each] for each in later)) * (self._left - kept)
        return min(int(share) + kept, self._left - least_passes(later))

    def spend(self, num_passes: int) -> None:
        """Takes what a part took."""
        self._left -= num_passes
