"""Pictures of an explanation: panels in one figure, and files of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from misure.errors import InputError, entrance
from misure.explanation.explanation import Explanation
from misure.explanation.presentation import Presentation, presentation_of
from misure.images.cuts import Cut, Lie, cuts_through, is_telling, montage_of
from misure.images.volumes import name_of
from misure.models.segmentation import Segmentation
from misure.reports.backdrop import Backdrop, backdrop_of
from misure.reports.canvas import PICTURE_KINDS, Figure, write_figure
from misure.reports.explanation_panels import (
    PANELS,
    USUAL_PANELS,
    Drawn,
    check_panels,
    has_region_line,
    make_panel,
)
from misure.reports.panels import draw_panels
from misure.reports.target_picture import named

_MONTAGE = 12  # slices
_LEAST_DPI, _MOST_DPI = 10, 1200

PANEL_FILES = tuple(
    f"{name}.{kind}" for kind in PICTURE_KINDS for name in ("overview", *PANELS, "montage")
)
"""All files that `save_pictures` may write."""


@entrance("Explanation.plot")
def plot_explanation(
    explanation: Explanation,
    panels: str | Sequence[str] | None = None,
    *,
    axes: Any = None,
    image: Any = None,
    segmentation: Segmentation | None = None,
    affine: Any = None,
    slice_index: int | Sequence[int] | None = None,
    montage: int | None = None,
    channel: int | str | None = None,
) -> Figure:
    """The figure of `Explanation.plot`, which documents it."""
    values = explanation.values
    model = segmentation.model if segmentation is not None else None
    if panels is not None:
        names = panel_names(panels)
    elif montage is not None:
        names = ["overlay"]
    else:
        names = [name for name in USUAL_PANELS if name != "segmentation" or segmentation]
    backdrop = backdrop_of(
        explanation.image, values.image, explanation.target.region.shape, image=image, model=model,
        affine=affine, sides_mm=values.spacing_mm, slice_index=values.slice_index, channel=channel,
        channel_names=values.model_settings.get("channel_names", ()),
        intensity=values.model_settings.get("intensity") or "",
    )  # fmt: skip
    presentation = None
    if model is not None and "shown" in names:
        presentation = presentation_of(model, backdrop.pixels.to(model.device), values)
    cuts = _cuts(explanation, backdrop, slice_index, montage)
    return _figure(
        Drawn(explanation, backdrop, cuts, segmentation, presentation),
        names,
        axes=axes,
        how=_how(explanation, slice_index, montage),
    )


@dataclass(frozen=True)
class PictureOptions:
    """Which pictures are written, and how.

    Attributes:
        panels: names of those in the overview, which alone get files; None: the usual ones are in
            the overview, and all get files.
        kind: one of PICTURE_KINDS.
        dpi: dots per inch.

    Raises:
        InputError: no panel has such a name, or no such kind, or dots out of range.
    """

    panels: Sequence[str] | None = None
    kind: str = "png"
    dpi: float = 110.0

    def __post_init__(self) -> None:
        if self.panels is not None:
            check_panels(list(self.panels))
        if self.kind not in PICTURE_KINDS:
            raise InputError(f"expected pictures as {', '.join(PICTURE_KINDS)}, got {self.kind!r}.")
        if not _LEAST_DPI <= self.dpi <= _MOST_DPI:
            raise InputError(
                f"expected {_LEAST_DPI} to {_MOST_DPI} dots per inch, got {self.dpi:g}."
            )


def save_pictures(
    explanation: Explanation,
    presentation: Presentation,
    segmentation: Segmentation,
    folder: Path,
    *,
    lie: Lie | None = None,
    options: PictureOptions = PictureOptions(),  # frozen
) -> None:
    """Writes `overview`, a file for each panel, and for a volume also `montage`.

    Args:
        explanation: what to draw.
        presentation: the image, and how its regions are shown.
        segmentation: what the model draws on the image.
        folder: an existing folder.
        lie: how the image lies; None: as it is stored.
        options: which pictures, and how they are written.
    """
    values = explanation.values
    names = list(USUAL_PANELS if options.panels is None else options.panels)
    spacing = None if values.spacing_mm is None else tuple(values.spacing_mm)
    backdrop = backdrop_of(
        presentation.image, values.image, explanation.target.region.shape,
        model=segmentation.model, lie=lie or Lie(spacing_mm=spacing),
        channel_names=segmentation.model.channel_names,
    )  # fmt: skip
    cuts, how = _cuts(explanation, backdrop), _how(explanation)
    drawn = Drawn(explanation, backdrop, cuts, segmentation, presentation)

    def write(name: str, figure: Figure) -> None:
        write_figure(figure, folder / f"{name}.{options.kind}", dpi=options.dpi)

    write("overview", _figure(drawn, names, how=how))
    for name in PANELS if options.panels is None else names:
        write(name, _figure(drawn, [name], is_titled=False))
    if explanation.target.region.ndim == 3:
        many = _cuts(explanation, backdrop, montage=_MONTAGE)
        how = _how(explanation, montage=_MONTAGE)
        write("montage", _figure(replace(drawn, cuts=many), ["overlay"], how=how))


def panel_names(panels: str | Sequence[str]) -> list[str]:
    """The names of panels, given as a list or as one text with commas between them.

    Raises:
        InputError: no panel has such a name.
    """
    names = panels.split(",") if isinstance(panels, str) else list(panels)
    stripped = [str(name).strip() for name in names]
    check_panels(stripped)
    return stripped


def _cuts(
    explanation: Explanation,
    backdrop: Backdrop,
    slice_index: int | Sequence[int] | None = None,
    montage: int | None = None,
) -> list[Cut]:
    """The cuts to draw: those asked for, or else those with most of the evidence."""
    evidence, target = explanation.minimally_sufficient_region, explanation.target.region
    if montage is None:
        return cuts_through(evidence, target, backdrop.lie, slice_index=slice_index)
    if slice_index is not None:
        raise InputError("expected a montage or a slice_index, got both.")
    return montage_of(evidence, target, backdrop.lie, montage)


def _how(explanation: Explanation, slice_index: Any = None, montage: int | None = None) -> str:
    """How the slices of a volume were chosen, in a sentence."""
    if explanation.target.region.ndim == 2 or slice_index is not None:
        return ""
    if montage is not None:
        return "Slices at equal distances through the target and the region."
    what = "region" if is_telling(explanation.minimally_sufficient_region) else "target"
    return f"Each slice is the one with most of the {what}."


def _figure(
    drawn: Drawn,
    names: Sequence[str],
    *,
    axes: Any = None,
    how: str = "",
    is_titled: bool = True,
) -> Figure:
    explanation = drawn.explanation
    notes = ["Orange line: the target."]
    if any(has_region_line(explanation, name, cut) for name in names for cut in drawn.cuts):
        notes.append("Blue dashed line: the region.")
    return draw_panels(
        [make_panel(name, drawn) for name in names],
        drawn.cuts,
        drawn.backdrop,
        axes=axes,
        heading=heading_of(explanation) if is_titled else "",
        text=explanation.summary() if is_titled else "",
        notes=[*notes, how] if is_titled else [],
    )


def heading_of(explanation: Explanation) -> str:
    """The question that an explanation answers, in one line."""
    target = explanation.target
    label, number = named(target), f"class {target.class_index}"
    label = label if label == number else f"{label} ({number})"
    if target.score is not None and explanation.values.model_settings.get("min_score") is not None:
        label += f", an instance of score {target.score:.2f}"
    image, of_volume = name_of(explanation.values.image), explanation.values.slice_index
    beginning = f"{image}: why" if image else "Why"
    of_slice = "" if of_volume is None else f" (axial slice {of_volume})"
    return f"{beginning} is this {label}?{of_slice}"
