"""Channel effects: what happens to a target when channels of the image are hidden.

A hidden channel is replaced, wherever it lies, by a baseline image of that channel (see
`baselines`); all other channels are shown as they are. Each channel is hidden by itself, and shown
by itself; and the smallest sets of channels that suffice are searched for (see `channel_sets`).
What stands in a hidden channel matters, so several baseline images are tried, the fills: effects
are means over them, and a set suffices if it does on each.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

import torch
from torch import Tensor, nn

from misure._util.progress import OnStep, shown_progress
from misure.errors import InputError, entrance
from misure.explanation.answers.channel_effects import ChannelEffect, ChannelEffects, ChannelSet
from misure.explanation.answers.channel_sets import Channels, ShownSets, find_sets
from misure.explanation.answers.intervention import HiddenOutcome, check_fits
from misure.explanation.presentation import Presentation, make_presentations
from misure.images.spacing import check_spacing
from misure.models.device import to_device
from misure.models.given_target import AnyTarget, as_asked
from misure.models.inputs import AnyImage
from misure.models.model import SegmentationModel
from misure.models.target import Target

FILLS = "mean,blurred,noise"
"""Baseline images of hidden channels, if no others are named."""


@entrance("channel_effects")
def channel_effects(
    model: SegmentationModel | nn.Module,
    image: AnyImage,
    target: AnyTarget,
    *,
    dice_threshold: float = 0.9,
    baseline_image: str | Tensor = FILLS,
    num_draws: int = 1,
    seed: int = 0,
    spacing_mm: Sequence[float] | None = None,
    max_passes: int | None = None,
    on_step: OnStep | None = None,
    progress: bool | None = None,
    class_names: str | Sequence[str] = (),
) -> ChannelEffects:
    """What each channel of an image does for a target, and which channels suffice for it.

    Each channel is hidden alone, and shown alone; then sets of channels are shown by size until one
    suffices. Up to 10 channels the result is the smallest set, and all of that size that suffice;
    with more channels, or within a budget, it is said if it may not be. Takes one forward pass for
    the whole image, and one for each set of channels and each fill.

    Args:
        model: the model, or a torch module that takes images as they are.
        image: (C, *spatial) float with two channels or more, the image that the target was taken
            from; or what stands for it (see `as_image`).
        target: see `explain`; if it is no `Target`, finding it takes a pass that is not counted.
        dice_threshold: Dice from which the target counts as preserved, in (0, 1].
        baseline_image: what stands in hidden channels (see `make_baseline_image`): one name, or
            several with commas between them, or a tensor that broadcasts to the image. With
            several, effects are means, and a set of channels has to suffice with each.
        num_draws: how often `noise` is drawn, 1 or more.
        seed: of the noise.
        spacing_mm: sides of a pixel or voxel, on which the blur depends.
        max_passes: forward passes at most, that of the whole image included. None: as many as all
            sets of up to 10 channels take, or a search among more.
        on_step: called with progress.
        progress: whether a bar is shown (see `explain`).
        class_names: of a torch module (see `explain`).

    Raises:
        InputError: bad arguments, an image of one channel, fewer passes than it takes to hide and
            to show each channel, or a target of another shape than the image.
        ModelError: the network fails.
    """
    _check(dice_threshold, num_draws)
    model, pixels, asked = as_asked(model, image, target, class_names=class_names)
    check_fits(pixels, asked)
    if len(pixels) < 2:
        raise InputError(
            f"expected an image of two channels or more, got {len(pixels)}. For places instead of "
            "channels ask explain, leverage or context_effects."
        )
    with (
        model.counting() as cost,
        model.borrowed(),
        shown_progress(progress, on_step, cost, max_passes) as told,
    ):
        found = channel_effects_of(
            model,
            pixels,
            asked,
            dice_threshold=dice_threshold,
            baseline_image=baseline_image,
            num_draws=num_draws,
            seed=seed,
            spacing_mm=spacing_mm,
            max_passes=max_passes,
            on_step=told,
        )
    return replace(found, cost=cost)


def channel_effects_of(
    model: SegmentationModel,
    image: Tensor,
    target: Target,
    *,
    dice_threshold: float,
    baseline_image: str | Tensor,
    num_draws: int,
    seed: int,
    spacing_mm: Sequence[float] | None,
    max_passes: int | None,
    on_step: OnStep | None,
) -> ChannelEffects:
    """The channel effects of a target; the arguments are those of `channel_effects`, checked."""
    target = target.to("cpu")
    own = to_device(image, model.device)
    with model.counting() as cost:
        ways = _fills(model, own, baseline_image, num_draws, seed, spacing_mm)
        num, names = len(image), tuple(map(model.channel_name, range(len(image))))
        max_sets = None if max_passes is None else 1 + (max_passes - 1) // len(ways)
        shown = ShownSets(
            num, lambda sets: _show(model, own, ways, target, sets, on_step), dice_threshold,
            max_sets,
        )  # fmt: skip
        whole = shown.everything
        alone = [(channel,) for channel in whole]
        hidden = [shown.without(channel) for channel in whole]
        if not shown.show([whole, *hidden, *alone]):
            least = 1 + len({*hidden, *alone} - {whole}) * len(ways)
            raise InputError(
                f"expected max_passes of at least {least}, got {max_passes}: each of {num} "
                "channels is hidden, and shown alone. Or name fewer baseline images."
            )
        found = find_sets(shown)
    fills = [way.name for way in ways]
    dice_shown = shown.dice(whole)
    effects = [
        _effect(channel, names[channel], dice_shown, fills, shown, hidden[channel])
        for channel in whole
    ]
    return ChannelEffects(
        model=model.name,
        target=target,
        channel_names=names,
        dice_threshold=dice_threshold,
        dice_shown=dice_shown,
        baseline_image=",".join(fills),
        seed=seed,
        effects=tuple(sorted(effects, key=lambda effect: -effect.effect)),
        sets=tuple(_set(one, names, fills, shown) for one in found.sets),
        is_smallest=found.is_smallest,
        are_all=found.are_all,
        num_sets_shown=len(shown.outcomes),
        sets_by_baseline_image={fill: shown.smallest(i) for i, fill in enumerate(fills)},
        cost=cost,
        image=image.cpu(),
    )


def _check(dice_threshold: float, num_draws: int) -> None:
    if not 0 < dice_threshold <= 1:
        raise InputError(f"expected a dice_threshold above 0 and at most 1, got {dice_threshold}.")
    if num_draws < 1:
        raise InputError(f"expected num_draws of 1 or more, got {num_draws}.")


def _fills(
    model: SegmentationModel,
    image: Tensor,
    baseline_image: str | Tensor,
    num_draws: int,
    seed: int,
    spacing_mm: Sequence[float] | None,
) -> list[Presentation]:
    """What stands in hidden channels: each baseline image, and noise several times."""
    spacing = check_spacing(spacing_mm, image.ndim - 1)
    fills: dict[str, Presentation] = {}
    for draw in range(num_draws):
        ways = make_presentations(
            model, image, baseline_image=baseline_image, seed=seed + draw, spacing_mm=spacing
        )
        for way in ways:
            if draw == 0:
                fills[way.name] = way
            elif way.name == "noise":
                name = f"noise {draw + 1}"
                fills[name] = replace(way, name=name)
    return list(fills.values())


def _show(
    model: SegmentationModel,
    image: Tensor,
    ways: Sequence[Presentation],
    target: Target,
    sets: Sequence[Channels],
    on_step: OnStep | None,
) -> list[tuple[HiddenOutcome, ...]]:
    """The outcome of each set of channels on each fill; all channels are shown but once."""
    num = len(image)
    views = [(channels, way) for channels in sets for way in _different(channels, ways, num)]

    def show(part: slice) -> list[HiddenOutcome]:
        if on_step:
            on_step("channels", part.start, len(views))
        images = []
        for channels, way in views[part]:
            visibility = torch.zeros_like(image)
            visibility[list(channels)] = 1
            images.append(way.show(visibility[None]))
        with torch.no_grad():
            decided = model.deciding_logits(torch.cat(images), [target.logit_index] * len(images))
        drawn = [model.class_region(*pair)[0].cpu() for pair in decided]
        return [HiddenOutcome.of(target, each) for each in drawn]

    outcomes = iter(chain.from_iterable(model.in_batches(show, len(views), image.shape[1:])))
    results = []
    for channels in sets:
        each = [next(outcomes) for _ in _different(channels, ways, num)]
        results.append(tuple(each * len(ways))[: len(ways)])
    return results


def _different(
    channels: Channels, ways: Sequence[Presentation], num_channels: int
) -> Sequence[Presentation]:
    """The fills that make different images: nothing is filled in if all channels are shown."""
    return ways[:1] if len(channels) == num_channels else ways


def _effect(
    channel: int,
    name: str,
    dice_shown: float,
    fills: Sequence[str],
    shown: ShownSets,
    others: Channels,
) -> ChannelEffect:
    hidden, alone = shown.outcomes[others], shown.outcomes[channel,]
    mean, mean_alone = HiddenOutcome.mean(hidden), HiddenOutcome.mean(alone)
    return ChannelEffect(
        number=channel,
        name=name,
        dice=mean.dice,
        effect=dice_shown - mean.dice,
        share_left=mean.share_left,
        added=mean.added,
        dice_alone=mean_alone.dice,
        dice_by_baseline_image=_by_fill(fills, hidden),
        dice_alone_by_baseline_image=_by_fill(fills, alone),
    )


def _set(
    channels: Channels, names: Sequence[str], fills: Sequence[str], shown: ShownSets
) -> ChannelSet:
    return ChannelSet(
        channels=channels,
        names=tuple(names[channel] for channel in channels),
        dice=shown.dice(channels),
        dice_by_baseline_image=_by_fill(fills, shown.outcomes[channels]),
    )


def _by_fill(fills: Sequence[str], outcomes: Sequence[HiddenOutcome]) -> dict[str, float]:
    return {fill: outcome.dice for fill, outcome in zip(fills, outcomes, strict=True)}
