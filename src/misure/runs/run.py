"""Runs: every object of every sample of a data set explained, once, whatever happens meanwhile."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, overload

from torch import nn

from misure._util.drawing import drawing
from misure._util.progress import shown_samples
from misure._util.short_repr import one_line, short_repr
from misure.datasets import Dataset, Sample
from misure.errors import InputError, entrance
from misure.models.inputs import as_model
from misure.models.model import SegmentationModel
from misure.runs.calls import call_noted
from misure.runs.engines.local import run_in_this_process, run_locally
from misure.runs.execution import Execution
from misure.runs.job import RunJob, make_job
from misure.runs.left_to_do import LeftToDo, left_to_do
from misure.runs.plan import RunPlan
from misure.runs.record import ObjectRecord
from misure.runs.table import as_frame as frame_of
from misure.runs.table import comparable_records
from misure.runs.worker import SampleOutcome

OnProgress = Callable[["Progress"], None]


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a run has come, in this call.

    Attributes:
        num_samples, total_samples: samples finished, and to do.
        num_objects, num_failed: objects explained, and failed.
        seconds: since the call.
        out: the run folder.
    """

    num_samples: int
    total_samples: int
    num_objects: int
    num_failed: int
    seconds: float
    out: str = ""

    @property
    def seconds_left(self) -> float | None:
        """At the rate so far; None before the first sample."""
        if not self.num_samples:
            return None
        return self.seconds / self.num_samples * (self.total_samples - self.num_samples)

    def _repr_html_(self) -> str:
        """What a notebook shows: what was done, and how it is read."""
        html: str = drawing("notebook_runs", "progress_html")(self)
        return html


class RunRecords(list[ObjectRecord]):
    """The records of a run, a list.

    Args:
        records: one for each object.
        folder: of the run, a path or an address of fsspec.
    """

    def __init__(self, records: Iterable[ObjectRecord], folder: str) -> None:
        super().__init__(records)
        self.folder = folder

    def __repr__(self) -> str:
        num_failed = sum(record.status == "failed" for record in self)
        return short_repr(
            self,
            f"{len(self):,} record{'' if len(self) == 1 else 's'}",
            f"{num_failed:,} failed" if num_failed else "",
            f"of {one_line(self.folder, 120)}",
        )

    def _repr_html_(self) -> str:
        """What a notebook shows: figures of each class, the first objects, and what failed."""
        html: str = drawing("notebook_runs", "records_html")(self)
        return html


@entrance("run")
def run(
    source: str | Dataset | Sequence[Sample],
    model: str | SegmentationModel | nn.Module,
    out: str | Path,
    plan: RunPlan | None = None,
    *,
    model_options: Mapping[str, Any] | None = None,
    device: str = "auto",
    slice_index: int | None = None,
    image_options: Mapping[str, Any] | None = None,
    execution: Execution | None = None,
    on_progress: OnProgress | None = None,
    progress: bool | None = None,
    class_names: str | Sequence[str] = (),
) -> Progress:
    """Explains every object of every sample; the same call goes on where an earlier one stopped.

    Nothing that is recorded depends on the number of workers, the order or the engine, except
    `timing`. What fails is recorded with its reason, and the run goes on.

    Args:
        source: spec of a data set, folder or list (see `open_dataset`), or samples in memory.
        model: spec of a network (see `load_model`), or a model in memory.
        out: the run folder, a path or an address of fsspec (`s3://bucket/run`).
        plan: what to explain, and how; None: the plan of all defaults.
        model_options, device: see `load_model`.
        slice_index: axial slice of NIfTI volumes; None: whole volumes.
        image_options: `frame` and `depth` of pictures, `series` of DICOM (see `read_image`), and
            `channels`, the names of the channels in order.
        execution: who works, and on which samples; None: one process of its own, on all.
        on_progress: called at the beginning and after every sample.
        progress: whether a bar is shown; None: in a terminal or a notebook, if there is no
            `on_progress`.
        class_names: of a torch module (see `explain`).

    Returns:
        What was done in this call.

    Raises:
        InputError: arguments that make no sense.
        RunFolderError: the folder is one of a run with other settings, or images have changed
            since they were recorded.
        MisureError: no worker can begin, or nothing can be written; what was finished stays.
    """
    execution = execution or Execution()
    if not isinstance(model, str):
        model = as_model(model, class_names)
    elif class_names:
        raise InputError(
            "expected class_names with a torch module alone, got them with a spec. Give them as "
            "model_options={'class_names': ...}."
        )
    job = make_job(
        source,
        model,
        plan or RunPlan(),
        out,
        model_options=dict(model_options or {}),
        device=device,
        slice_index=slice_index,
        image_options=dict(image_options or {}),
        num_threads=execution.num_threads,
    )
    if job.is_in_memory and not execution.is_in_this_process:
        raise InputError(
            "expected specs of source and model for more than this process, got objects in "
            "memory. Name them, or use one local worker."
        )
    job, left, num_samples = _begin(job, execution, progress)
    keys = left.samples
    start, counts = time.perf_counter(), Counter[str]()

    def done() -> Progress:
        return Progress(
            num_samples=counts["samples"],
            total_samples=len(keys),
            num_objects=counts["done"],
            num_failed=counts["failed"],
            seconds=time.perf_counter() - start,
            out=str(out),
        )

    def on_outcome(outcome: SampleOutcome) -> None:
        counts.update(samples=1, done=outcome.num_done, failed=outcome.num_failed)
        tell()

    def tell() -> None:
        for told in (on_progress, show):
            if told is not None:
                told(done())

    with shown_samples(False if progress is None and on_progress else progress) as show:
        tell()
        try:
            if keys:
                with call_noted(job.folder, execution, num_samples, left.num_finished):
                    _work(job, keys, execution, on_outcome)
        finally:
            job.folder.storage.clear_up()
    return done()


