"""The panels of an explanation, by their names."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from misure.errors import InputError
from misure.explanation.explanation import Explanation
from misure.explanation.presentation import Presentation
from misure.images.cuts import Cut
from misure.images.regions import area_fraction
from misure.models.prompts import Prompt, parse_prompt
from misure.models.segmentation import Segmentation
from misure.reports.axes import (
    MAP_COLOURS,
    REGION_COLOUR,
    TARGET_COLOUR,
    can_be_outlined,
    density_scale,
    draw_density,
    draw_hatched,
    draw_outline,
    draw_outlines,
    draw_overlay,
    draw_prompt,
    interpolation,
    map_scale,
    show_image,
)
from misure.reports.backdrop import Backdrop
from misure.reports.canvas import Axes, Normalize
from misure.reports.density import averaged, density
from misure.reports.explanation_rows import growth
from misure.reports.panels import Panel
from misure.reports.segmentation_picture import segmentation_panel
from misure.reports.target_picture import image_panel, named


@dataclass(frozen=True)
class Drawn:
    """What the panels are drawn of.

    Attributes:
        explanation: what is explained.
        backdrop: the image.
        segmentation: all that the model draws on it; None: not given.
        presentation: how regions were shown; None: not known.
        cuts: all that are drawn, which have one scale in common.
    """

    explanation: Explanation
    backdrop: Backdrop
    cuts: Sequence[Cut]
    segmentation: Segmentation | None = None
    presentation: Presentation | None = None


def _image(drawn: Drawn) -> Panel:
    explanation = drawn.explanation
    target, prompts = explanation.target, _prompts_of(explanation)
    detail = f"outlined: what is explained, {named(target)}"
    panel = image_panel(drawn.backdrop, target.region, detail)
    if not prompts:
        return panel

    def draw(axes: Axes, cut: Cut) -> None:
        panel.draw(axes, cut)
        for prompt in prompts:
            draw_prompt(axes, prompt, "white", 1.0)

    return replace(panel, draw=draw)


def _prompts_of(explanation: Explanation) -> list[Prompt]:
    """The prompts by which the target was named; several for a class of prompted objects."""
    settings, target = explanation.values.model_settings, explanation.target
    specs = settings.get("prompts") or []
    if classes := settings.get("prompted_classes"):
        specs = [
            spec
            for spec, class_index in zip(specs, classes, strict=True)
            if class_index == target.class_index
        ]
    elif specs:
        specs = specs[target.logit_index :][:1]
    return [parse_prompt(spec) for spec in specs]


def _segmentation(drawn: Drawn) -> Panel:
    if drawn.segmentation is None:
        raise InputError(
            "expected a segmentation for the panel `segmentation`, got none. Give "
            "segmentation=misure.segment(model, image)."
        )
    return segmentation_panel(
        drawn.segmentation, drawn.backdrop, drawn.explanation.target.class_index
    )


def _overlay(drawn: Drawn) -> Panel:
    """The map over the image; of dust the mean around each pixel, as its specks are not seen."""
    explanation, values = drawn.explanation, drawn.explanation.saliency_map
    is_dust = explanation.is_dust

    def plane_of(cut: Cut) -> np.ndarray:
        plane = cut.take(values).cpu().numpy()
        return averaged(plane) if is_dust else plane

    top = _top(explanation)
    if is_dust:
        top = max(float(np.nan_to_num(plane_of(cut), nan=0.0).max()) for cut in drawn.cuts)

    def draw(axes: Axes, cut: Cut) -> None:
        draw_overlay(axes, drawn.backdrop.colours(cut), plane_of(cut), top)
        target = cut.take(explanation.target.region).cpu().numpy()
        draw_outline(axes, target, TARGET_COLOUR, "solid")

    what = "the saliency map over the image"
    if is_dust:
        what = "the saliency map, its mean around each pixel, over the image"
    unknown = "; plain grey: not tried" if bool(values.isnan().any()) else ""
    return Panel(draw, "Where it matters", what + unknown, map_scale(is_blended=True))


def _saliency_map(drawn: Drawn) -> Panel:
    values, scale = drawn.explanation.saliency_map, Normalize(0, _top(drawn.explanation))

    def draw(axes: Axes, cut: Cut) -> None:
        plane = cut.take(values).cpu().numpy()
        known = np.nan_to_num(plane, nan=0.0)
        axes.imshow(known, cmap=MAP_COLOURS, norm=scale, interpolation=interpolation(known))
        draw_hatched(axes, np.isnan(plane))
        target = cut.take(drawn.explanation.target.region).cpu().numpy()
        draw_outline(axes, target, TARGET_COLOUR, "solid")

    is_partial = bool(values.isnan().any())
    note = "hatched: not tried" if is_partial else f"preset {drawn.explanation.preset}"
    return Panel(draw, "Saliency map", note, map_scale())


def _sufficient_region(drawn: Drawn) -> Panel:
    return _region_panel(drawn, "sufficient_region")


def _minimally_sufficient_region(drawn: Drawn) -> Panel:
    return _region_panel(drawn, "minimally_sufficient_region")


def _region_panel(drawn: Drawn, name: str) -> Panel:
    """One of the two regions; by its density if it is dust."""
    explanation, is_large = drawn.explanation, name == "sufficient_region"
    region, is_dust = getattr(explanation, name), is_drawn_as_density(explanation, name)
    top = 0.0
    if is_dust:
        top = max(float(density(cut.take(region).cpu().numpy()).max()) for cut in drawn.cuts)

    def draw(axes: Axes, cut: Cut) -> None:
        image = drawn.backdrop.colours(cut)
        target = cut.take(explanation.target.region).cpu().numpy()
        plane = cut.take(region).cpu().numpy()
        lines = [(target, TARGET_COLOUR, "solid")]
        if is_dust:
            draw_density(axes, image, density(plane), top)
        else:
            show_image(axes, image, dimmed=~plane)
            if not np.array_equal(plane, target):
                lines.append((plane, REGION_COLOUR, "dashed"))
        draw_outlines(axes, *lines)

    words = "sufficient region" if is_large else region_words(explanation)
    title = words[0].upper() + words[1:]
    scale = density_scale(top) if is_dust else None
    return Panel(draw, title, _region_detail(explanation, name), scale)


def _region_detail(explanation: Explanation, name: str) -> str:
    """What is said of a region above its picture."""
    is_large = name == "sufficient_region"
    region = getattr(explanation, name)
    dice = explanation.sufficient_dice if is_large else explanation.dice
    share = f"{100 * area_fraction(region):.1f} %"
    whole = "image" if region.ndim == 2 else "volume"
    if not bool(region.any()):
        return f"nothing is needed: Dice {dice:.3f} with everything hidden"
    if bool(region.all()):
        return f"the whole {whole}: Dice {dice:.3f}"
    if is_drawn_as_density(explanation, name):
        return (
            f"{share} of the {whole} in {explanation.num_parts:,} specks, drawn by their density; "
            f"it was shown as it is: Dice {dice:.3f}"
        )
    of_target = f", the target {growth(explanation.values)}" if is_large else ""
    return f"bright: shown alone, {share} of the {whole}{of_target} gives Dice {dice:.3f}"


def has_region_line(explanation: Explanation, name: str, cut: Cut) -> bool:
    """Whether a panel shows the outline of a region in a cut, beside that of the target."""
    if "region" not in name or is_drawn_as_density(explanation, name):
        return False
    plane = cut.take(getattr(explanation, name)).cpu().numpy()
    target = cut.take(explanation.target.region).cpu().numpy()
    return can_be_outlined(plane) and not np.array_equal(plane, target)


def is_drawn_as_density(explanation: Explanation, name: str) -> bool:
    """Whether a region is drawn by its density, as its specks are too fine to be looked at."""
    return explanation.is_dust and name == "minimally_sufficient_region"


def _shown(drawn: Drawn) -> Panel:
    presentation = drawn.presentation
    if presentation is None:
        raise InputError(
            "expected a segmentation for the panel `shown`, got none: its model knows the "
            "baseline image. Give segmentation=misure.segment(model, image)."
        )
    region = drawn.explanation.minimally_sufficient_region
    (seen,) = presentation.show_regions([region.to(presentation.image.device)]).cpu()

    def draw(axes: Axes, cut: Cut) -> None:
        show_image(axes, drawn.backdrop.colours(cut, seen))

    stands = f"the rest replaced by the baseline image {presentation.name}"
    return Panel(
        draw, "What the network was shown", f"{stands} (Dice {drawn.explanation.dice:.3f})"
    )


_MAKERS: dict[str, Callable[[Drawn], Panel]] = {
    "image": _image,
    "segmentation": _segmentation,
    "minimally_sufficient_region": _minimally_sufficient_region,
    "overlay": _overlay,
    "sufficient_region": _sufficient_region,
    "saliency_map": _saliency_map,
    "shown": _shown,
}

PANELS = tuple(_MAKERS)
"""Names of the panels; the first four are drawn if none are named."""

USUAL_PANELS = PANELS[:4]


def make_panel(name: str, drawn: Drawn) -> Panel:
    """The panel of a name.

    Raises:
        InputError: no panel has this name, or it needs a segmentation and there is none.
    """
    check_panels([name])
    return _MAKERS[name](drawn)


def check_panels(names: list[str]) -> None:
    """Raises an InputError unless there are names, and all are those of panels."""
    wrong = [name for name in names if name not in _MAKERS]
    if wrong or not names:
        raise InputError(
            f"expected panels among {', '.join(PANELS)}, got {wrong[0] if wrong else 'none'!r}."
        )


def region_words(explanation: Explanation) -> str:
    """What the smaller region is called: minimal only if something was taken away from it."""
    small = explanation.values.minimally_sufficient_region
    minimality = explanation.minimality
    if small.is_reduced or (minimality and minimality.is_one_minimal):
        return "minimally sufficient region"
    if small.area_fraction > explanation.values.sufficient_region.area_fraction:
        return "accepted by the preset"
    return "sufficient region, not reduced"


def _top(explanation: Explanation) -> float:
    """The largest value of the map, of all its slices."""
    return max(1e-9, float(explanation.saliency_map.nan_to_num(nan=0.0).max()))
