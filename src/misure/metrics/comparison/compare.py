"""Comparisons: the maps of several methods for the same targets, and every metric of each map.

All maps of a target are measured alike (see `measurement`). A method or a metric that fails on one
object leaves an empty cell with its reason, and the comparison goes on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from misure.datasets.sample import Dataset, Sample, as_dataset, case_of
from misure.errors import EmptyTargetError, InputError, reason_of
from misure.explanation.probe import OnStep, Probe
from misure.methods import METHODS
from misure.methods.method import Method, MethodResult
from misure.metrics import GROUPS, MeasuredMap, Metric
from misure.metrics.comparison.row import Row
from misure.metrics.comparison.statistics import Summary, summarise_rows
from misure.metrics.measure import make_trial, measure, metrics_of
from misure.models.device import to_device
from misure.models.model import SegmentationModel
from misure.models.segmentation import segment
from misure.models.target import Target

CONTROLS = tuple(name for name, method in METHODS.shipped.items() if method.kind == "control")
DEFAULT_METHODS = ("misure", "seg_grad_cam", "rise", *CONTROLS)
DEFAULT_METRICS = tuple(group for group in GROUPS if group not in ("stability", "sanity"))
"""All but the two groups that make every map eight times again."""

NUM_PICTURED = 12
"""How many objects are kept with their maps, for a picture."""


@dataclass(frozen=True, eq=False)
class PicturedObject:
    """One object with its maps, for a picture.

    Attributes:
        sample: the image.
        target: the object.
        maps: method -> map (*spatial).
    """

    sample: Sample
    target: Target
    maps: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Comparison:
    """What came out.

    Attributes:
        rows: one for each object and method, object by object.
        settings: how it was made, as plain values.
        pictured: the first objects with their maps.
    """

    rows: list[Row]
    settings: dict[str, Any]
    pictured: list[PicturedObject]

    @property
    def methods(self) -> list[str]:
        """Their names, in the order in which they were asked for."""
        return list(self.settings["methods"])

    @property
    def metrics(self) -> list[str]:
        """Their names, in the order of the registry."""
        return list(self.settings["metrics"])

    def summary(self) -> dict[str, dict[str, Summary]]:
        """Method -> metric -> mean over objects, interval and so on (see `summarise_rows`)."""
        return summarise_rows(self.rows, self.methods, self.metrics)

    def record(self) -> dict[str, Any]:
        """Everything as plain values, in the form of `comparison.json`."""
        return {
            "settings": self.settings,
            "rows": [row.record() for row in self.rows],
            "summary": self.summary(),
        }


def compare(
    model: SegmentationModel,
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
) -> Comparison:
    """The maps of several methods for one object of each sample, measured.

    Args:
        model: the model to explain; it comes back as it was.
        samples: a data set, or samples in memory.
        methods: names in `METHODS`; `all`.
        metrics: names in `METRICS`, or of groups of them; `all`.
        class_index: what to explain; by default the object at the sample's `point` where it has
            one, else the largest class but class 0.
        instance: only one connected object, 0 is the largest.
        dice_threshold: Dice from which a target counts as preserved.
        baseline_image: what stands where pixels are removed. Both are given to the metrics, and to
            the methods that take them where `method_options` says nothing else.
        method_options: method -> its options.
        seed: of whatever is random.
        on_step: told of every map.

    Raises:
        InputError: an unknown method, metric or option; or there is not a single map in the end.
    """
    shared = {"dice_threshold": dice_threshold, "baseline_image": baseline_image}
    chosen = _methods_of(model, methods, method_options or {}, shared)
    measured = metrics_of(metrics)
    dataset = as_dataset(samples)
    rows: list[Row] = []
    pictured: list[PicturedObject] = []
    total = len(dataset.keys) * len(chosen)
    for index, key in enumerate(dataset.keys):
        try:
            sample = dataset[index]
            target = _target_of(model, sample, class_index, instance)
            probe = make_trial(model, sample.image, target, dice_threshold, baseline_image, seed)
        except Exception as error:  # also of a data set of somebody's own
            rows += [
                Row(key, case_of(key), None, method.name, {}, error=reason_of(error))
                for method, _ in chosen
            ]
            continue
        drawn = PicturedObject(sample, target)
        pictured += [drawn][: NUM_PICTURED - len(pictured)]
        is_known = class_index is None and instance is None and sample.point is not None
        relevance = sample.relevance if is_known else None
        for method, options in chosen:
            if on_step:
                on_step("comparing", len(rows), total)
            row, result = _compare_one(
                model, sample, target, probe, relevance, method, options, measured, seed
            )
            rows.append(row)
            if result:
                drawn.maps[method.name] = result.saliency_map
    if not any(row.cost for row in rows):
        first = next((row.error for row in rows), "there is no sample.")
        raise InputError(f"compare: expected at least one map, got none; the first: {first}")
    settings = {
        "methods": {
            method.name: {"options": _plain(method.options | options), "source": method.source}
            for method, options in chosen
        },
        "metrics": {metric.name: metric.record() for metric in measured},
        "class_index": class_index,
        "instance": instance,
        "dice_threshold": dice_threshold,
        "baseline_image": baseline_image,
        "seed": seed,
        "model": model.name,
        "model_settings": model.settings(),
    }
    return Comparison(rows, settings, pictured)


def _compare_one(
    model: SegmentationModel,
    sample: Sample,
    target: Target,
    probe: Probe,
    relevance: Tensor | None,
    method: Method,
    options: Mapping[str, Any],
    metrics: Sequence[Metric],
    seed: int,
) -> tuple[Row, MethodResult | None]:
    about, case = target.record(), case_of(sample.key)
    try:
        result = method(model, sample.image, target, seed=seed, **options)
    except Exception as error:  # also of other libraries
        return Row(sample.key, case, about, method.name, {}, error=reason_of(error)), None

    def remake(other_model: SegmentationModel, image: Tensor, other_seed: int) -> Tensor:
        return method(other_model, image, target, seed=other_seed, **options).saliency_map

    subject = MeasuredMap(model, probe, result, remake, relevance)
    figures, failed, passes = measure(subject, metrics)
    row = Row(
        sample.key,
        case,
        about,
        method.name,
        figures,
        result.cost,
        failed,
        result.layer,
        result.peak_memory_mb,
        passes,
    )
    return row, result


def _methods_of(
    model: SegmentationModel,
    names: Sequence[str],
    options: Mapping[str, Mapping[str, Any]],
    shared: Mapping[str, Any],
) -> list[tuple[Method, dict[str, Any]]]:
    """The methods of these names, each with its options."""
    wanted = list(METHODS) if "all" in names else list(dict.fromkeys(names))
    for name in [*wanted, *options]:
        if name not in METHODS:
            raise InputError(f"compare: expected methods among {', '.join(METHODS)}, got {name!r}.")
    if not wanted:
        raise InputError(f"compare: expected methods among {', '.join(METHODS)}, got none.")
    if unused := set(options) - set(wanted):
        raise InputError(
            f"compare: expected options of the methods that are compared ({', '.join(wanted)}), "
            f"got some of {', '.join(sorted(unused))}."
        )
    chosen = []
    for name in wanted:
        method, own = METHODS[name], options.get(name, {})
        of_all = method.options_among(shared)
        method.check_options(model, {**of_all, **own})
        chosen.append((method, {**of_all, **own}))
    return chosen


def _plain(options: Mapping[str, Any]) -> dict[str, Any]:
    return {k: "tensor" if isinstance(v, Tensor) else v for k, v in options.items()}


def _target_of(
    model: SegmentationModel, sample: Sample, class_index: int | None, instance: int | None
) -> Target:
    segmentation = segment(model, to_device(sample.image, model.device))
    if class_index is None and instance is None and sample.point is not None:
        wanted = None if sample.annotation is None else int(sample.annotation[sample.point])
        return segmentation.target(wanted, point=sample.point)
    if class_index is None:
        found = [one.class_index for one in segmentation.found_classes()]
        classes = [one for one in found if not model.is_background(one)]
        if not classes:
            raise EmptyTargetError(
                f"compare: expected {model.name} to find more than class 0 in {sample.key}, it "
                "finds nothing else. Name a class to explain class 0."
            )
        class_index = classes[0]
    return segmentation.target(class_index, instance=instance)
