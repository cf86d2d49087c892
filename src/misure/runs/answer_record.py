"""What a run records of further questions about an object, beside what suffices for it."""

from collections.abc import Callable

from misure._util.records import Amount, Count, Fraction, Record
from misure.explanation.answers.channel_effects import ChannelEffects
from misure.explanation.answers.effects import ContextEffect, ContextEffects
from misure.explanation.answers.hidden import HiddenRegion
from misure.explanation.answers.reasons import ReasonRecord, Reasons
from misure.explanation.answers.surroundings import BACKGROUND, CLASS


class HiddenRegionGroup(Record, frozen=True, kw_only=True):
    """The region that, hidden, loses the object (see `HiddenRegionRecord` for each field).

    Attributes:
        map: name of the file with the region in the run folder, which `HiddenRegion.load` reads.
        threshold: the Dice down to which the object counts as lost.
        is_found: whether a region was found; if not, the region is empty.
        dice: with the object when the region is hidden and all else is shown; None if none was
            found.
        dice_with_all_hidden: when everything is hidden that may be.
        area_fraction: of the image, in [0, 1].
        relative_area: its area divided by the object's; 0 or more.
        outside_target_fraction: part of it outside the object, in [0, 1].
        num_parts: connected parts.
        grain_px: side of the smallest piece that the region may consist of.
        stopped_by: why the search ended.
        dice_on_other_baseline_images: `dice` with baseline images other than that of the search.
        dice_under_small_changes: `dice` under small changes that the search has not seen.
    """

    map: str
    threshold: Fraction
    is_found: bool
    dice: Fraction | None
    dice_with_all_hidden: Fraction
    area_fraction: Fraction
    relative_area: Amount
    outside_target_fraction: Fraction
    num_parts: Count
    grain_px: Count
    stopped_by: str
    dice_on_other_baseline_images: dict[str, Fraction]
    dice_under_small_changes: dict[str, Fraction]

    @classmethod
    def of(cls, hidden: HiddenRegion, file: str) -> "HiddenRegionGroup":
        """The group of a hidden region that was saved as a file."""
        taken = {name: getattr(hidden.values, name) for name in cls.__struct_fields__[1:]}
        return cls(map=file, **taken)


class ReasonsGroup(Record, frozen=True, kw_only=True):
    """Regions that suffice for the object apart from each other (see `ReasonsRecord`).

    Attributes:
        map: name of the file with `regions` (reasons, *spatial) bool in the run folder.
        num_reasons: how many were found, the minimally sufficient region included.
        share_target: whether they are apart in the surroundings of the object only.
        dice_of_rest: with the object when all is shown but the reasons, or but their parts outside
            the object if they share that.
        stopped_by: why no other was found.
        reasons: each of them.
    """

    map: str
    num_reasons: Count
    share_target: bool
    dice_of_rest: Fraction
    stopped_by: str
    reasons: list[ReasonRecord]

    @classmethod
    def of(cls, found: Reasons, file: str) -> "ReasonsGroup":
        """The group of the reasons that were found, whose regions were saved as a file."""
        values = found.values
        return cls(
            map=file,
            num_reasons=len(values.reasons),
            share_target=values.share_target,
            dice_of_rest=values.dice_of_rest,
            stopped_by=values.stopped_by,
            reasons=values.reasons,
        )


class ClassEffect(Record, frozen=True, kw_only=True):
    """What hiding one class, or the background as a whole, does to the object.

    Attributes:
        class_name: of the hidden class; `background` for all that is of no other class.
        class_index: its number; None if it has none.
        area_fraction: share of the image that is hidden, in [0, 1].
        dice: of the object while the class is hidden.
        effect: the Dice with everything shown minus `dice`; below 0 if hiding helps.
        share_left: share of the object's pixels that are still drawn.
        added: pixels drawn outside the object, as a share of its size.
        control_dice: mean Dice while the same form is hidden elsewhere; None if it fits nowhere, or
            the budget allowed no controls.
        num_controls: how many places that are.
    """

    class_name: str
    class_index: Count | None
    area_fraction: Fraction
    dice: Fraction
    effect: float
    share_left: Fraction
    added: Amount
    control_dice: Fraction | None
    num_controls: Count

    @classmethod
    def of(cls, effect: ContextEffect, class_name: Callable[[int], str]) -> "ClassEffect":
        """The record of an effect of a class or of the background.

        Args:
            effect: as it was measured.
            class_name: number of a class -> its name.
        """
        index, is_class = effect.class_index, effect.kind == CLASS
        return cls(
            class_name=class_name(index) if is_class and index is not None else BACKGROUND,
            class_index=index,
            area_fraction=effect.area_fraction,
            dice=effect.dice,
            effect=effect.effect,
            share_left=effect.share_left,
            added=effect.added,
            control_dice=effect.control_dice,
            num_controls=len(effect.control_dices),
        )


