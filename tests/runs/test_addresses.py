"""Run folders at addresses, and object stores that do not answer."""

import threading
import time

import fsspec
import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from PIL import Image

import misure
import toys
from misure.datasets import Sample, SampleList
from misure.runs import object_store
from misure.runs.plan import RunPlan
from misure.runs.run import read_run, run

PLAN = RunPlan(method="random")
SAMPLES = SampleList([Sample(f"{name}.png", toys.square_image()) for name in "abc"])


@pytest.mark.parametrize(
    ("address", "folder"),
    [
        ("file://{}/run", "run"),
        ("{}/100%25 of it", "100%25 of it"),
        ("file://{}/a b%20c", "a b%20c"),
        ("{}/not there/../run", "run"),
    ],
)
def test_a_folder_has_the_name_that_was_said(model, tmp_path, address, folder):
    address = address.format(tmp_path)
    run(SAMPLES, model, address, PLAN)
    assert [path.name for path in tmp_path.iterdir()] == [folder]
    assert len(read_run(address)) == len(read_run(tmp_path / folder)) == 3
    assert run(SAMPLES, model, address, PLAN).total_samples == 0


def test_an_address_inside_the_source_is_refused(model, tmp_path):
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(misure.InputError, match="expected a run folder outside the source"):
        run(str(tmp_path), model, f"file://{tmp_path}/run", PLAN)


def test_memory_that_ends_with_its_worker_is_refused(tmp_path):
    with pytest.raises(misure.InputError, match="expected a folder that other processes see"):
        run("triangle:1", "triangle", "memory://run", PLAN)


class Failing(MemoryFileSystem):
    """A store that answers until it is told not to."""

    protocol = "failing"
    store, pseudo_dirs = {}, [""]
    cachable = False
    how, num_requests = None, 0

    def _fail(self):
        Failing.num_requests += 1
        if isinstance(Failing.how, Exception):
            raise Failing.how
        if Failing.how:
            Failing.how.wait()

    def pipe_file(self, *args, **options):
        self._fail()
        return super().pipe_file(*args, **options)

    def cat_file(self, *args, **options):
        self._fail()
        return super().cat_file(*args, **options)

    def ls(self, *args, **options):
        self._fail()
        return super().ls(*args, **options)


@pytest.fixture
def failing(monkeypatch):
    monkeypatch.setattr(object_store, "WAITS_S", (0.01, 0.01))
    monkeypatch.setattr(object_store, "ANSWER_WITHIN_S", 0.2)
    fsspec.register_implementation("failing", Failing, clobber=True)
    Failing.how, Failing.num_requests = None, 0
    Failing.store.clear()
    yield Failing
    Failing.how = None


def test_a_store_whose_server_dies_ends_the_run_with_one_sentence(model, failing):
    class EndpointConnectionError(Exception):
        """As of botocore: no OSError."""

    def dies(progress):
        if progress.num_samples == 1:
            failing.how = EndpointConnectionError('Could not connect to\n"http://127.0.0.1:1/"')
            failing.num_requests = 0

    words = (
        r"^run: expected failing://bucket/run to answer, got EndpointConnectionError: Could not "
        r'connect to "http://127.0.0.1:1/". What was recorded stays. .* same command again\.$'
    )
    with pytest.raises(misure.RunFolderError, match=words):
        run(SAMPLES, model, "failing://bucket/run", PLAN, on_progress=dies)
    assert failing.num_requests == 3
    with pytest.raises(misure.RunFolderError, match="read_run: expected failing://bucket/run to"):
        read_run("failing://bucket/run")
    failing.how = None
    assert len(read_run("failing://bucket/run")) == 1
    assert run(SAMPLES, model, "failing://bucket/run", PLAN).total_samples == 2
    assert len(read_run("failing://bucket/run")) == 3


def test_a_store_that_hangs_is_not_waited_for(model, failing):
    event = threading.Event()
    failing.how = event
    start = time.monotonic()
    with pytest.raises(misure.RunFolderError, match="got TimeoutError: no answer within"):
        run(SAMPLES, model, "failing://bucket/run", PLAN)
    assert time.monotonic() - start < 5
    event.set()


def test_a_short_break_is_survived(model, failing):
    class OnceError(Exception):
        pass

    class Briefly(Failing):
        def _fail(self):
            Failing.num_requests += 1
            if Failing.num_requests % 2:
                raise OnceError

    fsspec.register_implementation("failing", Briefly, clobber=True)
    assert run(SAMPLES, model, "failing://bucket/run", PLAN).num_objects == 3
    assert len(read_run("failing://bucket/run")) == 3


def test_a_store_that_refuses_is_not_asked_again(model, failing):
    failing.how = PermissionError("Access Denied")
    with pytest.raises(misure.RunFolderError, match="got PermissionError: Access Denied"):
        run(SAMPLES, model, "failing://bucket/run", PLAN)
    assert failing.num_requests == 1
