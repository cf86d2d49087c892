"""An explanation in plain sentences, each made of figures that were verified.

*Shown* means: this alone was shown, all else hidden. *Hidden* means: this was hidden, all else
shown. The order is fixed: what suffices, what is needed, other reasons, the surroundings, how sure.
"""

from typing import TYPE_CHECKING, Protocol

from misure._util.words import counted, share
from misure.explanation.by_channel_record import ByChannelRecord
from misure.explanation.dust import dust_note
from misure.explanation.record import (
    CLEARLY,
    ExplanationRecord,
    Presented,
    TargetRecord,
    baseline_image_note,
    passes_together,
    small_changes_note,
)

if TYPE_CHECKING:
    from misure.explanation.robust.measured import Robustness


_MOST_NAMED = 4  # channels in a sentence


class Sized(Protocol):
    """What is measured of a region."""

    @property
    def area_fraction(self) -> float: ...

    @property
    def relative_area(self) -> float: ...

    @property
    def outside_target_fraction(self) -> float: ...

    @property
    def num_parts(self) -> int: ...


class Described(Protocol):
    """What says what a target is and in which image: the record of whatever was found for it."""

    @property
    def target(self) -> TargetRecord: ...

    @property
    def shape(self) -> list[int]: ...


class Evident(Presented, Protocol):
    """What speaks for a region, and against it: the record of one that suffices."""

    @property
    def silhouette_dice(self) -> float: ...

    @property
    def robustness(self) -> "Robustness | None": ...


def sufficient_sentences(record: ExplanationRecord) -> list[str]:
    """What suffices, in one or two sentences.

    Args:
        record: of an explanation.
    """
    small, name = record.minimally_sufficient_region, name_of(record)
    if small.area_fraction == 0:
        nothing = f"with everything hidden, the Dice is {small.dice:.2f}"
        return [f"The model draws {name} whatever the image shows: {nothing}."]
    first = f"Shown alone, {size_of(record, small)} suffices for {name}: Dice {small.dice:.2f}."
    sentences, minimality = [first], record.minimality
    if small.hidden_dice is not None:
        outcome = f"{name} has a Dice of {small.hidden_dice:.2f}"
        sentences.append(f"With this region hidden and all else shown, {outcome}.")
    if small.stopped_by == "no_search":
        sentences.append("No smaller region was searched for.")
    elif not small.is_reduced and not (minimality and minimality.is_one_minimal):
        sentences.append(_not_reduced(record))
    if minimality and minimality.removable:
        blocks = f"{minimality.removable} of {minimality.cells_tested} tested blocks"
        sentences.append(f"{blocks} can still be removed from it, one at a time.")
    return sentences


def by_channel_sentences(record: ExplanationRecord) -> list[str]:
    """What suffices in which channel, in one sentence; empty if that was not asked for.

    Args:
        record: of an explanation.
    """
    whole = "image" if len(record.shape) == 2 else "volume"
    found = record.by_channel
    return [_by_channel(found, name_of(record), whole)] if found else []


def _by_channel(record: ByChannelRecord, target: str, whole: str) -> str:
    dice = f"(Dice {record.dice:.2f})"
    used = [one for one in record.channels if one.area_fraction]
    if not used:
        return f"By channel: {target} is drawn with every channel hidden {dice}."
    used.sort(key=lambda one: -one.area_fraction)
    shown = [f"{one.name} in {share(one.area_fraction)}" for one in used[:_MOST_NAMED]]
    if len(used) > _MOST_NAMED:
        shown.append(f"{len(used) - _MOST_NAMED} others in less")
    names = [one.name for one in record.channels if not one.area_fraction]
    unused = " and ".join(names) if len(names) < _MOST_NAMED else "all others"
    nowhere = f", {unused} nowhere" if names else ""
    unfinished = "" if record.is_one_minimal else " Smaller ones do not hold under small changes."
    if record.stopped_by == "max_passes":
        unfinished = " The budget ended before each block was tried."
    return (
        f"By channel it suffices for {target} to show {', '.join(shown)} of the {whole}"
        f"{nowhere} {dice}.{unfinished}"
    )


def _not_reduced(record: ExplanationRecord) -> str:
    """That nothing smaller was found; the grown object may be smaller, if blocks are coarse."""
    grown, passes = record.sufficient_region, counted(passes_together(record), "pass equivalent")
    if grown.area_fraction >= record.minimally_sufficient_region.area_fraction:
        return f"No smaller region was found within {passes}."
    whole = "image" if len(record.shape) == 2 else "volume"
    return (
        f"No smaller region that the preset accepts was found within {passes}, though "
        f"{share(grown.area_fraction)} of the {whole} suffices, too (Dice {grown.dice:.2f})."
    )


def sure_sentences(record: Evident) -> list[str]:
    """How sure it is: what speaks against the region as evidence; empty if nothing does.

    Args:
        record: of an explanation, or of a region that was checked and suffices.
    """
    notes = []
    outline = record.silhouette_dice
    if record.minimally_sufficient_region.area_fraction > 0:
        if outline >= record.dice_threshold:
            notes.append(
                f"Its outline alone, with other content in it, suffices too (Dice {outline:.2f}): "
                "weak evidence."
            )
        elif outline >= record.dice_threshold - CLEARLY:
            notes.append(
                f"Its outline alone, with other content in it, nearly suffices (Dice "
                f"{outline:.2f}): weak evidence."
            )
    robust = record.robustness.note if record.robustness else ""
    every = [robust, dust_note(record), baseline_image_note(record), small_changes_note(record)]
    return notes + [note for note in every if note]


def name_of(record: Described) -> str:
    """What the target is called in a sentence (see `named`), and what it was made from."""
    name = named(record.target.class_name or str(record.target.class_index))
    return f"{name} in {record.target.made_from}" if record.target.made_from else name


def named(name: str) -> str:
    """How a sentence names a class, with its article; a class without a name has a number.

    >>> named("horse"), named("7")
    ('the horse', 'class 7')
    """
    return f"class {name}" if name.isdecimal() else f"the {name}"


def size_of(record: Described, region: Sized) -> str:
    """How large a region is, in how many parts, and how much of it lies outside the target.

    Args:
        record: says whether the image is a volume.
        region: what was measured of the region.
    """
    whole = "image" if len(record.shape) == 2 else "volume"
    parts = "one part" if region.num_parts == 1 else f"{region.num_parts:,} parts"
    outside = f"{100 * region.outside_target_fraction:.0f} % of it outside"
    times = f"{region.relative_area:.2f} × the target"
    return f"{share(region.area_fraction)} of the {whole} ({times}, in {parts}, {outside})"
