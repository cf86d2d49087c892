"""The local engine: workers on this machine, each a process of its own that may die.

Samples are handed out one by one, so that no worker waits for the slowest. A worker that dies
(killed, out of memory, a crash in native code) is replaced and its sample given to another; a
sample with which three workers died is recorded as failed.
"""

import multiprocessing
import os
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from misure._util.freed_memory import keep_freed_memory
from misure._util.warning_lines import warnings_as_lines
from misure.errors import MisureError, entrance
from misure.runs.engines.lost import TRIES, give_up
from misure.runs.job import RunJob
from misure.runs.worker import SampleOutcome

OnOutcome = Callable[[SampleOutcome], None]


def run_in_this_process(job: RunJob, keys: Mapping[int, str], on_outcome: OnOutcome) -> None:
    """Works through samples here: for samples or models that no other process has.

    Args:
        job: what to do.
        keys: number in the data set -> key, of the samples to work on.
        on_outcome: called after each.
    """
    with job.threads():
        worker = job.open_worker()
        for index in keys:
            on_outcome(worker.work(index, keys[index]))


def run_locally(
    job: RunJob, keys: Mapping[int, str], on_outcome: OnOutcome, *, num_workers: int
) -> None:
    """Works through samples in processes of their own.

    Args:
        job: what to do; source and model are specs.
        keys: number in the data set -> key, of the samples to work on.
        on_outcome: called after each.
        num_workers: number of processes.

    Raises:
        MisureError: a worker cannot begin, or cannot write; what was finished stays.
    """
    waiting, tries = deque(keys), Counter[int | None]()
    workers = [_Worker.start(job, keys, number) for number in range(min(num_workers, len(keys)))]
    try:
        while workers:
            ready = wait([worker.connection for worker in workers])
            for worker in [worker for worker in workers if worker.connection in ready]:
                message = worker.receive()
                if isinstance(message, str):
                    raise MisureError(message)
                if isinstance(message, SampleOutcome):
                    on_outcome(message)
                    tries.pop(None, None)
                if message is None or not worker.hand_out(waiting.popleft() if waiting else None):
                    workers.remove(worker)  # it died
                    index, reason = worker.index, worker.reason()
                    tries[index] += 1
                    if index is None and tries[None] >= TRIES:
                        raise MisureError(f"no worker can begin: {reason}.") from None
                    if index is not None and tries[index] < TRIES:
                        waiting.appendleft(index)
                    elif index is not None:
                        on_outcome(give_up(job, keys[index]))
                    if waiting:
                        workers.append(_Worker.start(job, keys, worker.number))
                    continue
                if worker.index is None:
                    worker.process.join()
                    workers.remove(worker)
    finally:
        for worker in workers:
            worker.process.terminate()
            worker.process.join()


@dataclass(eq=False)
class _Worker:
    """A process, the connection to it, and the sample it works on."""

    number: int
    process: BaseProcess
    connection: Connection
    index: int | None = None

    @classmethod
    def start(cls, job: RunJob, keys: Mapping[int, str], number: int) -> "_Worker":
        context = multiprocessing.get_context("spawn")
        own_end, worker_end = context.Pipe()
        arguments = (job, dict(keys), number, worker_end)
        process = context.Process(target=_work, args=arguments, daemon=True)
        process.start()
        worker_end.close()  # so that the own end closes when the process dies
        return cls(number, process, own_end)

    def receive(self) -> Any:
        """What the process sends; None if it died."""
        try:
            return self.connection.recv()
        except (EOFError, OSError):
            return None

    def hand_out(self, index: int | None) -> bool:
        """Gives it the next sample, or None to end; False if it died before."""
        self.index = index
        try:
            self.connection.send(index)
        except OSError:
            return False
        return True

    def reason(self) -> str:
        """How the process ended."""
        self.process.join()
        code = self.process.exitcode
        return (
            f"the worker process was killed by signal {-code}"
            if code is not None and code < 0
            else f"the worker process ended with code {code}"
        )


def _work(
    job: RunJob, keys: Mapping[int, str], number: int, connection: "Connection[Any, Any]"
) -> None:
    """What a worker process does: it sends that it is ready, then works on samples one by one."""
    keep_freed_memory()
    try:
        with warnings_as_lines(), entrance(""), job.threads():
            worker = job.open_worker(number)
            connection.send(os.getpid())
            while (index := connection.recv()) is not None:
                connection.send(worker.work(index, keys[index]))
    except (EOFError, BrokenPipeError, KeyboardInterrupt):  # the parent is gone
        return
    except (MisureError, OSError) as error:
        connection.send(str(error))
