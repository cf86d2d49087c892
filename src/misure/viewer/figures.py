"""The figures that the page lists: those that the command line prints, with what they mean."""

import re
from collections.abc import Iterable
from typing import Any

from misure.explanation.check import CheckedRegion
from misure.explanation.explanation import Explanation
from misure.reports.explanation_figures import figure_of
from misure.reports.explanation_rows import region_rows

_HINT = re.compile(r"; (--other-image|other_image=\.\.\.) names another$")


def checked_figures(checked: CheckedRegion) -> list[list[str]]:
    """The same of a region that was checked."""
    return without_hint(figure_of(row) for row in region_rows(checked.values, "painted region"))


def without_hint(figures: Iterable[list[str]]) -> list[list[str]]:
    """The figures without the name of an option that the page does not have."""
    return [[name, _HINT.sub("", value), meaning] for name, value, meaning in figures]


def curve_of(explanation: Explanation) -> list[list[Any]]:
    """Threshold, share of the image and Dice of each nested region."""
    return [
        [point.dice_threshold, point.area_fraction, point.dice]
        for point in explanation.sufficiency_curve
    ]
