"""The whole answer about a target: what suffices, what is needed, other reasons, surroundings."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import nn

from misure._util.records import plain
from misure.errors import entrance
from misure.explanation.explain import explain
from misure.explanation.explanation import Explanation
from misure.explanation.hidden import HiddenRegion
from misure.explanation.hide import necessary_region
from misure.explanation.probe import OnStep
from misure.explanation.reasons import Reasons, find_reasons
from misure.explanation.summary import sufficient_sentences, sure_sentences
from misure.models.given_target import AnyTarget, as_target
from misure.models.inputs import AnyImage, as_image, as_model
from misure.models.model import SegmentationModel

USUAL_PASSES = 250
"""Pass equivalents of the whole answer if no other number is asked for."""

_SHARE_OF_SUFFICIENT, _SHARE_OF_SURROUNDINGS, _SHARE_OF_REASONS = 0.55, 0.5, 1 / 3
_FEW = {"num_minimality_tests": 0}


@dataclass(frozen=True, eq=False, kw_only=True)
class Answer:
    """What is known of one target.

    Attributes:
        explanation: what suffices.
        necessary: what loses the target when it is hidden, wherever it lies.
        surroundings: the same, of the surroundings alone.
        reasons: regions that suffice apart from each other.
    """

    explanation: Explanation
    necessary: HiddenRegion
    surroundings: HiddenRegion
    reasons: Reasons

    @property
    def passes(self) -> dict[str, int]:
        """Pass equivalents that each part took."""
        return {
            "sufficient": self.explanation.cost.pass_equivalents,
            "necessary": self.necessary.cost.pass_equivalents,
            "reasons": self.reasons.values.cost.pass_equivalents,
            "surroundings": self.surroundings.cost.pass_equivalents,
        }

    def sentences(self) -> list[str]:
        """What suffices, what is needed, other reasons, surroundings, how sure, in this order."""
        record = self.explanation.values
        return [
            *sufficient_sentences(record),
            self.necessary.sentence,
            self.reasons.sentence,
            self.surroundings.sentence,
            *sure_sentences(record),
        ]

    def summary(self) -> str:
        """The sentences in one paragraph."""
        return " ".join(self.sentences())

    def record(self) -> dict[str, Any]:
        """The summary and all values but the explanation's, as plain dictionaries and lists."""
        return {
            "summary": self.sentences(),
            "passes": self.passes,
            "necessary": self.necessary.record(),
            "surroundings": self.surroundings.record(),
            "reasons": plain(self.reasons.values),
        }


@entrance("answer")
def answer(
    model: SegmentationModel | nn.Module,
    image: AnyImage,
    target: AnyTarget,
    *,
    dice_threshold: float = 0.9,
    lost_dice: float = 0.5,
    preset: str | None = None,
    max_passes: int = USUAL_PASSES,
    max_reasons: int = 3,
    seed: int = 0,
    spacing_mm: Sequence[float] | None = None,
    on_step: OnStep | None = None,
    **options: Any,
) -> Answer:
    """Everything that misure can say about one target, within one budget.

    The explanation may take 55 % of the budget, the surroundings half of what is then left, other
    reasons a third of the rest, and what is necessary the remainder. What one part leaves over is
    there for the next.

    Args:
        model, image, target, dice_threshold, preset, seed, spacing_mm, on_step: as of `explain`.
        lost_dice: Dice down to which the target counts as lost, in [0, 1).
        max_passes: pass equivalents, at most, in all.
        max_reasons: reasons at most, that of the explanation included.
        options: options of the preset to change, for all parts. What is hidden is filled in from
            what is shown if no `baseline_image` is named.

    Raises:
        InputError: as of `explain` and `necessary_region`; or too small a budget.
        ModelError: the network fails.
    """
    model = as_model(model)
    pixels = as_image(image, model)
    model.examine(pixels[None])
    meant = as_target(model, pixels, target)
    common: dict[str, Any] = {"seed": seed, "spacing_mm": spacing_mm, "on_step": on_step}
    options = _FEW | options
    first = explain(
        model,
        pixels,
        meant,
        dice_threshold=dice_threshold,
        preset=preset,
        max_passes=int(_SHARE_OF_SUFFICIENT * max_passes),
        **common,
        **options,
    )
    left = max_passes - first.cost.pass_equivalents
    hiding = partial(
        necessary_region,
        model,
        pixels,
        meant,
        lost_dice=lost_dice,
        preset=preset,
        **common,
        **options,
    )
    around = hiding(outside_target=True, max_passes=int(_SHARE_OF_SURROUNDINGS * left))
    left -= around.cost.pass_equivalents
    others = find_reasons(
        model,
        pixels,
        first,
        max_reasons=max_reasons,
        max_passes=int(_SHARE_OF_REASONS * left),
        on_step=on_step,
    )
    left -= others.values.cost.pass_equivalents
    needed = hiding(max_passes=left)
    return Answer(explanation=first, necessary=needed, surroundings=around, reasons=others)
