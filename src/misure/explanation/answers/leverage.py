"""Leverage: how much the rest of an object depends on each part of it.

A part of the target is hidden, and what changes on the *rest* of it is counted. The hidden part
itself is left out of the Dice: any network loses what it cannot see.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor, nn

from misure._util.drawing import Pictured
from misure._util.progress import OnStep, shown_progress
from misure._util.records import Amount, Count, Fraction, Record
from misure._util.short_repr import ShortRepr
from misure._util.words import counted
from misure.errors import InputError, entrance
from misure.explanation.answers.effects import LEAST_TOLD, rounded_up
from misure.explanation.answers.intervention import (
    HiddenOutcome,
    Hiding,
    check_fits,
    hide_each,
)
from misure.explanation.answers.pieces import Piece, divide
from misure.explanation.presentation import make_presentations
from misure.explanation.record import CostRecord, TargetRecord
from misure.explanation.saving import save_with_record
from misure.explanation.summary import named
from misure.images.spacing import check_spacing, sampling_of
from misure.models.cost import Cost
from misure.models.device import to_device
from misure.models.given_target import AnyTarget, as_asked
from misure.models.inputs import AnyImage
from misure.models.model import SegmentationModel
from misure.models.segmentation import drawn_region
from misure.models.target import Target


class PartLeverage(Record, frozen=True, kw_only=True):
    """What hiding one part of the target does to the rest of it.

    Attributes:
        centre: the pixel (*spatial) nearest to the part's centre of gravity.
        share: of the target's pixels, in (0, 1).
        dice: of the rest of the target while the part is hidden, in [0, 1].
        leverage: Dice of the rest with everything shown, minus `dice`; below 0 if hiding helps.
        share_left: share of the rest's pixels that are still drawn, in [0, 1].
        added: pixels drawn outside of the target, as a share of the rest's size.
    """

    centre: tuple[Count, ...]
    share: Fraction
    dice: Fraction
    leverage: float
    share_left: Fraction
    added: Amount


class LeverageRecord(Record, frozen=True, kw_only=True):
    """What is written of the leverage of one target's parts; see `Leverage`."""

    image: str = ""
    model: str
    target: TargetRecord
    baseline_image: str
    edge_px: Count
    seed: int
    parts: tuple[PartLeverage, ...]
    sentence: str
    cost: CostRecord


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Leverage(Pictured, ShortRepr):
    """How much the rest of a target depends on each part of it.

    Attributes:
        model: name of the network.
        target: that was divided.
        parts: the one with the most leverage first; empty if the target cannot be divided.
        baseline_image: names of what stood where pixels were hidden.
        edge_px: width of the soft edge.
        seed: of the division and noise.
        spacing_mm: sides of a pixel or voxel; None: not known.
        cost: passes and seconds.
        pieces: the pixels of each part.
        image: (C, *spatial) float on the CPU, the image that was asked about.
    """

    model: str
    target: Target
    parts: tuple[PartLeverage, ...]
    baseline_image: str
    edge_px: int
    seed: int
    spacing_mm: tuple[float, ...] | None
    cost: Cost
    pieces: tuple[Piece, ...]
    image: Tensor | None = field(default=None, compare=False, repr=False)

    def map(self) -> Tensor:
        """The leverage (*spatial) float32 of each pixel's part, in units of Dice.

        NaN outside of the target, and everywhere if it cannot be divided.
        """
        values = torch.full(self.target.region.shape, torch.nan)
        for part, piece in zip(self.parts, self.pieces, strict=True):
            values[piece.box][torch.from_numpy(piece.mask)] = part.leverage
        return values

    def sentence(self) -> str:
        """The part with the most leverage in plain words, with its figures."""
        target = named(self.target.class_name or str(self.target.class_index))
        if not self.parts:
            return f"No part was hidden: {target} is too small to be divided."
        part = self.parts[0]
        if part.leverage < LEAST_TOLD:
            return (
                f"Hidden one at a time, none of "
                f"{counted(len(self.parts), 'part')} of {target} took more than "
                f"{rounded_up(part.leverage):.2f} of the Dice of the rest."
            )
        place = ", ".join(map(str, part.centre))
        added = f"{100 * part.added:.0f} %"
        beside = f", and as much as {added} of it is drawn beside it" if added != "0 %" else ""
        return (
            f"With the part of {target} at ({place}) hidden ({100 * part.share:.1f} % of it), "
            f"{100 * part.share_left:.0f} % of the rest is left{beside} (Dice {part.dice:.2f})."
        )

    def save(self, file: str | Path | BinaryIO, image: str = "") -> None:
        """Writes the map as one `.npz`, at once or not at all.

        Its arrays, without pickle: `target` (*spatial) bool, `leverage` (*spatial) float32 (see
        `map`), and as JSON text `record`.

        Args:
            file: to write.
            image: name of the image.
        """
        tensors = {"target": self.target.region, "leverage": self.map()}
        save_with_record(file, tensors, self.record(image))

    def record(self, image: str = "") -> LeverageRecord:
        """All but the pixels, as a record that becomes JSON.

        Args:
            image: name of the image.
        """
        return LeverageRecord(
            image=image,
            model=self.model,
            target=TargetRecord.of(self.target, self.spacing_mm),
            baseline_image=self.baseline_image,
            edge_px=self.edge_px,
            seed=self.seed,
            parts=self.parts,
            sentence=self.sentence(),
            cost=CostRecord.of(self.cost),
        )


