"""The whole answer about a target: what suffices, what is needed, other reasons, surroundings.

What was hidden is said with *hidden*, what was shown alone with *shown*; see `summary`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from misure._util.drawing import drawing
from misure._util.progress import OnStep, shown_progress
from misure._util.records import plain
from misure._util.short_repr import brief, short_repr
from misure._util.words import counted
from misure.errors import InputError, entrance
from misure.explanation.answers.answering import Answering
from misure.explanation.answers.channel_effects import ChannelEffects
from misure.explanation.answers.effects import ContextEffects
from misure.explanation.answers.hidden import HiddenRegion, smaller_around
from misure.explanation.answers.reasons import Reasons, check_max_reasons
from misure.explanation.answers.shares import (
    ALL,
    USUAL_PASSES,
    SharedBudget,
    as_questions,
    least_passes,
    least_share_of_sufficient,
)
from misure.explanation.explanation import Explanation
from misure.explanation.presets import DEFAULT_PRESET, PRESETS, make_preset
from misure.explanation.reduction import SearchingReduction
from misure.explanation.robust.measured import Robustness, check_askable
from misure.explanation.summary import sufficient_sentences, sure_sentences
from misure.models.cost import Cost
from misure.models.given_target import AnyTarget, as_asked
from misure.models.inputs import AnyImage
from misure.models.model import SegmentationModel

_FEW = {"num_minimality_tests": 0}
_OF_EXPLAIN = ("other_image", "other_image_name")  # which are no options of a preset


@dataclass(frozen=True, eq=False, kw_only=True)
class Answer:
    """What is known of one target; a part that was not asked for is None.

    Attributes:
        questions: that were asked, among `ASKED_OF_DRAWN`.
        explanation: what suffices.
        necessary: what loses the target when it is hidden, wherever it lies.
        surroundings: the same, of the surroundings alone.
        reasons: regions that suffice apart from each other.
        effects: what each class, object and superpixel around the target does for it; None also if
            there are too many of them for the budget.
        channels: what each channel of the image does for it, and which suffice; None also if there
            are too many of them for the budget.
        cost: all passes, and seconds.
    """

    questions: tuple[str, ...]
    explanation: Explanation
    necessary: HiddenRegion | None = None
    surroundings: HiddenRegion | None = None
    reasons: Reasons | None = None
    effects: ContextEffects | None = None
    channels: ChannelEffects | None = None
    cost: Cost

    def __repr__(self) -> str:
        target = self.explanation.target
        return short_repr(
            self,
            brief(target.class_name or target.class_index),
            f"questions: {', '.join(self.questions)}",
            counted(self.cost.pass_equivalents, "pass equivalent"),
        )

    @property
    def robustness(self) -> Robustness | None:
        """On which share of baseline images the explanation's region suffices; None: not asked."""
        return self.explanation.values.robustness

    @property
    def passes(self) -> dict[str, int]:
        """Pass equivalents that each part took which was asked for."""
        of_robustness = self.robustness.passes if self.robustness else 0
        taken = {
            "sufficient": self.explanation.cost.pass_equivalents - of_robustness,
            "necessary": self.necessary.cost.pass_equivalents if self.necessary else 0,
            "surroundings": self.surroundings.cost.pass_equivalents if self.surroundings else 0,
            "reasons": self.reasons.values.cost.pass_equivalents if self.reasons else 0,
            "effects": self.effects.cost.pass_equivalents if self.effects else 0,
            "channels": self.channels.cost.pass_equivalents if self.channels else 0,
        }
        passes = {question: taken[question] for question in self.questions}
        return passes | ({"robustness": of_robustness} if self.robustness else {})

    def sentences(self) -> list[str]:
        """What suffices, what is needed, other reasons, surroundings, how sure, in this order."""
        record = self.explanation.values
        return [
            *sufficient_sentences(record),
            *([self.necessary.sentence] if self.necessary else []),
            *([self.reasons.sentence] if self.reasons else []),
            *([self.surroundings.sentence] if self.surroundings else []),
            *([self.effects.sentence()] if self.effects else []),
            *(self.channels.sentences() if self.channels else []),
            *sure_sentences(record),
        ]

    def summary(self) -> str:
        """The sentences in one paragraph."""
        return " ".join(self.sentences())

    def plot(self, panels: str | Sequence[str] | None = None, **options: Any) -> Any:
        """The picture of the explanation, as `Explanation.plot` draws it.

        Args:
            panels, options: as of `Explanation.plot`.
        """
        return self.explanation.plot(panels, **options)

    def show(self, panels: str | Sequence[str] | None = None, **options: Any) -> None:
        """Shows `plot` in a notebook or in a window; where there is neither, a warning says so.

        Args:
            panels, options: as of `plot`.
        """
        self.explanation.show(panels, **options)

    def _repr_html_(self) -> str:
        """What a notebook shows: all answers, with pictures and figures."""
        html: str = drawing("notebook", "answer_html")(self)
        return html

    def record(self) -> dict[str, Any]:
        """The summary and all values but the explanation's, as plain dictionaries and lists."""
        return {
            "summary": self.sentences(),
            "passes": self.passes,
            "necessary": self.necessary.record() if self.necessary else None,
            "surroundings": self.surroundings.record() if self.surroundings else None,
            "reasons": plain(self.reasons.values) if self.reasons else None,
            "effects": plain(self.effects.record()) if self.effects else None,
            "channels": plain(self.channels.record()) if self.channels else None,
            "robustness": plain(self.robustness) if self.robustness else None,
        }


