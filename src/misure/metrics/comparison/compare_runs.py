"""Metrics of the maps that lie in run folders: a comparison that can be stopped and gone on with.

Each run is one method on the same data set with the same network. Figures are kept beside the
records, in `metrics.jsonl`, one line a map, so that none is measured twice.
"""

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from misure._util.records import plain
from misure.datasets.sample import Dataset, Sample, case_of
from misure.errors import InputError
from misure.explanation.probe import OnStep, Probe
from misure.methods import METHODS
from misure.methods.method import MethodResult
from misure.methods.own import PRESET_OF
from misure.metrics import MeasuredMap, Metric
from misure.metrics.comparison.compare import NUM_PICTURED, Comparison, PicturedObject
from misure.metrics.comparison.row import Row
from misure.metrics.measure import make_trial, measure, metrics_of
from misure.models.model import SegmentationModel
from misure.models.target import Target
from misure.runs.folder import RunFolder
from misure.runs.maps import read_result, recorded_cost
from misure.runs.record import DoneObject, ObjectRecord, RunSettings

_FIGURES = "metrics-*.jsonl"
_RELEVANT = 0.5  # part of a target that is known to matter from which relevance is about it


def compare_runs(
    model: SegmentationModel,
    dataset: Dataset,
    runs: Sequence[str | Path],
    *,
    metrics: Sequence[str],
    baseline_image: str = "mean",
    on_step: OnStep | None = None,
) -> Comparison:
    """Every metric of every map in some runs, object by object.

    Only samples that every run has looked at are compared: where one run went further, its means
    would be of other objects.

    Args:
        model: the network of the runs.
        dataset: their samples.
        runs: run folders, each of another method.
        metrics: names in `METRICS`, or of groups of them; `all`.
        baseline_image: what stands where metrics remove pixels.
        on_step: told of every map.

    Raises:
        RunFolderError: a folder is no run.
        InputError: an unknown metric; two runs of one method; another data set.
    """
    folders = [RunFolder(one) for one in runs]
    settings = [folder.settings() for folder in folders]
    _check_alike(settings)
    measured = metrics_of(metrics)
    measuring = _Measuring(model, measured, settings[0], baseline_image)
    read = [
        _MeasuredRun(folder, of_run, _Figures(folder, measuring.identity()))
        for folder, of_run in zip(folders, settings, strict=True)
    ]
    by_sample = _by_sample(folders)
    numbers = {key: number for number, key in enumerate(dataset.keys)}
    comparing = _Comparing(read, measuring)
    total = sum(len(of_item) for items in by_sample.values() for of_item in items.values())
    for key in sorted(by_sample, key=lambda key: numbers.get(key, -1)):
        if key not in numbers:
            raise InputError(
                f"compare_runs: expected the data set of the runs, it has no sample {key!r}."
            )
        sample = cache(partial(dataset.__getitem__, numbers[key]))  # read once, if at all
        for item_key, of_item in sorted(by_sample[key].items()):
            if on_step:
                on_step("measuring", len(comparing.rows), total)
            comparing.add(item_key, sample, of_item)
    told = {
        "methods": {one.method: one.told() for one in read},
        "metrics": {metric.name: metric.record() for metric in measured},
        "dice_threshold": settings[0].dice_threshold,
        "baseline_image": baseline_image,
        "seed": settings[0].seed,
        "model": model.name,
        "model_settings": model.settings(),
    }
    return Comparison(comparing.rows, told, comparing.pictured)


@dataclass(frozen=True)
class _MeasuredRun:
    """One of the runs: its folder, its settings, and the figures that are known of its maps."""

    folder: RunFolder
    settings: RunSettings
    figures: "_Figures"

    @property
    def method(self) -> str:
        return self.settings.method

    def told(self) -> dict[str, Any]:
        kind = METHODS[self.method]
        return {"options": kind.options | self.settings.method_options, "source": kind.source}

    def result(self, record: DoneObject) -> MethodResult:
        return read_result(self.folder, record, self.settings)


class _Comparing:
    """Rows as they come, and the first objects with their maps."""

    def __init__(self, runs: Sequence[_MeasuredRun], measuring: "_Measuring") -> None:
        self._runs, self._measuring = runs, measuring
        self.rows: list[Row] = []
        self.pictured: list[PicturedObject] = []

    def add(
        self, key: str, sample: Callable[[], Sample], of_item: Mapping[int, ObjectRecord]
    ) -> None:
        """One object: a row for each run; its maps are read only for what is not known yet."""
        is_pictured = len(self.pictured) < NUM_PICTURED
        maps: dict[str, Tensor] = {}
        target: Target | None = None
        for number, record in sorted(of_item.items()):
            one = self._runs[number]
            known = one.figures.get(key)
            if isinstance(record, DoneObject) and (known is None or is_pictured):
                result = one.result(record)
                target = target or result.target
                maps[one.method] = result.saliency_map
                if known is None:
                    known = self._measuring.figures(sample(), result)
                    one.figures.put(key, known)
            self.rows.append(_row(key, one.method, record, known))
        if target is not None and is_pictured:
            named = replace(sample(), key=key)  # of one sample there may be several
            self.pictured.append(PicturedObject(named, target, maps))