class EffectsGroup(Record, frozen=True, kw_only=True):
    """What hiding each part of the surroundings does to the object (see `ContextEffects`).

    Attributes:
        dice_shown: Dice of the object with everything shown.
        baseline_image: what stood where pixels were hidden.
        num_controls: places elsewhere at which each part's form was to be hidden.
        num_parts: parts that were hidden one by one, the background as a whole left out.
        strongest: of these the one whose effect is largest; None if there are none.
        strongest_control_dice: mean Dice while its form is hidden elsewhere; None if it fits
            nowhere.
        classes: each hidden class, and the background as a whole, the strongest effect first.
    """

    dice_shown: Fraction
    baseline_image: str
    num_controls: Count
    num_parts: Count
    strongest: ContextEffect | None
    strongest_control_dice: Fraction | None
    classes: list[ClassEffect]

    @classmethod
    def of(cls, found: ContextEffects, class_name: Callable[[int], str]) -> "EffectsGroup":
        """The group of the effects that were measured.

        Args:
            found: all of them.
            class_name: number of a class -> its name.
        """
        strongest = found.strongest
        return cls(
            dice_shown=found.dice_shown,
            baseline_image=found.baseline_image,
            num_controls=found.num_controls,
            num_parts=found.num_parts,
            strongest=strongest,
            strongest_control_dice=strongest.control_dice if strongest else None,
            classes=[
                ClassEffect.of(one, class_name)
                for one in found.effects
                if one.kind in (CLASS, BACKGROUND)
            ],
        )


class ChannelsGroup(Record, frozen=True, kw_only=True):
    """What each channel of the image does for the object (see `ChannelEffects`).

    Attributes:
        dice_shown: Dice of the object with everything shown.
        baseline_image: what stood in hidden channels.
        strongest: the channel whose effect is largest.
        effects: channel -> `dice_shown` minus the Dice with that channel hidden.
        dice_alone: channel -> Dice with all other channels hidden.
        sets: the smallest sets of channels that suffice, by name; none if not even all suffice.
        set_size: channels of such a set; None if there is none.
        is_smallest: whether every smaller set was shown.
        are_all: whether every set of this size was shown, too.
        fills_agree: whether the same sets are the smallest on each baseline image.
        num_sets_shown: sets of channels that were shown.
    """

    dice_shown: Fraction
    baseline_image: str
    strongest: str
    effects: dict[str, float]
    dice_alone: dict[str, Fraction]
    sets: list[list[str]]
    set_size: Count | None
    is_smallest: bool
    are_all: bool
    fills_agree: bool
    num_sets_shown: Count

    @classmethod
    def of(cls, found: ChannelEffects) -> "ChannelsGroup":
        """The group of the effects that were measured."""
        in_order = sorted(found.effects, key=lambda effect: effect.number)
        return cls(
            dice_shown=found.dice_shown,
            baseline_image=found.baseline_image,
            strongest=found.effects[0].name,
            effects={effect.name: effect.effect for effect in in_order},
            dice_alone={effect.name: effect.dice_alone for effect in in_order},
            sets=[list(one.names) for one in found.sets],
            set_size=len(found.sets[0].channels) if found.sets else None,
            is_smallest=found.is_smallest,
            are_all=found.are_all,
            fills_agree=found.fills_agree,
            num_sets_shown=found.num_sets_shown,
        )