@entrance("answer")
def answer(
    model: SegmentationModel | nn.Module,
    image: AnyImage,
    target: AnyTarget,
    *,
    questions: Sequence[str] = (ALL,),
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
    progress: bool | None = None,
    class_names: str | Sequence[str] = (),
    **options: Any,
) -> Answer:
    """Everything that misure can say about one target, within one budget; or some of it.

    The effects of the surroundings may take 12 % of the budget, those of channels 20 %; what
    `robust` needs is kept for what suffices. The rest is divided among what suffices, the region of
    the surroundings, other reasons and what is necessary as 9 : 3 : 1 : 2, in this order: what one
    leaves over, and what is not asked for, is there for the next.

    Args:
        model, image, target, dice_threshold, preset, seed, spacing_mm, on_step, progress,
            class_names: as of `explain`.
        questions: what is asked, among `sufficient`, `necessary`, `surroundings`, `reasons`,
            `effects` and `channels`; or `all`, which is all of them but `channels`. What suffices
            is always found.
        lost_dice: Dice down to which the target counts as lost, in [0, 1).
        robust: the share of all baseline images, in (0, 1), on which the explanation's region
            should suffice: its search accepts only what suffices on some of them, and the result
            says how sure it is. None: not asked.
        other_images: each (C, *any) float, among these baseline images; see `robustness`.
        max_passes: pass equivalents, at most, in all; 129 are enough for everything but `robust`.
        max_reasons: reasons at most, that of the explanation included.
        options: options of the preset to change, for all parts; `one_minimal`,
            `compare_presentations`, `max_content_dice`, `max_hidden_dice`, `channels`,
            `hidden_baseline_image`, `other_image` and `other_image_name` for the explanation
            alone. What is hidden is filled in from what is shown if no `baseline_image` is named.

    Raises:
        InputError: as of `explain` and `necessary_region`; or an unknown question, or too small a
            budget.
        MissingDependencyError: scikit-image is not installed and `robust` is asked for.
        ModelError: the network fails.
    """
    asked = as_questions(questions)
    check_max_reasons(max_reasons)
    check_answerable(
        asked,
        lost_dice=lost_dice,
        robust=robust,
        preset=preset,
        max_passes=max_passes,
        options=options,
    )
    model, pixels, meant = as_asked(model, image, target, class_names=class_names)
    common: dict[str, Any] = {"seed": seed, "spacing_mm": spacing_mm}
    budget = SharedBudget(max_passes, asked, robust)
    found: dict[str, Any] = {}
    with model.counting() as cost, shown_progress(progress, on_step, cost, max_passes) as told:
        own = {"preset": preset, "on_step": told, **common, **_FEW, **options}
        answering = Answering(model, pixels, meant, budget, common, own)
        if "effects" in asked:
            found["effects"] = answering.effects()
        if "channels" in asked:
            found["channels"] = answering.channels(dice_threshold)
        first = answering.sufficient(dice_threshold, robust, other_images)
        if "surroundings" in asked:
            found["surroundings"] = answering.hidden("surroundings", lost_dice)
        if "reasons" in asked:
            found["reasons"] = answering.reasons(first, max_reasons)
        if "necessary" in asked:
            found["necessary"] = answering.hidden("necessary", lost_dice)
    if "necessary" in asked and "surroundings" in asked:
        found["surroundings"] = smaller_around(found["surroundings"], found["necessary"])
    return Answer(questions=asked, explanation=first, **found, cost=cost)


def check_answerable(
    questions: Sequence[str],
    *,
    lost_dice: float,
    robust: float | None,
    preset: str | None,
    max_passes: int,
    options: Mapping[str, Any],
) -> None:
    """Raises an InputError or MissingDependencyError if `answer` would, before any pass.

    Args:
        questions: as `as_questions` returns them.
        lost_dice, robust, preset, max_passes, options: as of `answer`.
    """
    searching = isinstance(PRESETS.find(preset or DEFAULT_PRESET).reduction, SearchingReduction)
    if not searching and set(questions) & {"necessary", "surroundings", "reasons"}:
        raise InputError(
            f"expected a preset whose search can hide regions (readable, quick, smallest, "
            f"forward_only) for {', '.join(questions)}, got {preset}."
        )
    if not 0 <= lost_dice < 1:
        raise InputError(f"expected a lost_dice of at least 0 and below 1, got {lost_dice}.")
    if robust is not None:
        check_askable(robust)
    if max_passes < (least := least_passes(questions, robust)):
        with_robust = "" if robust is None else f" with robust={robust:g}"
        raise InputError(
            f"expected max_passes of {least} or more for {', '.join(questions)}{with_robust}, got "
            f"{max_passes}. Ask for fewer of them, or allow more."
        )
    own = {name: value for name, value in options.items() if name not in _OF_EXPLAIN}
    needed = make_preset(
        preset or DEFAULT_PRESET, {**_FEW, **own, "robust": robust or 0.0}
    ).least_passes
    if (share := least_share_of_sufficient(max_passes, questions, robust)) < needed:
        raise InputError(
            f"expected a larger max_passes for these options: what suffices needs {needed} passes, "
            f"and its share of {max_passes} may be {share}."
        )
