"""Probes: does this region answer the question about a target?

Most often the question is whether the target is preserved when the model sees only this region;
`question` has the others. A search is a generator: it yields a `Query` with the regions it wants
tried, and is sent a `Reply` for each: the Dice and, if the query asked for it, the direction in
which to change the region. `run_searches.py` runs searches.
"""

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor

from misure.errors import InputError
from misure.explanation.changes import Change, SmallChanges
from misure.explanation.content_controls import ContentControls
from misure.explanation.presentation import Presentation
from misure.explanation.question import SUFFICIENT, Question
from misure.explanation.sample import PixelSample, sample_pixels
from misure.explanation.shown import Shown
from misure.images.regions import distance_px
from misure.images.spacing import Sampling, sampling_of
from misure.models.cost import Cost
from misure.models.target import Target

if TYPE_CHECKING:
    from misure.explanation.robust.draws import SearchDraws

R = TypeVar("R")

_APART = 1e6  # sides of a voxel from one channel to the next

OnRegion = Callable[[str, Tensor, float], None]
"""Called with what a search finds: name of the region, the region (*spatial) bool, its Dice."""


@dataclass(frozen=True, eq=False)
class Probe:
    """A target, what is asked about it, how regions are shown, and the Dice that decides.

    Attributes:
        target: what is to be preserved, lost or drawn.
        presentations: the image and what stands where pixels are removed; with several, a region
            is shown in all of them, and the worst Dice counts.
        dice_threshold: the Dice from which the target counts as preserved or drawn, in (0, 1]; if
            it is to be lost, the Dice down to which it counts as lost, in [0, 1).
        question: what is done with a region, and what has to come out.
        content_controls: what can replace the image inside a region; needed for
            `excluded_contents` only.
        excluded_contents: names of content controls with which the target must *not* appear.
        max_content_dice: the largest Dice that is allowed with them, in [0, 1].
        hidden_presentation: what stands where a region is hidden, if it must not only suffice, but
            lose the target when it is hidden; None: nothing of that is asked.
        max_hidden_dice: the largest Dice that is allowed when it is hidden, in [0, 1].
        spacing_mm: sides of a pixel or voxel along (*spatial); None: not known.
        other_presentations: the same image with other baseline images, for evidence; a search
            shows a region in them as one of the small changes alone.
        num_changes: small changes under which a region has to hold before a search accepts it.
        draws: baseline images on which it has to hold, too; None: no others than its own.
        seed: of the small changes.
        forbidden: (*spatial) bool, pixels that a region may not hold; None: no such.
        by_channel: whether a region holds places of each channel by itself, (C, *spatial): wherever
            (*regions) is said below.

    Raises:
        InputError: a threshold is out of range, or target and image differ in shape.
    """

    target: Target
    presentations: tuple[Presentation, ...]
    dice_threshold: float = 0.9
    question: Question = SUFFICIENT
    content_controls: ContentControls | None = None
    excluded_contents: tuple[str, ...] = ()
    max_content_dice: float = 1.0
    hidden_presentation: Presentation | None = None
    max_hidden_dice: float = 1.0
    spacing_mm: tuple[float, ...] | None = None
    other_presentations: tuple[Presentation, ...] = ()
    num_changes: int = 0
    seed: int = 0
    draws: "SearchDraws | None" = None
    forbidden: Tensor | None = None
    by_channel: bool = False

    def __post_init__(self) -> None:
        if self.question.loses and not 0 <= self.dice_threshold < 1:
            raise InputError(
                f"expected a lost_dice of at least 0 and below 1, got {self.dice_threshold}."
            )
        if not self.question.loses and not 0 < self.dice_threshold <= 1:
            raise InputError(
                f"expected a dice_threshold above 0 and at most 1, got {self.dice_threshold}."
            )
        for name in ("max_content_dice", "max_hidden_dice"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"expected a {name} in [0, 1], got {getattr(self, name)}.")
        image = self.presentations[0].image
        if image.shape[1:] != self.target.region.shape:
            raise InputError(
                f"expected a target of the image's shape {tuple(image.shape[1:])}, got "
                f"{tuple(self.target.region.shape)}. Take it from this image."
            )

    @cached_property
    def wanted(self) -> Tensor:
        """(*spatial) int8: 1 on pixels of the target, -1 on all others, 0 on ignored ones.

        If the target is to be lost: -1 on its pixels, 0 on all others.
        """
        region = self.target.region.to(torch.int8)
        if self.question.loses:
            return region.neg_()
        return region.mul_(2).sub_(1).add_(self.target.ignored)

    @cached_property
    def considered(self) -> Tensor:
        """(*spatial) bool: pixels that are not ignored."""
        return ~self.target.ignored

    @cached_property
    def considers_all(self) -> bool:
        """Whether no pixel is ignored."""
        return not bool(self.target.ignored.any())

    @cached_property
    def num_target_pixels(self) -> int:
        """Pixels of the target."""
        return int(self.target.region.sum())

    @cached_property
    def sampling(self) -> Sampling | None:
        """Sides of a voxel relative to the smallest, the unit of distances; None: equal."""
        return sampling_of(self.spacing_mm)

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """The shape (*regions): that of the target, or that of the image if by channel."""
        spatial = self.target.region.shape
        return tuple(self.presentations[0].image.shape if self.by_channel else spatial)

    @cached_property
    def sampling_of_regions(self) -> Sampling | None:
        """The sampling along (*regions); channels lie so far apart that no cell holds two."""
        if not self.by_channel:
            return self.sampling
        return (_APART, *(self.sampling or (1.0,) * self.target.region.ndim))

    @cached_property
    def distance(self) -> Tensor:
        """The distance (*regions) float32 of each pixel to the target, the same in all channels."""
        return distance_px(self.target.region, self.sampling).expand(self.shape)

    @cached_property
    def contrast(self) -> Tensor:
        """The squared difference (*regions) float32 of each pixel to what replaces it.

        With several baseline images, the one that differs most counts.
        """
        squares = [(way.image - way.baseline_image).float().square() for way in self.presentations]
        own = squares if self.by_channel else [each.sum(0) for each in squares]
        return torch.stack(own).amax(0)

    @cached_property
    def sample(self) -> PixelSample:
        """The pixels whose margins a search may ask for."""
        return sample_pixels(
            self.target.region, self.target.ignored, self.sampling, loses=self.question.loses
        )

    @cached_property
    def changes(self) -> SmallChanges:
        """The small changes of what is shown, those that are held out among them."""
        return SmallChanges(self.target, self.other_presentations, self.seed)

    @property
    def edge_px(self) -> int:
        """Width of the soft edge, the same in all presentations."""
        return self.presentations[0].edge_px

    @property
    def num_views(self) -> int:
        """Images shown for one region: one a presentation, one a control."""
        return self.num_views_of_growth + len(self.excluded_contents)

    @property
    def num_views_of_growth(self) -> int:
        """The same in stage 1, which does without excluded contents."""
        return len(self.presentations) + (self.hidden_presentation is not None)

    @property
    def passes_of_accepting(self) -> int:
        """Forward passes, at most, for showing a region alone and in all it has to withstand."""
        changes = 2 * self.num_changes * len(self.presentations)
        return self.num_views + changes + (self.draws.num if self.draws else 0)

    @property
    def score_threshold(self) -> float:
        """What the score of a region has to reach, in [0, 1]."""
        return self.score(self.dice_threshold)

    def score(self, dice: float) -> float:
        """How far an outcome is what is asked for, in [0, 1]: the Dice, or 1 - Dice."""
        return self.question.score(dice)

    def suffices(self, reply: "Reply") -> bool:
        """Whether a region answers the question, and no control has too large a Dice."""
        return self.score(reply.dice) >= self.score_threshold and reply.excess_dice <= 0

    @cached_property
    def allowed(self) -> Tensor | None:
        """The pixels (*spatial) bool that a region may hold; None: all."""
        excluded = [self.target.region] if self.question.outside else []
        excluded += [] if self.forbidden is None else [self.forbidden]
        return ~torch.stack(excluded).any(0) if excluded else None

    def within(self, region: Tensor) -> Tensor:
        """The part of a region (*spatial) bool that is allowed."""
        return region if self.allowed is None else region & self.allowed

    def whole_image(self) -> Tensor:
        """The region (*regions) bool with which the model sees the whole image."""
        return torch.full(self.shape, not self.question.hides, device=self.target.region.device)

    def under(self, change: Change) -> "Probe":
        """The probe after a small change."""
        ways = dict.fromkeys(change.presentation(way) for way in self.presentations)
        return replace(self, target=change.target(self.target), presentations=tuple(ways))

    def region_under(self, change: Change, region: Tensor) -> Tensor:
        """What is shown or hidden (*spatial) of a region after a small change."""
        if self.question.hides:
            return change.hidden_region(region, self.sampling)
        return change.region(region)

    def holds(self, change: Change, score: float, whole_image: float = 1.0) -> bool:
        """Whether a region holds under a change, by its score and that of the whole image."""
        return score >= min(1, self.score_threshold * whole_image - change.tolerance)


