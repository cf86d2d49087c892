"""The comparison engine: every metric of the maps that lie in run folders, object by object.

Each run is one method on the same data set with the same network. All maps of a target are measured
alike (see `measure`), and what was measured is kept beside the records, so a comparison can be
stopped and continued.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from msgspec import structs
from torch import Tensor

from misure._util.progress import OnStep
from misure._util.records import plain
from misure.datasets.sample import Dataset, Sample, case_of
from misure.errors import InputError, reason_of
from misure.explanation.annotated_objects import model_for_dataset, model_for_sample
from misure.explanation.probe import Probe
from misure.images.spacing import known_spacing
from misure.methods.result import MethodResult
from misure.metrics import MeasuredMap, Metric
from misure.metrics.comparison.compared_run import ComparedRun, check_alike
from misure.metrics.comparison.comparison import NUM_PICTURED, Comparison, PicturedObject
from misure.metrics.comparison.known_metrics import KnownMetrics, MapMetrics, MeasuredWith
from misure.metrics.comparison.relevance import relevance_of
from misure.metrics.comparison.row import Row
from misure.metrics.measure import make_probe, measure, metrics_of
from misure.models.device import to_device
from misure.models.model import SegmentationModel
from misure.models.target import Target
from misure.runs.folder import RunFolder
from misure.runs.left_to_do import check_images
from misure.runs.maps import recorded_cost
from misure.runs.other_images import OtherImages
from misure.runs.record import DoneObject, ObjectRecord, RunSettings

ReadOther = Callable[[Tensor], tuple[Tensor, str] | None]
_Records = dict[str, ObjectRecord]  # method -> record of one object


def compare_runs(
    model: SegmentationModel,
    dataset: Dataset,
    runs: Sequence[str | Path],
    *,
    metrics: Sequence[str],
    baseline_image: str = "mean",
    method_options: Mapping[str, Mapping[str, Any]] | None = None,
    on_step: OnStep | None = None,
) -> Comparison:
    """Every metric of every map in the runs.

    Only samples that every run has looked at are compared: if one run is further than another, its
    means would be over other objects. Maps are read object by object, never all at once.

    Args:
        model: the network of the runs.
        dataset: their samples.
        runs: run folders, each of another method.
        metrics: names in `METRICS`, or of groups of them; `all`.
        baseline_image: what replaces the pixels that metrics remove.
        method_options: method -> its options, if they are more than a folder can hold (tensors); by
            default those of the run.
        on_step: told of every map.

    Raises:
        RunFolderError: a folder is no run, or images have changed since they were explained.
        InputError: an unknown metric; two runs of one method; runs that differ in more than the
            method; another data set.
    """
    model = model_for_dataset(model, dataset)
    opened = [ComparedRun.open(RunFolder(path), method_options or {}) for path in runs]
    check_alike([run.settings for run in opened])
    measuring = _Measuring(model, metrics_of(metrics), opened[0].settings, baseline_image)
    comparing, others = _Comparing(opened, measuring), OtherImages(dataset)
    objects = _by_sample(opened)
    numbers = {key: number for number, key in enumerate(dataset.keys)}
    if unknown := set(objects) - set(numbers):
        raise InputError(
            f"expected the data set of the runs, got one that has no sample {min(unknown)!r}."
        )
    for run in opened:
        check_images(run.folder, dataset, {numbers[key]: key for key in objects})
    total = sum(len(records) for of_sample in objects.values() for records in of_sample.values())
    for sample_key in sorted(objects, key=numbers.__getitem__):
        number = numbers[sample_key]
        read = cache(partial(dataset.__getitem__, number))  # once, if at all
        read_other = partial(others.of, number)
        for key, records in sorted(objects[sample_key].items()):
            if on_step:
                on_step("measuring", len(comparing.rows), total)
            comparing.add(key, read, read_other, records)
    settings = {
        "methods": {run.method: run.summary() for run in opened},
        "metrics": {metric.name: metric.record() for metric in measuring.metrics},
        "dice_threshold": opened[0].settings.dice_threshold,
        "baseline_image": baseline_image,
        "seed": opened[0].settings.seed,
        "model": model.name,
        "model_settings": model.settings(),
    }
    return Comparison(comparing.rows, settings, comparing.pictured)


class _Measuring:
    """Measures maps, the probe of a target made once for all of its methods."""

    def __init__(
        self,
        model: SegmentationModel,
        metrics: Sequence[Metric],
        settings: RunSettings,
        baseline_image: str,
    ) -> None:
        self.metrics = metrics
        self.measured_with = MeasuredWith(
            metrics=[metric.name for metric in metrics],
            baseline_image=baseline_image,
            seed=settings.seed,
        )
        self._model, self._dice_threshold = model, settings.dice_threshold
        self._probe: tuple[str, SegmentationModel, Probe] | None = None
        self._needs_another = any(
            "dice_by_content" in inspect.signature(metric.function).parameters for metric in metrics
        )

    def measure(
        self,
        run: ComparedRun,
        key: str,
        read: Callable[[], Sample],
        read_other: ReadOther,
        result: MethodResult,
    ) -> MapMetrics:
        """The metrics of one map of an object; none of them, and why, if nothing can be measured.

        Args:
            run: that the map is of.
            key: of the object.
            read: reads its sample.
            read_other: reads another image to put in place of an image (see `OtherImages`).
            result: its map.
        """
        values: dict[str, float | None] = {}
        passes, transfer_from = 0, ""
        try:
            sample = read()
            model, probe = self._probe_of(key, sample, read_other, result.target)
            if self._needs_another and probe.content_controls:
                transfer_from = probe.content_controls.transfer_from
            subject = MeasuredMap(
                model,
                probe,
                result,
                partial(run.remake, result),
                relevance_of(sample, result.target),
            )
            values, error, passes = measure(subject, self.metrics)
        except Exception as raised:  # of a data set of the user's own too
            error = reason_of(raised)
        return MapMetrics(
            key=key,
            measured_with=self.measured_with,
            metrics=values,
            error=error,
            passes=passes,
            transfer_from=transfer_from,
        )

    def _probe_of(
        self, key: str, sample: Sample, read_other: ReadOther, target: Target
    ) -> tuple[SegmentationModel, Probe]:
        """The model bound to the sample's image, and the target as it is shown to it."""
        if self._probe and self._probe[0] == key:
            _, model, probe = self._probe
            if torch.equal(probe.target.region.cpu(), target.region):
                return model, probe
        image = to_device(sample.image, self._model.device)
        model = model_for_sample(self._model, sample).for_image(image, sample.affine)
        probe = make_probe(
            model,
            sample.image,
            target,
            dice_threshold=self._dice_threshold,
            baseline_image=self.measured_with.baseline_image,
            seed=self.measured_with.seed,
            other=read_other(sample.image) if self._needs_another else None,
            spacing_mm=known_spacing(sample.spacing_mm),
        )
        self._probe = (key, model, probe)
        return model, probe


