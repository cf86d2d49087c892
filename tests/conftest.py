"""Every test begins with the same random state, and hypothesis with the same examples; none waits
for the network, and each process computes with one thread, so that two of them share two cores."""

import locale
import os

os.environ["HF_HUB_OFFLINE"] = "1"  # read when transformers is imported
os.environ |= dict.fromkeys(  # read when torch and NumPy are imported, in children as well
    ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"
)

from contextlib import contextmanager

import pytest
import torch
from hypothesis import settings
from PIL import Image

import toys

torch.set_num_threads(1)
settings.register_profile("same", derandomize=True, deadline=None)
settings.load_profile("same")


@pytest.fixture(autouse=True)
def _same_random_state():
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _same_locale():
    """What writes DICOM files sets that of the whole process, and leaves it so."""
    before = locale.setlocale(locale.LC_ALL)
    yield
    locale.setlocale(locale.LC_ALL, before)


@pytest.fixture
def model():
    """Calls bright pixels `bright`, and needs nothing else to do so."""
    return toys.model_of(toys.OwnBrightness(), class_names=("dark", "bright"))


@contextmanager
def _working_here():
    from misure.runs.engines.local import run_in_this_process

    def run_locally(job, keys, on_outcome, *, num_workers):
        run_in_this_process(job, keys, on_outcome)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("misure.runs.run.run_locally", run_locally)
        yield


@pytest.fixture(scope="session")
def working_here():
    """A context in which runs start no workers: for tests of what a run records, not of who does."""
    return _working_here


@pytest.fixture
def in_this_process():
    """Like `working_here`, around a whole test."""
    with _working_here():
        yield


@pytest.fixture
def blank_pictures(monkeypatch):
    """Pictures of explanations are blank: for tests of what else a command writes and says."""
    from misure.reports.explanation_panels import PANELS

    def save_blank(explanation, presentation, segmentation, folder, *, lie=None, options=None):
        montage = ["montage"] if explanation.target.region.ndim == 3 else []
        for name in ("overview", *PANELS, *montage):
            Image.new("L", (1, 1)).save(folder / f"{name}.png")

    monkeypatch.setattr("misure.reports.folders.save_pictures", save_blank)


@pytest.fixture
def few_canvases(monkeypatch):
    """Parts of Triangle to train on that have eight samples at most."""
    from misure.datasets import TriangleDataset

    def few(number, **options):
        return TriangleDataset(min(number, 8), **options)

    monkeypatch.setattr("misure.lab.training.recipes.TriangleDataset", few)
