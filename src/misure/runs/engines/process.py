"""The process of a worker. It imports nothing large before it watches its parent."""

import os
import pickle
import signal
import warnings
from multiprocessing.connection import Connection
from typing import Any


def work_in_process(
    parent: int, packed: bytes, number: int, connection: "Connection[Any, Any]"
) -> None:
    """What a worker process does: it says that it is ready, then works on samples one by one.

    Args:
        parent: number of the process that started this one; this one ends with it.
        packed: the job and the samples (number -> key), pickled by the parent.
        number: of the worker.
        connection: to the parent.
    """
    from misure._util.parent_process import end_with_parent

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its workers
    end_with_parent(parent)
    job, keys = pickle.loads(packed)  # noqa: S301

    from misure._util.freed_memory import keep_freed_memory
    from misure._util.warning_lines import warnings_as_lines
    from misure.errors import MisureError, entrance

    keep_freed_memory()
    try:
        with entrance(""), job.threads(), warnings_as_lines():
            with warnings.catch_warnings(action="ignore"):  # said at the start, of the whole
                worker = job.open_worker(number)
            connection.send(os.getpid())
            while (index := connection.recv()) is not None:
                connection.send(worker.work(index, keys[index]))
    except (EOFError, BrokenPipeError):  # the parent is gone
        return
    except (MisureError, OSError) as error:
        connection.send(str(error))
