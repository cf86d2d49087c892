"""One class of targets and one hidden class: the effect over all objects, and what chance does."""

from collections.abc import Sequence

import numpy as np

from misure._util.records import Count, Fraction, Record
from misure._util.words import counted
from misure.explanation.answers.effects import LEAST_TOLD
from misure.explanation.summary import named
from misure.metrics.comparison.statistics import summarise

_EXAMPLES = 5


class ObjectEffect(Record, frozen=True, kw_only=True):
    """The effect of hiding one class on one object.

    Attributes:
        key: of the object, `SAMPLE#CLASS` or `SAMPLE#CLASS.INSTANCE`, as in a run.
        case: the image or patient that it is of.
        target_name: its class.
        hidden_name: the class that was hidden; `background` for all that is of no class.
        effect: Dice with everything shown, minus the Dice with the class hidden.
        control_effect: the same for as large a region elsewhere; None if it fits nowhere.
        area_fraction: share of the image that was hidden.
    """

    key: str
    case: str
    target_name: str
    hidden_name: str
    effect: float
    control_effect: float | None
    area_fraction: Fraction


class EffectCell(Record, frozen=True, kw_only=True):
    """The effect of hiding one class on the objects of another.

    Attributes:
        target_name, hidden_name: the two classes; equal for the rest of the target's own.
        num_objects, num_images: in which both occur.
        effect: mean loss of Dice over the objects.
        low, high: its 95 % interval; None with fewer than five images.
        num_controls: objects for which as large a region fits elsewhere.
        control_effect: its mean effect on these; None if there are none.
        beyond_chance: mean of the effect minus the control's, over these objects.
        beyond_low, beyond_high: its 95 % interval; None with fewer than five images.
        examples: keys of up to five objects, the strongest effect first.
    """

    target_name: str
    hidden_name: str
    num_objects: Count
    num_images: Count
    effect: float
    low: float | None
    high: float | None
    num_controls: Count
    control_effect: float | None
    beyond_chance: float | None
    beyond_low: float | None
    beyond_high: float | None
    examples: tuple[str, ...]

    @classmethod
    def of(cls, objects: Sequence[ObjectEffect]) -> "EffectCell":
        """The cell of all objects of one target class and one hidden class."""
        own = summarise([each.effect for each in objects], [each.case for each in objects])
        paired = [
            (each.effect - each.control_effect, each.control_effect, each.case)
            for each in objects
            if each.control_effect is not None
        ]
        beyond = (
            summarise([row[0] for row in paired], [row[2] for row in paired]) if paired else None
        )
        strongest = sorted(objects, key=lambda each: -each.effect)
        return cls(
            target_name=objects[0].target_name,
            hidden_name=objects[0].hidden_name,
            num_objects=len(objects),
            num_images=own["num_cases"],
            effect=own["mean"],
            low=own["low"],
            high=own["high"],
            num_controls=len(paired),
            control_effect=float(np.mean([row[1] for row in paired])) if paired else None,
            beyond_chance=beyond["mean"] if beyond else None,
            beyond_low=beyond["low"] if beyond else None,
            beyond_high=beyond["high"] if beyond else None,
            examples=tuple(each.key for each in strongest[:_EXAMPLES]),
        )

    @property
    def is_dependency(self) -> bool:
        """Whether the effect is worth a sentence: its interval lies above that of chance."""
        return (
            self.beyond_low is not None
            and self.beyond_low > 0
            and self.beyond_chance is not None
            and self.beyond_chance >= LEAST_TOLD
        )

    def sentence(self) -> str:
        """The figures of the cell in plain words."""
        target, same = named(self.target_name), self.target_name == self.hidden_name
        hidden = f"the rest of {target}" if same else named(self.hidden_name)
        interval = "too few images for an interval"
        if self.low is not None and self.high is not None:
            interval = f"95 % interval {self.low:.2f} to {self.high:.2f}"
        control = "no such region was hidden elsewhere"
        if self.control_effect is not None:
            control = f"as large a region elsewhere takes {self.control_effect:.2f}"
        objects = counted(self.num_objects, "object")
        images = counted(self.num_images, "image")
        return (
            f"Hiding {hidden} takes {self.effect:.2f} of the Dice of {target} (mean of {objects} "
            f"in {images}, {interval}); {control}. Strongest in {self.examples[0]}."
        )
