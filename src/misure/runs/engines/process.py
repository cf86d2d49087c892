"""The process of a worker. It imports nothing large before it watches its parent."""

import os
import pickle
import sys
import warnings
from multiprocessing.connection import Connection
from typing import Any


def _say(message: Warning | str, *_: Any, **__: Any) -> None:
    sys.stderr.write(f"misure: warning: {' '.join(str(message).split())}\n")


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

    end_with_parent(parent)
    job, keys = pickle.loads(packed)  # noqa: S301

    from misure._util.freed_memory import keep_freed_memory
    from misure.errors import MisureError, MisureWarning, entrance

    keep_freed_memory()
    try:
        with entrance(""), job.threads(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is wrong with the whole was said at the start
            worker = job.open_worker(number)
            warnings.simplefilter("default", MisureWarning)
            warnings.showwarning = _say
            connection.send(os.getpid())
            while (index := connection.recv()) is not None:
                connection.send(worker.work(index, keys[index]))
    except (EOFError, BrokenPipeError):  # the parent is gone
        return
    except (MisureError, OSError) as error:
        connection.send(str(error))
