"""Memory that is freed is kept, where glibc is asked to."""

import json
import platform
import subprocess
import sys

import pytest

import misure
import toys
from misure._util import freed_memory

PROGRAM = """
import ctypes, json, resource, torch
from misure._util import freed_memory
from misure._util.freed_memory import freed_memory_kept, keep_freed_memory
from misure._util.memory import PeakMemory
asked = []
ask = freed_memory._ask_for
freed_memory._ask_for = lambda settings: asked.append(settings) or ask(settings)
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
def use(size):  # as a tensor does, but no small block comes between and takes a part of it
    address = libc.malloc(ctypes.c_size_t(size))
    ctypes.memset(address, 1, size)
    libc.free(ctypes.c_void_p(address))
def faults():
    for _ in range(2):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(3):
            use(100_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() // 2**20
def peak_mb(mb):
    with PeakMemory(torch.device("cpu")) as peak:
        torch.ones(mb * 250_000).add_(1)
    return peak.mb
found = {"plain": faults()}
with freed_memory_kept(), freed_memory_kept():
    found |= {"kept": faults(), "resident": resident()}
found |= {"after": faults(), "resident_after": resident(), "num_asked": len(asked)}
found["agreed"] = keep_freed_memory()
with freed_memory_kept():
    pass
found["for_good"] = faults()
found["peaks"] = [peak_mb(400), peak_mb(100)]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found():
    """What a process of its own finds: page faults, memory in MB; one, for torch loads slowly."""
    if platform.libc_ver()[0] != "glibc":
        pytest.skip("about glibc")
    return json.loads(subprocess.check_output([sys.executable, "-c", PROGRAM]))


def test_large_blocks_get_their_pages_again(found):
    assert found["agreed"]
    assert found["for_good"] < found["plain"] / 10  # the context that came later has undone nothing


def test_what_is_kept_does_not_count_as_the_memory_of_what_comes_after(found):
    large, small = found["peaks"]
    assert small < large - 250


def test_memory_is_kept_for_a_while_and_then_given_back(found):
    assert found["kept"] < found["plain"] / 10
    assert found["after"] > found["plain"] / 2
    assert found["resident"] - found["resident_after"] > 80  # of 95 MB
    assert found["num_asked"] == 2  # the inner context asks for nothing


def test_without_glibc_nothing_is_asked(monkeypatch):
    monkeypatch.setattr(freed_memory.sys, "platform", "darwin")
    assert not freed_memory.keep_freed_memory()
    freed_memory.release_freed_memory()


@pytest.mark.parametrize(
    ("name", "value"),
    [("MALLOC_TRIM_THRESHOLD_", "131072"), ("GLIBC_TUNABLES", "glibc.malloc.mmap_max=65536")],
)
def test_what_the_environment_says_of_memory_is_left_as_it_is(monkeypatch, name, value):
    asked = []
    monkeypatch.setattr(freed_memory._State, "is_kept_for_good", False)
    monkeypatch.setattr(freed_memory, "_ask_for", asked.append)
    with freed_memory.freed_memory_kept():
        assert len(asked) == 1
    monkeypatch.setenv(name, value)
    with freed_memory.freed_memory_kept():
        assert len(asked) == 2  # the first context has ended


def test_an_explanation_keeps_memory_on_a_cpu_and_a_single_pass_does_not(monkeypatch):
    asked = []
    monkeypatch.setattr(freed_memory._State, "is_kept_for_good", False)
    monkeypatch.setattr(freed_memory, "_is_set_by_the_user", lambda: False)
    monkeypatch.setattr(freed_memory, "_ask_for", asked.append)
    model, image = toys.model_of(toys.OwnBrightness()), toys.square_image()
    target = misure.predicted_target(model, image, 1)
    model(image[None])
    assert asked == []
    misure.explain(model, image, target, max_passes=60)
    assert asked == [freed_memory._KEPT, freed_memory._USUAL]
    with pytest.raises(KeyError), model.borrowed():
        raise KeyError
    assert len(asked) == 4
