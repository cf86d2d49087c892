"""Calls of `run`, noted in the run folder, so that others can see how far a run is."""

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from msgspec import structs

from misure._util.records import encode
from misure._util.unfinished import is_running, this_process
from misure.errors import RunFolderError
from misure.runs.execution import Execution
from misure.runs.folder import RunFolder
from misure.runs.record import RunCall

CALLS = "calls-*.jsonl"


@contextmanager
def call_noted(
    folder: RunFolder, execution: Execution, num_samples: int, num_finished: int
) -> Iterator[None]:
    """A context in which a call of `run` stands in the folder as one that goes on.

    Args:
        folder: that has begun.
        execution: of the call.
        num_samples: of the source.
        num_finished: samples of the run that are finished already.
    """
    process = this_process()
    call = RunCall(
        process=process,
        begun=time.time(),
        num_samples=num_samples,
        num_finished=num_finished,
        num_workers=execution.num_workers,
        limit=execution.limit,
        shard=execution.shard,
    )
    name = f"calls-{process}-{secrets.token_hex(4)}.jsonl"
    folder.storage.append(name, encode(call) + b"\n")
    is_reached = True
    try:
        yield
    except RunFolderError:  # asking the folder once more would only take longer
        is_reached = False
        raise
    finally:
        if is_reached:
            with suppress(OSError):  # the disk may be what ended it
                folder.storage.append(name, encode(structs.replace(call, has_ended=True)) + b"\n")


def noted_calls(folder: RunFolder) -> list[RunCall]:
    """The calls of a run, by when they began, each as its last line says."""
    last = {(call.process, call.begun): call for call in folder.lines(CALLS, RunCall)}
    return sorted(last.values(), key=lambda call: call.begun)


def goes_on(call: RunCall) -> bool | None:
    """Whether a call still works; None if its process was on another machine, and has not ended."""
    return False if call.has_ended else is_running(call.process)
