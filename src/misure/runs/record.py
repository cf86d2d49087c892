"""What is written of a run: `run.json`, and the lines of `records-*.jsonl`.

The writer (`RunWorker`) makes these records, every reader takes them. In JSON, fields that are left
at their default are left out, and a line's `status` says which kind it is:

- `done`: an explained object (`DoneObject`; `ExplainedObject` if the method finds regions);
- `failed`: an object, or a sample as a whole, that could not be explained (`FailedObject`);
- `finished`: all objects of a sample have their lines (`FinishedSample`).

Calls of `run` have lines of their own, in `calls-*.jsonl` (`RunCall`).
"""

from typing import Annotated, Any

import msgspec

from misure._util.records import Count, Fraction, Record
from misure.explanation.by_channel_record import ByChannelRecord
from misure.explanation.evidence import PresentedSufficiency
from misure.explanation.record import (
    CurvePoint,
    MinimallySufficientRegionRecord,
    PassCounts,
    SufficientRegionRecord,
    TargetRecord,
)
from misure.explanation.removal import Minimality
from misure.explanation.robust.measured import Robustness
from misure.images.orientation import ViewingOrder
from misure.runs.answer_record import ChannelsGroup, EffectsGroup, HiddenRegionGroup, ReasonsGroup
from misure.runs.plan import RunPlan

FORMAT = 2
"""Of run folders; misure 0.1.0 wrote format 1."""


class RunSettings(RunPlan, frozen=True, kw_only=True):
    """Everything that the results of a run depend on: the plan, the data and the network.

    Attributes:
        source: spec of the data set; for samples in memory the name of their class.
        slice_index: axial slice of NIfTI volumes; None: whole volumes.
        image_options: how images are read (see `Reading.for_model`), if given.
        model: spec of the network, or its name.
        model_settings: how the network is used (see `SegmentationModel.settings`).
        class_names: of the network; empty if it names none.
        fingerprint: hash of the network's weights and files.
        finds_regions: whether the method finds regions, and not only a map.
        device_type: `cpu` or `cuda`.
        num_threads: of each worker on the CPU.
        misure_version, torch_version: that made the results.
    """

    source: str
    slice_index: int | None
    image_options: dict[str, Any] = msgspec.field(default_factory=dict)
    model: str
    model_settings: dict[str, Any]
    class_names: list[str]
    fingerprint: str
    finds_regions: bool
    device_type: str
    num_threads: int
    misure_version: str
    torch_version: str


class RunFile(Record, frozen=True, kw_only=True):
    """`run.json`.

    Attributes:
        format: see `FORMAT`.
        settings: of the run.
        begun: when the folder was made, as ISO 8601 in UTC; empty in folders of misure before it
            was recorded.
    """

    format: int
    settings: RunSettings
    begun: str = ""


class RunHeader(msgspec.Struct):
    """The fields of `run.json` that say who wrote it, in any format."""

    format: int
    settings: dict[str, Any]


class Prediction(Record, frozen=True, kw_only=True):
    """What the prediction alone says of an object; see `prediction_record` for each number.

    Attributes:
        max_probability, margin, entropy: means over the object's pixels.
        border_max_probability, border_margin, border_entropy: means over the pixels at its contour;
            None if there are none.
        soft_dice: of the class's probabilities with the object.
        compactness, at_image_edge, num_parts: form of the object.
    """

    max_probability: float | None
    margin: float | None
    entropy: float | None
    border_max_probability: float | None
    border_margin: float | None
    border_entropy: float | None
    soft_dice: float
    compactness: float
    at_image_edge: float
    num_parts: Count


class ContextEntry(Record, frozen=True, kw_only=True):
    """One class on which part of a minimal region lies outside its object.

    Attributes:
        class_index, class_name: of the class in the network's own segmentation; -1 and `none` for
            pixels without a class.
        pixels: of the region on it; where classes overlap, a pixel counts for each of its classes.
    """

    class_index: Annotated[int, msgspec.Meta(ge=-1, le=2**53)]
    class_name: str
    pixels: Count


class Timing(Record, frozen=True, kw_only=True):
    """What differs from one machine to the next.

    Attributes:
        seconds: that explaining the object took.
        peak_memory_mb: the most memory in use meanwhile (see `PeakMemory`); None if it was not
            measured.
    """

    seconds: float
    peak_memory_mb: float | None = None


class DoneObject(
    Record, frozen=True, kw_only=True, tag_field="status", tag="done", omit_defaults=True
):
    """The line of an object that was explained.

    Attributes:
        key: `SAMPLE#CLASS` or `SAMPLE#CLASS.INSTANCE`, or `SAMPLE` in a run of one object a
            sample; unique in the run.
        sample: key of its sample.
        class_index, class_name: of its class.
        instance: its number among the connected objects of its class, 0 the largest; None for a
            class as a whole.
        map: name of the file with its regions and saliency map in the run folder.
        thumbnail: name of the file with its image, small.
        target: what was explained.
        cost: passes spent.
        affine: (4, 4) of the sample, from voxel indices to millimetres; None if it has none.
        viewing_order: how to lay out a volume; None for an image.
        prediction: what the prediction alone says of the object.
        augmented_dice: Dice with what the network segments on changed images, by change; None
            unless asked for.
        num_classes: K, the classes that the network tells apart.
        layer: the layer that the method used, if it uses one.
        timing: seconds; `read_run` leaves it out.
        reason: empty, as nothing failed.
        revision: how often the sample was explained anew since its image had changed; `read_run`
            leaves it out.
    """

    key: str
    sample: str
    class_index: Count
    class_name: str
    instance: Count | None
    map: str
    thumbnail: str
    target: TargetRecord
    cost: PassCounts
    affine: list[list[float]] | None
    viewing_order: ViewingOrder | None
    prediction: Prediction
    augmented_dice: dict[str, float] | None = None
    num_classes: int | None = None
    layer: str = ""
    timing: Timing | None = None
    reason: str = ""
    revision: int = 0

    def __post_init__(self) -> None:
        if self.viewing_order and sorted(axis for axis, _ in self.viewing_order) != [0, 1, 2]:
            raise ValueError(f"viewing_order {self.viewing_order} does not name each axis once")
        if self.affine is not None and [len(row) for row in self.affine] != [4] * 4:
            raise ValueError("affine is not 4 x 4")

    @property
    def status(self) -> str:
        """`done`."""
        return "done"


