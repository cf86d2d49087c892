"""Memory that is freed is kept, where glibc is asked to."""

import platform
import subprocess
import sys

import pytest

from misure._util import freed_memory

PROGRAM = """
import resource, torch
from misure._util.freed_memory import keep_freed_memory
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        torch.zeros(25_000_000).add_(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(faults())
assert keep_freed_memory()
faults()
print(faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="about glibc")
def test_large_tensors_get_their_pages_again():
    plain, kept = map(int, subprocess.check_output([sys.executable, "-c", PROGRAM]).split())
    assert kept < plain / 10


PEAKS = """
import torch
from misure._util.freed_memory import keep_freed_memory
from misure._util.memory import PeakMemory
keep_freed_memory()
for mb in (800, 100):
    with PeakMemory(torch.device("cpu")) as peak:
        torch.ones(mb * 250_000).add_(1)
    print(int(peak.mb))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="about glibc")
def test_what_is_kept_does_not_count_as_the_memory_of_what_comes_after():
    large, small = map(int, subprocess.check_output([sys.executable, "-c", PEAKS]).split())
    assert small < large - 500


def test_without_glibc_nothing_is_asked(monkeypatch):
    monkeypatch.setattr(freed_memory.sys, "platform", "darwin")
    assert not freed_memory.keep_freed_memory()
    freed_memory.release_freed_memory()
