"""What an explanation costs: passes, counted for each image shown to the model, and seconds.

A backward pass counts as two forward passes: *pass equivalents* = forwards + 2 x backwards.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import get_ident


@dataclass
class Cost:
    """Passes that were counted, and the time they took.

    Attributes:
        forward_passes, backward_passes: counted for each image of each batch.
        seconds: wall-clock time, everything included.

    >>> Cost(forward_passes=100, backward_passes=100).pass_equivalents
    300
    """

    forward_passes: int = 0
    backward_passes: int = 0
    seconds: float = 0.0

    @property
    def pass_equivalents(self) -> int:
        """Forwards + 2 x backwards."""
        return self.forward_passes + 2 * self.backward_passes

    def record(self) -> dict[str, float]:
        """The counts, the pass equivalents and the seconds, as plain values."""
        return {
            "forward_passes": self.forward_passes,
            "backward_passes": self.backward_passes,
            "pass_equivalents": self.pass_equivalents,
            "seconds": self.seconds,
        }


class Counters:
    """The costs that are being counted, each for the passes of the thread that counts."""

    def __init__(self) -> None:
        self._counting: list[tuple[int, Cost]] = []

    @contextmanager
    def counting(self) -> Iterator[Cost]:
        """A context that counts the passes made and the seconds spent inside it."""
        cost = Cost()
        self._counting.append((get_ident(), cost))
        start = time.perf_counter()
        try:
            yield cost
        finally:
            cost.seconds = time.perf_counter() - start
            self._counting[:] = [entry for entry in self._counting if entry[1] is not cost]

    def add(self, thread: int, *, forward: int = 0, backward: int = 0) -> None:
        """Counts passes that a thread asked for."""
        for owner, cost in self._counting:
            if owner == thread:
                cost.forward_passes += forward
                cost.backward_passes += backward