@overload
def read_run(path: str | Path, *, as_frame: Literal[False] = False) -> RunRecords: ...


@overload
def read_run(path: str | Path, *, as_frame: Literal[True]) -> Any: ...


@entrance("read_run")
def read_run(path: str | Path, *, as_frame: bool = False) -> Any:
    """The records of a run, one for each object, sorted by key; `timing` is left out.

    Each is a `DoneObject`, an `ExplainedObject` if the method finds regions, or a `FailedObject`
    (see `misure.runs.record` for their fields).

    Args:
        path: the run folder, a path or an address of fsspec.
        as_frame: a pandas.DataFrame instead, one row an object, with columns as
            `sufficient_region.dice`.

    Raises:
        RunFolderError: no run folder, or one that another version of misure wrote.
        MissingDependencyError: a frame is asked for without pandas.
    """
    records = RunRecords(comparable_records(path), str(path))
    return frame_of(records) if as_frame else records


def check_place(job: RunJob) -> None:
    """Raises an InputError if the results of a job cannot lie where it says."""
    source = job.source if isinstance(job.source, str) else ""
    while source.startswith("corrupted:"):
        source = source.partition(",")[2]
    if source and Path(job.out).is_relative_to(Path(source).resolve()):
        raise InputError(
            f"expected a run folder outside the source {job.source}, got {job.out}. Its own "
            "pictures would be taken for samples."
        )
    if str(job.out).startswith("memory:") and not job.is_in_memory:
        raise InputError(
            f"expected a folder that other processes see, got {job.out}, which would vanish with "
            "the process that writes to it. Name another one."
        )


def _begin(
    job: RunJob, execution: Execution, progress: bool | None
) -> tuple[RunJob, LeftToDo, int]:
    """The job, what is left to do, and the samples of the source; the folder has begun."""
    check_place(job)
    model, dataset = job.opened(progress=progress)
    job.plan.check(model)
    keys = dataset.keys
    job.folder.begin(job.settings(model))
    job.folder.storage.clear_up()
    selected = {index: keys[index] for index in execution.select(len(keys))}
    left = left_to_do(
        job.folder,
        dataset,
        selected,
        retry_failed=execution.retry_failed,
        retry_changed=execution.retry_changed,
    )
    return replace(job, revisions=left.revisions), left, len(keys)


def _work(
    job: RunJob,
    keys: Mapping[int, str],
    execution: Execution,
    on_outcome: Callable[[SampleOutcome], None],
) -> None:
    """Works through the samples by the engine that was chosen."""
    if job.is_in_memory:
        run_in_this_process(job, keys, on_outcome)
    elif execution.engine == "ray":
        from misure.runs.engines.ray import run_on_ray

        workers, address = execution.num_workers, execution.address
        run_on_ray(job, keys, on_outcome, num_workers=workers, address=address)
    else:
        run_locally(job, keys, on_outcome, num_workers=execution.num_workers)