def _check_alike(settings: Sequence[RunSettings]) -> None:
    """Raises an InputError unless the runs differ in their method, and in nothing else."""
    methods = [one.method for one in settings]
    if len(set(methods)) < len(methods):
        raise InputError(
            f"compare_runs: expected runs of different methods, got {', '.join(methods)}."
        )
    for one in settings[1:]:
        other = [
            key
            for key in RunSettings.__struct_fields__
            if key not in ("method", "method_options", "finds_regions")
            and getattr(one, key) != getattr(settings[0], key)
        ]
        if other:
            raise InputError(
                "compare_runs: expected runs that differ in nothing but their method, got other "
                f"{', '.join(other)}."
            )


class _Measuring:
    """Measures maps, the probe of a target made once for all of its methods."""

    def __init__(
        self,
        model: SegmentationModel,
        metrics: Sequence[Metric],
        settings: RunSettings,
        baseline_image: str,
    ) -> None:
        self._model, self._metrics, self._baseline_image = model, metrics, baseline_image
        self._dice_threshold, self._seed = settings.dice_threshold, settings.seed
        self._trial: tuple[str, Target, Probe] | None = None

    def identity(self) -> dict[str, Any]:
        """What the figures depend on besides the map."""
        names = [metric.name for metric in self._metrics]
        return {"metrics": names, "baseline_image": self._baseline_image, "seed": self._seed}

    def figures(self, sample: Sample, result: MethodResult) -> dict[str, Any]:
        """The figures of one map, as plain values."""
        method, options = METHODS[result.method], dict(result.options)
        if result.method in PRESET_OF:
            options |= {"dice_threshold": self._dice_threshold}

        def remake(model: SegmentationModel, image: Tensor, seed: int) -> Tensor:
            made = method(model, image, result.target, seed=seed, **options)
            return made.saliency_map

        subject = MeasuredMap(
            self._model, self._trial_of(sample, result.target), result, remake,
            relevance_of(sample, result.target),
        )  # fmt: skip
        figures, error, passes = measure(subject, self._metrics)
        return {"figures": figures, "error": error, "passes": passes}

    def _trial_of(self, sample: Sample, target: Target) -> Probe:
        known = self._trial
        if known and known[0] == sample.key and torch.equal(known[1].region, target.region):
            return known[2]
        probe = make_trial(
            self._model,
            sample.image,
            target,
            self._dice_threshold,
            self._baseline_image,
            self._seed,
        )
        self._trial = (sample.key, target, probe)
        return probe


def relevance_of(sample: Sample, target: Target) -> Tensor | None:
    """What is known to matter for a target; None where that is about something else."""
    relevance = sample.relevance
    if relevance is None or not bool(relevance.any()):
        return None
    inside = int((target.region & relevance).sum()) / int(target.region.sum())
    return relevance if inside >= _RELEVANT else None


class _Figures:
    """The figures of one run, kept beside its records."""

    def __init__(self, folder: RunFolder, identity: Mapping[str, Any]) -> None:
        self._storage, self._identity = folder.storage, dict(identity)
        self._name = _FIGURES.replace("*", secrets.token_hex(6))  # a file for each writer
        self._known: dict[str, dict[str, Any]] = {}
        for line in folder.lines(_FIGURES, dict[str, Any]):
            is_whole = isinstance(line.get("figures"), dict) and {"key", "error", "passes"} <= {
                *line
            }
            if is_whole and line.get("identity") == self._identity:
                self._known[line["key"]] = line

    def get(self, key: str) -> dict[str, Any] | None:
        return self._known.get(key)

    def put(self, key: str, found: Mapping[str, Any]) -> None:
        line = {"key": key, "identity": self._identity, **found}
        self._storage.append(self._name, (json.dumps(line, allow_nan=False) + "\n").encode())
        self._known[key] = line


def _by_sample(
    folders: Sequence[RunFolder],
) -> dict[str, dict[str, dict[int, ObjectRecord]]]:
    """Sample -> item -> number of the run -> record, of the samples that every run has."""
    records = [folder.records() for folder in folders]
    in_all = set.intersection(*({record.sample for record in of_run} for of_run in records))
    found: dict[str, dict[str, dict[int, ObjectRecord]]] = {}
    for number, of_run in enumerate(records):
        for record in of_run:
            if record.sample in in_all:
                of_sample = found.setdefault(record.sample, {})
                of_sample.setdefault(record.key, {})[number] = record
    return found


def _row(key: str, method: str, record: ObjectRecord, known: Mapping[str, Any] | None) -> Row:
    case = case_of(record.sample)
    if not isinstance(record, DoneObject) or known is None:
        return Row(key, case, None, method, {}, error=record.reason)
    cost = recorded_cost(record)
    return Row(
        key,
        case,
        plain(record.target),
        method,
        known["figures"],
        cost,
        known["error"],
        record.layer,
        metric_passes=known["passes"],
    )
