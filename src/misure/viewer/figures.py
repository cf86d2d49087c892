"""The figures that the page lists: those that the command line prints, with what they mean."""

from typing import Any

from misure.explanation.check import CheckedRegion
from misure.explanation.explanation import Explanation
from misure.reports.explanation_figures import figure_of
from misure.reports.explanation_rows import region_rows


def checked_figures(checked: CheckedRegion) -> list[list[str]]:
    """The same of a region that was checked."""
    return [figure_of(row) for row in region_rows(checked.values, "painted region")]


def curve_of(explanation: Explanation) -> list[list[Any]]:
    """Threshold, share of the image and Dice of each nested region."""
    return [
        [point.dice_threshold, point.area_fraction, point.dice]
        for point in explanation.sufficiency_curve
    ]
