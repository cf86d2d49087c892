"""Worker processes that end when the process that started them does, whatever they are doing."""

import ctypes
import os
import signal
import sys
import threading
import time

_SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG, in sys/prctl.h
_LOOK_EVERY_S = 1.0


def end_with_parent(parent: int, *, is_told: bool = True) -> None:
    """Lets this process end at once when its parent ends, even if that is killed.

    Call it only in processes of misure's own. On Linux the system does it; a thread that looks once
    a second does it elsewhere, and as long as no library holds the interpreter.

    Args:
        parent: number of the process that started this one.
        is_told: whether the system may kill this process as soon as the *thread* that started it
            ends; False if that thread is not the one that waits for this process.
    """
    if is_told and sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:  # it has ended meanwhile
        os._exit(1)
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK_EVERY_S)
    os._exit(1)
