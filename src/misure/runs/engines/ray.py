"""The Ray engine: the local engine's work, by actors on a cluster.

Each actor holds the model once, on a GPU of its own if the cluster has GPUs. Samples are handed out
a few at a time to each actor that has begun, so memory stays bounded and no actor waits for the
slowest. What an actor had in hand when it or its machine was lost is handed out again; a new actor
takes its place as soon as the cluster has room for one. Actors write into the run folder
themselves: it must be a path that all machines see, or an address of fsspec.
"""

import os
from collections import Counter, deque
from collections.abc import Mapping
from typing import Any

from misure._util.freed_memory import keep_freed_memory
from misure._util.optional import require
from misure._util.parent_process import end_with_parent
from misure.errors import MisureError, entrance
from misure.runs.engines.local import OnOutcome
from misure.runs.engines.lost import TRIES, give_up
from misure.runs.job import RunJob
from misure.runs.worker import RunWorker, SampleOutcome

_IN_HAND = 2  # samples given to an actor, so that it never waits for the next one
_PATIENCE_S = 600.0


def run_on_ray(
    job: RunJob,
    keys: Mapping[int, str],
    on_outcome: OnOutcome,
    *,
    num_workers: int,
    address: str | None = None,
) -> None:
    """Works through samples by actors on a Ray cluster.

    Args:
        job: what to do; source and model are specs.
        keys: number in the data set -> key, of the samples to work on.
        on_outcome: called after each.
        num_workers: number of actors, if the cluster has room for them.
        address: of the cluster; None: the one that `RAY_ADDRESS` names, else a new one here. A
            cluster that this process is connected to already is used as it is.

    Raises:
        MissingDependencyError: without ray.
        MisureError: no actor can begin, or one cannot write; what was finished stays.
    """
    ray = require("ray", extra="ray", purpose="run on a cluster")
    was_connected = ray.is_initialized()
    if not was_connected:
        ray.init(address=address or os.environ.get("RAY_ADDRESS", "local"), log_to_driver=False)
    try:
        _Driver(ray, job, keys, on_outcome).run(min(num_workers, len(keys)))
    finally:
        if not was_connected:
            ray.shutdown()


class RayWorker:
    """What an actor is: a worker that is opened on the machine where it works."""

    def __init__(self, job: RunJob) -> None:
        self._job = job
        self._worker: RunWorker | None = None

    def begin(self) -> str:
        """Opens the worker; gives the error's text if it cannot be opened."""
        keep_freed_memory()
        end_with_parent(os.getppid(), is_told=False)  # of the cluster, which ends with its driver
        try:
            with entrance(""), self._job.threads():
                self._worker = self._job.open_worker()
        except (MisureError, OSError) as error:
            return f"a worker could not begin: {error}"
        return ""

    def work(self, index: int, key: str) -> SampleOutcome | str:
        """The outcome of `RunWorker.work`; the text of an error that would meet every sample."""
        if self._worker is None:
            return "a worker was asked to work before it began."
        try:
            with self._job.threads():
                return self._worker.work(index, key)
        except (MisureError, OSError) as error:
            return str(error)


class _Driver:
    """Hands out samples and gathers outcomes."""

    def __init__(
        self, ray: Any, job: RunJob, keys: Mapping[int, str], on_outcome: OnOutcome
    ) -> None:
        self._ray, self._job, self._keys, self._on_outcome = ray, job, keys, on_outcome
        has_gpus = ray.cluster_resources().get("GPU", 0) > 0
        self._actor_class = ray.remote(
            num_cpus=job.num_threads, num_gpus=1 if has_gpus else 0, max_restarts=0
        )(RayWorker)
        self._waiting, self._tries = deque(keys), Counter[int]()
        self._beginning: dict[Any, Any] = {}  # reference -> actor
        self._in_hand: dict[Any, tuple[Any, int]] = {}  # reference -> actor, sample
        self._num_deaths = 0  # of actors at their beginning, one after the other

    def run(self, num_workers: int) -> None:
        for _ in range(num_workers):
            self._begin_one()
        while self._waiting or self._in_hand:
            references = [*self._beginning, *self._in_hand]
            ready, _ = self._ray.wait(references, num_returns=1, timeout=_PATIENCE_S)
            if ready:
                self._gather(ready[0])
            elif not self._in_hand:
                raise MisureError(
                    f"expected a worker to begin within {_PATIENCE_S:.0f} s, the cluster has "
                    "room for none. Ask for fewer threads, or add machines."
                )

    def _begin_one(self) -> None:
        actor = self._actor_class.remote(self._job)
        self._beginning[actor.begin.remote()] = actor

    def _gather(self, reference: Any) -> None:
        is_new = reference in self._beginning
        actor, index = (
            (self._beginning.pop(reference), None) if is_new else self._in_hand.pop(reference)
        )
        try:
            message = self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            raise MisureError(f"a worker raised {' '.join(str(error).split())[-300:]}") from error
        except self._ray.exceptions.RayError as error:  # the actor, its node, its memory
            self._lost(actor, index, error)
            return
        if isinstance(message, str) and message:
            raise MisureError(message)
        if not is_new:
            self._on_outcome(message)
            self._num_deaths = 0
        for _ in range(_IN_HAND if is_new else 1):
            self._hand_out(actor)

    def _hand_out(self, actor: Any) -> None:
        if self._waiting:
            index = self._waiting.popleft()
            self._in_hand[actor.work.remote(index, self._keys[index])] = (actor, index)

    def _lost(self, actor: Any, index: int | None, error: Exception) -> None:
        """Takes back what a lost actor had in hand, and begins another in its place."""
        lost = [(reference, i) for reference, (owner, i) in self._in_hand.items() if owner is actor]
        for reference, _ in lost:
            del self._in_hand[reference]
        self._waiting.extendleft(i for _, i in lost)
        if index is None:
            self._num_deaths += 1
            if self._num_deaths >= TRIES:
                text = " ".join(str(error).split())[:300]
                raise MisureError(f"no worker can begin: {text}") from error
        else:
            self._tries[index] += 1
            if self._tries[index] < TRIES:
                self._waiting.appendleft(index)
            else:
                self._on_outcome(give_up(self._job, self._keys[index]))
        self._begin_one()
