"""What is written of an explanation: the parts of `explanation.json`, which runs record too."""

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec
from torch import Tensor

from misure._util.records import Amount, Count, Fraction, Record, decode
from misure._util.words import counted
from misure.errors import InputError
from misure.explanation.by_channel_record import ByChannelRecord
from misure.explanation.content_controls import TURNED
from misure.explanation.evidence import PresentedSufficiency
from misure.explanation.removal import Minimality
from misure.explanation.robust.measured import Robustness
from misure.images.spacing import size_mm
from misure.models.cost import Cost
from misure.models.target import Target

FORMAT = 2
"""Of `explanation.json` and the `.npz`; misure 0.1.0 wrote files without a number."""


class TargetRecord(Record, frozen=True, kw_only=True):
    """What is explained.

    Attributes:
        class_index, class_name: of the class.
        pixels: of the target.
        area_fraction: of the image, in [0, 1].
        multilabel: whether each class is decided by itself.
        made_from: what a person marked for the model to draw; empty if the model drew the pixels.
        score: the network's, of an object that it reports by itself; None: of no such object.
        reported: its number among all that the network reports, 0 the best score; None: none.
        area_mm2, volume_mm3: of the target, in 2D or in 3D, if the spacing is known.
    """

    class_index: Count
    class_name: str
    pixels: Count
    area_fraction: Fraction
    multilabel: bool
    made_from: str = ""
    score: Fraction | None = None
    reported: Count | None = None
    area_mm2: float | None = None
    volume_mm3: float | None = None

    @classmethod
    def of(cls, target: Target, spacing_mm: Sequence[float] | None = None) -> "TargetRecord":
        """The record of a target, of an image with this spacing."""
        values: dict[str, Any] = target.record() | sizes_in_mm(target.region, spacing_mm)
        return cls(**values)


class PassCounts(Record, frozen=True, kw_only=True):
    """Passes spent, one for each image shown to the model.

    Attributes:
        forward_passes, backward_passes: as counted.
        pass_equivalents: forward passes + 2 × backward passes.
    """

    forward_passes: Count
    backward_passes: Count
    pass_equivalents: Count


class CostRecord(PassCounts, frozen=True, kw_only=True):
    """Passes spent, and the time they took.

    Attributes:
        seconds: wall-clock time.
    """

    seconds: float

    @classmethod
    def of(cls, cost: Cost) -> "CostRecord":
        """The record of a cost."""
        return cls(
            forward_passes=cost.forward_passes,
            backward_passes=cost.backward_passes,
            pass_equivalents=cost.pass_equivalents,
            seconds=cost.seconds,
        )

    def counts(self) -> PassCounts:
        """The passes alone, which are the same on every machine."""
        return PassCounts(
            forward_passes=self.forward_passes,
            backward_passes=self.backward_passes,
            pass_equivalents=self.pass_equivalents,
        )


class SufficientRegionRecord(Record, frozen=True, kw_only=True):
    """The region from which alone the model segments the target again.

    Attributes:
        growth_px: how far it reaches beyond the target, in pixels; in units of the smallest side of
            a voxel, if they are no cubes.
        area_fraction: of the image, in [0, 1].
        dice: with the target when the model sees this region alone.
        growth: the search that found it (`dilation`, `first`, `bracket` or `steps`).
        stopped_by: `end`; or `max_passes`: the budget ended, and less growth might do.
        growth_mm: the growth in millimetres, if the spacing is known.
        area_mm2, volume_mm3: of the region, in 2D or in 3D, if the spacing is known.
    """

    growth_px: Amount
    area_fraction: Fraction
    dice: Fraction
    growth: str
    stopped_by: str = "end"
    growth_mm: float | None = None
    area_mm2: float | None = None
    volume_mm3: float | None = None


