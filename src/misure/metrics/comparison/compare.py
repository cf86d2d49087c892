"""Comparisons: several methods explain the same objects, and all of their maps are measured.

A comparison is a run of each method, and then the metrics over these runs (see `compare_runs`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from msgspec import structs
from torch import nn

from misure._util.progress import OnStep, shown_progress
from misure._util.suggestions import did_you_mean
from misure.datasets.sample import Dataset, Sample, as_dataset
from misure.errors import InputError, entrance
from misure.explanation.annotated_objects import model_for_dataset
from misure.methods import METHODS
from misure.metrics import GROUPS
from misure.metrics.comparison.compare_runs import compare_runs
from misure.metrics.comparison.comparison import Comparison
from misure.metrics.measure import metrics_of
from misure.models.inputs import as_model
from misure.models.model import SegmentationModel
from misure.runs.execution import Execution
from misure.runs.plan import RunPlan
from misure.runs.run import OnProgress, Progress, run

CONTROLS = tuple(name for name, method in METHODS.shipped.items() if method.kind == "control")
DEFAULT_METHODS = ("misure", "seg_grad_cam", "rise", *CONTROLS)
DEFAULT_METRICS = tuple(group for group in GROUPS if group not in ("stability", "sanity"))
"""All but the two groups that make every map eight times again."""


@entrance("compare")
def compare(
    model: SegmentationModel | nn.Module,
    samples: Dataset | Sequence[Sample],
    *,
    methods: Sequence[str] = DEFAULT_METHODS,
    metrics: Sequence[str] = DEFAULT_METRICS,
    class_index: int | None = None,
    instance: int | None = None,
    dice_threshold: float = 0.9,
    baseline_image: str = "mean",
    method_options: Mapping[str, Mapping[str, Any]] | None = None,
    seed: int = 0,
    on_step: OnStep | None = None,
    progress: bool | None = None,
    class_names: str | Sequence[str] = (),
) -> Comparison:
    """The maps of several methods for one object of each sample, measured.

    A method that fails on an object gives a row with its reason and no metrics; a metric that fails
    is None. Maps lie in a temporary folder, so memory does not grow with the number of samples.

    Args:
        model: the model to explain; it comes back as it was.
        samples: a data set, or samples in memory.
        methods: names in `METHODS`; `all`.
        metrics: names in `METRICS`, or of groups of them; `all`.
        class_index: what to explain; by default the object at the sample's `point`, or without a
            point the largest class but the background.
        instance: only one connected object, 0 is the largest.
        dice_threshold: Dice from which a target counts as preserved.
        baseline_image: what replaces pixels that are removed. Both are given to the metrics, and to
            the methods that take them unless `method_options` says otherwise.
        method_options: method -> its options.
        seed: of whatever is random.
        on_step: told of every sample that a method explains, and of every map that is measured.
        progress: whether a bar is shown (see `explain`).
        class_names: of a torch module (see `explain`).

    Raises:
        InputError: an unknown method, metric or option; or there is not a single map in the end.
    """
    given, dataset = method_options or {}, as_dataset(samples)
    model = model_for_dataset(as_model(model, class_names), dataset)
    plan = RunPlan(
        objects="asked",
        classes=() if class_index is None else (str(class_index),),
        instance=instance,
        dice_threshold=dice_threshold,
        seed=seed,
    )
    plans = []
    for name in _method_names(methods, given):
        shared = METHODS[name].options_among({"baseline_image": baseline_image})
        options = {**shared, **given.get(name, {})}
        plans.append(structs.replace(plan, method=name, method_options=options))
        plans[-1].check(model)
    metrics_of(metrics)  # an unknown one is an error before any work is done
    with (
        TemporaryDirectory(prefix="misure-compare-") as folder,
        shown_progress(progress, on_step) as told,
    ):
        runs = [Path(folder) / plan.method for plan in plans]
        for number, (plan, out) in enumerate(zip(plans, runs, strict=True)):
            run(
                dataset,
                model,
                out,
                plan,
                execution=Execution(num_threads=torch.get_num_threads()),
                on_progress=_explaining(told, number, len(plans)),
            )
        comparison = compare_runs(
            model,
            dataset,
            runs,
            metrics=metrics,
            baseline_image=baseline_image,
            method_options={plan.method: plan.method_options for plan in plans},
            on_step=told,
        )
    if not any(row.metrics for row in comparison.rows):
        first = next((row.error for row in comparison.rows), "there is no sample.")
        raise InputError(f"expected at least one map, got none; the first: {first}")
    chosen = {"class_index": class_index, "instance": instance}
    return replace(comparison, settings=comparison.settings | chosen)


def _explaining(on_step: OnStep, number: int, num_runs: int) -> OnProgress:
    """Tells of the progress of one of several runs as of a part of the whole."""

    def on_progress(progress: Progress) -> None:
        total = progress.total_samples
        on_step("explaining", number * total + progress.num_samples, num_runs * total)

    return on_progress


def _method_names(methods: Sequence[str], options: Mapping[str, Any]) -> list[str]:
    """The names of the methods to compare.

    Raises:
        InputError: an unknown name, no name, or options of a method that is not compared.
    """
    names = list(METHODS) if "all" in methods else list(dict.fromkeys(methods))
    unknown = [name for name in [*names, *options] if name not in METHODS]
    if unknown or not names:
        got = f"{unknown[0]!r}.{did_you_mean(unknown[0], METHODS)}" if unknown else "none."
        raise InputError(f"expected methods among {', '.join(METHODS)}, got {got}")
    if unused := set(options) - set(names):
        raise InputError(
            f"expected options of the methods that are compared ({', '.join(names)}), "
            f"got some of {', '.join(sorted(unused))}."
        )
    return names
