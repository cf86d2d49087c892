"""The values of an explanation as rows of a table: name, area, Dice, and a remark."""

from typing import Protocol

from misure._util.words import share
from misure.explanation.content_controls import TURNED
from misure.explanation.record import (
    ExplanationRecord,
    MinimallySufficientRegionRecord,
    SufficientRegionRecord,
    TargetRecord,
    transfer_source,
)

Row = list[str]
"""Name, area, Dice, remark; empty where there is none."""


class Measured(Protocol):
    """What was measured of a region: the record of an explanation, or of a checked region."""

    @property
    def target(self) -> TargetRecord: ...

    @property
    def minimally_sufficient_region(self) -> MinimallySufficientRegionRecord: ...

    @property
    def silhouette_dice(self) -> float: ...

    @property
    def transfer_dice(self) -> float: ...

    @property
    def transfer_from(self) -> str: ...

    @property
    def transfer_resized(self) -> bool: ...

    @property
    def shape(self) -> list[int]: ...


def explanation_rows(values: ExplanationRecord) -> list[Row]:
    """The rows of an explanation.

    Args:
        values: of it.
    """
    grain_px = values.minimally_sufficient_region.grain_px
    pieces = f" of {grain_px} {_unit(values)} or more" if grain_px > 1 else ""
    target, *of_region = region_rows(values, "minimally_sufficient_region", pieces)
    large = values.sufficient_region
    grown = ["sufficient_region", *_area_and_dice(large), growth(values)]
    return [target, grown, *of_region]


def region_rows(values: Measured, name: str, pieces: str = "") -> list[Row]:
    """The rows of the target and of one region that was measured in all ways.

    Args:
        values: of it.
        name: of the region.
        pieces: of which it is made, in words.
    """
    target, small = values.target, values.minimally_sufficient_region
    size = f"{small.relative_area:.2f} × the target"
    outside = f"{100 * small.outside_target_fraction:.0f} % of it outside"
    parts = f"{small.num_parts:,} part{'' if small.num_parts == 1 else 's'}{pieces}"
    rows = [
        ["target", share(target.area_fraction), "", _class_of(target) + _in_mm(target)],
        [name, *_area_and_dice(small), f"{size}, {outside}{_in_mm(small)}, in {parts}"],
        ["its outline alone", "", f"{values.silhouette_dice:.3f}", ""],
        ["another image in it", "", f"{values.transfer_dice:.3f}", _other_image(values)],
    ]
    if others := small.dice_on_other_baseline_images:
        dices = ", ".join(f"{kind} {dice:.3f}" for kind, dice in others.items())
        rows.append(["on other baseline images", "", "", dices])
    if changes := small.dice_under_small_changes:
        whole = small.whole_image_under_small_changes
        dices = ", ".join(
            f"{kind} {dice:.3f}" + (f" (whole image {whole[kind]:.3f})" if kind in whole else "")
            for kind, dice in changes.items()
        )
        rows.append(["under small changes", "", "", dices])
    return rows


def _class_of(target: TargetRecord) -> str:
    """The name of a class; one that has none is called by its number."""
    name = target.class_name
    return f"class {name}" if name.isdecimal() else name


def _unit(values: Measured) -> str:
    return "voxels" if len(values.shape) == 3 else "px"


def growth(values: ExplanationRecord) -> str:
    """How far the sufficient region was grown, in millimetres where they are known."""
    large = values.sufficient_region
    if not large.growth_px:
        return "not grown"
    if large.growth_mm is not None:
        return f"grown by {large.growth_mm:.1f} mm"
    digits = 1 if large.growth_px < 1 else 0
    return f"grown by {large.growth_px:.{digits}f} {_unit(values)}"


def _other_image(values: Measured) -> str:
    """Which image `transfer_dice` was measured with."""
    more = "; --other-image names another" if values.transfer_from == TURNED else ""
    return transfer_source(values) + more


def _in_mm(part: TargetRecord | MinimallySufficientRegionRecord) -> str:
    if part.volume_mm3 is not None:
        return f", {part.volume_mm3:,.0f} mm³"
    return "" if part.area_mm2 is None else f", {part.area_mm2:,.0f} mm²"


def _area_and_dice(
    region: SufficientRegionRecord | MinimallySufficientRegionRecord,
) -> list[str]:
    return [share(region.area_fraction), f"{region.dice:.3f}"]
