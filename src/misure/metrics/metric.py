"""A metric: a pure function, and beside it what its number means."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """One figure about a saliency map or a region.

    Attributes:
        name: the registry key.
        function: what computes it.
        group: `localisation`, `fineness` or `sufficiency`.
        unit: of the number; `1` for a ratio.
        smallest, largest: its range.
        higher_is_better: None where neither is.
        when_empty: what it gives for an empty region, or a map without a positive value; None: what
            a random map gives.
    """

    name: str
    function: Callable[..., float]
    group: str
    unit: str
    smallest: float
    largest: float
    higher_is_better: bool | None
    when_empty: float | None
