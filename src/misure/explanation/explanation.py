"""Explanations: the two regions of a target, the evidence for them, and what they cost.

Saved as one `.npz` of plain arrays, without pickle:

- `target`, `sufficient_region`, `minimally_sufficient_region`: (*spatial) bool;
- `ignored`: (*spatial) bool, the model's other pixels of the class (see `Target`);
- `saliency_map`: (*spatial) float32, NaN where nothing is known;
- `sufficient_region_by_channel`, `minimally_sufficient_region_by_channel`: (C, *spatial) bool, with
  `channels="apart"` alone;
- `record`: everything else (`ExplanationRecord`), as JSON text.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, BinaryIO, Self

import msgspec
import numpy as np
import torch
from torch import Tensor

from misure._util.arrays import read_arrays
from misure._util.drawing import drawing
from misure._util.records import plain
from misure._util.short_repr import brief, short_repr
from misure._util.words import share
from misure.errors import InputError, entrance
from misure.explanation.dust import dust_note, is_dust
from misure.explanation.evidence import PresentedSufficiency
from misure.explanation.nested import map_value
from misure.explanation.record import (
    CurvePoint,
    ExplanationRecord,
    baseline_image_note,
    read_explanation_record,
    small_changes_note,
)
from misure.explanation.removal import Minimality
from misure.explanation.saving import save_with_record
from misure.explanation.summary import (
    by_channel_sentences,
    sufficient_sentences,
    sure_sentences,
)
from misure.images.volumes import name_of
from misure.models.cost import Cost
from misure.models.inputs import AnyImage
from misure.models.segmentation import Segmentation
from misure.models.target import Target

_ARRAYS = (
    "target",
    "ignored",
    "sufficient_region",
    "minimally_sufficient_region",
    "saliency_map",
)
BY_CHANNEL = ("sufficient_region_by_channel", "minimally_sufficient_region_by_channel")
"""Names of the arrays (C, *spatial) of an explanation with regions by channel."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Explanation:
    """Why the model segmented one target: two regions, a map, and all that was measured.

    Attributes:
        target: what is explained.
        sufficient_region: (*spatial) bool; from it alone the model segments the target again.
        minimally_sufficient_region: (*spatial) bool, in most searches part of it; from it alone
            too.
        saliency_map: (*spatial) float32, larger matters more. Pixels of which no pass told
            anything are NaN. Of all others the nested regions give the level, and the outcomes of
            all that was shown the order within a level (see `outcome_map`).
        sufficient_region_by_channel: (C, *spatial) bool, with `channels="apart"`: each channel
            grows from the target by itself; else None.
        minimally_sufficient_region_by_channel: (C, *spatial) bool, the same reduced in each channel
            by itself; `values.by_channel` has what was measured of both.
        values: everything else, as in `explanation.json`. The properties below read it.
        image: (C, *spatial) float on the CPU, the image that was explained; None after `load`, as
            it is neither written nor compared.
    """

    target: Target
    sufficient_region: Tensor
    minimally_sufficient_region: Tensor
    saliency_map: Tensor
    values: ExplanationRecord
    sufficient_region_by_channel: Tensor | None = None
    minimally_sufficient_region_by_channel: Tensor | None = None
    image: Tensor | None = field(default=None, compare=False, repr=False)

    def __repr__(self) -> str:
        record, small = self.values, self.values.minimally_sufficient_region
        return short_repr(
            self,
            f"{brief(self.target.class_name or self.target.class_index)} of "
            + (f"{name_of(record.image)} " if record.image else "an image ")
            + f"{tuple(record.shape)}",
            f"{share(small.area_fraction)} suffices",
            f"Dice {small.dice:.3f}",
            f"preset={record.preset}",
            f"{record.cost.pass_equivalents} passes",
        )

    @property
    def sufficient_dice(self) -> float:
        """Dice with the target when the model sees the sufficient region alone."""
        return self.values.sufficient_region.dice

    @property
    def dice(self) -> float:
        """Dice with the target when the model sees the minimally sufficient region alone."""
        return self.values.minimally_sufficient_region.dice

    @property
    def growth_px(self) -> float:
        """How far the sufficient region reaches beyond the target, in pixels.

        Where voxels are no cubes, the unit is the smallest of their sides.
        """
        return self.values.sufficient_region.growth_px

    @property
    def growth_mm(self) -> float | None:
        """The same in millimetres; None if the spacing is not known."""
        return self.values.sufficient_region.growth_mm

    @property
    def cost(self) -> Cost:
        """Forward and backward passes, and seconds."""
        cost = self.values.cost
        return Cost(cost.forward_passes, cost.backward_passes, cost.seconds)

    @property
    def dice_threshold(self) -> float:
        """Dice from which the target counts as preserved; both regions reach it."""
        return self.values.dice_threshold

    @property
    def silhouette_dice(self) -> float:
        """How far the outline of the minimal region alone gives the target away, in [0, 1]."""
        return self.values.silhouette_dice

    @property
    def silhouette_dice_by_content(self) -> dict[str, float]:
        """Dice with the minimal region's content replaced by its mean colour, and by noise."""
        return self.values.silhouette_dice_by_content

    @property
    def transfer_dice(self) -> float:
        """Dice with another image in the outline of the minimal region (see `transfer_from`)."""
        return self.values.transfer_dice

    @property
    def transfer_from(self) -> str:
        """The other image of `transfer_dice`; `turned`: the image itself, by half a turn."""
        return self.values.transfer_from

    @property
    def dice_by_baseline_image(self) -> dict[str, float]:
        """Dice of the minimal region with each of its baseline images; `dice` is the least."""
        return self.values.minimally_sufficient_region.dice_by_baseline_image

    @property
    def dice_on_other_baseline_images(self) -> dict[str, float]:
        """Dice of the minimal region on baseline images that it was not searched with, by name."""
        return self.values.minimally_sufficient_region.dice_on_other_baseline_images

    @property
    def baseline_image_note(self) -> str:
        """A sentence if the region suffices on its own baseline image alone; else empty."""
        return baseline_image_note(self.values)

    @property
    def dice_under_small_changes(self) -> dict[str, float]:
        """Dice of the minimal region under a small change of each kind that no search has seen."""
        return self.values.minimally_sufficient_region.dice_under_small_changes

    @property
    def whole_image_under_small_changes(self) -> dict[str, float]:
        """Dice of the whole image under those of the same changes that move it."""
        return self.values.minimally_sufficient_region.whole_image_under_small_changes

    @property
    def small_changes_note(self) -> str:
        """A sentence if the region does not hold under small changes; else empty."""
        return small_changes_note(self.values)

    @property
    def is_dust(self) -> bool:
        """Whether the minimal region has more than 20 parts and is narrow for the most part."""
        return is_dust(self.values)

    @property
    def dust_note(self) -> str:
        """What a region of dust is evidence of, in two sentences; empty for any other region."""
        return dust_note(self.values)

    @property
    def sufficiency_curve(self) -> list[CurvePoint]:
        """Nested regions by Dice threshold, the lowest first; empty if the preset makes none."""
        return self.values.sufficiency_curve

    @property
    def minimality(self) -> Minimality | None:
        """How far the minimal region can still be reduced; None if nothing was tried."""
        return self.values.minimality

    @property
    def sufficiency_by_presentation(self) -> list[PresentedSufficiency]:
        """What the target needs with other baseline images and edges; empty unless asked for."""
        return self.values.sufficiency_by_presentation

    @property
    def stopped_by(self) -> str:
        """Why the search ended: `end`, `patience`, `max_passes` or `no_search`."""
        return self.values.minimally_sufficient_region.stopped_by

    @property
    def is_reduced(self) -> bool:
        """Whether the minimal region is smaller than the sufficient one."""
        return self.values.minimally_sufficient_region.is_reduced

    @property
    def num_parts(self) -> int:
        """Connected parts of the minimally sufficient region."""
        return self.values.minimally_sufficient_region.num_parts

    @property
    def relative_area(self) -> float:
        """Area of the minimally sufficient region divided by the target's; 0 or more."""
        return self.values.minimally_sufficient_region.relative_area

    @property
    def outside_target_fraction(self) -> float:
        """Part of the minimally sufficient region outside the target; 0 for an empty region."""
        return self.values.minimally_sufficient_region.outside_target_fraction

    @property
    def preset(self) -> str:
        """Name of the preset."""
        return self.values.preset

    @property
    def settings(self) -> dict[str, Any]:
        """Every option of the preset with its value."""
        return self.values.settings

    def summary(self) -> str:
        """What the explanation says, in plain sentences made of verified figures."""
        sentences = [*sufficient_sentences(self.values), *by_channel_sentences(self.values)]
        return " ".join([*sentences, *sure_sentences(self.values)])

    def nested_region(self, dice_threshold: float) -> Tensor:
        """The region (*spatial) bool of one threshold of the sufficiency curve.

        Raises:
            InputError: the curve has no such threshold.
        """
        known = [point.dice_threshold for point in self.sufficiency_curve]
        if dice_threshold not in known:
            raise InputError(f"expected one of the thresholds {known}, got {dice_threshold}.")
        return self.saliency_map >= map_value(dice_threshold)

    def with_values(self, **changes: Any) -> Self:
        """The same explanation with some fields of `values` changed, such as `image`."""
        return replace(self, values=msgspec.structs.replace(self.values, **changes))

    def record(self) -> dict[str, Any]:
        """All values as plain dictionaries and lists, in the form of `explanation.json`."""
        record: dict[str, Any] = plain(self.values)
        return record

    def tensors(self) -> dict[str, Tensor]:
        """Name -> region (*spatial) bool; the saliency map float32, with NaN."""
        return {
            "target": self.target.region,
            "ignored": self.target.unbound().ignored,
            "sufficient_region": self.sufficient_region,
            "minimally_sufficient_region": self.minimally_sufficient_region,
            "saliency_map": self.saliency_map,
        }

    def tensors_by_channel(self) -> dict[str, Tensor]:
        """Name -> region (C, *spatial) bool; empty unless they were asked for."""
        found = {name: getattr(self, name) for name in BY_CHANNEL}
        return {name: region for name, region in found.items() if region is not None}

    @entrance("Explanation.plot")
    def plot(
        self,
        panels: str | Sequence[str] | None = None,
        *,
        axes: Any = None,
        image: AnyImage | None = None,
        segmentation: Segmentation | None = None,
        affine: Tensor | None = None,
        slice_index: int | Sequence[int] | None = None,
        montage: int | None = None,
        channel: int | str | None = None,
    ) -> Any:
        """A matplotlib Figure of the explanation, which a notebook shows.

        A volume is cut in three planes through the evidence, those that hold most of the minimally
        sufficient region: axial, coronal and sagittal where the affine is known, else across its
        axes as they are stored.

        Args:
            panels: names of the pictures, as a list or as one text with commas: `image` (the target
                outlined), `segmentation`, `minimally_sufficient_region` (as brightness; dust by its
                density), `overlay` (the map blended over the image in grey), `sufficient_region`,
                `saliency_map`, `shown` (what the network was shown). None: the first four, or those
                of them that can be drawn.
            axes: matplotlib's axes to draw on, one for each picture; None: a new figure is made,
                with a heading, the summary, and notes of all that is to be known.
            image: the image that was explained, or what stands for it (see `as_image`); None: the
                one in memory, or else the file that `values.image` names.
            segmentation: of the image by the model, which `segmentation` and `shown` need.
            affine: (4, 4), of a volume, from voxel indices to millimetres (RAS+); None: that of
                the file.
            slice_index: of a volume: one axial slice instead, or the numbers of the axial, coronal
                and sagittal slice.
            montage: draw this many axial slices through all of the evidence instead, by default
                of the panel `overlay`.
            channel: number or name of the channel to draw in greys; None: three channels are
                colours, else it is the first.

        Raises:
            InputError: no image, or another one; a panel, slice or channel that is not there.
        """
        return drawing("explanation_picture", "plot_explanation")(
            self, panels, axes=axes, image=image, segmentation=segmentation, affine=affine,
            slice_index=slice_index, montage=montage, channel=channel,
        )  # fmt: skip

    def show(self, panels: str | Sequence[str] | None = None, **options: Any) -> None:
        """Shows `plot` in a notebook or in a window; where there is neither, a warning says so.

        Args:
            panels, options: as of `plot`.
        """
        drawing("canvas", "show_figure")(self.plot(panels, **options))

    def _repr_html_(self) -> str:
        """What a notebook shows: the summary, pictures with a slider, and the figures."""
        html: str = drawing("notebook", "explanation_html")(self)
        return html

    def save(self, file: str | Path | BinaryIO) -> None:
        """Writes the explanation as one `.npz`, at once or not at all."""
        save_with_record(file, self.tensors() | self.tensors_by_channel(), self.values)

    @classmethod
    @entrance("Explanation.load")
    def load(cls, file: str | Path | BinaryIO) -> Self:
        """The explanation that was saved, equal to it, on the CPU.

        Raises:
            InputError: not such a file, damaged, too large when unpacked, or written by a version
                of misure that wrote another format.
        """
        name = file if isinstance(file, str | Path) else "the open file"
        what = f"a file written by Explanation.save in {name}"
        try:
            arrays = read_arrays(file)
            text = str(arrays.pop("record"))
            tensors = {array: torch.from_numpy(arrays[array]) for array in _ARRAYS}
            _check_arrays(tensors)
            by_channel = {
                name: torch.from_numpy(arrays[name]) for name in BY_CHANNEL if name in arrays
            }
            _check_by_channel(by_channel, tensors["target"])
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"expected {what}, but it cannot be used: {error}.") from error
        values = read_explanation_record(text, what)
        target = Target(
            class_index=values.target.class_index,
            region=tensors.pop("target"),
            ignored=tensors.pop("ignored"),
            class_name=values.target.class_name,
            multilabel=values.target.multilabel,
            made_from=values.target.made_from,
            score=values.target.score,
        )
        return cls(target=target, values=values, **tensors, **by_channel)

    def __eq__(self, other: object) -> bool:
        """Whether all regions, maps and values are the same, wherever the tensors live."""
        return isinstance(other, Explanation) and all(
            _same(getattr(self, part.name), getattr(other, part.name))
            for part in fields(self)
            if part.compare
        )

    __hash__ = None  # type: ignore[assignment]


