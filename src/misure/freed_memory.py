"""Memory that large tensors give back, kept for the next ones.

glibc hands freed blocks of more than 32 MB back to the system at once and gets the next one empty,
page by page: on a CPU that is up to a third of the time of a pass (benchmarks/freed_memory.py).
"""

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # names of mallopt, in malloc.h
_LARGEST_INT = 2**31 - 1


def keep_freed_memory() -> bool:
    """Asks glibc to keep up to 2 GB that this process frees; whether it was there to be asked.

    For a process that is misure's own: the command line, a worker of a run. Nothing else calls it.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # another C library
        return False
    return bool(mallopt(_MMAP_MAX, 0)) and bool(mallopt(_TRIM_THRESHOLD, _LARGEST_INT))
