"""The objects of a sample that a run explains."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from misure.datasets.sample import Sample
from misure.errors import EmptyTargetError
from misure.images.regions import area_fraction
from misure.models.segmentation import Segmentation
from misure.models.target import Target
from misure.runs.plan import RunPlan


@dataclass(frozen=True)
class RunObject:
    """One object to explain.

    Attributes:
        key: `SAMPLE#CLASS`, or `SAMPLE#CLASS.INSTANCE`; in a run of one object a sample, the
            sample's key. Unique in a run.
        target: the object.
        instance: its number among the connected objects of its class, 0 the largest; None for a
            class as a whole.
    """

    key: str
    target: Target
    instance: int | None = None


def objects_of(
    sample: Sample, segmentation: Segmentation, plan: RunPlan, class_indices: Sequence[int]
) -> list[RunObject]:
    """The objects of a sample that a run explains, by class and size.

    Args:
        sample: the image and what is known of it.
        segmentation: of the image.
        plan: says which objects, whether connected ones are told apart, and how small they may be.
        class_indices: classes to explain; empty: all in the foreground.

    Raises:
        EmptyTargetError, InputError: as `asked_target`, if the plan asks for one object.
    """
    if plan.objects == "all":
        return list(_all_objects(sample.key, segmentation, plan, class_indices))
    class_index = class_indices[0] if class_indices else None
    target = asked_target(sample, segmentation, class_index=class_index, instance=plan.instance)
    return [RunObject(sample.key, target, plan.instance)]


def asked_target(
    sample: Sample,
    segmentation: Segmentation,
    *,
    class_index: int | None = None,
    instance: int | None = None,
) -> Target:
    """The one object that a sample asks about.

    It is the object at the sample's `point`, of the class that the annotation has there. Without a
    point, or if an instance is given, it is of the largest class but the background.

    Args:
        sample: the image and what is known of it.
        segmentation: of the image.
        class_index: this class instead.
        instance: the number of a connected object of the class, 0 the largest; None: all of the
            class, or the object at the point.

    Raises:
        EmptyTargetError: the model finds no such object.
        InputError: the class has fewer objects.
    """
    if class_index is None and instance is None and sample.point is not None:
        wanted = sample.annotated_class_at(sample.point)
        return segmentation.target(wanted, point=sample.point)
    if class_index is None:
        class_index = _largest_class(sample, segmentation)
    return segmentation.target(class_index, instance=instance)


def _largest_class(sample: Sample, segmentation: Segmentation) -> int:
    model = segmentation.model
    for row in segmentation.found_classes():
        if not model.is_background(row.class_index):
            return row.class_index
    raise EmptyTargetError(
        f"expected {model.name} to find more than class 0 in {sample.key}, it finds nothing else. "
        "Name a class to explain class 0."
    )


def _all_objects(
    sample: str, segmentation: Segmentation, plan: RunPlan, class_indices: Sequence[int]
) -> Iterator[RunObject]:
    model = segmentation.model
    rows = {row.class_index: row for row in segmentation.found_classes()}
    foreground = [index for index in sorted(rows) if not model.is_background(index)]
    for class_index in dict.fromkeys(class_indices or foreground):
        if class_index not in rows:
            continue
        instances = range(rows[class_index].num_objects) if plan.instances else [None]
        for instance in instances:
            target = segmentation.target(class_index, instance=instance)
            if area_fraction(target.region) < plan.min_area:
                break  # the next ones are smaller
            suffix = "" if instance is None else f".{instance}"
            yield RunObject(f"{sample}#{class_index}{suffix}", target, instance)
