"""Context effects over a data set: class by class, with intervals, and the objects behind each.

For every object that the network finds in an image, each other class there is hidden (see
`context_effects`). A cell is one class of targets and one hidden class: its mean effect over the
objects in whose image both occur. What is tested is the difference to the chance control of the
same object (paired); intervals are those of a bootstrap of images.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor, nn

from misure._util.progress import OnStep, shown_progress
from misure._util.records import Count, Record
from misure._util.seeds import seed_of
from misure._util.short_repr import ShortRepr
from misure.datasets.sample import Dataset, Sample, as_dataset, case_of
from misure.errors import entrance
from misure.explanation.answers.context_effects import EffectSettings, effects_of
from misure.explanation.answers.effects import ContextEffect
from misure.explanation.answers.surroundings import BACKGROUND, CLASS
from misure.explanation.record import CostRecord
from misure.metrics.comparison.statistics import FEWEST_CASES
from misure.metrics.effect_cells import EffectCell, ObjectEffect
from misure.models.cost import Cost
from misure.models.inputs import as_model
from misure.models.model import SegmentationModel
from misure.models.segmentation import segment
from misure.runs.objects import objects_of
from misure.runs.plan import RunPlan
from misure.runs.record import ExplainedObject, ObjectRecord

BACKGROUND_NAME = "background"
"""Name of the hidden class of a cell whose hidden pixels belong to no class."""


class EffectMatrixRecord(Record, frozen=True, kw_only=True):
    """What is written of a matrix of context effects; see `ContextEffectMatrix`."""

    model: str
    num_images: Count
    objects: tuple[ObjectEffect, ...]
    cells: tuple[EffectCell, ...]
    cost: CostRecord


@dataclass(frozen=True, kw_only=True, repr=False)
class ContextEffectMatrix(ShortRepr):
    """What hiding each class does to the objects of each class, over a data set.

    Attributes:
        model: name of the network.
        num_images: images in which an object was found.
        objects: every measured effect.
        cells: by target class, the strongest effect beyond chance first.
        cost: passes and seconds.
    """

    model: str
    num_images: int
    objects: tuple[ObjectEffect, ...]
    cells: tuple[EffectCell, ...]
    cost: Cost

    @classmethod
    def of(cls, model: str, objects: Sequence[ObjectEffect], cost: Cost) -> "ContextEffectMatrix":
        """The matrix of measured effects.

        Args:
            model: name of the network.
            objects: every measured effect.
            cost: of measuring them.
        """
        by_pair: dict[tuple[str, str], list[ObjectEffect]] = {}
        for each in objects:
            by_pair.setdefault((each.target_name, each.hidden_name), []).append(each)
        return cls(
            model=model,
            num_images=len({each.key.rpartition("#")[0] for each in objects}),
            objects=tuple(objects),
            cells=tuple(EffectCell.of(by_pair[pair]) for pair in sorted(by_pair)),
            cost=cost,
        )

    @classmethod
    def of_records(
        cls, model: str, records: Iterable[ObjectRecord]
    ) -> "ContextEffectMatrix | None":
        """The matrix of a run that asked for effects; None if no record has any.

        Args:
            model: name of the network.
            records: of the run.
        """
        with_effects = [
            (record, record.effects)
            for record in records
            if isinstance(record, ExplainedObject) and record.effects is not None
        ]
        if not with_effects:
            return None
        objects = [
            ObjectEffect(
                key=record.key,
                case=case_of(record.sample),
                target_name=record.class_name,
                hidden_name=one.class_name,
                effect=one.effect,
                control_effect=(
                    None if one.control_dice is None else effects.dice_shown - one.control_dice
                ),
                area_fraction=one.area_fraction,
            )
            for record, effects in with_effects
            for one in effects.classes
        ]
        passes = sum(record.passes.get("effects", 0) for record, _ in with_effects)
        return cls.of(model, objects, Cost(forward_passes=passes))

    def cell(self, target_name: str, hidden_name: str) -> EffectCell | None:
        """The cell of two classes; None if they never occur in one image."""
        wanted = (target_name, hidden_name)
        return next((c for c in self.cells if (c.target_name, c.hidden_name) == wanted), None)

    def table(self) -> tuple[list[str], list[str], np.ndarray]:
        """Target classes, hidden classes, and the mean effect (targets, hidden); NaN if unknown."""
        targets = sorted({cell.target_name for cell in self.cells})
        hidden = sorted({cell.hidden_name for cell in self.cells})
        effects = np.full((len(targets), len(hidden)), np.nan)
        for cell in self.cells:
            row, column = targets.index(cell.target_name), hidden.index(cell.hidden_name)
            effects[row, column] = cell.effect
        return targets, hidden, effects

    def dependencies(self) -> list[EffectCell]:
        """The cells whose effect is surely above chance, the strongest first.

        These have at least five images with a control, an interval of the difference to it above 0,
        and a difference of at least 0.05.
        """
        found = [cell for cell in self.cells if cell.is_dependency]
        return sorted(found, key=lambda cell: -(cell.beyond_chance or 0))

    def sentences(self, most: int = 5) -> list[str]:
        """The strongest dependencies in plain words; one that says so if there are none."""
        found = [cell.sentence() for cell in self.dependencies()[:most]]
        if found:
            return found
        tested, pairs = sum(cell.beyond_low is not None for cell in self.cells), len(self.cells)
        none = (
            f"No class was found to depend on another beyond chance: {tested} of {pairs} pairs of "
            f"classes occur in at least {FEWEST_CASES} images with a control."
        )
        return [none]

    def record(self) -> EffectMatrixRecord:
        """All of it as a record that becomes JSON."""
        return EffectMatrixRecord(
            model=self.model,
            num_images=self.num_images,
            objects=self.objects,
            cells=self.cells,
            cost=CostRecord.of(self.cost),
        )


@entrance("context_effect_matrix")
def context_effect_matrix(
    model: SegmentationModel | nn.Module,
    samples: Dataset | Sequence[Sample],
    *,
    classes: Sequence[str] = (),
    instances: bool = False,
    min_area: float = 0.001,
    num_controls: int = 3,
    baseline_image: str | Tensor = "mean",
    edge_px: int = 0,
    seed: int = 0,
    on_step: OnStep | None = None,
    progress: bool | None = None,
    class_names: str | Sequence[str] = (),
) -> ContextEffectMatrix:
    """What hiding each class does to the objects of each class, over a data set.

    Takes one pass an image, and one for each object, class around it, and control. Images in which
    the network finds no object count in nothing.

    Args:
        model: the model; it comes back as it was.
        samples: a data set, or samples in memory.
        classes: names or numbers of the classes that are targets; empty: all but the background.
        instances: each connected object is a target, instead of each class as a whole.
        min_area: smallest target and smallest hidden class, as a share of the image, in [0, 1).
        num_controls, baseline_image, edge_px: as of `context_effects`.
        seed: with the sample's key that of each sample.
        on_step: called once an image.
        progress: whether a bar is shown (see `explain`).
        class_names: of a torch module (see `explain`).

    Raises:
        InputError: bad arguments, or a sample that cannot be read.
        ModelError: the network fails.
    """
    model = as_model(model, class_names)
    plan = RunPlan(classes=tuple(classes), instances=instances, min_area=min_area)
    plan.check(model)
    settings = EffectSettings(
        num_superpixels=0,
        num_controls=num_controls,
        min_area=min_area,
        baseline_image=baseline_image,
        edge_px=edge_px,
    )
    dataset = as_dataset(samples)
    found: list[ObjectEffect] = []
    with (
        model.counting() as cost,
        shown_progress(progress, on_step) as told,
        model.borrowed(),
    ):
        for index in range(len(dataset.keys)):
            sample = dataset[index]
            own = replace(
                settings, seed=seed_of(f"{seed}:{sample.key}"), spacing_mm=sample.spacing_mm
            )
            found += _of_sample(model, sample, plan, own)
            told("hiding", index + 1, len(dataset.keys))
    return ContextEffectMatrix.of(model.name, found, cost)


def _of_sample(
    model: SegmentationModel, sample: Sample, plan: RunPlan, settings: EffectSettings
) -> Iterator[ObjectEffect]:
    """The effects of hiding each class on each object of one sample."""
    segmentation = segment(model, sample.image, affine=sample.affine)
    class_indices = [model.find_class(name) for name in plan.classes]
    for each in objects_of(sample, segmentation, plan, class_indices):
        effects = effects_of(segmentation, sample.image, each.target, settings)
        for effect in effects.effects:
            if effect.kind in (CLASS, BACKGROUND):
                control = effect.control_dice
                yield ObjectEffect(
                    key=each.key,
                    case=case_of(sample.key),
                    target_name=each.target.class_name,
                    hidden_name=_hidden_name(model, effect),
                    effect=effect.effect,
                    control_effect=None if control is None else effects.dice_shown - control,
                    area_fraction=effect.area_fraction,
                )


def _hidden_name(model: SegmentationModel, effect: ContextEffect) -> str:
    if effect.kind == BACKGROUND or effect.class_index is None:
        return BACKGROUND_NAME
    return model.class_name(effect.class_index)
