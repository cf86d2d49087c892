"""What an explanation costs: passes, counted for each image shown to the model, and seconds.

A backward pass counts as two forward passes: *pass equivalents* = forwards + 2 x backwards.
"""

from dataclasses import dataclass


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
