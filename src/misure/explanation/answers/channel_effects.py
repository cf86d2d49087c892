"""Channel effects of one target: what each channel does, which suffice, and what that says."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor

from misure._util.drawing import Pictured
from misure._util.records import Amount, Count, Fraction, Record
from misure._util.short_repr import ShortRepr
from misure._util.words import counted
from misure.explanation.answers.effects import LEAST_TOLD, rounded_up
from misure.explanation.record import CostRecord, TargetRecord
from misure.explanation.summary import named
from misure.models.cost import Cost
from misure.models.target import Target

_MOST_TOLD = 4  # sets in a sentence


class ChannelEffect(Record, frozen=True, kw_only=True):
    """What hiding one channel does, and what it does alone.

    Attributes:
        number: of the channel, from 0 on.
        name: of the channel.
        dice: of the target while the channel is hidden, in [0, 1]; the mean over the fills.
        effect: the Dice with everything shown minus `dice`; below 0 if hiding helps.
        share_left: share of the target's pixels that are still drawn, in [0, 1].
        added: pixels drawn outside of the target, as a share of its size.
        dice_alone: of the target while all other channels are hidden, in [0, 1]; the mean.
        dice_by_baseline_image: `dice` on each fill.
        dice_alone_by_baseline_image: `dice_alone` on each fill.
    """

    number: Count
    name: str
    dice: Fraction
    effect: float
    share_left: Fraction
    added: Amount
    dice_alone: Fraction
    dice_by_baseline_image: dict[str, Fraction]
    dice_alone_by_baseline_image: dict[str, Fraction]


class ChannelSet(Record, frozen=True, kw_only=True):
    """A set of channels that suffices: they were shown, all others hidden.

    Attributes:
        channels: their numbers; empty if the model needs none.
        names: of these channels.
        dice: of the target, the least of all fills.
        dice_by_baseline_image: on each fill.
    """

    channels: tuple[Count, ...]
    names: tuple[str, ...]
    dice: Fraction
    dice_by_baseline_image: dict[str, Fraction]


class ChannelEffectsRecord(Record, frozen=True, kw_only=True):
    """What is written of the channel effects of one target; see `ChannelEffects`."""

    image: str = ""
    model: str
    target: TargetRecord
    channel_names: tuple[str, ...]
    dice_threshold: Fraction
    dice_shown: Fraction
    baseline_image: str
    seed: int
    effects: tuple[ChannelEffect, ...]
    sets: tuple[ChannelSet, ...]
    is_smallest: bool
    are_all: bool
    num_sets_shown: Count
    sets_by_baseline_image: dict[str, tuple[tuple[Count, ...], ...]]
    sentences: tuple[str, ...]
    cost: CostRecord


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class ChannelEffects(Pictured, ShortRepr):
    """What each channel of the image does for one target, and which channels suffice.

    Attributes:
        model: name of the network.
        target: whose Dice was measured.
        channel_names: of all channels, in their order.
        dice_threshold: the Dice that a set of channels has to reach on each fill.
        dice_shown: Dice of the target with everything shown.
        baseline_image: names of what stood in hidden channels.
        seed: of noise.
        effects: of each channel, the strongest first.
        sets: the smallest sets that suffice, of those that were shown; empty if not even the whole
            image reaches the threshold.
        is_smallest: whether every smaller set was shown, and none sufficed.
        are_all: whether every set of this size was shown, too.
        num_sets_shown: sets of channels that were shown, on each fill.
        sets_by_baseline_image: fill -> the smallest sets that suffice on it, of those shown.
        cost: passes and seconds.
        image: (C, *spatial) float on the CPU, the image that was asked about.
    """

    model: str
    target: Target
    channel_names: tuple[str, ...]
    dice_threshold: float
    dice_shown: float
    baseline_image: str
    seed: int
    effects: tuple[ChannelEffect, ...]
    sets: tuple[ChannelSet, ...]
    is_smallest: bool
    are_all: bool
    num_sets_shown: int
    sets_by_baseline_image: dict[str, tuple[tuple[int, ...], ...]]
    cost: Cost
    image: Tensor | None = field(default=None, compare=False, repr=False)

    @property
    def fills_agree(self) -> bool:
        """Whether the same smallest sets suffice on each fill."""
        own = tuple(one.channels for one in self.sets)
        return all(sets == own for sets in self.sets_by_baseline_image.values())

    def values(self) -> Tensor:
        """The effect (C,) float32 of hiding each channel, in the order of the channels."""
        in_order = sorted(self.effects, key=lambda effect: effect.number)
        return Tensor([effect.effect for effect in in_order])

    def sentences(self) -> list[str]:
        """Which channels suffice, what hiding one does, and whether fills disagree."""
        target = named(self.target.class_name or str(self.target.class_index))
        return [self._of_sets(target), self._of_effects(target), *self._of_fills()]

    def _of_sets(self, target: str) -> str:
        if not self.sets:
            return (
                f"Not even the whole image reaches Dice {self.dice_threshold:g} for {target} "
                f"(Dice {self.dice_shown:.2f}), so no set of channels is said to suffice."
            )
        size, num = len(self.sets[0].channels), len(self.channel_names)
        if size == 0:
            return (
                f"With every channel hidden, {target} is drawn as before "
                f"(Dice {self.sets[0].dice:.2f})."
            )
        if size == num:
            said = f"{target} needs {'both' if num == 2 else f'all {num}'} channels"
            why = "no set of fewer suffices" if self.is_smallest else "as far as sets were shown"
            return f"{said[0].upper()}{said[1:]}: {why}."
        shown = [f"{_joined(one.names)} (Dice {one.dice:.2f})" for one in self.sets]
        more = len(shown) - _MOST_TOLD
        told = shown[:_MOST_TOLD] + ([f"{more} other sets"] if more > 0 else [])
        verb = "suffices" if size == 1 or len(told) > 1 else "suffice"
        which = f"either {' or '.join(told)}" if len(told) > 1 else told[0]
        said = f"Shown {'alone' if size == 1 else 'together'}, {which} {verb} for {target}"
        if not self.is_smallest:
            return f"{said}; smaller sets were not all shown, so there may be a smaller one."
        if size == 1:
            return f"{said}." if len(told) > 1 else f"{said}; no other channel does."
        return f"{said}; no set of fewer channels does."

    def _of_effects(self, target: str) -> str:
        strongest = self.effects[0]
        if strongest.effect < LEAST_TOLD:
            most = rounded_up(strongest.effect)
            return (
                f"Hidden one at a time, none of "
                f"{counted(len(self.effects), 'channel')} took more than "
                f"{most:.2f} of the Dice of {target}."
            )
        other = self.effects[1]
        rest = f"; the next, {other.name}, leaves a Dice of {other.dice:.2f}"
        return (
            f"With {strongest.name} hidden, {100 * strongest.share_left:.0f} % of {target} is left "
            f"(Dice {strongest.dice:.2f}){rest}."
        )

    def _of_fills(self) -> list[str]:
        if not self.sets or self.fills_agree:
            return []
        own = tuple(one.channels for one in self.sets)
        others = [
            f"with {fill} alone, {self._suffices(sets)}"
            for fill, sets in self.sets_by_baseline_image.items()
            if sets != own
        ]
        return [f"What stands in hidden channels matters: {'; '.join(others)}."]

    def _suffices(self, sets: Sequence[Sequence[int]]) -> str:
        if not any(sets):
            return "all channels can be hidden" if sets else "none suffices"
        told = [_joined([self.channel_names[channel] for channel in one]) for one in sets]
        return f"{' or '.join(told[:_MOST_TOLD])} would suffice"

    def record(self, image: str = "") -> ChannelEffectsRecord:
        """All but the pixels, as a record that becomes JSON.

        Args:
            image: name of the image.
        """
        return ChannelEffectsRecord(
            image=image,
            model=self.model,
            target=TargetRecord.of(self.target),
            channel_names=self.channel_names,
            dice_threshold=self.dice_threshold,
            dice_shown=self.dice_shown,
            baseline_image=self.baseline_image,
            seed=self.seed,
            effects=self.effects,
            sets=self.sets,
            is_smallest=self.is_smallest,
            are_all=self.are_all,
            num_sets_shown=self.num_sets_shown,
            sets_by_baseline_image=self.sets_by_baseline_image,
            sentences=tuple(self.sentences()),
            cost=CostRecord.of(self.cost),
        )


def _joined(names: Sequence[str]) -> str:
    """Names in a row: `a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
