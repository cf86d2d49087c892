"""What a notebook shows of single answers: their title, sentences, picture and figures.

Kinds of results stand in one table, `_KINDS`: what is asked, what is said, what is drawn and
listed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from misure._util.words import counted, share
from misure.errors import InputError
from misure.explanation.answers.channel_effects import ChannelEffects
from misure.explanation.answers.channel_regions import ChannelRegions
from misure.explanation.answers.effects import ContextEffects
from misure.explanation.answers.leverage import Leverage
from misure.explanation.answers.prompt_sensitivity import PromptSensitivity
from misure.explanation.answers.reasons import Reasons
from misure.explanation.answers.stability import Stability
from misure.explanation.check import CheckedRegion
from misure.explanation.record import CHANGES_IN_WORDS
from misure.explanation.robust.measured import Robustness
from misure.images.cuts import Cut, cuts_through
from misure.models.target import Target
from misure.reports.axes import REGION_COLOUR, TARGET_COLOUR, draw_outlines, show_image
from misure.reports.backdrop import Backdrop, backdrop_of
from misure.reports.canvas import Axes, Figure, canvas_pixels
from misure.reports.channels_picture import plot_channels
from misure.reports.html import Part, heading, notes, page, row, sentence, table
from misure.reports.leverage_picture import plot_leverage
from misure.reports.panels import Panel, draw_panels
from misure.reports.prompt_picture import plot_prompts
from misure.reports.stills import Still, still_of
from misure.reports.target_picture import named

_SIDE_PX = 340  # of the picture of a reason
_LISTED = 20  # rows of a table, at most


@dataclass(frozen=True)
class _Kind:
    """How results of a kind are shown.

    Attributes:
        title: what was asked; `{}` is the target.
        say: the sentences.
        rows: the figures, as a header and rows.
        plot: draws the picture on an image (C, *spatial); None: there is none.
    """

    title: str
    say: Callable[[Any], str]
    rows: Callable[[Any], tuple[Sequence[str], Sequence[Sequence[str]]]]
    plot: Callable[[Any, Tensor], Figure] | None = None


def plot_result(result: Any, image: Any = None) -> Figure:
    """The figure of `Pictured.plot`, which documents it."""
    return _plot(result, image)


def result_html(result: Any) -> str:
    """The page of one answer."""
    return page([heading(_title(result)), *result_parts(result)])


def result_parts(result: Any) -> list[Part]:
    """What is said of an answer, its picture if the image is in memory, and its figures."""
    kind = _kind(result)
    parts: list[Part] = [sentence(kind.say(result))]
    if kind.plot is not None:
        if getattr(result, "image", None) is None:
            parts.append(sentence("No picture: result.plot(image) draws it on the image."))
        else:
            parts += row(_reason_stills(result) if isinstance(result, Reasons) else _still(result))
    header, rows = kind.rows(result)
    if rows:
        parts.append(table(header, rows[:_LISTED]))
    if len(rows) > _LISTED:
        parts.append(notes([f"{len(rows) - _LISTED} more are not listed."]))
    cost = getattr(result, "cost", None) or getattr(getattr(result, "values", None), "cost", None)
    if cost is not None:
        parts.append(
            notes([f"{counted(cost.pass_equivalents, 'pass equivalent')} in {cost.seconds:.0f} s."])
        )
    return parts


def _still(result: Any) -> list[Still]:
    figure = _plot(result)
    figure.suptitle("")  # what it says stands above
    return [Still(Image.fromarray(canvas_pixels(figure)))]


def _kind(result: Any) -> _Kind:
    return _KINDS[type(result)]


def _title(result: Any) -> str:
    target = getattr(result, "target", None)
    name = named(target) if isinstance(target, Target) else "object"
    return _kind(result).title.format(name)


def _plot(result: Any, image: Any = None) -> Figure:
    plot = _kind(result).plot
    if plot is None:
        raise InputError(f"expected a result of which there is a picture, got {result!r}.")
    region = result.region if isinstance(result, PromptSensitivity) else result.target.region
    backdrop = backdrop_of(result.image, "", region.shape, image=image)
    return plot(result, backdrop.pixels)


def _plot_reasons(reasons: Reasons, pixels: Tensor) -> Figure:
    """A panel for each reason: the region as brightness, the target outlined."""
    return draw_panels(
        *_reason_panels(reasons, pixels),
        heading=_title(reasons),
        text=reasons.sentence,
        notes=["Orange line: the target. Blue dashed line: the region."],
    )


def _reason_stills(reasons: Reasons) -> list[Still]:
    panels, cuts, backdrop = _reason_panels(reasons, reasons.image)
    return [still_of(panel, cut, backdrop, _SIDE_PX) for cut in cuts for panel in panels]


def _reason_panels(
    reasons: Reasons, pixels: Tensor | None
) -> tuple[list[Panel], list[Cut], Backdrop]:
    target = reasons.target.region.cpu()
    backdrop = backdrop_of(pixels, "", target.shape)
    panels = [
        _reason_panel(backdrop, target, region, number)
        for number, region in enumerate(reasons.regions, 1)
    ]
    union = torch.stack([target, *reasons.regions]).any(0)
    return panels, list(cuts_through(union, target, backdrop.lie)), backdrop


def _reason_panel(backdrop: Backdrop, target: Tensor, region: Tensor, number: int) -> Panel:
    def draw(axes: Axes, cut: Cut) -> None:
        plane = cut.take(region).numpy()
        show_image(axes, backdrop.colours(cut), dimmed=~plane)
        outline = cut.take(target).numpy()
        draw_outlines(axes, (outline, TARGET_COLOUR, "solid"), (plane, REGION_COLOUR, "dashed"))

    whole = "image" if region.ndim == 2 else "volume"
    detail = f"bright: {share(float(region.float().mean()))} of the {whole}"
    return Panel(draw, f"Reason {number}", detail)


def _of_leverage(found: Leverage) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    header = ["part at", "of the target", "Dice of the rest", "Dice lost", "left", "added"]
    return header, [
        [
            ", ".join(map(str, part.centre)),
            share(part.share),
            f"{part.dice:.2f}",
            f"{part.leverage:.2f}",
            share(part.share_left),
            share(part.added),
        ]
        for part in found.parts
    ]


def _of_channels(found: ChannelEffects) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    header = ["channel", "Dice lost without it", "Dice hidden", "Dice alone"]
    return header, [
        [one.name, f"{one.effect:.2f}", f"{one.dice:.2f}", f"{one.dice_alone:.2f}"]
        for one in found.effects
    ]


def _of_regions(found: ChannelRegions) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    header = ["channel", "of the image", "of the minimal region"]
    return header, [[one.name, share(one.area_fraction), share(one.share)] for one in found.parts]


def _of_effects(found: ContextEffects) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    header = ["hidden", "of the image", "Dice lost", "Dice", "Dice, same form elsewhere"]
    return header, [
        [
            one.name,
            share(one.area_fraction),
            f"{one.effect:.2f}",
            f"{one.dice:.2f}",
            "–" if one.control_dice is None else f"{one.control_dice:.2f}",
        ]
        for one in found.effects
    ]


def _of_prompts(found: PromptSensitivity) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    header = ["change", "prompts", "least Dice", "median Dice"]
    return header, [
        [one.change, str(len(one.outcomes)), f"{one.least:.2f}", f"{one.median:.2f}"]
        for one in found.changes
    ]


def _of_reasons(found: Reasons) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    header = ["reason", "of the image", "Dice alone", "Dice without it", "parts"]
    return header, [
        [
            str(number),
            share(one.area_fraction),
            f"{one.dice:.2f}",
            f"{one.dice_without:.2f}",
            str(one.num_parts),
        ]
        for number, one in enumerate(found.values.reasons, 1)
    ]


def _of_stability(found: Stability) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    header = ["change", "IoU", "IoU by chance", "Dice of the first region", "area found again"]
    return header, [
        [
            change,
            f"{one.iou:.2f}",
            f"{one.by_chance:.2f}",
            f"{one.dice_of_first:.2f}",
            share(one.area_fraction),
        ]
        for change, one in found.by_change.items()
    ]


def _say_stability(found: Stability) -> str:
    left_out = [f"Not explained again: {name}: {why}" for name, why in found.left_out.items()]
    spent = f"It took {counted(found.passes, 'pass equivalent')}."
    return " ".join(filter(None, [found.note, *left_out, spent]))


def _of_check(found: CheckedRegion) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    values, region = found.values, found.values.region
    return ["shown", "Dice"], [
        ["the region alone", f"{region.dice:.3f}"],
        *(
            [f"on {kind}", f"{dice:.3f}"]
            for kind, dice in region.dice_on_other_baseline_images.items()
        ),
        *(
            [f"under {CHANGES_IN_WORDS.get(name, name)}", f"{dice:.3f}"]
            for name, dice in region.dice_under_small_changes.items()
        ),
        ["its outline with other content, at most", f"{values.silhouette_dice:.3f}"],
        ["its outline with content of another image", f"{values.transfer_dice:.3f}"],
    ]


def _of_robustness(found: Robustness) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    return ["baseline images", "holds on", "drawn"], [
        [kind.replace("_", " "), str(one.held), str(one.drawn)]
        for kind, one in found.by_kind.items()
    ]


_KINDS: dict[type, _Kind] = {
    Leverage: _Kind(
        "Which part of this {} does the rest depend on?",
        lambda found: found.sentence(),
        _of_leverage,
        plot_leverage,
    ),
    ChannelEffects: _Kind(
        "Which channels does this {} need?",
        lambda found: " ".join(found.sentences()),
        _of_channels,
        plot_channels,
    ),
    ChannelRegions: _Kind(
        "Where is each channel needed for this {}?", lambda found: found.sentence(), _of_regions
    ),
    ContextEffects: _Kind(
        "What do the surroundings do for this {}?", lambda found: found.sentence(), _of_effects
    ),
    PromptSensitivity: _Kind(
        "How much does the mask depend on the prompt?",
        lambda found: found.sentence(),
        _of_prompts,
        plot_prompts,
    ),
    Reasons: _Kind(
        "What else suffices for this {}?",
        lambda found: found.sentence,
        _of_reasons,
        _plot_reasons,
    ),
    Stability: _Kind("Is the same region found again?", _say_stability, _of_stability),
    CheckedRegion: _Kind(
        "Does this region suffice for this {}?", lambda found: found.summary(), _of_check
    ),
    Robustness: _Kind(
        "On which baseline images does it hold?", lambda found: found.note, _of_robustness
    ),
}
