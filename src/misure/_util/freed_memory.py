"""Memory that large tensors give back, kept for the next ones.

glibc hands freed blocks of more than 32 MB back to the system at once, smaller ones as soon as a
few of them lie together, and gets the next one empty, page by page. That takes up to half of the
time of a forward pass on a CPU (benchmarks/overhead.py, benchmarks/freed_memory.py).
"""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

LARGE = 2**23
"""Pixels of an image from which its tensors are many times those of a patch."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4  # names of mallopt, in malloc.h
_LARGEST_INT = 2**31 - 1
_KEPT = {_MMAP_MAX: 0, _TRIM_THRESHOLD: _LARGEST_INT}
# What glibc itself arrives at in a process that has freed a block of 32 MB.
_USUAL = {_MMAP_MAX: 65536, _MMAP_THRESHOLD: 32 * 2**20, _TRIM_THRESHOLD: 64 * 2**20}
_OF_THE_USER = ("MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_")


class _State:
    lock = Lock()
    is_kept_for_good = False
    num_keeping = 0
    is_large = False  # whether the last image was, so that nothing is kept for now


def keep_freed_memory() -> bool:
    """Asks glibc to keep up to 2 GB that this process frees; True if it agreed.

    Call it only in processes of misure's own: the command line, and the workers of a run. In others
    `freed_memory_kept` does so for a while.
    """
    with _State.lock:
        _State.is_kept_for_good, _State.is_large = _ask_for(_KEPT), False
        return _State.is_kept_for_good


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """A context in which glibc keeps up to 2 GB that this process frees; then it gives them back.

    Afterwards glibc keeps what it usually does (up to 64 MB). Nothing is changed if the environment
    says what to keep (`MALLOC_TRIM_THRESHOLD_` and the like, `GLIBC_TUNABLES`). Threads may be in
    this context at the same time: the last one ends it.
    """
    with _State.lock:
        is_asked = not (_State.is_kept_for_good or _is_set_by_the_user())
        if is_asked:
            _State.num_keeping += 1
            if _State.num_keeping == 1:
                _State.is_large = False
                _ask_for(_KEPT)
    try:
        yield
    finally:
        if is_asked:
            _stop_keeping()


def _stop_keeping() -> None:
    with _State.lock:
        _State.num_keeping -= 1
        if _State.num_keeping or _State.is_kept_for_good:
            return
        _ask_for(_USUAL)
    release_freed_memory()


def _is_set_by_the_user() -> bool:
    tunables = os.environ.get("GLIBC_TUNABLES", "")
    return "glibc.malloc." in tunables or any(name in os.environ for name in _OF_THE_USER)


def _ask_for(settings: dict[int, int]) -> bool:
    """Whether glibc is there and agreed to all of these settings."""
    libc = _glibc()
    return libc is not None and all(libc.mallopt(*setting) for setting in settings.items())


def release_freed_memory() -> None:
    """Gives what was kept back to the system, so that it does not count as memory in use."""
    libc = _glibc()
    if libc is not None:
        libc.malloc_trim(0)


def release_if_large(num_pixels: int) -> None:
    """Gives what was kept back to the system if an image has 2^23 pixels or more.

    Its tensors are many times those that a network makes of a patch, and what is kept of them is
    rarely used again. So nothing is kept until a smaller image is shown.
    """
    is_large = num_pixels >= LARGE
    with _State.lock:
        is_keeping = _State.is_kept_for_good or _State.num_keeping > 0
        if is_keeping and is_large != _State.is_large:
            _State.is_large = is_large
            _ask_for(_USUAL if is_large else _KEPT)
    if is_large:
        release_freed_memory()


def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        libc = ctypes.CDLL(None)
        return libc if libc.mallopt and libc.malloc_trim else None
    except (AttributeError, OSError):  # another C library
        return None
