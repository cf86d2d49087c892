"""What a comparison gives: rows, settings, and the first objects with their maps."""

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from misure._util.drawing import drawing
from misure._util.short_repr import ShortRepr, one_line, short_repr
from misure.datasets.sample import Sample
from misure.metrics.comparison.row import Row
from misure.metrics.comparison.statistics import Summary, summarise_rows
from misure.models.target import Target

NUM_PICTURED = 12
"""How many objects are kept with their maps, for a picture."""


@dataclass(frozen=True, eq=False, repr=False)
class PicturedObject(ShortRepr):
    """One object with its maps, for a picture.

    Attributes:
        key: of the object, as in `Row.image`.
        sample: its image.
        target: the object.
        maps: method -> map (*spatial).
    """

    key: str
    sample: Sample
    target: Target
    maps: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Comparison:
    """The result of a comparison.

    Attributes:
        rows: one for each object and method, object by object.
        settings: how it was made, as plain values.
        pictured: the first objects with their maps.
    """

    rows: list[Row]
    settings: dict[str, Any]
    pictured: list[PicturedObject]

    def __repr__(self) -> str:
        objects = len({row.image for row in self.rows})
        return short_repr(
            self,
            f"{objects} object{'' if objects == 1 else 's'}",
            f"{len(self.methods)} methods: {one_line(', '.join(self.methods), 80)}",
            f"{len(self.metrics)} metrics: {one_line(', '.join(self.metrics), 80)}",
        )

    @property
    def methods(self) -> list[str]:
        """Names of the methods, in the order in which they were asked for."""
        return list(self.settings["methods"])

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics, in the order of the registry."""
        return list(self.settings["metrics"])

    def summary(self) -> dict[str, dict[str, Summary]]:
        """Method -> metric -> mean over objects, interval and so on (see `summarise_rows`)."""
        return summarise_rows(self.rows, self.methods, self.metrics)

    def plot(self) -> Any:
        """A matplotlib Figure of the first objects with the map of each method.

        Each map is divided by the 99 % quantile of its positive values, as maps of different
        methods have no scale in common. Where a method gave no map its cell says why.
        """
        return drawing("comparison_picture", "plot_comparison")(self)

    def show(self) -> None:
        """Shows `plot` in a notebook or in a window; where there is neither, a warning says so."""
        drawing("canvas", "show_figure")(self.plot())

    def _repr_html_(self) -> str:
        """What a notebook shows: a table of methods, the first objects, and what failed."""
        html: str = drawing("notebook_runs", "comparison_html")(self)
        return html

    def record(self) -> dict[str, Any]:
        """Everything as plain values, in the form of `comparison.json`."""
        return {
            "settings": self.settings,
            "rows": [row.record() for row in self.rows],
            "summary": self.summary(),
        }