@entrance("leverage")
def leverage(
    model: SegmentationModel | nn.Module,
    image: AnyImage,
    target: AnyTarget,
    *,
    num_parts: int = 32,
    baseline_image: str | Tensor = "mean",
    edge_px: int = 0,
    seed: int = 0,
    spacing_mm: Sequence[float] | None = None,
    max_passes: int | None = None,
    on_step: OnStep | None = None,
    progress: bool | None = None,
    class_names: str | Sequence[str] = (),
) -> Leverage:
    """How much the rest of a target changes when a part of it is hidden.

    The target is divided into compact parts of about equal size; each is hidden in turn, and left
    out of the Dice. Takes one forward pass for the segmentation, and one for each part.

    Args:
        model: the model, or a torch module that takes images as they are.
        image: (C, *spatial) float, the image that the target was taken from; or what stands for it
            (see `as_image`).
        target: see `explain`; if it is no `Target`, finding it takes a pass that is not counted.
        num_parts: at most as many, 2 or more; a small target has fewer.
        baseline_image: what stands where pixels are hidden (see `make_baseline_image`); with
            several names, such as `mean,blurred`, all figures are means over them.
        edge_px: width of the soft edge, inside what is hidden; 0 is a hard edge.
        seed: of the division and noise.
        spacing_mm: sides of a pixel or voxel; parts are then compact in space.
        max_passes: forward passes at most, that of the segmentation included; there are fewer parts
            then. None: as many as it takes.
        on_step: called with progress.
        progress: whether a bar is shown (see `explain`).
        class_names: of a torch module (see `explain`).

    Raises:
        InputError: bad arguments, fewer passes than two parts take, or a target of another shape
            than the image.
        ModelError: the network fails.
    """
    if num_parts < 2:
        raise InputError(f"expected num_parts of 2 or more, got {num_parts}.")
    model, pixels, asked = as_asked(model, image, target, class_names=class_names)
    asked = asked.to("cpu")
    check_fits(pixels, asked)
    spacing = check_spacing(spacing_mm, pixels.ndim - 1)
    with (
        model.counting() as cost,
        model.borrowed(),
        shown_progress(progress, on_step) as told,
    ):
        ways = make_presentations(
            model,
            to_device(pixels, model.device),
            baseline_image=baseline_image,
            edge_px=edge_px,
            seed=seed,
            spacing_mm=spacing,
        )
        num = num_parts if max_passes is None else _affordable(max_passes, num_parts, len(ways))
        pieces = divide(asked.region, num, sampling=sampling_of(spacing), seed=seed)
        pieces = pieces if len(pieces) > 1 else []
        drawn = drawn_region(model, to_device(pixels, model.device), asked).cpu()
        hidings = [
            Hiding(partial(piece.region, asked.region.shape), partial(_rest, asked, piece))
            for piece in pieces
        ]
        outcomes = hide_each(model, ways, hidings, told)
    parts = [
        (_part(asked, piece, drawn, outcome), piece)
        for piece, outcome in zip(pieces, outcomes, strict=True)
    ]
    parts.sort(key=lambda pair: -pair[0].leverage)
    return Leverage(
        model=model.name,
        target=asked,
        parts=tuple(part for part, _ in parts),
        baseline_image=",".join(way.name for way in ways),
        edge_px=edge_px,
        seed=seed,
        spacing_mm=spacing,
        cost=cost,
        pieces=tuple(piece for _, piece in parts),
        image=pixels.cpu(),
    )


def _affordable(max_passes: int, num_parts: int, num_ways: int) -> int:
    """Parts that a budget allows, each hidden in several ways.

    Raises:
        InputError: fewer than two.
    """
    allowed = (max_passes - 1) // num_ways
    if allowed < 2:
        raise InputError(
            f"expected max_passes of {1 + 2 * num_ways} or more, for two parts, got {max_passes}."
        )
    return min(num_parts, allowed)


def _rest(target: Target, piece: Piece) -> Target:
    """The target without a part, whose pixels are ignored."""
    part = piece.region(target.region.shape)
    return replace(target, region=target.region & ~part, ignored=target.ignored | part)


def _part(target: Target, piece: Piece, drawn: Tensor, outcome: HiddenOutcome) -> PartLeverage:
    shown = _rest(target, piece).dice(drawn)
    return PartLeverage(
        centre=piece.centre,
        share=piece.num_px / int(target.region.sum()),
        dice=outcome.dice,
        leverage=shown - outcome.dice,
        share_left=outcome.share_left,
        added=outcome.added,
    )
