"""Measurement: the metrics of one map, the same for every method.

All maps of a target are measured on one probe: the target, a baseline image, hard edges and a
threshold, whatever a method did to find its map.
"""

from collections.abc import Sequence
from math import isfinite

from torch import Tensor

from misure.errors import InputError, reason_of
from misure.explanation.content_controls import make_content_controls
from misure.explanation.presentation import make_presentations
from misure.explanation.probe import Probe
from misure.metrics import GROUPS, METRICS, MeasuredMap, Metric
from misure.models.device import to_device
from misure.models.model import SegmentationModel
from misure.models.target import Target


def metrics_of(names: Sequence[str]) -> list[Metric]:
    """The metrics of these names and groups, in the order of the registry.

    Raises:
        InputError: an unknown name.
    """
    for name in names:
        if name not in {*METRICS, *GROUPS, "all"}:
            raise InputError(
                f"compare: expected metrics among {', '.join(METRICS)}, or groups of them "
                f"({', '.join(GROUPS)}, all), got {name!r}."
            )
    return [one for one in METRICS.values() if {one.name, one.group, "all"} & {*names}]


def make_probe(
    model: SegmentationModel,
    image: Tensor,
    target: Target,
    dice_threshold: float,
    baseline_image: str,
    seed: int,
) -> Probe:
    """What every map of a target is measured by: hard edges, one baseline image, one threshold."""
    own = to_device(image, model.device)
    return Probe(
        target.to(model.device),
        make_presentations(model, own, baseline_image=baseline_image, seed=seed),
        dice_threshold=dice_threshold,
        content_controls=make_content_controls(own, seed=seed),
    )


def measure(
    subject: MeasuredMap, metrics: Sequence[Metric]
) -> tuple[dict[str, float | None], str, int]:
    """The figures of one map, what went wrong with them, and the pass equivalents spent on them."""
    figures: dict[str, float | None] = {}
    errors = []
    with subject.model.counting() as spent, subject.model.borrowed():
        for metric in metrics:
            try:
                figures[metric.name] = _finite(metric.measure(subject))
            except Exception as error:
                figures[metric.name] = None
                errors.append(f"{metric.name}: {reason_of(error)}")
    return figures, "; ".join(errors), spent.pass_equivalents


def _finite(figure: float | None) -> float | None:
    if figure is not None and not isfinite(figure):
        raise ValueError(f"it gave {figure}")
    return figure