def _check_arrays(tensors: dict[str, Tensor]) -> None:
    """Raises a ValueError unless all arrays have one shape and the types that are saved."""
    for name, tensor in tensors.items():
        wanted = torch.float32 if name == "saliency_map" else torch.bool
        if tensor.shape != tensors["target"].shape or tensor.dtype != wanted:
            raise ValueError(f"{name} is {tensor.dtype} {tuple(tensor.shape)}")


def _check_by_channel(tensors: dict[str, Tensor], target: Tensor) -> None:
    """Raises a ValueError unless these are both regions by channel, or none of them."""
    if len(tensors) == 1:
        raise ValueError(f"{next(iter(tensors))} stands alone")
    shapes = {tensor.shape for tensor in tensors.values()}
    for name, tensor in tensors.items():
        if tensor.dtype != torch.bool or tensor.shape[1:] != target.shape or len(shapes) > 1:
            raise ValueError(f"{name} is {tensor.dtype} {tuple(tensor.shape)}")


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor):
        return np.array_equal(a.cpu().numpy(), b.cpu().numpy(), equal_nan=a.is_floating_point())
    if isinstance(a, Target):
        a, b = a.unbound(), b.unbound()
        return all(_same(getattr(a, part.name), getattr(b, part.name)) for part in fields(a))
    return bool(a == b)
