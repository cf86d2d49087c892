"""The objects of a sample that a run explains."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from misure.images.regions import area_fraction
from misure.models.segmentation import Segmentation
from misure.models.target import Target
from misure.runs.plan import RunPlan


@dataclass(frozen=True)
class RunObject:
    """One object to explain.

    Attributes:
        key: `SAMPLE#CLASS`, or `SAMPLE#CLASS.INSTANCE`; unique in a run.
        target: the object.
        instance: its number among the connected objects of its class, 0 the largest; None for a
            class as a whole.
    """

    key: str
    target: Target
    instance: int | None = None


def objects_of(
    sample: str, segmentation: Segmentation, plan: RunPlan, class_indices: Sequence[int]
) -> Iterator[RunObject]:
    """The objects that the network segments in a sample, by class and size.

    Args:
        sample: its key.
        segmentation: of its image.
        plan: says whether connected objects are told apart, and how small they may be.
        class_indices: classes to explain; empty: all in the foreground.
    """
    model = segmentation.model
    found = {row.class_index: row for row in segmentation.found_classes()}
    foreground = [index for index in sorted(found) if not model.is_background(index)]
    for class_index in dict.fromkeys(class_indices or foreground):
        if class_index not in found:
            continue
        instances = range(found[class_index].num_objects) if plan.instances else [None]
        for instance in instances:
            target = segmentation.target(class_index, instance=instance)
            if area_fraction(target.region) < plan.min_area:
                break  # the next ones are smaller
            suffix = "" if instance is None else f".{instance}"
            yield RunObject(f"{sample}#{class_index}{suffix}", target, instance)