class _Comparing:
    """Rows as they come, and the first objects with their maps."""

    def __init__(self, runs: Sequence[ComparedRun], measuring: _Measuring) -> None:
        self._measuring = measuring
        self._runs = [(run, KnownMetrics(run.folder, measuring.measured_with)) for run in runs]
        self.rows: list[Row] = []
        self.pictured: list[PicturedObject] = []

    def add(
        self, key: str, read: Callable[[], Sample], read_other: ReadOther, records: _Records
    ) -> None:
        """One object: a row for each run; maps are read only for what is not known yet."""
        is_pictured = len(self.pictured) < NUM_PICTURED
        results: dict[str, MethodResult] = {}
        target = _shared_target(key, records)
        for run, known in self._runs:
            record = records.get(run.method)
            if record is None:
                continue
            measured = known.get(key, record.revision)
            if isinstance(record, DoneObject) and (measured is None or is_pictured):
                result = results[run.method] = run.result(record)
                if measured is None:
                    measured = self._measuring.measure(run, key, read, read_other, result)
                    measured = structs.replace(measured, revision=record.revision)
                    known.add(measured)
            self.rows.append(_row(key, run.method, target, record, measured))
        if results and is_pictured:
            self._picture(key, read, results)

    def _picture(
        self, key: str, read: Callable[[], Sample], results: Mapping[str, MethodResult]
    ) -> None:
        """Keeps an object for a picture, unless its image cannot be read any more."""
        maps = {method: result.saliency_map for method, result in results.items()}
        target = next(iter(results.values())).target
        try:
            self.pictured.append(PicturedObject(key, read(), target, maps))
        except Exception:  # its rows say why, if they needed the image
            return


def _shared_target(key: str, records: _Records) -> dict[str, Any] | None:
    """What the records of one object say of its target; None if it was found by no run.

    Raises:
        InputError: they are of different targets, so their networks are not the same.
    """
    targets = {method: record.target for method, record in records.items() if record.target}
    if not targets:
        return None
    first, target = next(iter(targets.items()))
    for method, other in targets.items():
        if other != target:
            raise InputError(
                f"expected runs of one network, whose objects are the same, but {key!r} has "
                f"{target.pixels:,} pixels of {target.class_name!r} for {first} and "
                f"{other.pixels:,} of {other.class_name!r} for {method}. Make the runs again."
            )
    described: dict[str, Any] = plain(target)
    return described


def _by_sample(runs: Sequence[ComparedRun]) -> dict[str, dict[str, _Records]]:
    """Sample -> object -> method -> record, of the samples that every run has looked at."""
    records = {run.method: run.folder.records() for run in runs}
    in_all = set.intersection(
        *({record.sample for record in of_run} for of_run in records.values())
    )
    objects: dict[str, dict[str, _Records]] = {}
    for method, of_run in records.items():
        for record in of_run:
            if record.sample in in_all:
                of_sample = objects.setdefault(record.sample, {})
                of_sample.setdefault(record.key, {})[method] = record
    return objects


def _row(
    key: str,
    method: str,
    target: dict[str, Any] | None,
    record: ObjectRecord,
    measured: MapMetrics | None,
) -> Row:
    row = Row(
        image=key,
        case=case_of(record.sample),
        target=target,
        method=method,
        metrics={},
        error=record.reason,
    )
    if measured is None or not isinstance(record, DoneObject):
        return row
    return replace(
        row,
        metrics=measured.metrics,
        cost=recorded_cost(record),
        error=measured.error,
        layer=record.layer,
        peak_memory_mb=record.timing.peak_memory_mb if record.timing else None,
        metric_passes=measured.passes,
        transfer_from=measured.transfer_from,
    )
