"""Hidden regions: what loses a target, or stands in the way of one, when it is hidden.

All else is shown. The *necessary region* of something that the model draws is the smallest that,
hidden, loses it. The *blocking region* of something that the model does not draw is the smallest
that, hidden, makes the model draw it. The searches for sufficient regions find both (see
`question`). Each result was hidden by itself, and none found within the budget is an answer too.

A pixel of a soft edge counts as hidden, for the model sees it only partly. What the model draws on
hidden pixels outside the target is left out of the Dice, for what stands there instead may look
like anything.

Saved as one `.npz` of plain arrays, without pickle: `target`, `ignored`, `region`, each (*spatial)
bool, and everything else as JSON text in `record` (`HiddenRegionRecord`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, Self

import msgspec
import torch
from torch import Tensor

from misure._util.arrays import read_arrays
from misure._util.drawing import drawing
from misure._util.records import Amount, Count, Fraction, Record, decode, plain
from misure._util.short_repr import brief, short_repr
from misure._util.words import counted, share
from misure.errors import InputError, entrance
from misure.explanation.answers.classes_there import classes_sentence
from misure.explanation.question import QUESTIONS
from misure.explanation.record import CHANGES_IN_WORDS, CLEARLY, CostRecord, TargetRecord
from misure.explanation.removal import Minimality
from misure.explanation.robust.measured import Robustness
from misure.explanation.saving import save_with_record
from misure.explanation.summary import name_of, size_of
from misure.models.cost import Cost
from misure.models.inputs import AnyImage
from misure.models.model import SegmentationModel
from misure.models.target import Target

ON_ONE_FILL = "other_fills"
"""Why a search ended: hiding everything does what was asked on one fill only."""

_ARRAYS = ("target", "ignored", "region")


class HiddenRegionRecord(Record, frozen=True, kw_only=True):
    """`necessary.json` and `blocking.json`: everything in a hidden region but its arrays.

    Attributes:
        misure_version: that wrote it.
        question: `necessary` or `blocking`.
        outside_target: whether the region may hold no pixel of the target.
        image, model, preset: their names.
        baseline_image: what stands where pixels are hidden.
        threshold: the Dice down to which the target counts as lost (`necessary`) or from which it
            counts as drawn (`blocking`).
        seed: of all noise.
        target: what is lost or drawn.
        is_found: whether a region was found; if not, the region is empty and the fields about it
            are None or empty.
        dice: with the target when the region is hidden and all else is shown.
        dice_with_nothing_hidden: with the target when the model sees the whole image.
        dice_with_all_hidden: with the target when everything is hidden that may be: the whole
            image, or all but the target.
        area_fraction: of the image, in [0, 1].
        relative_area: its area divided by the target's; 0 or more.
        outside_target_fraction: part of it outside the target, in [0, 1].
        dice_by_baseline_image: `dice` with each baseline image of the search.
        dice_on_other_baseline_images: `dice` with those of `mean`, `blurred`, `noise` and `filled`
            that are not in `dice_by_baseline_image`; with `num_draws` the search tries its region
            on others of these kinds.
        dice_under_small_changes: `dice` under a shift of one pixel, 1 % noise and a soft edge, none
            of which the search has seen.
        grain_px: side of the smallest piece that the region may consist of.
        num_parts: connected parts.
        stopped_by: why the search ended: `end` or `max_passes`, `patience`; or `other_fills`:
            hiding everything loses the target on this fill, but not on others.
        minimality: how far the region can still be reduced; None if nothing was tried.
        robustness: for which share of all baseline images it answers the question; None: not asked
            for.
        settings: every option of the preset with its value.
        model_settings: how the network is used.
        shape: (*spatial) of the image.
        spacing_mm: sides of a pixel or voxel along each axis; None: not known.
        cost: passes and seconds.
        classes_before: of a `blocking` region: class -> share of the target's pixels on which the
            model draws it with nothing hidden; several a pixel with multilabel.
        classes_after: the same with the region hidden; empty if none was found.
    """

    misure_version: str
    question: str
    outside_target: bool
    image: str
    model: str
    preset: str
    baseline_image: str
    threshold: Fraction
    seed: int
    target: TargetRecord
    is_found: bool
    dice: Fraction | None
    dice_with_nothing_hidden: Fraction
    dice_with_all_hidden: Fraction
    area_fraction: Fraction
    relative_area: Amount
    outside_target_fraction: Fraction
    dice_by_baseline_image: dict[str, Fraction]
    dice_on_other_baseline_images: dict[str, Fraction]
    dice_under_small_changes: dict[str, Fraction]
    grain_px: Count
    num_parts: Count
    stopped_by: str
    minimality: Minimality | None
    robustness: Robustness | None = None
    settings: dict[str, Any]
    model_settings: dict[str, Any]
    shape: list[int]
    spacing_mm: list[float] | None
    cost: CostRecord
    classes_before: dict[str, Fraction] = msgspec.field(default_factory=dict)
    classes_after: dict[str, Fraction] = msgspec.field(default_factory=dict)


@dataclass(frozen=True, eq=False, kw_only=True)
class HiddenRegion:
    """The region that loses a target, or makes the model draw it, when it is hidden.

    Attributes:
        target: what is lost or drawn.
        region: (*spatial) bool, what is hidden; empty if none was found.
        values: everything else. The properties below read it.
        image: (C, *spatial) float on the CPU, the image that was asked about; None after `load`, as
            it is not written.
    """

    target: Target
    region: Tensor
    values: HiddenRegionRecord
    image: Tensor | None = field(default=None, repr=False)

    def __repr__(self) -> str:
        values = self.values
        size = f"{share(values.area_fraction)} of the image" if self.is_found else "none found"
        return short_repr(
            self,
            brief(self.target.class_name or self.target.class_index),
            f"{'surroundings' if values.outside_target else values.question}: {size}",
            "" if self.dice is None else f"Dice {self.dice:.3f} with it hidden",
            counted(values.cost.pass_equivalents, "pass equivalent"),
        )

    @property
    def question(self) -> str:
        """`necessary` or `blocking`."""
        return self.values.question

    @property
    def is_found(self) -> bool:
        """Whether a region was found that, hidden, does what was asked for."""
        return self.values.is_found

    @property
    def dice(self) -> float | None:
        """Dice with the target when the region is hidden; None if none was found."""
        return self.values.dice

    @property
    def num_parts(self) -> int:
        """Connected parts of the region."""
        return self.values.num_parts

    @property
    def cost(self) -> Cost:
        """Forward and backward passes, and seconds."""
        cost = self.values.cost
        return Cost(cost.forward_passes, cost.backward_passes, cost.seconds)

    @property
    def sentence(self) -> str:
        """The answer with its figures, in one sentence or two."""
        return hidden_sentence(self.values)

    @property
    def classes_sentence(self) -> str:
        """What the model draws on the pixels of a missed target; empty for other questions."""
        return classes_sentence(self.values.classes_before, self.values.classes_after)

    def with_values(self, **changes: Any) -> Self:
        """The same region with some fields of `values` changed, such as `image`."""
        values = msgspec.structs.replace(self.values, **changes)
        return replace(self, values=values)

    @entrance("HiddenRegion.plot")
    def plot(
        self,
        model: SegmentationModel | None = None,
        *,
        axes: Any = None,
        image: AnyImage | None = None,
        affine: Tensor | None = None,
        slice_index: int | Sequence[int] | None = None,
        channel: int | str | None = None,
    ) -> Any:
        """A matplotlib Figure: what is hidden, what the model was shown, what it then drew.

        Args:
            model: that was asked, which draws again what it draws (one pass, which no cost counts);
                None: only what is hidden is drawn.
            axes: matplotlib's axes to draw on, one for each picture; None: a new figure is made.
            image: the image that was asked about, or what stands for it (see `as_image`); None: the
                one in memory, or else the file that `values.image` names.
            affine, slice_index, channel: as of `Explanation.plot`.

        Raises:
            InputError: no image, or another one; a slice or channel that is not there.
        """
        return drawing("hidden_picture", "plot_hidden")(
            self, model, axes=axes, image=image, affine=affine, slice_index=slice_index,
            channel=channel,
        )  # fmt: skip

    def show(self, model: SegmentationModel | None = None, **options: Any) -> None:
        """Shows `plot` in a notebook or in a window; where there is neither, a warning says so.

        Args:
            model, options: as of `plot`.
        """
        drawing("canvas", "show_figure")(self.plot(model, **options))

    def _repr_html_(self) -> str:
        """What a notebook shows: the sentence, a picture and the figures."""
        html: str = drawing("notebook", "hidden_html")(self)
        return html

    def record(self) -> dict[str, Any]:
        """All values as plain dictionaries and lists."""
        record: dict[str, Any] = plain(self.values)
        return record

    def save(self, file: str | Path | BinaryIO) -> None:
        """Writes the region as one `.npz`, at once or not at all."""
        tensors = {
            "target": self.target.region,
            "ignored": self.target.unbound().ignored,
            "region": self.region,
        }
        save_with_record(file, tensors, self.values)

    @classmethod
    @entrance("HiddenRegion.load")
    def load(cls, file: str | Path | BinaryIO) -> Self:
        """The region that was saved, on the CPU.

        Raises:
            InputError: not such a file, damaged, or too large when unpacked.
        """
        name = file if isinstance(file, str | Path) else "the open file"
        what = f"a file written by HiddenRegion.save in {name}"
        try:
            arrays = read_arrays(file)
            text = str(arrays.pop("record"))
            tensors = {array: torch.from_numpy(arrays[array]) for array in _ARRAYS}
            for array, tensor in tensors.items():
                if tensor.dtype != torch.bool or tensor.shape != tensors["target"].shape:
                    raise ValueError(f"{array} is {tensor.dtype} {tuple(tensor.shape)}")
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"expected {what}, but it cannot be used: {error}.") from error
        values = decode(text, HiddenRegionRecord, what)
        if values.question not in QUESTIONS:
            raise InputError(f"expected {what}, got the question {values.question!r}.")
        target = Target(
            class_index=values.target.class_index,
            region=tensors["target"],
            ignored=tensors["ignored"],
            class_name=values.target.class_name,
            multilabel=values.target.multilabel,
            made_from=values.target.made_from,
            score=values.target.score,
        )
        return cls(target=target, region=tensors["region"], values=values)


def smaller_around(surroundings: HiddenRegion, necessary: HiddenRegion) -> HiddenRegion:
    """The smaller of two regions around a target that, hidden, lose it, as of `surroundings`.

    A necessary region may happen to hold no pixel of the target: it then answers both questions.

    Args:
        surroundings, necessary: of the same target, and found with the same settings.
    """
    is_around = necessary.is_found and not bool((necessary.region & necessary.target.region).any())
    is_smaller = necessary.values.area_fraction < surroundings.values.area_fraction
    if not is_around or (surroundings.is_found and not is_smaller):
        return surroundings
    own = surroundings.values
    values = msgspec.structs.replace(
        necessary.values,
        outside_target=True,
        dice_with_all_hidden=own.dice_with_all_hidden,
        settings=own.settings,
        cost=own.cost,
    )
    return replace(necessary, values=values)


def hidden_sentence(record: HiddenRegionRecord) -> str:
    """What was found, with its figures; a second sentence says on which fills it is not so.

    Args:
        record: of a necessary or blocking region.
    """
    robust = record.robustness.note if record.robustness else ""
    notes = [
        _found_sentence(record),
        _exceptions(record, "On other fills", record.dice_on_other_baseline_images),
        _exceptions(
            record,
            "Under small changes",
            {
                CHANGES_IN_WORDS[kind]: dice
                for kind, dice in record.dice_under_small_changes.items()
            },
        ),
        robust,
    ]
    return " ".join(note for note in notes if note)


def _exceptions(record: HiddenRegionRecord, where: str, dices: Mapping[str, float]) -> str:
    """Where the outcome is clearly another one; empty if it is the same everywhere."""
    score = QUESTIONS[record.question].score
    wrong = [
        f"{name} {dice:.2f}"
        for name, dice in dices.items()
        if score(dice) < score(record.threshold) - CLEARLY
    ]
    return f"{where} it does not ({', '.join(wrong)})." if wrong else ""


def _found_sentence(record: HiddenRegionRecord) -> str:
    name = name_of(record)
    passes = counted(record.cost.pass_equivalents, "pass equivalent")
    if record.question == "necessary":
        if record.is_found:
            return (
                f"Hiding {size_of(record, record)} loses {name}: all else shown, the Dice "
                f"falls to {record.dice:.2f}."
            )
        if record.dice_with_all_hidden > record.threshold:
            what = "all its surroundings" if record.outside_target else "the whole image"
            return (
                f"Hiding {what} does not lose {name}: the Dice is still "
                f"{record.dice_with_all_hidden:.2f}."
            )
        what = "all its surroundings" if record.outside_target else "everything"
        if record.stopped_by == ON_ONE_FILL:
            return (
                f"Hiding {what} loses {name} on {record.baseline_image} (Dice "
                f"{record.dice_with_all_hidden:.2f}), but not on other fills, so nothing is "
                "claimed."
            )
        return (
            f"No region that, hidden, loses {name} on several fills was found within {passes} "
            f"(hiding {what}: Dice {record.dice_with_all_hidden:.2f})."
        )
    before = f"Dice {record.dice_with_nothing_hidden:.2f} with nothing hidden"
    asked = f"; {record.threshold:.2f} was asked for" if record.target.made_from else ""
    if record.is_found:
        return (
            f"Hiding {size_of(record, record)} makes the model draw {name}: Dice "
            f"{record.dice:.2f} ({before}{asked})."
        )
    return (
        f"No region was found within {passes} that makes the model draw {name} when it is "
        f"hidden ({before}{asked})."
    )