class MinimallySufficientRegionRecord(Record, frozen=True, kw_only=True):
    """The part of the sufficient region that is left when all that can go is gone.

    Attributes:
        area_fraction: of the image, in [0, 1].
        relative_area: its area divided by the target's; 0 or more.
        outside_target_fraction: part of it outside the target, in [0, 1]; 0 for an empty region.
        dice: with the target when the model sees this region alone.
        hidden_dice: the same when it is hidden and all else shown, with `max_hidden_dice`; None:
            nothing was asked of that.
        dice_by_baseline_image: `dice` for each baseline image that the region had to suffice
            with; the least of them is `dice`.
        dice_on_other_baseline_images: the same for those of `mean`, `blurred`, `noise` and
            `filled` that it was not searched with; nothing is required of them.
        dice_under_small_changes: the same under a shift of one pixel (`shift`), 1 % noise (`noise`)
            and a soft edge of up to 3 pixels (`soft_edge`), none of which the search has seen.
        whole_image_under_small_changes: what the whole image reaches under those of them that move
            it (`shift` and `noise`).
        grain_px: side of the smallest piece that the region may consist of, as `growth_px`.
        num_parts: connected parts.
        narrow_fraction: share of it that is narrower than 1/64 of the image's short side or than
            two pixels, in [0, 1].
        stopped_by: why the search ended: `end`, `patience`, `max_passes`, or `no_search` if the
            preset searches for no smaller region.
        is_reduced: whether it is smaller than the sufficient region; if not, nothing says that it
            is minimal.
        area_mm2, volume_mm3: of the region, in 2D or in 3D, if the spacing is known.
    """

    area_fraction: Fraction
    relative_area: Amount
    outside_target_fraction: Fraction
    dice: Fraction
    hidden_dice: Fraction | None = None
    dice_by_baseline_image: dict[str, float]
    dice_on_other_baseline_images: dict[str, Fraction]
    dice_under_small_changes: dict[str, Fraction]
    whole_image_under_small_changes: dict[str, Fraction]
    grain_px: Count
    num_parts: Count
    narrow_fraction: Fraction
    stopped_by: str
    is_reduced: bool
    area_mm2: float | None = None
    volume_mm3: float | None = None


class CurvePoint(Record, frozen=True, kw_only=True):
    """One point of the sufficiency curve, which is one nested region.

    Attributes:
        dice_threshold: Dice that the region had to reach.
        area_fraction: of the image, in [0, 1].
        dice: that it reached, shown alone.
    """

    dice_threshold: Fraction
    area_fraction: Fraction
    dice: Fraction


class ExplanationRecord(Record, frozen=True, kw_only=True):
    """`explanation.json`: everything in an explanation but its arrays.

    Attributes:
        format: see `FORMAT`.
        misure_version: that wrote it.
        image: name of the image, if it has one.
        model: name of the model.
        preset: the preset's name.
        baseline_image: what stands where pixels are removed.
        dice_threshold: Dice from which the target counts as preserved.
        seed: of all noise.
        target: what is explained.
        sufficient_region, minimally_sufficient_region: the regions of both stages.
        sufficiency_curve: nested regions by threshold, the lowest first; empty if the preset makes
            none.
        minimality: how far the minimal region can still be reduced; None if nothing was tried.
        sufficiency_by_presentation: what the target needs with other baseline images and edges;
            empty unless asked for.
        silhouette_dice: the largest of `silhouette_dice_by_content`: how far the outline of the
            minimal region alone gives the target away.
        transfer_dice: Dice with another image in that outline.
        transfer_from: that image: key of a sample, path of a file, `tensor` if it was given without
            a name, or `turned`: the image itself turned by half a turn.
        transfer_resized: whether it had another shape, and was scaled and cropped.
        silhouette_dice_by_content: Dice with the content of the minimal region replaced by its mean
            colour, and by noise.
        robustness: for which share of all baseline images the minimal region suffices; None: not
            asked for.
        by_channel: regions with other places in each channel; None: not asked for.
        settings: every option of the preset with its value.
        model_settings: how the network is used (see `SegmentationModel.settings`).
        slice_index: the axial slice that was taken of a volume, if any.
        shape: (*spatial) of the image.
        spacing_mm: sides of a pixel or voxel along each axis of the image; None: not known.
        cost: passes and seconds; all that were made for this target.
    """

    format: int = FORMAT
    misure_version: str
    image: str
    model: str
    preset: str
    baseline_image: str
    dice_threshold: float
    seed: int
    target: TargetRecord
    sufficient_region: SufficientRegionRecord
    minimally_sufficient_region: MinimallySufficientRegionRecord
    sufficiency_curve: list[CurvePoint]
    minimality: Minimality | None
    sufficiency_by_presentation: list[PresentedSufficiency]
    silhouette_dice: float
    transfer_dice: float
    transfer_from: str
    transfer_resized: bool
    silhouette_dice_by_content: dict[str, float]
    robustness: Robustness | None = None
    by_channel: ByChannelRecord | None = None
    settings: dict[str, Any]
    model_settings: dict[str, Any]
    slice_index: int | None
    shape: list[int]
    spacing_mm: list[float] | None
    cost: CostRecord


class Reduced(Protocol):
    """What says how far a minimal region was reduced: of an explanation or of a run."""

    @property
    def minimally_sufficient_region(self) -> MinimallySufficientRegionRecord: ...

    @property
    def minimality(self) -> Minimality | None: ...

    @property
    def by_channel(self) -> ByChannelRecord | None: ...

    @property
    def cost(self) -> PassCounts: ...


