"""Runs: every object of every sample of a data set explained, once, whatever happens meanwhile."""

import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, overload

from msgspec import structs

from misure.datasets import Dataset, Sample
from misure.errors import InputError, entrance
from misure.models.model import SegmentationModel
from misure.runs.engines.local import run_in_this_process, run_locally
from misure.runs.folder import RunFolder
from misure.runs.job import RunJob, make_job
from misure.runs.plan import RunPlan
from misure.runs.record import DoneObject, ObjectRecord
from misure.runs.table import as_frame as frame_of
from misure.runs.worker import SampleOutcome

OnProgress = Callable[["Progress"], None]


@dataclass(frozen=True)
class Progress:
    """How far a run has come, in this call.

    Attributes:
        num_samples, total_samples: samples done, and to do.
        num_objects, num_failed: items done, and failed.
        seconds: since the call.
    """

    num_samples: int
    total_samples: int
    num_objects: int
    num_failed: int
    seconds: float

    @property
    def seconds_left(self) -> float | None:
        """At the rate so far; None before the first sample."""
        if not self.num_samples:
            return None
        return self.seconds / self.num_samples * (self.total_samples - self.num_samples)


def run(
    source: str | Dataset | Sequence[Sample],
    *,
    model: str | SegmentationModel,
    out: str | Path,
    classes: Sequence[str] = (),
    instances: bool = False,
    min_area: float = 0.001,
    method: str = "misure",
    method_options: Mapping[str, Any] | None = None,
    dice_threshold: float = 0.9,
    test_time_augmentation: bool = False,
    seed: int = 0,
    model_options: Mapping[str, Any] | None = None,
    device: str = "auto",
    slice_index: int | None = None,
    engine: str = "local",
    num_workers: int = 1,
    num_threads: int = 1,
    address: str | None = None,
    limit: int | None = None,
    shard: tuple[int, int] | None = None,
    retry_failed: bool = False,
    on_progress: OnProgress | None = None,
    plan: RunPlan | None = None,
) -> Progress:
    """Explains every object of every sample; the same call goes on where an earlier one stopped.

    Nothing that is recorded depends on the number of workers, the order or the engine, but for
    `timing`. What fails is recorded with its reason, and the run goes on.

    Args:
        source: word of a data set, folder or list (see `open_dataset`), or samples in memory.
        model: word of a network (see `load_model`), or a model in memory.
        out: the run folder (see `run_folder`), a path or an address of fsspec (`s3://bucket/run`).
        classes, instances, min_area, method, method_options, dice_threshold: see `RunPlan`.
        test_time_augmentation, seed: see `RunPlan`.
        model_options, device: see `load_model`.
        slice_index: axial slice of NIfTI volumes.
        engine: `local`, processes on this machine; `ray`, actors on a Ray cluster.
        num_workers: how many; what is in memory is worked on by this process alone.
        num_threads: threads of each worker on the CPU.
        address: of the Ray cluster; None: the one that `RAY_ADDRESS` names, else a new one here.
        limit: only the first so many samples.
        shard: (i, n): only every n-th sample, from the i-th on.
        retry_failed: samples with failed items once more.
        on_progress: told at the beginning and after every sample.

    Returns:
        What was done in this call.

    Raises:
        InputError: arguments that make no sense.
        RunFolderError: the folder is one of a run with other settings.
        MisureError: no worker can begin, or nothing can be written; what was finished stays.
    """
    plan = plan or RunPlan(
        classes=tuple(classes),
        instances=instances,
        min_area=min_area,
        method=method,
        method_options=dict(method_options or {}),
        dice_threshold=dice_threshold,
        seed=seed,
        test_time_augmentation=test_time_augmentation,
    )
    job = make_job(
        source,
        model,
        plan,
        out,
        model_options=dict(model_options or {}),
        device=device,
        slice_index=slice_index,
        num_threads=num_threads,
    )
    if engine not in ("local", "ray") or num_workers < 1:
        raise InputError(
            f"run: expected engine local or ray and num_workers of 1 or more, got {engine!r} and "
            f"{num_workers}."
        )
    if job.is_in_memory and (engine != "local" or num_workers > 1):
        raise InputError(
            "run: expected source and model named by words for more than this process, got "
            "objects in memory. Name them, or use one local worker."
        )
    left = _begin(job, limit, shard, retry_failed)
    start, counts = time.perf_counter(), Counter[str]()

    def progress() -> Progress:
        seconds = time.perf_counter() - start
        return Progress(counts["samples"], len(left), counts["done"], counts["failed"], seconds)

    def on_outcome(outcome: SampleOutcome) -> None:
        counts.update(samples=1, done=outcome.num_done, failed=outcome.num_failed)
        if on_progress:
            on_progress(progress())

    if on_progress:
        on_progress(progress())
    if not left:
        return progress()
    if job.is_in_memory:
        run_in_this_process(job, left, on_outcome)
    elif engine == "ray":
        from misure.runs.engines.ray import run_on_ray

        run_on_ray(job, left, on_outcome, num_workers=num_workers, address=address)
    else:
        run_locally(job, left, on_outcome, num_workers=num_workers)
    return progress()


@overload
def read_run(path: str | Path, *, as_frame: Literal[False] = False) -> list[ObjectRecord]: ...


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
    records = [
        structs.replace(record, timing=None) if isinstance(record, DoneObject) else record
        for record in RunFolder(path).records()
    ]
    return frame_of(records) if as_frame else records


def shard_of_environment() -> tuple[int, int] | None:
    """(RANK, WORLD_SIZE) as torchrun sets them; None where it did not."""
    rank, world_size = os.environ.get("RANK"), os.environ.get("WORLD_SIZE")
    return (int(rank), int(world_size)) if rank and world_size else None


def _begin(
    job: RunJob, limit: int | None, shard: tuple[int, int] | None, retry_failed: bool
) -> dict[int, str]:
    """The samples that are left to do, number and key; the folder has begun."""
    if shard is not None and not 0 <= shard[0] < shard[1]:
        raise InputError(
            f"run: expected shard (i, n) with 0 <= i < n, got ({shard[0]}, {shard[1]})."
        )
    if limit is not None and limit < 1:
        raise InputError(f"run: expected limit of 1 or more, got {limit}.")
    source = job.source if isinstance(job.source, str) else ""
    while source.startswith("corrupted:"):
        source = source.partition(",")[2]
    if source and Path(job.out).is_relative_to(Path(source).absolute()):
        raise InputError(
            f"run: expected a run folder outside the source {job.source}, got {job.out}. Its own "
            "pictures would be taken for samples."
        )
    model = job.open_model()
    job.plan.check(model)
    keys = job.open_source(model).keys
    job.folder.begin(job.settings(model))
    finished = job.folder.finished_samples(retry_failed=retry_failed)
    index, step = shard or (0, 1)
    chosen = range(len(keys))[:limit][index::step]
    return {i: keys[i] for i in chosen if keys[i] not in finished}
