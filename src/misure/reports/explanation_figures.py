"""The figures of an explanation, each with its name, its value and what it means."""

from misure._util.words import counted
from misure.explanation.explanation import Explanation
from misure.explanation.record import reduction_note
from misure.reports.explanation_rows import Row, explanation_rows

Figures = list[list[str]]
"""Name, value, and what it means, of each figure."""

MEANINGS = {
    "target": "The object as the network draws it on the whole image.",
    "sufficient_region": "The object, grown until it suffices when it is shown alone.",
    "minimally_sufficient_region": "The smallest region found from which alone the network draws "
    "the object again.",
    "painted region": "What was left visible. All else was hidden.",
    "its outline alone": "Dice with other content in the region: its mean colour or noise, "
    "whichever is larger. High: the outline gives the object away, so the region is weak evidence.",
    "another image in it": "Dice with another image in the region's outline.",
    "on other baseline images": "Dice with something else around the region. No search asked for "
    "these.",
    "under small changes": "Dice under small changes that no search has seen.",
}


def explanation_figures(explanation: Explanation) -> Figures:
    """The figures of an explanation, which the command line prints, too."""
    values = explanation.values
    figures = [figure_of(row) for row in explanation_rows(values)]
    cost = values.cost
    spent = f"{counted(cost.pass_equivalents, 'pass equivalent')} in {cost.seconds:.0f} s"
    figures.append(["cost", spent, "Forward passes and twice the backward passes."])
    if note := reduction_note(values):
        figures.append(["not known to be minimal", note, "A smaller region may exist."])
    return figures


def figure_of(row: Row) -> list[str]:
    """Name, value and meaning of a row of the command line, in the words of Python."""
    name, area, dice, remark = row
    remark = remark.replace("--other-image names", "other_image=... names")
    parts = [area, f"Dice {dice}" if dice else "", remark]
    return [name.replace("_", " "), " · ".join(filter(None, parts)), MEANINGS.get(name, "")]
