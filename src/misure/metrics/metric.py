"""A metric: a pure function, and beside it what its number means."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import Any


@dataclass(frozen=True)
class Metric:
    """One figure about a saliency map or a region.

    Attributes:
        name: the registry key.
        function: what computes it; its parameters name what it needs (see `MeasuredMap`).
        group: `sufficiency`, `necessity`, `localisation`, `fineness`, `evidence`, `stability`,
            `sanity` or `computation`.
        unit: of the number; `1` for a ratio.
        smallest, largest: its range.
        higher_is_better: None where neither is.
        when_empty: what it gives for an empty region, or a map without a positive value; None: what
            a random map gives, or what the model draws when it sees nothing.
    """

    name: str
    function: Callable[..., float]
    group: str
    unit: str
    smallest: float
    largest: float
    higher_is_better: bool | None
    when_empty: float | None

    def record(self) -> dict[str, Any]:
        """Everything but the function, as plain values; an endless range as None."""
        return {
            "group": self.group,
            "unit": self.unit,
            "smallest": self.smallest,
            "largest": self.largest if isfinite(self.largest) else None,
            "higher_is_better": self.higher_is_better,
        }

    def measure(self, subject: object) -> float | None:
        """The value for a `MeasuredMap`; None if that lacks what the metric needs."""
        known = {}
        for name, parameter in inspect.signature(self.function).parameters.items():
            optional = parameter.default is not inspect.Parameter.empty
            if optional and not hasattr(type(subject), name):
                continue
            known[name] = getattr(subject, name)
            if known[name] is None:
                return None
        return self.function(**known)
