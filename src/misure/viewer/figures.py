"""The figures that the page lists: those that the command line prints, with what they mean."""

import re
from collections.abc import Iterable
from typing import Any

from misure.explanation.check import CheckedRegion
from misure.explanation.explanation import Explanation
from misure.explanation.record import CostRecord
from misure.reports.explanation_figures import explanation_figures, figure_of
from misure.reports.explanation_rows import region_rows

_HINT = re.compile(r"; (--other-image|other_image=\.\.\.) names another$")


def explained_figures(explanation: Explanation) -> list[list[str]]:
    """Name, value and meaning of each figure of an explanation."""
    cost = explanation.values.cost
    own = {"cost": _cost(cost)}
    figures = _without_hint(explanation_figures(explanation))
    return [own.get(name, [name, value, meaning]) for name, value, meaning in figures]


def checked_figures(checked: CheckedRegion) -> list[list[str]]:
    """The same of a region that was checked."""
    rows = region_rows(checked.values, "painted region")
    return [*_without_hint(figure_of(row) for row in rows), _cost(checked.values.cost)]


def _cost(cost: CostRecord) -> list[str]:
    """What was spent, called by what was really counted."""
    seconds = f" in {cost.seconds:.0f} s"
    if not cost.backward_passes:
        return ["cost", f"{cost.forward_passes} passes{seconds}", "Forward passes."]
    what = f"{cost.pass_equivalents} pass equivalents"
    backward = f"twice the {cost.backward_passes} backward passes"
    meaning = f"{cost.forward_passes} forward passes and {backward}."
    return ["cost", f"{what}{seconds}", meaning]


def _without_hint(figures: Iterable[list[str]]) -> list[list[str]]:
    """The figures without the name of an option that the page does not have."""
    return [[name, _HINT.sub("", value), meaning] for name, value, meaning in figures]


def curve_of(explanation: Explanation) -> list[list[Any]]:
    """Threshold, share of the image and Dice of each nested region."""
    return [
        [point.dice_threshold, point.area_fraction, point.dice]
        for point in explanation.sufficiency_curve
    ]
