"""A metric: a pure function, and beside it what its number means."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any, Literal, TypeVar

from misure._util.docstrings import first_sentence
from misure._util.registry import Registry
from misure._util.short_repr import ShortRepr

Function = TypeVar("Function", bound=Callable[..., float | None])

ENDLESS = inf
"""The upper end of a range that has none."""

GROUPS = (
    "sufficiency",
    "necessity",
    "localisation",
    "fineness",
    "evidence",
    "stability",
    "sanity",
    "computation",
)
"""The groups of misure's own metrics; other packages may add some."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Metric(ShortRepr):
    """One number about a saliency map or a region.

    Attributes:
        name: the registry key.
        function: what computes it; its parameters name what it needs (see `MeasuredMap`).
        group: one of `GROUPS`, or a new one.
        unit: of the number; `1` for a ratio.
        smallest, largest: its range.
        higher_is_better: None if neither is.
        when_empty: what it gives for an empty region, or a map without a positive value; None: what
            a random map gives, or what the model predicts when it sees nothing.
        formula: how it is computed, in one line for documents.
        source: the publication it is from; empty: misure's own, or common knowledge.
    """

    name: str
    function: Callable[..., float | None]
    group: str
    unit: str = "1"
    smallest: float = 0.0
    largest: float = 1.0
    higher_is_better: bool | None = None
    when_empty: float | None = None
    formula: str = ""
    source: str = ""

    @property
    def summary(self) -> str:
        """The first sentence of its docstring."""
        return first_sentence(self.function.__doc__)

    @property
    def needs(self) -> tuple[str, ...]:
        """The attributes of a `MeasuredMap` without which it cannot be computed."""
        parameters = inspect.signature(self.function).parameters.values()
        return tuple(each.name for each in parameters if each.default is each.empty)

    def record(self) -> dict[str, Any]:
        """Group, unit, range and direction as plain values; an endless range as None."""
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


METRICS: Registry[Metric] = Registry("metric", "misure.metrics")
"""Name -> metric, in the order of tables."""


def metric(
    *,
    group: str,
    unit: str = "1",
    range: tuple[float, float] = (0.0, 1.0),  # noqa: A002
    better: Literal["higher", "lower"] | None = None,
    when_empty: float | None = None,
    formula: str = "",
    source: str = "",
) -> Callable[[Function], Function]:
    """A decorator that registers a function as a metric under its own name.

    The function stays as it is. Its parameters name what it needs: attributes of `MeasuredMap`.

    Args:
        group: which table it stands in; comparisons measure whole groups.
        unit: of the number; `1` for a ratio.
        range: the smallest and the largest value; `ENDLESS` if there is none.
        better: which direction is better, if any.
        when_empty: see `Metric`.
        formula: how it is computed, in one line for documents.
        source: the publication it is from.
    """

    def register(function: Function) -> Function:
        entry = Metric(
            name=function.__name__,
            function=function,
            group=group,
            unit=unit,
            smallest=range[0],
            largest=range[1],
            higher_is_better=None if better is None else better == "higher",
            when_empty=when_empty,
            formula=formula,
            source=source,
        )
        METRICS.register(entry.name, entry, function.__module__)
        return function

    return register
