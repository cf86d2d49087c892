"""The parts of a whole answer, each within its share of one budget."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from misure.errors import InputError
from misure.explanation.answers.channel_effects import ChannelEffects
from misure.explanation.answers.channels import FILLS, channel_effects
from misure.explanation.answers.context_effects import EffectSettings, effects_of
from misure.explanation.answers.effects import ContextEffects
from misure.explanation.answers.hidden import HiddenRegion
from misure.explanation.answers.hide import necessary_region
from misure.explanation.answers.intervention import check_fits
from misure.explanation.answers.reasons import Reasons, find_reasons
from misure.explanation.answers.shares import SUFFICIENT, SharedBudget
from misure.explanation.explain import explain
from misure.explanation.explanation import Explanation
from misure.models.model import SegmentationModel
from misure.models.segmentation import segment_again
from misure.models.target import Target

_LEAST_AREAS = (0.001, 0.01, 0.05)  # of objects whose effect is measured, the first that fits
_FILLS_OF_CHANNELS = (FILLS, "mean,noise", "mean")  # the first that fits
_NUM_SUPERPIXELS = 10  # at most: each part has a control
_FOR_EXPLAINING = (
    *("one_minimal", "compare_presentations", "max_content_dice", "max_hidden_dice", "channels"),
    *("hidden_baseline_image", "other_image", "other_image_name"),
)


@dataclass(frozen=True, eq=False)
class Answering:
    """The parts of an answer, each within its share of the budget.

    Attributes:
        model, image, target: that are asked about.
        budget: of all parts.
        common: arguments that all parts take.
        own: arguments of the searches, the common ones and options of the preset among them.
    """

    model: SegmentationModel
    image: Tensor
    target: Target
    budget: SharedBudget
    common: Mapping[str, Any]
    own: Mapping[str, Any]

    @property
    def _subject(self) -> tuple[SegmentationModel, Tensor, Target]:
        return self.model, self.image, self.target

    def sufficient(
        self, dice_threshold: float, robust: float | None, other_images: Sequence[Tensor]
    ) -> Explanation:
        """What suffices, and how sure it is."""
        found = explain(
            *self._subject,
            dice_threshold=dice_threshold,
            robust=robust or 0.0,
            other_images=other_images,
            max_passes=self.budget.share(SUFFICIENT),
            **self.own,
        )
        self.budget.spend(found.cost.pass_equivalents)
        return found

    def hidden(self, question: str, lost_dice: float) -> HiddenRegion:
        """What loses the target, wherever it lies (`necessary`) or around it (`surroundings`)."""
        found = necessary_region(
            *self._subject,
            lost_dice=lost_dice,
            outside_target=question == "surroundings",
            max_passes=self.budget.share(question),
            **{name: value for name, value in self.own.items() if name not in _FOR_EXPLAINING},
        )
        self.budget.spend(found.cost.pass_equivalents)
        return found

    def reasons(self, first: Explanation, max_reasons: int) -> Reasons:
        """Reasons apart from the first."""
        found = find_reasons(
            self.model,
            self.image,
            first,
            max_reasons=max_reasons,
            max_passes=self.budget.share("reasons"),
            on_step=self.own["on_step"],
        )
        self.budget.spend(found.values.cost.pass_equivalents)
        return found

    def channels(self, dice_threshold: float) -> ChannelEffects | None:
        """The effects of the channels, on fewer fills if there are many.

        None if there are still too many.
        """
        most = self.budget.share("channels")
        for fills in _FILLS_OF_CHANNELS:
            try:
                found = channel_effects(
                    *self._subject,
                    dice_threshold=dice_threshold,
                    baseline_image=fills,
                    max_passes=most,
                    on_step=self.own["on_step"],
                    **self.common,
                )
            except InputError as error:
                if "max_passes" not in str(error):
                    raise
                continue
            self.budget.spend(found.cost.pass_equivalents)
            return found
        return None

    def effects(self) -> ContextEffects | None:
        """The effects of the surroundings, of larger objects only if there are many.

        None if there are still too many.
        """
        check_fits(self.image, self.target)
        effects = None
        with self.model.counting() as cost, self.model.borrowed():
            segmentation = segment_again(self.model, self.image)
            for min_area in _LEAST_AREAS:
                settings = EffectSettings(
                    num_superpixels=_NUM_SUPERPIXELS,
                    least_controls=1,
                    min_area=min_area,
                    baseline_image=self.own.get("baseline_image", "filled"),
                    max_passes=self.budget.share("effects"),
                    **self.common,
                )
                try:
                    effects = effects_of(
                        segmentation, self.image, self.target, settings, self.own["on_step"]
                    )
                    break
                except InputError as error:
                    if "max_passes" not in str(error):
                        raise
        self.budget.spend(cost.pass_equivalents)
        return effects and replace(effects, cost=cost)
