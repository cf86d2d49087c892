"""The whole answer about a target: what suffices, what is needed, other reasons, surroundings.

What was hidden is said with *hidden*, what was shown alone with *shown*; see `summary`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from torch import Tensor, nn

from misure._util.records import plain
from misure.errors import InputError, entrance
from misure.explanation.answers.context_effects import EffectSettings, effects_of
from misure.explanation.answers.effects import ContextEffects
from misure.explanation.answers.hidden import HiddenRegion
from misure.explanation.answers.hide import necessary_region
from misure.explanation.answers.intervention import check_fits
from misure.explanation.answers.reasons import Reasons, find_reasons
from misure.explanation.answers.robustness import robustness
from misure.explanation.explain import explain
from misure.explanation.explanation import Explanation
from misure.explanation.probe import OnStep
from misure.explanation.robust.measured import Robustness, check_askable
from misure.explanation.summary import sufficient_sentences, sure_sentences
from misure.models.given_target import AnyTarget, as_target
from misure.models.inputs import AnyImage, as_examined
from misure.models.model import SegmentationModel
from misure.models.segmentation import segment
from misure.models.target import Target

USUAL_PASSES = 250
"""Pass equivalents of the whole answer if no other number is asked for."""

LEAST_PASSES = 150
"""Fewer are not enough for all parts."""

_SHARE_OF_EFFECTS, _SHARE_OF_ROBUSTNESS = 0.12, 0.14
_SHARE_OF_SUFFICIENT, _SHARE_OF_SURROUNDINGS, _SHARE_OF_REASONS = 0.6, 0.5, 1 / 3
_LEAST_AREAS = (0.001, 0.01, 0.05)  # of objects whose effect is measured, the first that fits
_NUM_SUPERPIXELS = 10  # so few that there are controls
_FOR_EXPLAINING = ("one_minimal", "compare_presentations", "max_content_dice")
_FEW = {"num_minimality_tests": 0}


@dataclass(frozen=True, eq=False, kw_only=True)
class Answer:
    """What is known of one target.

    Attributes:
        explanation: what suffices.
        necessary: what loses the target when it is hidden, wherever it lies.
        surroundings: the same, of the surroundings alone.
        reasons: regions that suffice apart from each other.
        effects: what each class, object and superpixel around the target does for it; None: there
            are too many of them for the budget.
        robustness: on which share of baseline images the explanation's region suffices; None: not
            asked for.
    """

    explanation: Explanation
    necessary: HiddenRegion
    surroundings: HiddenRegion
    reasons: Reasons
    effects: ContextEffects | None
    robustness: Robustness | None = None

    @property
    def passes(self) -> dict[str, int]:
        """Pass equivalents that each part took."""
        return {
            "sufficient": self.explanation.cost.pass_equivalents,
            "necessary": self.necessary.cost.pass_equivalents,
            "reasons": self.reasons.values.cost.pass_equivalents,
            "surroundings": self.surroundings.cost.pass_equivalents,
            "effects": self.effects.cost.pass_equivalents if self.effects else 0,
            "robustness": self.robustness.passes if self.robustness else 0,
        }

    def sentences(self) -> list[str]:
        """What suffices, what is needed, other reasons, surroundings, how sure, in this order."""
        record = self.explanation.values
        return [
            *sufficient_sentences(record),
            self.necessary.sentence,
            self.reasons.sentence,
            self.surroundings.sentence,
            *([self.effects.sentence()] if self.effects else []),
            *([self.robustness.note] if self.robustness else []),
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
            "effects": plain(self.effects.record()) if self.effects else None,
            "robustness": plain(self.robustness) if self.robustness else None,
        }


@entrance("answer")
def answer(
    model: SegmentationModel | nn.Module,
    image: AnyImage,
    target: AnyTarget,
    *,
    dice_threshold: float = 0.9,
    lost_dice: float = 0.5,
    robust: float | None = None,
    other_images: Sequence[Tensor] = (),
    preset: str | None = None,
    max_passes: int = USUAL_PASSES,
    max_reasons: int = 3,
    seed: int = 0,
    spacing_mm: Sequence[float] | None = None,
    on_step: OnStep | None = None,
    **options: Any,
) -> Answer:
    """Everything that misure can say about one target, within one budget.

    The effects of the surroundings may take 12 % of the budget, and the robustness 14 % if it is
    asked for. Of the rest the explanation may take 60 %, the region of the surroundings half of
    what is then left, other reasons a third of the rest, and what is necessary the remainder. What
    one part leaves over is there for the next.

    Args:
        model, image, target, dice_threshold, preset, seed, spacing_mm, on_step: as of `explain`.
        lost_dice: Dice down to which the target counts as lost, in [0, 1).
        robust: the share of baseline images, in (0, 1), that is asked about: does the
            explanation's region suffice on at least this share? None: not asked.
        other_images: each (C, *any) float, among these baseline images; see `robustness`.
        max_passes: pass equivalents, at most, in all; `LEAST_PASSES` (150) or more.
        max_reasons: reasons at most, that of the explanation included.
        options: options of the preset to change, for all parts; `one_minimal`,
            `compare_presentations` and `max_content_dice` for the explanation alone. What is
            hidden is filled in from what is shown if no `baseline_image` is named.

    Raises:
        InputError: as of `explain` and `necessary_region`; or too small a budget.
        MissingDependencyError: scikit-image is not installed and `robust` is asked for.
        ModelError: the network fails.
    """
    if not 0 <= lost_dice < 1:
        raise InputError(f"expected a lost_dice of at least 0 and below 1, got {lost_dice}.")
    if max_passes < LEAST_PASSES:
        raise InputError(
            f"expected max_passes of {LEAST_PASSES} or more for the whole answer, got {max_passes}."
        )
    if robust is not None:
        check_askable(robust)
    model, pixels = as_examined(model, image)
    meant = as_target(model, pixels, target)
    common: dict[str, Any] = {"seed": seed, "spacing_mm": spacing_mm}
    own = {"preset": preset, "on_step": on_step, **common, **_FEW, **options}
    effects = _effects(
        model,
        pixels,
        meant,
        baseline_image=options.get("baseline_image", "filled"),
        num_superpixels=_NUM_SUPERPIXELS,
        max_passes=int(_SHARE_OF_EFFECTS * max_passes),
        **common,
    )
    kept = 0 if robust is None else int(_SHARE_OF_ROBUSTNESS * max_passes)
    left = max_passes - kept - (effects.cost.pass_equivalents if effects else 0)
    first = explain(
        model,
        pixels,
        meant,
        dice_threshold=dice_threshold,
        max_passes=int(_SHARE_OF_SUFFICIENT * left),
        **own,
    )
    left -= first.cost.pass_equivalents
    own_of_hiding = {name: value for name, value in own.items() if name not in _FOR_EXPLAINING}
    hiding = partial(necessary_region, model, pixels, meant, lost_dice=lost_dice, **own_of_hiding)
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
    sure = None
    if robust is not None:
        sure = robustness(
            model,
            pixels,
            meant,
            first.minimally_sufficient_region,
            dice_threshold=dice_threshold,
            at_least=robust,
            other_images=other_images,
            max_passes=kept,
            on_step=on_step,
            **common,
        )
    return Answer(
        explanation=first,
        necessary=needed,
        surroundings=around,
        reasons=others,
        effects=effects,
        robustness=sure,
    )


def _effects(
    model: SegmentationModel, image: Tensor, target: Target, **options: Any
) -> ContextEffects | None:
    """The context effects, of larger objects only if there are many; None if still too many."""
    check_fits(image, target)
    effects = None
    with model.counting() as cost, model.borrowed():
        segmentation = segment(model, image)
        for min_area in _LEAST_AREAS:
            settings = EffectSettings(min_area=min_area, **options)
            try:
                effects = effects_of(segmentation, image, target, settings)
                break
            except InputError as error:
                if "max_passes" not in str(error):
                    raise
    return effects and replace(effects, cost=cost)
