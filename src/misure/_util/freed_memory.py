"""Memory that large tensors give back, kept for the next ones.

glibc hands freed blocks of more than 32 MB back to the system at once and gets the next one empty,
page by page, which takes up to a third of the time of a forward pass on a CPU
(benchmarks/freed_memory.py).
"""

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # names of mallopt, in malloc.h
_LARGEST_INT = 2**31 - 1


def keep_freed_memory() -> bool:
    """Asks glibc to keep up to 2 GB that this process frees; True if it agreed.

    Call it only in processes of misure's own: the command line, and the workers of a run.
    """
    libc = _glibc()
    if libc is None:
        return False
    return bool(libc.mallopt(_MMAP_MAX, 0)) and bool(libc.mallopt(_TRIM_THRESHOLD, _LARGEST_INT))


def release_freed_memory() -> None:
    """Gives what was kept back to the system, so that it does not count as memory in use."""
    libc = _glibc()
    if libc is not None:
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        libc = ctypes.CDLL(None)
        return libc if libc.mallopt and libc.malloc_trim else None
    except (AttributeError, OSError):  # another C library
        return None
