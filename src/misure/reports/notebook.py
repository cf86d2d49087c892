"""What a notebook shows of results: a sentence, pictures, and figures with what they mean."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from misure._util.words import counted, share
from misure.errors import MisureError
from misure.explanation.answers.hidden import HiddenRegion
from misure.explanation.answers.whole import Answer
from misure.explanation.explanation import Explanation
from misure.images.cuts import Cut, Lie, cuts_through, montage_of
from misure.images.regions import area_fraction
from misure.images.volumes import name_of
from misure.models.segmentation import Segmentation
from misure.models.target import Target
from misure.reports.axes import (
    REGION_COLOUR,
    TARGET_COLOUR,
    draw_density,
    draw_outlines,
    show_image,
)
from misure.reports.backdrop import Backdrop, backdrop_of
from misure.reports.canvas import Axes
from misure.reports.density import density
from misure.reports.explanation_figures import explanation_figures
from misure.reports.explanation_panels import (
    Drawn,
    has_region_line,
    is_drawn_as_density,
    make_panel,
)
from misure.reports.explanation_picture import heading_of
from misure.reports.hidden_picture import region_panel
from misure.reports.html import (
    MOST_CHARACTERS,
    MOST_OF_VOLUME,
    Part,
    figures_table,
    heading,
    notes,
    page,
    row,
    sentence,
    steps,
    table,
)
from misure.reports.notebook_answers import result_parts
from misure.reports.panels import Panel
from misure.reports.segmentation_picture import segmentation_panel
from misure.reports.stills import Still, still_of
from misure.reports.target_picture import image_panel, named

_SIDE_PX, _SIDE_OF_CUT_PX = 520, 340  # of pictures of an image, of cuts of a volume
_PANELS = ("image", "minimally_sufficient_region", "overlay", "sufficient_region")
_PANELS_OF_CUT = ("image", "minimally_sufficient_region", "overlay")
_SLICES = 24  # of a slider, at most
_TARGET_LINE = "Orange line: the target."
_LINES = f"{_TARGET_LINE} Blue dashed line: the region."


def explanation_html(explanation: Explanation) -> str:
    """The page of an explanation: what suffices, its regions and map, and the figures."""
    return page(_of_explanation(explanation), _most(explanation.target.region))


def answer_html(answer: Answer) -> str:
    """The page of an answer: that of its explanation, then what else was asked."""
    explanation = answer.explanation
    parts = _of_explanation(explanation, answer.summary())
    for name, hidden in (("necessary", answer.necessary), ("surroundings", answer.surroundings)):
        if hidden is not None:
            parts += [heading(f"{name.capitalize()}: what is hidden"), *_of_hidden(hidden)]
    for title, result in (
        ("Other reasons", answer.reasons),
        ("Surroundings, part by part", answer.effects),
        ("Channels", answer.channels),
    ):
        if result is not None:
            parts += [heading(title), *result_parts(result)]
    spent = ", ".join(f"{name} {number}" for name, number in answer.passes.items())
    cost = answer.cost
    total = counted(cost.pass_equivalents, "pass equivalent")
    parts.append(notes([f"{total} in {cost.seconds:.0f} s: {spent}."]))
    return page(parts, _most(explanation.target.region))


def hidden_html(hidden: HiddenRegion) -> str:
    """The page of a hidden region: what hiding it does, where it lies, and the figures."""
    image = name_of(hidden.values.image)
    title = f"{image}: what is hidden" if image else "What is hidden"
    return page([heading(title), *_of_hidden(hidden)], _most(hidden.target.region))


def segmentation_html(segmentation: Segmentation) -> str:
    """The page of a segmentation: the classes in colours, and their sizes."""
    model, num_axes = segmentation.model, len(segmentation.spatial)
    found = segmentation.found_classes()
    others = [one for one in found if not model.is_background(one.class_index)]
    named_classes = ", ".join(
        f"{one.class_name} ({share(one.area_fraction)})" for one in others[:6]
    )
    more = f" and {len(others) - 6} more" if len(others) > 6 else ""
    said = f"It finds {named_classes}{more}." if others else "It finds nothing but background."
    parts: list[Part] = [heading(f"What {model.name} draws"), sentence(said)]

    def pictures() -> list[Part]:
        backdrop = backdrop_of(
            segmentation.image, "", segmentation.spatial, model=model,
            channel_names=model.channel_names,
        )  # fmt: skip
        class_map = segmentation.class_map().cpu()
        inside = class_map >= 0 if model.multilabel else class_map > 0
        cuts = cuts_through(inside, inside, backdrop.lie)
        plain = Panel(lambda axes, cut: show_image(axes, backdrop.colours(cut)), "The image")
        return _grid([plain, segmentation_panel(segmentation, backdrop)], cuts, backdrop)

    unit = "pixels" if num_axes == 2 else "voxels"
    rows = [
        [one.class_name, f"{one.num_pixels:,}", share(one.area_fraction), str(one.num_objects)]
        for one in found
    ]
    parts += _or_why_not(pictures, "segmentation.show(image=...)")
    parts.append(table(["class", unit, "share", "objects"], rows[:_SLICES]))
    if len(rows) > _SLICES:
        parts.append(notes([f"{len(rows) - _SLICES} smaller classes are not listed."]))
    return page(parts, MOST_CHARACTERS if num_axes == 2 else MOST_OF_VOLUME)


def target_html(target: Target) -> str:
    """The page of a target: its pixels, and its figures; it keeps no image."""
    region, ignored = target.region.cpu(), target.unbound().ignored.cpu()
    unit = "px" if region.ndim == 2 else "voxels"
    lie = Lie()
    backdrop = Backdrop((region.float() + 0.4 * ignored.float())[None], lie, 0, (), 0.0, 1.0)
    panel = image_panel(backdrop, region, f"white: the {named(target)}")
    panel = replace(panel, title="The target")
    figures = [
        ["class", f"{target.class_index} {target.class_name}".strip(), ""],
        ["size", f"{int(region.sum()):,} {unit}, {share(area_fraction(region))}", ""],
        [
            "ignored",
            f"{int(ignored.sum()):,} {unit}",
            "Other pixels that the network gives to the class. They count in no Dice.",
        ],
    ]
    if target.made_from:
        figures.append(["made from", target.made_from, "A person marked it."])
    if target.score is not None:
        figures.append(["score", f"{target.score:.2f}", "That the network gives to the object."])
    parts: list[Part] = [
        heading(f"Target: {named(target)}"),
        *_grid([panel], cuts_through(region, region, lie), backdrop),
        figures_table(figures),
        notes(["A target keeps no image: target.show(image) draws it on one."]),
    ]
    return page(parts, _most(region))


def _of_explanation(explanation: Explanation, said: str = "") -> list[Part]:
    parts: list[Part] = [heading(heading_of(explanation)), sentence(said or explanation.summary())]
    parts += _or_why_not(lambda: _pictures_of(explanation), "explanation.show(image=...)")
    return [*parts, figures_table(explanation_figures(explanation))]


def _pictures_of(explanation: Explanation) -> list[Part]:
    values, region = explanation.values, explanation.target.region
    backdrop = backdrop_of(
        explanation.image, values.image, region.shape, sides_mm=values.spacing_mm,
        slice_index=values.slice_index,
        channel_names=values.model_settings.get("channel_names", ()),
    )  # fmt: skip
    cuts = cuts_through(explanation.minimally_sufficient_region, region, backdrop.lie)
    drawn = Drawn(explanation, backdrop, cuts)
    names = _PANELS if region.ndim == 2 else _PANELS_OF_CUT
    panels = [make_panel(name, drawn) for name in names]
    parts = _grid(panels, cuts, backdrop)
    if region.ndim == 3:
        parts += _slices(replace(drawn, cuts=cuts))
    nested = _nested(drawn, cuts[0])
    is_outlined = any(has_region_line(explanation, name, cut) for name in names for cut in cuts)
    lines = _LINES if nested or is_outlined or region.ndim == 3 else _TARGET_LINE
    return [*parts, *nested, notes([lines, *backdrop.notes])]


def _nested(drawn: Drawn, cut: Cut) -> list[Part]:
    """A slider through the nested regions, the smallest first; empty if there are none."""
    explanation, backdrop = drawn.explanation, drawn.backdrop
    curve = explanation.sufficiency_curve
    if len(curve) < 2:
        return []
    whole = "image" if explanation.target.region.ndim == 2 else "volume"
    is_dust = is_drawn_as_density(explanation, "minimally_sufficient_region")
    stills = []
    for point in curve:
        region = explanation.nested_region(point.dice_threshold)
        panel = _nested_panel(explanation, backdrop, region, is_dust=is_dust)
        title = f"Dice {point.dice:.2f} from {share(point.area_fraction)} of the {whole}"
        detail = f"searched for a Dice of {point.dice_threshold:g}" + (
            "; drawn by its density" if is_dust else ""
        )
        if cut.words:
            detail += f"; {cut.words}"
        side = _SIDE_PX if explanation.target.region.ndim == 2 else _SIDE_OF_CUT_PX
        stills.append(still_of(panel, cut, backdrop, side, title=title, detail=detail))
    said = "What suffices for less: the regions lie in each other, the first for the lowest Dice."
    return [sentence(said), *steps(stills, "Regions, from the smallest on", len(stills) - 1)]


def _nested_panel(
    explanation: Explanation, backdrop: Backdrop, region: Tensor, *, is_dust: bool
) -> Panel:
    def draw(axes: Axes, cut: Cut) -> None:
        image, plane = backdrop.colours(cut), cut.take(region).cpu().numpy()
        target = cut.take(explanation.target.region).cpu().numpy()
        lines = [(target, TARGET_COLOUR, "solid")]
        if is_dust:
            found = density(plane)
            draw_density(axes, image, found, float(found.max()))
        else:
            show_image(axes, image, dimmed=~plane)
            lines.append((plane, REGION_COLOUR, "dashed"))
        draw_outlines(axes, *lines)

    return Panel(draw, "A nested region")


def _slices(drawn: Drawn) -> list[Part]:
    """A slider over the slices through the evidence of a volume, with the map over the image."""
    explanation, backdrop = drawn.explanation, drawn.backdrop
    target, region = explanation.target.region, explanation.minimally_sufficient_region
    cuts = montage_of(region, target, backdrop.lie, _SLICES)
    panel = _with_region(make_panel("overlay", replace(drawn, cuts=cuts)), region)
    stills = [
        still_of(panel, cut, backdrop, _SIDE_OF_CUT_PX, title=cut.words, detail="", is_marked=True)
        for cut in cuts
    ]
    laid_out = [int(cut.take(region if bool(region.any()) else target).sum()) for cut in cuts]
    said = f"{panel.title}, slice by slice: {panel.detail}."
    fullest = laid_out.index(max(laid_out))
    return [sentence(said), *steps(stills, "Slices, from the first to the last drawn", fullest)]


def _with_region(panel: Panel, region: Tensor) -> Panel:
    """A panel with the outline of a region on it."""

    def draw(axes: Axes, cut: Cut) -> None:
        panel.draw(axes, cut)
        draw_outlines(axes, (cut.take(region).cpu().numpy(), REGION_COLOUR, "dashed"))

    return replace(panel, draw=draw)


def _of_hidden(hidden: HiddenRegion) -> list[Part]:
    values, target = hidden.values, hidden.target.region

    def pictures() -> list[Part]:
        backdrop = backdrop_of(
            hidden.image, values.image, target.shape, sides_mm=values.spacing_mm,
            channel_names=values.model_settings.get("channel_names", ()),
        )  # fmt: skip
        cuts = cuts_through(target | hidden.region, target, backdrop.lie)
        return [
            *_grid([region_panel(hidden, backdrop)], cuts, backdrop),
            notes([_LINES, *backdrop.notes]),
        ]

    said = f"{hidden.sentence} {hidden.classes_sentence}".rstrip()
    parts = [sentence(said), *_or_why_not(pictures, "result.show(image=...)")]
    return [*parts, figures_table(_hidden_figures(hidden))]


def _hidden_figures(hidden: HiddenRegion) -> list[list[str]]:
    values = hidden.values
    whole = "image" if hidden.target.region.ndim == 2 else "volume"
    figures = []
    if hidden.dice is not None:
        size = f"{share(values.area_fraction)} of the {whole}, {values.relative_area:.2f} × the"
        figures += [
            ["hidden region", f"{size} target", "What is hidden; all else is shown."],
            ["Dice with it hidden", f"{hidden.dice:.3f}", "Of what is then drawn."],
        ]
    if others := values.dice_on_other_baseline_images:
        dices = ", ".join(f"{kind} {dice:.3f}" for kind, dice in others.items())
        figures.append(
            ["on other baseline images", dices, "Dice with something else in its place."]
        )
    figures += [
        [
            "Dice with nothing hidden",
            f"{values.dice_with_nothing_hidden:.3f}",
            "Of what is drawn on the whole image.",
        ],
        [
            "Dice with all hidden",
            f"{values.dice_with_all_hidden:.3f}",
            "With everything hidden that may be.",
        ],
        ["cost", counted(values.cost.pass_equivalents, "pass equivalent"), ""],
    ]
    return figures


def _grid(panels: Sequence[Panel], cuts: Sequence[Cut], backdrop: Backdrop) -> list[Part]:
    """The panels side by side; of a volume a line for each cut."""
    side = _SIDE_PX if backdrop.pixels.ndim == 3 else _SIDE_OF_CUT_PX
    parts: list[Part] = []
    for cut in cuts:
        if cut.words:
            parts.append(notes([cut.words[0].upper() + cut.words[1:]]))
        stills: list[Still] = [
            still_of(
                panel,
                cut,
                backdrop,
                side,
                detail=panel.detail if cut is cuts[0] else "",
                is_marked=panel is panels[0],
            )
            for panel in panels
        ]
        is_first = cut is cuts[0]
        parts += row(stills if is_first else [replace(one, scale=None) for one in stills])
    return parts


def _or_why_not(pictures: Callable[[], list[Part]], how: str) -> list[Part]:
    """The pictures, or a sentence that says what is missing for them, and how they are drawn."""
    try:
        return pictures()
    except (MisureError, OSError) as error:
        said = str(error).removeprefix("expected the image to draw on: ").partition(" Give ")[0]
        return [sentence(f"No pictures: {said} Draw them with {how}.")]


def _most(region: torch.Tensor) -> int:
    return MOST_CHARACTERS if region.ndim == 2 else MOST_OF_VOLUME