@dataclass(frozen=True)
class Reply:
    """What the model predicted when a region was shown.

    Attributes:
        dice: Dice with the target; with several presentations that of the least score.
        excess_dice: by how much the Dice of a control is above what is allowed, at most; that of
            an excluded content, or of the region hidden. 0 or less: none is too large.
        num_forwards, num_backwards: passes made for this region.
        gradient: (*spatial) float32, how much the loss falls, to first order, when a pixel joins
            the region (or rises when it leaves it); None if not asked for.
        margins: (n,) float32 on the CPU, the lead of the class over its best rival at the pixels of
            the probe's sample, in the presentation of the least Dice; None if not asked for.
    """

    dice: float
    excess_dice: float = 0.0
    gradient: Tensor | None = None
    margins: Tensor | None = None
    num_forwards: int = 0
    num_backwards: int = 0


@dataclass
class Account:
    """What has been spent on a target so far and shown for it, and what its budget still allows.

    Attributes:
        cost: the passes made for the target; it grows with every reply.
        shown: the regions of all queries, with their outcomes.
        reserved_passes: pass equivalents of a budget that the work after a search will take.
        limit: pass equivalents that may be spent in all; None: what a search usually takes, and
            what the work around it needs.
        was_short: whether something could not be shown, because of the limit.
        on_region: called with each region that suffices and is smaller than those before; None:
            nothing is called.
        finding: name of the region that is being searched for.
        least_px: pixels of the smallest region that `on_region` was called with; a larger one that
            suffices is no news.
        on_add: called each time passes are counted; None: nothing is called.
    """

    cost: Cost = field(default_factory=Cost)
    shown: Shown = field(default_factory=Shown)
    reserved_passes: int = 0
    limit: int | None = None
    was_short: bool = False
    on_region: OnRegion | None = None
    finding: str = ""
    least_px: int | None = None
    on_add: Callable[[], None] | None = None

    def add(self, replies: Iterable[Reply]) -> None:
        """Counts the passes that replies took."""
        for reply in replies:
            self.cost.forward_passes += reply.num_forwards
            self.cost.backward_passes += reply.num_backwards
        if self.on_add:
            self.on_add()

    def add_shown(self, probe: Probe, query: "Query", replies: "Sequence[Reply]") -> None:
        """Counts the passes of a query, and keeps what was shown with what came out.

        What came out under a small change is not kept: it is no outcome of the region as it is. Nor
        is what came out when a region was hidden, or for a region by channel.
        """
        self.add(replies)
        if query.changes or probe.question.hides or probe.by_channel:
            return
        for region, reply in zip(query.regions, replies, strict=True):
            self.shown.add(
                region,
                reply.dice,
                probe.suffices(reply),
                gradient=reply.gradient,
                sampling=probe.sampling,
            )
            if self.on_region and region.dtype == torch.bool and probe.suffices(reply):
                self._tell(region, reply.dice)

    def _tell(self, region: Tensor, dice: float, *, is_result: bool = False) -> None:
        """Calls `on_region`, if a region is smaller than those before, or the result."""
        num_pixels = int(region.sum())
        if is_result or self.least_px is None or num_pixels < self.least_px:
            self.least_px = num_pixels
            if self.on_region:
                self.on_region(self.finding, region.cpu().clone(), dice)

    def tell_result(self, region: Tensor, dice: float) -> None:
        """Calls `on_region`, if there is one, with the region in which a search ended."""
        if self.on_region:
            self._tell(region, dice, is_result=True)

    def passes_left(self, max_passes: int) -> int:
        """Pass equivalents that a search may still spend of a budget of `max_passes`."""
        return max_passes - self.reserved_passes - self.cost.pass_equivalents

    def affords(self, passes: int) -> bool:
        """Whether these pass equivalents may still be spent; notes it if not."""
        return self.affordable(1, passes) == 1

    def affordable(self, wanted: int, passes_each: int, *, kept: int = 0) -> int:
        """How many of N regions may still be shown; notes it if not all of them.

        Args:
            wanted: N.
            passes_each: pass equivalents that one takes.
            kept: pass equivalents to be left over.
        """
        if self.limit is None:
            return wanted
        num = min(wanted, max(0, self.passes_left(self.limit) - kept) // passes_each)
        self.was_short |= num < wanted
        return num


@dataclass(frozen=True)
class Query:
    """The regions a search wants tried, and what it wants to know about each.

    Attributes:
        regions: each (*spatial) bool; or a visibility, (*spatial) float, to query for a gradient.
        alone: each in a batch of its own. A network's numbers differ in the last digits with the
            size of the batch; a Dice that is to be returned is asked for alone, as a stranger
            would who shows the region again.
        gradient: ask for the direction too; takes a backward pass.
        content_controls: also show the probe's excluded contents, and the region hidden if the
            probe asks for that.
        hidden: also show the region hidden if the probe asks for that.
        margins: ask for the margins of the probe's sample, too.
        changes: the small change under which each of the regions is shown; empty: as they are.
    """

    regions: list[Tensor]
    alone: bool = False
    gradient: bool = False
    content_controls: bool = False
    hidden: bool = False
    margins: bool = False
    changes: Sequence[Change] = ()


Search = Generator[Query, list[Reply], R]