class ExplainedObject(DoneObject, frozen=True, kw_only=True, tag="done"):
    """The line of an object that was explained by a method that finds regions.

    Attributes:
        baseline_image, dice_threshold, sufficient_region: as in `ExplanationRecord`.
        minimally_sufficient_region, sufficiency_curve: as in `ExplanationRecord`.
        minimality, sufficiency_by_presentation, silhouette_dice: as in `ExplanationRecord`.
        transfer_dice, transfer_from, transfer_resized: as in `ExplanationRecord`.
        silhouette_dice_by_content, spacing_mm: as in `ExplanationRecord`.
        context: on which classes the minimal region lies outside its object.
        summary: the answers in words; empty if nothing else was asked.
        passes: pass equivalents by question, and of `robustness`; empty if nothing else was asked.
        necessary: what loses the object when it is hidden; None: not asked.
        surroundings: the same, of its surroundings alone; None: not asked.
        reasons: regions that suffice apart from each other; None: not asked.
        effects: what hiding each part of the surroundings does; None: not asked, or too many parts
            for the budget.
        channels: what each channel of the image does; None: not asked, or too many for the budget.
        robustness: on which share of baseline images the minimal region suffices; None: not asked.
        by_channel: regions with other places in each channel; None: not asked.
    """

    baseline_image: str
    dice_threshold: Fraction
    sufficient_region: SufficientRegionRecord
    minimally_sufficient_region: MinimallySufficientRegionRecord
    sufficiency_curve: list[CurvePoint]
    minimality: Minimality | None
    sufficiency_by_presentation: list[PresentedSufficiency]
    silhouette_dice: Fraction
    transfer_dice: Fraction
    transfer_from: str
    transfer_resized: bool
    silhouette_dice_by_content: dict[str, float]
    spacing_mm: list[float] | None
    context: list[ContextEntry]
    summary: list[str] = msgspec.field(default_factory=list)
    passes: dict[str, Count] = msgspec.field(default_factory=dict)
    necessary: HiddenRegionGroup | None = None
    surroundings: HiddenRegionGroup | None = None
    reasons: ReasonsGroup | None = None
    effects: EffectsGroup | None = None
    channels: ChannelsGroup | None = None
    robustness: Robustness | None = None
    by_channel: ByChannelRecord | None = None

    @property
    def passes_of_explaining(self) -> int:
        """Pass equivalents that finding what suffices took, without those of other questions."""
        return self.passes.get("sufficient", self.cost.pass_equivalents)


class FailedObject(
    Record, frozen=True, kw_only=True, tag_field="status", tag="failed", omit_defaults=True
):
    """The line of an object that could not be explained, or of a sample with none known.

    Attributes:
        key: as of a done object; the sample's key if the sample failed as a whole.
        sample: key of its sample.
        reason: what failed, as one line.
        class_index, class_name, instance, target, prediction, augmented_dice: as of a done object,
            if the object was known.
        revision: as of a done object.
    """

    key: str
    sample: str
    reason: str
    class_index: Count | None = None
    class_name: str = ""
    instance: Count | None = None
    target: TargetRecord | None = None
    prediction: Prediction | None = None
    augmented_dice: dict[str, float] | None = None
    revision: int = 0

    @property
    def status(self) -> str:
        """`failed`."""
        return "failed"


class SourceFile(Record, frozen=True, kw_only=True):
    """A file that a sample was read from, as it was then.

    Attributes:
        size: in bytes.
        modified_ns: time of its last change, in nanoseconds since 1970.
        sha256: of its content, as hexadecimal digits.
    """

    size: int
    modified_ns: int
    sha256: str


class FinishedSample(
    Record, frozen=True, kw_only=True, tag_field="status", tag="finished", omit_defaults=True
):
    """The line of a sample all of whose objects have their lines.

    Attributes:
        sample: its key.
        num_objects: how many lines its objects have; 1 for a sample that failed as a whole.
        revision: as of its objects.
        files: the files of its image; empty if its data set does not name them.
    """

    sample: str
    num_objects: int
    revision: int = 0
    files: list[SourceFile] = msgspec.field(default_factory=list)


class RunCall(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A line of `calls-*.jsonl`: a call of `run`, once as it begins, and once more as it ends.

    Attributes:
        process: that made the call: letters for its machine, and its number there.
        begun: when, in seconds since 1970.
        num_samples: of the source.
        num_finished: samples of the run that were finished when it began.
        num_workers: processes or actors.
        limit, shard: which samples it works on (see `Execution`).
        has_ended: whether the line was written at its end.
    """

    process: str
    begun: float
    num_samples: Count
    num_finished: Count
    num_workers: Count
    limit: int | None = None
    shard: tuple[int, int] | None = None
    has_ended: bool = False


ObjectRecord = DoneObject | FailedObject
