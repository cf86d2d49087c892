"""Presets: how regions are shown and searched for, under one name."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from math import isfinite
from typing import Any

from torch import Tensor

from misure._util.docstrings import Option, options_of_fields
from misure._util.registry import Registry
from misure._util.short_repr import ShortRepr
from misure._util.suggestions import did_you_mean
from misure.errors import InputError
from misure.explanation.content_controls import CONTENT_CONTROLS
from misure.explanation.evidence import NUM_COMPARED, PASSES_OF_SMALL_CHANGES, other_baseline_images
from misure.explanation.growth import LEAST_SHOWN
from misure.explanation.nested import THRESHOLDS, passes_of_family
from misure.explanation.reduction import NoReduction, Reduction, SearchingReduction
from misure.explanation.reductions.forward import ForwardReduction
from misure.explanation.reductions.gradient import GradientReduction
from misure.explanation.reductions.paper import PaperReduction
from misure.explanation.reductions.quick import QuickReduction
from misure.explanation.reductions.readable.search import ReadableReduction
from misure.explanation.robust.measured import passes_for

USUAL_BY_CHANNEL = 400
"""Pass equivalents for regions by channel, if no `max_passes` limits all that is done."""

DRAWS = 6
"""Baseline images, at least, on which a search shows what it accepts if `robust` is asked for."""

_NO_OPTIONS = ("name", "reduction", "summary", "usual_passes")
_GIVEN = "tensor"  # the name of a baseline image that is no name


@dataclass(frozen=True, kw_only=True, repr=False)
class Preset(ShortRepr):
    """Everything an explanation depends on besides the model, the image and the target.

    Attributes:
        name: of the preset it started from.
        growth: the search of stage 1 (`dilation`, `first`, `bracket`, `steps` or `jumps`).
        reduction: the search of stage 2; its options are its fields.
        baseline_image: what stands where pixels are removed (see `make_baseline_image`); several
            names with commas between them: a region has to suffice with each.
        edge_px: width of the soft edge from shown to removed.
        thresholds: Dice thresholds of the nested regions (see `nested_regions`); none: the
            saliency map is the one that stage 2 made.
        max_content_dice: the largest Dice that stage 2 allows when a region's content is replaced
            (see `contents`); 1: any, and nothing is spent on it.
        max_hidden_dice: the largest Dice that both stages allow when the region is hidden and all
            else is shown: with 0.5, a region that suffices and without which the target is lost. 1:
            any, and nothing is spent on it.
        hidden_baseline_image: what stands where it is hidden then; one name.
        num_changes: small changes (a shift of one pixel, 1 % noise, a soft edge, another baseline
            image) under which a region has to hold before stage 2 accepts it, drawn anew for each
            region; 0: none.
        num_draws: baseline images of many kinds (see `misure.robustness`) on which a region has to
            hold before either stage accepts it, drawn anew for each region; 0: none.
        robust: the share of all such baseline images on which a region should hold: `num_draws` is
            then at least `DRAWS`, in-painted ones are among them, and what is found is shown on
            more, with an exact bound. 0: nothing of that is asked.
        one_minimal: remove what can be removed, until no single block of `minimality_cell_px` can.
        minimality_cell_px: side of the blocks whose removal is tried; 0: 1/32 of the short side.
        num_minimality_tests: blocks to try, without `one_minimal`.
        compare_presentations: grow the target with other baseline images and edges too (see
            `evidence.sufficiency_by_presentation`).
        channels: `together`: a region shows its places in all channels; `apart`: also search for
            regions that hold other places in each channel (see `by_channel`).
        max_passes: pass equivalents that may be spent on a target in all, whatever is done for it;
            None: what the preset usually takes (`usual_passes`), and on top of it what testing the
            minimality, `one_minimal`, `compare_presentations` and `channels` (400) need.
        summary: what it does, in one sentence.
        usual_passes: pass equivalents that a target takes, for tables.
    """

    name: str
    growth: str
    reduction: Reduction
    baseline_image: str | Tensor = "mean"
    edge_px: int = 0
    thresholds: tuple[float, ...] = ()
    max_content_dice: float = 1.0
    max_hidden_dice: float = 1.0
    hidden_baseline_image: str = "filled"
    num_changes: int = 0
    num_draws: int = 0
    robust: float = 0.0
    one_minimal: bool = False
    minimality_cell_px: int = 0
    num_minimality_tests: int = 16
    compare_presentations: bool = False
    channels: str = "together"
    max_passes: int | None = None
    summary: str = ""
    usual_passes: str = ""

    def __post_init__(self) -> None:
        if not all(0 < threshold <= 1 for threshold in self.thresholds):
            raise InputError(f"expected thresholds above 0 and at most 1, got {self.thresholds}.")
        if min(self.minimality_cell_px, self.num_minimality_tests) < 0:
            raise InputError(
                "expected minimality_cell_px and num_minimality_tests of 0 or more, got "
                f"{self.minimality_cell_px} and {self.num_minimality_tests}."
            )
        if not 0 <= self.robust < 1:
            raise InputError(f"expected robust of at least 0 and below 1, got {self.robust}.")
        if min(self.num_changes, self.num_draws) < 0:
            raise InputError(
                f"expected num_changes and num_draws of 0 or more, got {self.num_changes} and "
                f"{self.num_draws}."
            )
        if self.channels not in ("together", "apart"):
            raise InputError(f"expected channels of together or apart, got {self.channels!r}.")
        if self.are_apart and (self.asks_hidden or self._num_excluded or self.draws_of_accepting):
            raise InputError(
                "expected channels=together with max_hidden_dice, max_content_dice, num_draws or "
                "robust, got channels=apart: regions by channel are only searched for as those "
                "that suffice on their own baseline images."
            )
        if self.max_passes is not None and self.max_passes < self.least_passes:
            raise InputError(
                f"expected max_passes of {self.least_passes} or more for these settings, got "
                f"{self.max_passes}. num_minimality_tests=0 and an empty list of thresholds take "
                "less."
            )

    @property
    def names_of_baseline_images(self) -> list[str]:
        """The name of each baseline image on which regions are shown; `tensor` for a given one."""
        return self.baseline_image.split(",") if isinstance(self.baseline_image, str) else [_GIVEN]

    @property
    def num_presentations(self) -> int:
        """Ways in which each region is shown: one for each baseline image."""
        return len(self.names_of_baseline_images)

    @property
    def num_views(self) -> int:
        """Passes that a region takes: one a presentation, one a control."""
        return self.num_views_of_growth + self._num_excluded

    @property
    def num_views_of_growth(self) -> int:
        """The same in stage 1, which does without excluded contents."""
        return self.num_presentations + self.asks_hidden

    @property
    def asks_hidden(self) -> bool:
        """Whether a region must not only suffice, but lose the target when it is hidden."""
        return self.max_hidden_dice < 1

    @property
    def _num_excluded(self) -> int:
        return len(CONTENT_CONTROLS) if self.max_content_dice < 1 else 0

    @property
    def passes_of_evidence(self) -> int:
        """Pass equivalents for the evidence: content controls, baseline images, small changes.

        With only one baseline image of its own, the Dice there is known already.
        """
        num_ways = self.num_presentations
        num_others = len(other_baseline_images(self.names_of_baseline_images))
        on_all = (num_ways > 1) + PASSES_OF_SMALL_CHANGES
        own = len(CONTENT_CONTROLS) + num_ways * on_all + num_others + self.asks_hidden
        return own + passes_for(self.robust)

    def search(self, what: str) -> SearchingReduction:
        """The reduction, which searches for one region of each target.

        Args:
            what: is expected, for the sentence.

        Raises:
            InputError: it does not.
        """
        if isinstance(self.reduction, SearchingReduction):
            return self.reduction
        raise InputError(
            f"expected {what} (readable, quick, smallest, forward_only), got {self.name}, which "
            "finds sufficient regions only."
        )

    @property
    def passes_of_accepting(self) -> int:
        """Pass equivalents, at most, for showing a region alone and in all it has to withstand."""
        changes = 2 * self.num_changes * self.num_presentations
        return self.num_views + changes + self.draws_of_accepting

    @property
    def draws_of_accepting(self) -> int:
        """Baseline images on which a search shows what it accepts, besides its own."""
        return max(self.num_draws, DRAWS) if self.robust else self.num_draws

    @property
    def reserved_passes(self) -> int:
        """Pass equivalents for all that follows the search of stage 2 but its minimality."""
        nested = passes_of_family(self.thresholds) * self.num_presentations
        return self.passes_of_accepting + nested + self.passes_of_evidence

    @property
    def passes_of_minimality(self) -> int:
        """Pass equivalents for testing the minimality; with `one_minimal` the least of them."""
        if self.one_minimal:
            return self.num_views + self.passes_of_accepting
        return self.num_minimality_tests * self.num_views

    @property
    def are_apart(self) -> bool:
        """Whether regions by channel are searched for, too."""
        return self.channels == "apart"

    @property
    def passes_by_channel(self) -> int:
        """Pass equivalents that are kept for regions by channel; without a limit, their usual.

        With a limit it is half of what is not needed at least.
        """
        if not self.are_apart:
            return 0
        if self.max_passes is None:
            return USUAL_BY_CHANNEL
        return self._least_by_channel + (self.max_passes - self.least_passes) // 2

    @property
    def _least_by_channel(self) -> int:
        """What it takes to show both regions by channel once more, on each baseline image."""
        own, several = self.num_presentations, self.num_presentations > 1
        return (3 * own + self.passes_of_accepting + 2 * own * several) * self.are_apart

    @property
    def least_passes(self) -> int:
        """The smallest budget with which all that these settings ask for can be done."""
        shown = LEAST_SHOWN * self.num_views_of_growth
        shown += self.reduction.least_shown * self.num_views
        compared = LEAST_SHOWN * NUM_COMPARED if self.compare_presentations else 0
        own = shown + self.reserved_passes + self.passes_of_minimality + compared
        return own + self._least_by_channel

    @property
    def about_passes(self) -> int | None:
        """Pass equivalents that a target may take, or takes as a rule; None: that differs much."""
        usual = getattr(self.reduction, "usual_passes", None)
        return self.max_passes or (None if usual is None else usual + self.passes_of_minimality)

    def settings(self) -> dict[str, Any]:
        """Every option with its value, as plain values; a tensor as the word `tensor`."""
        own = {field.name: getattr(self, field.name) for field in fields(self)}
        own["baseline_image"] = ",".join(self.names_of_baseline_images)
        own["thresholds"] = list(self.thresholds)
        return {k: v for k, v in own.items() if k not in _NO_OPTIONS} | _options(self.reduction)


PRESETS: Registry[Preset] = Registry("preset", "misure.presets")
"""Name -> preset, in the order of tables."""

DEFAULT_PRESET = "readable"
"""What `explain` uses if no preset is named."""


for _preset in (
    Preset(
        name="readable",
        growth="steps",
        reduction=ReadableReduction(),
        thresholds=THRESHOLDS,
        num_changes=2,
        summary="Regions that a person can read: few, broad parts, by forward passes alone. "
        "The default.",
        usual_passes="about 160, at most 176",
    ),
    Preset(
        name="quick",
        growth="jumps",
        reduction=QuickReduction(),
        num_minimality_tests=0,
        summary="A first answer in 25 forward passes: a few growths, then cuts from many sides.",
        usual_passes="25",
    ),
    Preset(
        name="smallest",
        growth="bracket",
        reduction=GradientReduction(),
        thresholds=THRESHOLDS,
        summary="The smallest regions: growth doubled, then bisected; then binary regions on a "
        "grid, searched for by gradients.",
        usual_passes="about 115, at most 176",
    ),
    Preset(
        name="forward_only",
        growth="bracket",
        reduction=ForwardReduction(),
        thresholds=THRESHOLDS,
        summary="Growth doubled, then bisected; then blocks removed, coarse to fine, by forward "
        "passes alone.",
        usual_passes="at most 416",
    ),
    Preset(
        name="paper",
        growth="dilation",
        reduction=PaperReduction(),
        summary="The paper's settings, as far as known: dilations of 7 × 7 pixels; then a soft "
        "mask by gradient descent, and its smallest top part that suffices.",
        usual_passes="about 350",
    ),
    Preset(
        name="sufficient_region",
        growth="first",
        reduction=NoReduction(),
        summary="Stage 1 alone: growth in small steps; the region is not minimal.",
        usual_passes="20 to 190",
    ),
):
    PRESETS.register(_preset.name, _preset, __name__)


def describe_preset(preset: Preset) -> list[Option]:
    """Every option of a preset with its default and meaning, those of its reduction included."""
    own = [option for option in options_of_fields(preset) if option.name not in _NO_OPTIONS]
    return [*own, *options_of_fields(preset.reduction)]


def make_preset(name: str, options: Mapping[str, Any]) -> Preset:
    """A preset with some of its options changed.

    Args:
        name: of a preset in `PRESETS`.
        options: fields of `Preset` (but name and reduction) or of the preset's reduction.

    Raises:
        InputError: an unknown preset or option, or a value of another type.
    """
    preset = PRESETS.find(name)
    known = preset.settings()
    options = {k: tuple(v) if isinstance(v, list) else v for k, v in options.items()}
    for option, value in options.items():
        if option not in known:
            raise InputError(
                f"expected an option of preset {name} ({', '.join(known)}), got {option!r}."
                f"{did_you_mean(option, known)}"
            )
        if not fits(option, value, known[option]):
            raise InputError(
                f"expected option {option} of preset {name} to be like {known[option]!r}, "
                f"got {value!r}."
            )
    reduction_options = {k: v for k, v in options.items() if k in _options(preset.reduction)}
    own_options = {k: v for k, v in options.items() if k not in reduction_options}
    reduction = replace(preset.reduction, **reduction_options)  # type: ignore[type-var]
    return replace(preset, reduction=reduction, **own_options)


def _options(reduction: Any) -> dict[str, Any]:
    return {field.name: getattr(reduction, field.name) for field in fields(reduction)}


def fits(option: str, value: Any, example: Any) -> bool:
    """Whether a value is of the kind of another one of this option; numbers must be finite.

    A baseline image may be a tensor, too.
    """
    if option == "baseline_image" and isinstance(value, Tensor):
        return True
    if example is None:
        return value is None or type(value) is int
    if isinstance(example, float):
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return is_number and isfinite(value)
    if isinstance(example, list):
        return isinstance(value, tuple) and all(fits(option, one, 1.0) for one in value)
    return type(value) is type(example)
