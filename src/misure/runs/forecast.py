"""What a run would take: images and objects counted, one sample measured, nothing written to it."""

import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any

from misure.datasets import Dataset, Sample
from misure.errors import entrance, reason_of
from misure.models.model import SegmentationModel
from misure.runs.execution import Execution
from misure.runs.folder import RunFolder
from misure.runs.job import make_job
from misure.runs.left_to_do import left_to_do
from misure.runs.plan import RunPlan
from misure.runs.record import DoneObject
from misure.runs.run import check_place
from misure.runs.worker import RunWorker

MOST_COUNTED, FEWEST_COUNTED = 20, 3
_COUNTING_S = 30.0


@dataclass(frozen=True, kw_only=True)
class MeasuredSample:
    """The one sample that was really explained.

    Attributes:
        key: of it.
        passes: pass equivalents of each object that was explained.
        reasons: why others failed.
        seconds: that its objects took, without reading and segmenting the image.
    """

    key: str
    passes: list[int]
    reasons: list[str]
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What a run would take.

    Attributes:
        num_samples: that the call would look at.
        num_left: those of them that it would work on.
        counts: number of objects of each sample that the network segmented.
        num_unreadable: samples that could not be read or segmented, of those that were tried.
        reason: why, of the first of them.
        seconds_of_segmenting: of one sample, reading included; the mean.
        measured: a sample with objects; None if none was found.
        num_workers: of the call.
    """

    num_samples: int
    num_left: int
    counts: list[int]
    num_unreadable: int
    reason: str
    seconds_of_segmenting: float
    measured: MeasuredSample | None
    num_workers: int

    @property
    def is_counted(self) -> bool:
        """Whether the objects of every sample were counted."""
        return len(self.counts) + self.num_unreadable == self.num_left

    @property
    def num_objects(self) -> tuple[float, float | None, float | None]:
        """All objects: the estimate, and two standard errors of it below and above.

        The ends are None if only one sample was counted.
        """
        if not self.counts:
            return 0.0, None, None
        counted = sum(self.counts)
        if self.is_counted:
            return counted, counted, counted
        tried = len(self.counts) + self.num_unreadable
        numbers = [*self.counts, *[0] * self.num_unreadable]
        estimate = statistics.mean(numbers) * self.num_left
        if tried == 1:
            return estimate, None, None
        error = statistics.stdev(numbers) / sqrt(tried) * sqrt(1 - tried / self.num_left)
        spread = 2 * error * self.num_left
        return estimate, max(counted, estimate - spread), estimate + spread

    @property
    def pass_equivalents(self) -> tuple[float, float | None, float | None]:
        """Of explaining all objects; the ends as if all took as many as the least, or the most."""
        return self._of_all(1.0)

    @property
    def seconds(self) -> tuple[float, float | None, float | None]:
        """Of the whole run, if n workers are n times as fast as one."""
        if self.measured is None or not self.measured.passes:
            return self.num_left * self.seconds_of_segmenting, None, None
        per_pass = self.measured.seconds / max(1, sum(self.measured.passes))
        fixed = self.num_left * self.seconds_of_segmenting
        workers = max(1, min(self.num_workers, self.num_left))
        middle, low, high = self._of_all(per_pass)
        return (
            (fixed + middle) / workers,
            None if low is None else (fixed + low) / workers,
            None if high is None else (fixed + high) / workers,
        )

    def _of_all(self, factor: float) -> tuple[float, float | None, float | None]:
        if self.measured is None or not self.measured.passes:
            return 0.0, None, None
        passes = self.measured.passes
        middle, low, high = self.num_objects
        return (
            factor * middle * statistics.mean(passes),
            None if low is None else factor * low * min(passes),
            None if high is None else factor * high * max(passes),
        )


@entrance("forecast_run")
def forecast_run(
    source: str | Dataset | Sequence[Sample],
    model: str | SegmentationModel,
    out: str | Path,
    plan: RunPlan | None = None,
    *,
    execution: Execution | None = None,
    **options: Any,
) -> Forecast:
    """What `run` with the same arguments would take, from one sample that is really explained.

    Objects are counted on at most 20 samples, evenly over the source, within about half a minute;
    the network segments them. That with the median number of objects is explained.

    Args:
        source, model, out, plan, execution, options: as of `run`.

    Raises:
        InputError, RunFolderError: as `run`.
    """
    execution = execution or Execution()
    threads = execution.num_threads
    job = make_job(source, model, plan or RunPlan(), out, num_threads=threads, **options)
    check_place(job)
    opened, dataset = job.opened()
    job.plan.check(opened)
    settings, keys = job.settings(opened), dataset.keys
    selected = {index: keys[index] for index in execution.select(len(keys))}
    left = selected
    if job.folder.has_begun(settings):
        retry = {name: getattr(execution, name) for name in ("retry_failed", "retry_changed")}
        left = left_to_do(job.folder, dataset, selected, **retry).samples
    with tempfile.TemporaryDirectory(prefix="misure-") as aside, job.threads():
        folder = RunFolder(Path(aside) / "run")
        folder.begin(settings)
        worker = RunWorker(opened, dataset, job.plan, folder)
        return _measure(worker, folder, left, len(selected), execution)


def _measure(
    worker: RunWorker,
    folder: RunFolder,
    left: Mapping[int, str],
    num_samples: int,
    execution: Execution,
) -> Forecast:
    counts, reasons, seconds = dict[int, int](), list[str](), list[float]()
    start = time.perf_counter()
    for index in _spread(list(left)):
        before = time.perf_counter()
        if len(seconds) >= FEWEST_COUNTED and before > start + _COUNTING_S:
            break
        try:
            counts[index] = worker.num_objects(index)
        except Exception as error:  # as in a run, where the sample is recorded as failed
            reasons.append(reason_of(error))
        seconds.append(time.perf_counter() - before)
    segmenting = statistics.mean(seconds) if seconds else 0.0
    return Forecast(
        num_samples=num_samples,
        num_left=len(left),
        counts=list(counts.values()),
        num_unreadable=len(reasons),
        reason=reasons[0] if reasons else "",
        seconds_of_segmenting=segmenting,
        measured=_measured(worker, folder, left, counts, segmenting),
        num_workers=execution.num_workers,
    )


def _spread(indices: Sequence[int]) -> list[int]:
    """At most MOST_COUNTED of the samples, evenly over them, in an order that is even as well."""
    number = min(len(indices), MOST_COUNTED)
    chosen = [indices[place * len(indices) // number] for place in range(number)]
    return [chosen[place] for step in range(3) for place in range(step, number, 3)]


def _measured(
    worker: RunWorker,
    folder: RunFolder,
    left: Mapping[int, str],
    counts: Mapping[int, int],
    segmenting: float,
) -> MeasuredSample | None:
    """The sample with the median number of objects, of those that have any, as it was explained."""
    order = sorted((number, index) for index, number in counts.items() if number)
    if not order:
        return None
    index = order[(len(order) - 1) // 2][1]
    start = time.perf_counter()
    worker.work(index, left[index])
    seconds = max(0.0, time.perf_counter() - start - segmenting)
    records = folder.records()
    return MeasuredSample(
        key=left[index],
        passes=[one.cost.pass_equivalents for one in records if isinstance(one, DoneObject)],
        reasons=[one.reason for one in records if not isinstance(one, DoneObject)],
        seconds=seconds,
    )
