"""Measurement: the metrics of one map, computed alike for every method.

All maps of a target are measured on one probe: the target, a baseline image, hard edges and a
threshold, however a method has found its map.
"""

from collections.abc import Sequence
from math import isfinite

import numpy as np
import torch
from torch import Tensor, nn

from misure._util.progress import OnStep, shown_progress
from misure._util.suggestions import did_you_mean
from misure.errors import InputError, entrance, reason_of
from misure.explanation.content_controls import make_content_controls
from misure.explanation.presentation import make_presentations
from misure.explanation.probe import Probe
from misure.images.regions import area_fraction
from misure.images.spacing import check_spacing
from misure.metrics import METRICS, MeasuredMap, Metric
from misure.metrics.maps import check_same_shape
from misure.metrics.sufficiency import sufficient_top
from misure.models.device import to_device
from misure.models.given_target import AnyTarget, as_asked
from misure.models.inputs import AnyImage
from misure.models.model import SegmentationModel
from misure.models.target import Target


def metrics_of(names: Sequence[str]) -> list[Metric]:
    """The metrics of these names and groups, in the order of the registry.

    Raises:
        InputError: an unknown name.
    """
    groups = dict.fromkeys(entry.group for entry in METRICS.values())
    for name in names:
        if name not in {*METRICS, *groups, "all"}:
            raise InputError(
                f"expected metrics among {', '.join(METRICS)}, or groups of them "
                f"({', '.join(groups)}, all), got {name!r}."
                f"{did_you_mean(name, [*METRICS, *groups])}"
            )
    return [entry for entry in METRICS.values() if {entry.name, entry.group, "all"} & {*names}]


def make_probe(
    model: SegmentationModel,
    image: Tensor,
    target: Target,
    dice_threshold: float,
    baseline_image: str,
    seed: int,
    *,
    other: tuple[Tensor, str] | None = None,
    spacing_mm: Sequence[float] | None = None,
) -> Probe:
    """What every map of a target is measured by: hard edges, one baseline image, one threshold.

    Args:
        model, image, target: as of `explain`.
        dice_threshold, baseline_image, seed: as of `sufficient_area`.
        other: another image (C, *any) for the transfer Dice, and its name; None: the image turned.
        spacing_mm: sides of a pixel or voxel; None: they are equal.
    """
    own = to_device(image, model.device)
    other_image, name = other or (None, "")
    spacing_mm = check_spacing(spacing_mm, own.ndim - 1)
    return Probe(
        target.to(model.device),
        make_presentations(
            model, own, baseline_image=baseline_image, seed=seed, spacing_mm=spacing_mm
        ),
        dice_threshold=dice_threshold,
        content_controls=make_content_controls(own, other_image=other_image, name=name, seed=seed),
        spacing_mm=spacing_mm,
    )


@entrance("sufficient_area")
def sufficient_area(
    model: SegmentationModel | nn.Module,
    image: AnyImage,
    target: AnyTarget,
    saliency_map: Tensor | np.ndarray,
    *,
    dice_threshold: float = 0.9,
    baseline_image: str = "mean",
    seed: int = 0,
    on_step: OnStep | None = None,
    progress: bool | None = None,
    class_names: str | Sequence[str] = (),
) -> float:
    """The smallest top part of a map that suffices for a target, as a part of the image in [0, 1].

    The parts are shown to the model, about twenty of them; 1 if only the whole image suffices. The
    model comes back as it was.

    Args:
        model: the model to explain, or a torch module that takes images as they are.
        image: (C, *spatial) float, the image that the target was taken from; or what stands for it
            (see `as_image`).
        target: what the map explains (see `explain`).
        saliency_map: (*spatial) float, larger matters more, made by any library.
        dice_threshold: Dice from which the target counts as preserved, in (0, 1].
        baseline_image: what stands where pixels are removed: `mean`, `black`, `blurred`, `noise`
            or `filled`.
        seed: of the baseline image `noise`.
        on_step: called with progress.
        progress: whether a bar is shown (see `explain`).
        class_names: of a torch module (see `explain`).

    Raises:
        InputError: a map that does not have the image's shape; a threshold out of range.
    """
    model, pixels, asked = as_asked(model, image, target, class_names=class_names)
    ranked = torch.as_tensor(saliency_map)
    check_same_shape(ranked, asked.region)
    check_same_shape(pixels[0], asked.region)
    if not 0 < dice_threshold <= 1:
        raise InputError(f"expected dice_threshold in (0, 1], got {dice_threshold}.")
    probe = make_probe(model, pixels, asked, dice_threshold, baseline_image, seed)
    with model.borrowed(), shown_progress(progress, on_step) as told:
        return area_fraction(sufficient_top(model, probe, ranked, told))


def measure(
    subject: MeasuredMap, metrics: Sequence[Metric]
) -> tuple[dict[str, float | None], str, int]:
    """The metrics of one map, what went wrong with them, and the pass equivalents spent on them."""
    values: dict[str, float | None] = {}
    errors = []
    with subject.model.counting() as spent, subject.model.borrowed():
        for metric in metrics:
            try:
                values[metric.name] = _finite(metric.measure(subject))
            except Exception as error:
                values[metric.name] = None
                errors.append(f"{metric.name}: {reason_of(error)}")
    return values, "; ".join(errors), spent.pass_equivalents


def _finite(value: float | None) -> float | None:
    if value is not None and not isfinite(value):
        raise ValueError(f"it gave {value}")
    return value
