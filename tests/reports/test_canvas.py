"""Pictures are drawn whatever the surroundings say about windows."""

import os
import subprocess
import sys

import pytest

DRAW = """
import os, sys
from misure.reports.canvas import Figure
figure = Figure(figsize=(2, 1))
figure.subplots().plot([0, 1])
figure.savefig(sys.argv[1], format="png")
import matplotlib
print(os.environ["MPLBACKEND"], matplotlib.rcParams["backend"])
"""


@pytest.mark.parametrize(
    ("backend", "kept"),
    [("module://matplotlib_inline.backend_inline", None), ("nonsense", None), ("svg", "svg")],
)
def test_any_mplbackend_draws(tmp_path, backend, kept):
    picture = tmp_path / "a.png"
    done = subprocess.run(
        [sys.executable, "-c", DRAW, str(picture)],
        env={**os.environ, "MPLBACKEND": backend, "DISPLAY": ""},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert picture.read_bytes().startswith(b"\x89PNG")
    named, used = done.stdout.split()
    assert named == backend
    assert kept is None or used == kept  # whoever uses pyplot later gets the window asked for