def passes_together(record: Reduced) -> int:
    """Pass equivalents without those that regions by channel took."""
    apart = record.by_channel.passes if record.by_channel else 0
    return record.cost.pass_equivalents - apart


def reduction_note(record: Reduced) -> str:
    """What keeps a region from being called minimal, in a few words; empty if nothing does."""
    small, minimality = record.minimally_sufficient_region, record.minimality
    if minimality and minimality.is_one_minimal:
        return ""
    passes = counted(passes_together(record), "pass equivalent")
    notes = []
    if small.stopped_by == "no_search":
        notes.append("not reduced: no smaller region was searched for")
    elif not small.is_reduced:
        notes.append(f"not reduced within {passes}")
    elif small.stopped_by == "max_passes":
        notes.append(f"the budget ended the search after {passes}")
    if minimality and minimality.removable:
        notes.append(
            f"{minimality.removable} of {minimality.cells_tested} tested blocks can still be "
            "removed"
        )
    return "; ".join(notes)


CLEARLY = 0.1
"""How far a Dice has to fall below the threshold to say that a region does not hold."""


class Presented(Protocol):
    """What says in which other ways a region was shown: of an explanation or of a run."""

    @property
    def minimally_sufficient_region(self) -> MinimallySufficientRegionRecord: ...

    @property
    def dice_threshold(self) -> float: ...


def baseline_image_note(record: Presented) -> str:
    """A sentence about a region that leans on its baseline image; empty if it does not.

    It leans on it if on every other baseline image that it was shown on its Dice is more than
    `CLEARLY` below the threshold (`dice_on_other_baseline_images`). What such a region shows of the
    image suffices only together with what was put around it.
    """
    small = record.minimally_sufficient_region
    others = small.dice_on_other_baseline_images
    if not others or max(others.values()) >= record.dice_threshold - CLEARLY:
        return ""
    own = " and ".join(small.dice_by_baseline_image)
    it = "that fill" if len(small.dice_by_baseline_image) == 1 else "those fills"
    dices = ", ".join(f"{name} {dice:.2f}" for name, dice in others.items())
    return f"The region suffices on {own} alone ({dices}): it leans on {it}."


def small_changes_note(record: Presented) -> str:
    """A sentence about a region that small changes undo; empty if it holds under all of them.

    It does not hold if its Dice under one of them (`dice_under_small_changes`) is more than
    `CLEARLY` below the threshold times the Dice that the whole image reaches there.
    """
    small = record.minimally_sufficient_region
    of_whole_image = small.whole_image_under_small_changes
    lost = {
        kind: dice
        for kind, dice in small.dice_under_small_changes.items()
        if dice < record.dice_threshold * of_whole_image.get(kind, 1.0) - CLEARLY
    }
    if not lost:
        return ""
    under = ", ".join(
        f"{CHANGES_IN_WORDS.get(kind, kind)} {dice:.2f}" for kind, dice in lost.items()
    )
    return f"The region does not hold under small changes ({under}): it may suffice by chance."


CHANGES_IN_WORDS = {
    "shift": "a shift of one pixel",
    "noise": "1 % noise",
    "soft_edge": "a soft edge",
}


class Transferred(Protocol):
    """What says which other image was shown in an outline: of an explanation or of a run."""

    @property
    def transfer_from(self) -> str: ...

    @property
    def transfer_resized(self) -> bool: ...


def transfer_source(record: Transferred) -> str:
    """What stands in the region's outline for `transfer_dice`, in words."""
    known = {TURNED: "this image turned by 180°", "tensor": "another image"}
    source = known.get(record.transfer_from, record.transfer_from)
    return f"{source}, scaled and cropped" if record.transfer_resized else source


def sizes_in_mm(region: Tensor, spacing_mm: Sequence[float] | None) -> dict[str, float | None]:
    """The `area_mm2` or the `volume_mm3` of a region (*spatial) bool; empty if unknown."""
    name = "area_mm2" if region.ndim == 2 else "volume_mm3"
    return {} if spacing_mm is None else {name: size_mm(int(region.sum()), spacing_mm)}


class _Header(msgspec.Struct):
    """The fields that say who wrote a record."""

    format: int = 1
    misure_version: str = "0.1.0"


def read_explanation_record(text: str, what: str) -> ExplanationRecord:
    """The record that JSON text holds.

    Args:
        text: JSON.
        what: what was expected and where it is from, as it reads after "expected".

    Raises:
        InputError: another format, or a field that is missing, unknown or of another type.
    """
    header = decode(text, _Header, what)
    if header.format != FORMAT:
        raise InputError(
            f"expected {what}, got one written by misure {header.misure_version} (format "
            f"{header.format}, not {FORMAT}). Make the explanation again."
        )
    return decode(text, ExplanationRecord, what)
