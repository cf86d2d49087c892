"""Context effects of one target: the figures of each part that was hidden, and what they say."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from misure._util.drawing import InNotebook
from misure._util.records import Amount, Count, Fraction, Record
from misure._util.short_repr import ShortRepr
from misure._util.words import counted
from misure.explanation.answers.pieces import Piece
from misure.explanation.answers.surroundings import BACKGROUND
from misure.explanation.record import CostRecord, TargetRecord
from misure.explanation.summary import named
from misure.models.cost import Cost
from misure.models.target import Target

LEAST_TOLD = 0.05
"""Of Dice: smaller effects are in no sentence."""

_TOO_MUCH_ADDED = 0.05  # of the target's size: from here on a sentence says it


class ContextEffect(Record, frozen=True, kw_only=True):
    """What hiding one part of the surroundings does.

    Attributes:
        kind: `class`, `object` (a connected one), `superpixel`, or `background` (all superpixels
            together: what no class or object holds).
        name: how a sentence names the part.
        class_index: its class; None for superpixels.
        number: of an object among those of its class, 0 the largest, as `instance` in
            `predicted_target`; of a superpixel; None for the others.
        area_fraction: share of the image that is hidden, in [0, 1].
        distance_px: of its nearest pixel to the target, in units of the smallest side of a voxel.
        distance_mm: the same in millimetres; None if the spacing is not known.
        dice: of the target while the part is hidden, in [0, 1].
        effect: the Dice with everything shown minus `dice`; below 0 if hiding helps.
        share_left: share of the target's pixels that are still drawn, in [0, 1].
        added: pixels drawn outside of the target, as a share of its size.
        control_dices: Dice while the same form is hidden elsewhere; empty if it fits nowhere.
        control_distances_px: of these places to the target.
    """

    kind: str
    name: str
    class_index: Count | None
    number: Count | None
    area_fraction: Fraction
    distance_px: Amount
    distance_mm: Amount | None
    dice: Fraction
    effect: float
    share_left: Fraction
    added: Amount
    control_dices: tuple[Fraction, ...] = ()
    control_distances_px: tuple[Amount, ...] = ()

    @property
    def control_dice(self) -> float | None:
        """Mean of `control_dices`; None if there are none."""
        return float(np.mean(self.control_dices)) if self.control_dices else None

    @property
    def beyond_chance(self) -> float | None:
        """How much lower the Dice is than that of the controls; None if there are none."""
        return None if self.control_dice is None else self.control_dice - self.dice


class ContextEffectsRecord(Record, frozen=True, kw_only=True):
    """What is written of the context effects of one target; see `ContextEffects`."""

    model: str
    target: TargetRecord
    dice_shown: Fraction
    baseline_image: str
    edge_px: Count
    seed: int
    spacing_mm: tuple[float, ...] | None
    num_controls: Count
    effects: tuple[ContextEffect, ...]
    sentence: str
    cost: CostRecord


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class ContextEffects(InNotebook, ShortRepr):
    """The effect of each part of the surroundings of one target.

    Attributes:
        model: name of the network.
        target: whose Dice was measured.
        effects: the strongest first; of equal ones the smaller part first.
        num_controls: places elsewhere at which each part's form was to be hidden; 0: none, or none
            that the budget allowed.
        dice_shown: Dice of the target with everything shown.
        baseline_image: names of what stood where pixels were hidden.
        edge_px: width of the soft edge.
        seed: of superpixels, controls and noise.
        spacing_mm: sides of a pixel or voxel; None: not known.
        cost: passes and seconds.
        pieces: the pixels that were hidden for each effect.
    """

    model: str
    target: Target
    effects: tuple[ContextEffect, ...]
    num_controls: int
    dice_shown: float
    baseline_image: str
    edge_px: int
    seed: int
    spacing_mm: tuple[float, ...] | None
    cost: Cost
    pieces: tuple[Piece, ...]

    @property
    def strongest(self) -> ContextEffect | None:
        """The part with the largest effect; None if nothing lies around the target.

        The background as a whole is left out: hardly any target survives without it.
        """
        return next((effect for effect in self.effects if effect.kind != BACKGROUND), None)

    @property
    def num_parts(self) -> int:
        """Parts that were hidden, the background as a whole left out."""
        return sum(effect.kind != BACKGROUND for effect in self.effects)

    def region(self, effect: ContextEffect) -> Tensor:
        """The pixels (*spatial) bool that were hidden for one of the effects, on the CPU."""
        return self.pieces[self.effects.index(effect)].region(self.target.region.shape)

    def map(self) -> Tensor:
        """The effect (*spatial) float32 at each pixel: of the smallest part that holds it.

        NaN on the target. In units of Dice.
        """
        effects = torch.full(self.target.region.shape, torch.nan)
        parts = zip(self.effects, self.pieces, strict=True)
        for effect, piece in sorted(parts, key=lambda part: -part[0].area_fraction):
            effects[piece.box][torch.from_numpy(piece.mask)] = effect.effect
        return effects

    def sentence(self) -> str:
        """The strongest effect in plain words, with its figures and its control."""
        target = named(self.target.class_name or str(self.target.class_index))
        effect = self.strongest
        if effect is None:
            return f"Nothing was hidden: the surroundings of {target} have no parts."
        if effect.effect < LEAST_TOLD:
            return _no_effect(effect, self.num_parts, target)
        return (
            f"{_outcome_of(effect, target)}{_control_of(effect, self.num_controls)}{self._shown()}"
        )

    def _shown(self) -> str:
        if round(self.dice_shown, 2) >= 1:
            return ""
        return f" With everything shown its Dice is {self.dice_shown:.2f}."

    def record(self) -> ContextEffectsRecord:
        """All but the pixels, as a record that becomes JSON."""
        return ContextEffectsRecord(
            model=self.model,
            target=TargetRecord.of(self.target, self.spacing_mm),
            dice_shown=self.dice_shown,
            baseline_image=self.baseline_image,
            edge_px=self.edge_px,
            seed=self.seed,
            spacing_mm=self.spacing_mm,
            num_controls=self.num_controls,
            effects=self.effects,
            sentence=self.sentence(),
            cost=CostRecord.of(self.cost),
        )


def rounded_up(effect: float) -> float:
    """The hundredth, 0 or more, that an effect does not exceed.

    >>> rounded_up(0.021), rounded_up(0.07), rounded_up(-0.5)
    (0.03, 0.07, 0.0)
    """
    return math.ceil(round(100 * max(0.0, effect), 6)) / 100


def _no_effect(strongest: ContextEffect, num_parts: int, target: str) -> str:
    most = rounded_up(strongest.effect)
    if num_parts == 1:
        return f"With {strongest.name} hidden, {target} lost at most {most:.2f} of its Dice."
    return (
        f"Hidden one at a time, none of "
        f"{counted(num_parts, 'part')} of the surroundings took more than "
        f"{most:.2f} of the Dice of {target}."
    )


def _outcome_of(effect: ContextEffect, target: str) -> str:
    added = ""
    if effect.added >= _TOO_MUCH_ADDED:
        added = f", and pixels of {100 * effect.added:.0f} % of its size are drawn besides"
    return (
        f"With {effect.name} hidden ({100 * effect.area_fraction:.1f} % of the image), "
        f"{100 * effect.share_left:.0f} % of {target} is left{added} (Dice {effect.dice:.2f})"
    )


def _control_of(effect: ContextEffect, num_controls: int) -> str:
    control = effect.control_dice
    if num_controls == 0:
        return "; as large a region elsewhere was not tried."
    if control is None:
        return "; the same form fits nowhere else, so there is no control."
    mean = f", the mean of {num}" if (num := len(effect.control_dices)) > 1 else ""
    figure = f"as large a region elsewhere leaves {control:.2f}{mean}"
    if effect.dice < control - LEAST_TOLD:
        return f"; {figure}."
    return f"; {figure}, so this may be chance."
