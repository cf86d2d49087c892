"""Regions by channel: which places are needed in which channel.

The minimally sufficient region (*spatial) shows its places in all channels. Here it is reduced
further, in every channel by itself: first whole channels are left out that are not missed, then
blocks of single channels, in large groups and then one by one (see `removal`). The result
(C, *spatial) was shown by itself, and is part of the minimally sufficient region in each channel:
a region of fewer channels that needs other places is not searched for.

What stands in a hidden part of a channel comes from the same baseline images as for the whole
region; one that is made of what is shown is made of that channel alone.

Saved as one `.npz` of plain arrays, without pickle: `target` and `minimally_sufficient_region`
(*spatial) bool, `region` (C, *spatial) bool, and everything else as JSON text in `record`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor, nn

from misure._util.drawing import InNotebook
from misure._util.progress import OnStep, shown_progress
from misure._util.records import Amount, Count, Fraction, Record
from misure._util.short_repr import ShortRepr
from misure._util.words import share
from misure.errors import InputError, entrance
from misure.explanation.answers.intervention import check_fits
from misure.explanation.explain import explain
from misure.explanation.explanation import Explanation
from misure.explanation.presentation import make_presentations
from misure.explanation.probe import Account, Probe, Query, Reply, Search
from misure.explanation.record import CostRecord, TargetRecord
from misure.explanation.removal import remove_blocks
from misure.explanation.run_searches import run_searches
from misure.explanation.saving import save_with_record
from misure.explanation.summary import named
from misure.images.grid import default_grain_px
from misure.images.regions import area_fraction
from misure.images.spacing import check_spacing, sampling_of
from misure.models.cost import Cost
from misure.models.device import to_device
from misure.models.given_target import AnyTarget, as_asked
from misure.models.inputs import AnyImage
from misure.models.model import SegmentationModel
from misure.models.target import Target

USUAL_PASSES = 600
"""Pass equivalents for the explanation and the reduction together, if no other number is given."""

_OF_EXPLAINING = 0.3  # of the budget
_BLOCKS = 32  # on the short side, if no cell_px is given
_APART = 1e6  # sides of a voxel along the channels: no block holds two of them


class ChannelPart(Record, frozen=True, kw_only=True):
    """The part of a region by channel that lies in one channel.

    Attributes:
        number, name: of the channel.
        area_fraction: of the image, in [0, 1].
        share: of the minimally sufficient region, in [0, 1].
    """

    number: Count
    name: str
    area_fraction: Fraction
    share: Fraction


class ChannelRegionsRecord(Record, frozen=True, kw_only=True):
    """What is written of a region by channel; see `ChannelRegions`."""

    image: str = ""
    model: str
    target: TargetRecord
    baseline_image: str
    edge_px: Count
    seed: int
    dice_threshold: Fraction
    dice: Fraction
    dice_in_all_channels: Fraction
    parts: tuple[ChannelPart, ...]
    area_fraction: Fraction
    relative_area: Amount
    cell_px: Count
    num_blocks: Count
    is_one_minimal: bool
    sentence: str
    cost: CostRecord


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class ChannelRegions(InNotebook, ShortRepr):
    """A region that holds other places in each channel, and suffices.

    Attributes:
        model: name of the network.
        target: that is preserved.
        region: (C, *spatial) bool, on the CPU.
        minimally_sufficient_region: (*spatial) bool, of which it is part in each channel.
        channel_names: of all channels.
        dice_threshold: the Dice from which the target counts as preserved.
        dice: when the model sees the region alone.
        dice_in_all_channels: when it sees the minimally sufficient region in all channels.
        cell_px: side of the blocks that were left out, in units of the smallest side of a voxel.
        num_blocks: blocks of single channels that the region consists of.
        is_one_minimal: whether each was left out by itself and is missed; else the budget ended.
        baseline_image: names of what stood where pixels were hidden.
        edge_px: width of the soft edge.
        seed: of noise.
        spacing_mm: sides of a pixel or voxel; None: not known.
        cost: passes and seconds, those of the explanation included if one was made.
    """

    model: str
    target: Target
    region: Tensor
    minimally_sufficient_region: Tensor
    channel_names: tuple[str, ...]
    dice_threshold: float
    dice: float
    dice_in_all_channels: float
    cell_px: int
    num_blocks: int
    is_one_minimal: bool
    baseline_image: str
    edge_px: int
    seed: int
    spacing_mm: tuple[float, ...] | None
    cost: Cost

    @property
    def parts(self) -> tuple[ChannelPart, ...]:
        """What lies in each channel, in their order."""
        size = max(1, int(self.minimally_sufficient_region.sum()))
        return tuple(
            ChannelPart(
                number=number,
                name=self.channel_names[number],
                area_fraction=area_fraction(of_channel),
                share=int(of_channel.sum()) / size,
            )
            for number, of_channel in enumerate(self.region)
        )

    def sentence(self) -> str:
        """Where each channel is shown, in plain words."""
        target = named(self.target.class_name or str(self.target.class_index))
        parts = sorted(self.parts, key=lambda part: -part.share)
        used = [f"{part.name} in {share(part.share)} of it" for part in parts if part.share]
        unused = [part.name for part in parts if not part.share]
        if not used:
            return f"The model draws {target} with every channel hidden (Dice {self.dice:.2f})."
        nowhere = f", {' and '.join(unused)} nowhere" if len(unused) < 3 else ", others nowhere"
        return (
            f"Of the minimally sufficient region ({share(self._area)} of the image) it suffices "
            f"for {target} to show {', '.join(used)}{nowhere if unused else ''} "
            f"(Dice {self.dice:.2f}).{self._unfinished}"
        )

    @property
    def _unfinished(self) -> str:
        return "" if self.is_one_minimal else " The budget ended before each block was tried."

    @property
    def _area(self) -> float:
        return area_fraction(self.minimally_sufficient_region)

    def save(self, file: str | Path | BinaryIO, image: str = "") -> None:
        """Writes the regions as one `.npz`, at once or not at all.

        Args:
            file: to write.
            image: name of the image.
        """
        tensors = {
            "target": self.target.region,
            "region": self.region,
            "minimally_sufficient_region": self.minimally_sufficient_region,
        }
        save_with_record(file, tensors, self.record(image))

    def record(self, image: str = "") -> ChannelRegionsRecord:
        """All but the pixels, as a record that becomes JSON.

        Args:
            image: name of the image.
        """
        return ChannelRegionsRecord(
            image=image,
            model=self.model,
            target=TargetRecord.of(self.target, self.spacing_mm),
            baseline_image=self.baseline_image,
            edge_px=self.edge_px,
            seed=self.seed,
            dice_threshold=self.dice_threshold,
            dice=self.dice,
            dice_in_all_channels=self.dice_in_all_channels,
            parts=self.parts,
            area_fraction=area_fraction(self.region),
            relative_area=float(self.region.sum() / (len(self.region) * self.target.region.sum())),
            cell_px=self.cell_px,
            num_blocks=self.num_blocks,
            is_one_minimal=self.is_one_minimal,
            sentence=self.sentence(),
            cost=CostRecord.of(self.cost),
        )


@entrance("channel_regions")
def channel_regions(
    model: SegmentationModel | nn.Module,
    image: AnyImage,
    target: AnyTarget,
    *,
    explanation: Explanation | None = None,
    dice_threshold: float = 0.9,
    cell_px: int = 0,
    seed: int = 0,
    spacing_mm: Sequence[float] | None = None,
    max_passes: int = USUAL_PASSES,
    on_step: OnStep | None = None,
    progress: bool | None = None,
    class_names: str | Sequence[str] = (),
    **options: Any,
) -> ChannelRegions:
    """The places that suffice in each channel: a part of the minimally sufficient region.

    Args:
        model: the model, or a torch module that takes images as they are.
        image: (C, *spatial) float, the image that the target was taken from; or what stands for it
            (see `as_image`).
        target: see `explain`; if it is no `Target`, finding it takes a pass that is not counted.
        explanation: of this target and image, whose minimally sufficient region is reduced, with
            its threshold, baseline images, soft edge, seed and spacing; None: one is made, with at
            most 0.3 of the budget.
        dice_threshold: Dice from which the target counts as preserved, in (0, 1]; not used with an
            explanation.
        cell_px: side of the blocks that are left out, in units of the smallest side of a voxel; 0:
            1/32 of the short side.
        seed: of the search and noise.
        spacing_mm: sides of a pixel or voxel; blocks are then about cubes.
        max_passes: pass equivalents, at most.
        on_step: called with progress.
        progress: whether a bar is shown (see `explain`).
        class_names: of a torch module (see `explain`).
        options: of `explain`, if an explanation is made.

    Raises:
        InputError: bad arguments, an image of one channel, an explanation of another image or with
            a region that does not suffice, or too small a budget.
        ModelError: the network fails.
    """
    model, pixels, asked = as_asked(model, image, target, class_names=class_names)
    check_fits(pixels, asked)
    _check(len(pixels), cell_px)
    with (
        model.counting() as cost,
        shown_progress(progress, on_step, cost, max_passes) as told,
        torch.inference_mode(False),
        model.borrowed(),
    ):
        first = explanation or explain(
            model,
            pixels,
            asked,
            dice_threshold=dice_threshold,
            seed=seed,
            spacing_mm=spacing_mm,
            max_passes=int(_OF_EXPLAINING * max_passes),
            on_step=told,
            **options,
        )
        baseline_image = options.get("baseline_image", first.settings["baseline_image"])
        probe = _probe(model, pixels, asked, first, baseline_image)
        region, spacing = first.minimally_sufficient_region, _spacing(first)
        side = cell_px or default_grain_px(region.shape, sampling_of(spacing), _BLOCKS)
        account = _account(probe, max_passes, cost.pass_equivalents)
        everywhere = region.to(model.device).expand(len(pixels), *region.shape).clone()
        search = _reduced(probe, everywhere, side, account, model.differentiable)
        (found,) = run_searches(
            model,
            [probe],
            [search],
            doing="leaving out channels",
            accounts=[account],
            on_step=told,
        )
    return ChannelRegions(
        model=model.name,
        target=asked.to("cpu"),
        region=found.region.cpu(),
        minimally_sufficient_region=region.cpu(),
        channel_names=tuple(map(model.channel_name, range(len(pixels)))),
        dice_threshold=first.dice_threshold,
        dice=found.dice,
        dice_in_all_channels=found.dice_in_all_channels,
        cell_px=side,
        num_blocks=found.num_blocks,
        is_one_minimal=found.is_one_minimal,
        baseline_image=",".join(way.name for way in probe.presentations),
        edge_px=first.settings["edge_px"],
        seed=first.values.seed,
        spacing_mm=spacing,
        cost=cost,
    )


def _check(num_channels: int, cell_px: int) -> None:
    if num_channels < 2:
        raise InputError(f"expected an image of two channels or more, got {num_channels}.")
    if cell_px < 0:
        raise InputError(f"expected cell_px of 0 or more, got {cell_px}.")


def _spacing(explanation: Explanation) -> tuple[float, ...] | None:
    num_axes = explanation.minimally_sufficient_region.ndim
    return check_spacing(explanation.values.spacing_mm, num_axes)


def _probe(
    model: SegmentationModel,
    image: Tensor,
    target: Target,
    explanation: Explanation,
    baseline_image: str,
) -> Probe:
    """How regions (C, *spatial) are shown: as those of the explanation, channels far apart.

    Raises:
        InputError: an explanation of another image.
    """
    region, spacing = explanation.minimally_sufficient_region, _spacing(explanation)
    if region.shape != image.shape[1:]:
        raise InputError(
            f"expected an explanation of this image, got one of shape {tuple(region.shape)}."
        )
    ways = make_presentations(
        model,
        to_device(image, model.device),
        baseline_image=baseline_image,
        edge_px=explanation.settings["edge_px"],
        seed=explanation.values.seed,
        spacing_mm=spacing,
    )
    sides = spacing or (1.0,) * region.ndim
    return Probe(
        target.to(model.device),
        ways,
        dice_threshold=explanation.dice_threshold,
        spacing_mm=(_APART * max(sides), *sides),
    )


def _account(probe: Probe, max_passes: int, spent: int) -> "_Spent":
    """What is left of the passes.

    Raises:
        InputError: too little to show the region before and after.
    """
    if (least := 2 * probe.num_views) > max_passes - spent:
        raise InputError(f"expected max_passes of {least + spent} or more, got {max_passes}.")
    return _Spent(limit=max_passes - spent)


@dataclass(frozen=True)
class _Found:
    region: Tensor
    dice: float
    dice_in_all_channels: float
    num_blocks: int
    is_one_minimal: bool


@dataclass
class _Spent(Account):
    """An account that does not keep what was shown: that is kept of regions (*spatial) alone."""

    def add_shown(self, _probe: Probe, _query: Query, replies: "Sequence[Reply]") -> None:
        """Counts the passes of a query."""
        self.add(replies)


def _reduced(
    probe: Probe, region: Tensor, cell_px: int, account: _Spent, has_gradients: bool
) -> Search[_Found]:
    """What is left of a region (C, *spatial) bool that suffices."""
    (whole,) = yield Query([region], alone=True)
    if not probe.suffices(whole):
        raise InputError(
            f"expected an explanation whose region suffices for this target, got Dice "
            f"{whole.dice:.3f} in all channels. Give the same model, image and target."
        )
    account.reserved_passes = probe.num_views  # for the last, which is shown alone
    kept = yield from _without_channels(probe, region, account)
    importance = torch.zeros_like(region, dtype=torch.float32)
    if has_gradients and account.affords(3 * probe.num_views):
        (reply,) = yield Query([kept.float()], gradient=True)
        importance = importance if reply.gradient is None else reply.gradient
    smaller, num_blocks, is_done = yield from remove_blocks(
        probe, kept, importance, cell_px, account
    )
    account.reserved_passes = 0
    (reply,) = yield Query([smaller], alone=True)
    if probe.suffices(reply):
        return _Found(smaller, reply.dice, whole.dice, num_blocks, is_done)
    return _Found(region, whole.dice, whole.dice, num_blocks, False)  # it held in a batch only


def _without_channels(probe: Probe, region: Tensor, account: _Spent) -> Search[Tensor]:
    """The region without channels that are not missed: the one that is missed least goes first."""
    num = len(region)
    alone = [_hiding(region, [channel]) for channel in range(num)]
    if not account.affords(num * probe.num_views):
        return region
    replies = yield Query(alone)
    scores = [probe.score(reply.dice) for reply in replies]
    order = sorted(range(num), key=lambda channel: -scores[channel])
    free = [channel for channel in order if probe.suffices(replies[channel])]
    gone: list[int] = free[:1]
    for channel in free[1:]:
        if not account.affords(probe.num_views):
            break
        (reply,) = yield Query([_hiding(region, [*gone, channel])])
        gone += [channel] if probe.suffices(reply) else []
    return _hiding(region, gone)


def _hiding(region: Tensor, channels: Sequence[int]) -> Tensor:
    """A region (C, *spatial) without some channels."""
    rest = region.clone()
    rest[list(channels)] = False
    return rest
