"""Names of files that are not finished, which say who writes them, so that others can clear up.

A process that is killed leaves what it was writing behind. The name of such a file ends with its
machine and process (`.NAME.MACHINE-PROCESS-RANDOM.unfinished`), so whoever comes next knows whether
its writer is still alive.
"""

import hashlib
import os
import re
import secrets
import shutil
import socket
import time
from functools import cache
from pathlib import Path

_ENDING = re.compile(r"\.(?P<machine>[0-9a-f]{8})-(?P<process>\d+)-[0-9a-f]{8}\.unfinished")
_PID_NAMESPACE = Path("/proc/self/ns/pid")
_FORGOTTEN_AFTER_S = 24 * 3600.0
_LONGEST_NAME = 180  # bytes, of the 255 that file systems allow


def unfinished_name(name: str) -> str:
    """A hidden name of this process's own for what will be called `name`."""
    return f"{_beginning(name)}.{this_process()}-{secrets.token_hex(4)}.unfinished"


def this_process() -> str:
    """A name of this process that no other running one has: its machine and its number."""
    return f"{_machine()}-{os.getpid()}"


def is_running(process: str) -> bool | None:
    """Whether a process still runs, by what `this_process` was in it; None: on another machine.

    >>> is_running(this_process()), is_running("00000000-1")
    (True, None)
    """
    machine, _, number = process.partition("-")
    if machine != _machine() or not number.isdecimal():
        return None
    return _is_alive(int(number))


def clear_unfinished(folder: Path, name: str = "") -> int:
    """Removes what writers that are no more have left in a folder, and counts it.

    A writer is no more if its process on this machine has ended; a file of another machine is
    left behind if it has not been written to for a day.

    Args:
        folder: that is looked through, not what lies below; it need not exist.
        name: only unfinished files and folders of this name; empty: of all names.
    """
    cleared = 0
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return 0
    for entry in entries:
        ending = _ENDING.search(entry.name) if entry.name.endswith(".unfinished") else None
        if ending is None or (name and entry.name[: ending.start()] != _beginning(name)):
            continue
        if _is_left_behind(Path(entry.path), ending["machine"], int(ending["process"])):
            _remove(Path(entry.path))
            cleared += 1
    return cleared


def _beginning(name: str) -> str:
    encoded = os.fsencode(name)
    is_short = len(encoded) <= _LONGEST_NAME
    return f".{name if is_short else hashlib.sha256(encoded).hexdigest()}"


def _is_left_behind(path: Path, machine: str, process: int) -> bool:
    if machine == _machine():
        return not _is_alive(process)
    try:
        return time.time() - path.stat().st_mtime > _FORGOTTEN_AFTER_S
    except OSError:  # another process has removed it
        return False


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # of another user, or no number of a process
        return True
    return True


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@cache
def _machine() -> str:
    """Eight letters for the machine, or the container, within which process numbers are unique."""
    try:
        namespace = str(_PID_NAMESPACE.readlink())
    except OSError:
        namespace = ""
    return hashlib.sha256(f"{socket.gethostname()} {namespace}".encode()).hexdigest()[:8]
