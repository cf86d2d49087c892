"""Questions: what a search asks of a region.

A region is shown while all else is hidden, or hidden while all else is shown; and the target has to
appear, or to be lost. Three of these are asked:

- `sufficient`: the smallest region that, shown alone, preserves the target.
- `necessary`: the smallest region that, hidden, loses the target; or the smallest outside of it.
- `blocking`: for something that the model did not draw, the smallest region that, hidden, makes the
  model draw it.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Question:
    """What is done with a region, and what has to come out.

    Attributes:
        name: of the question.
        hides: whether the region is hidden and all else shown.
        loses: whether the target has to be lost.
        outside: whether the region may hold no pixel of the target.
    """

    name: str
    hides: bool = False
    loses: bool = False
    outside: bool = False

    def score(self, dice: float) -> float:
        """How far an outcome is what is asked for, in [0, 1]; 1 is best."""
        return 1 - dice if self.loses else dice


SUFFICIENT = Question("sufficient")
NECESSARY = Question("necessary", hides=True, loses=True)
NECESSARY_OUTSIDE = Question("necessary", hides=True, loses=True, outside=True)
BLOCKING = Question("blocking", hides=True)

QUESTIONS = {question.name: question for question in (SUFFICIENT, NECESSARY, BLOCKING)}
"""Name -> question."""
