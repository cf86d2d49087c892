"""The archives of a release: they hold the whole package, its data and its licences, and no more."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
pytest.importorskip("build")

ROOT = Path(__file__).parents[1]
LICENCES = {"LICENSE", "src/misure/datasets/triangle/DIGITS.md"}
DATA = {
    "misure/datasets/triangle/DIGITS.md",
    "misure/datasets/triangle/digits.npz",
    "misure/lab/experiments/triangle.toml",
    "misure/lab/training/templates/card.md",
    "misure/models/networks/triangle.safetensors",
    "misure/py.typed",
    "misure/reports/templates/report.css",
    "misure/reports/templates/report.html",
    "misure/reports/templates/report/start.js",
    "misure/viewer/pages/index.html",
    "misure/viewer/pages/main.js",
    "misure/viewer/pages/view.css",
}


def test_the_archives_hold_the_package_and_nothing_else_and_are_fit_for_an_index(tmp_path):
    """One test, for each process that had one of several would build them."""
    subprocess.run([sys.executable, "-m", "build", "--outdir", tmp_path, ROOT], check=True)
    package_files = _package_files()
    _check_wheel(tmp_path, package_files)
    _check_sdist(tmp_path, package_files)
    _check_fitness(tmp_path)


def _package_files():
    """The files of the package in the checkout, as `misure/errors.py`."""
    paths = (path for path in (ROOT / "src" / "misure").rglob("*") if path.is_file())
    names = {path.relative_to(ROOT / "src").as_posix() for path in paths}
    files = {name for name in names if "__pycache__" not in name}
    assert files >= DATA
    return files


def _check_wheel(archives, package_files):
    """The wheel holds the package and nothing else."""
    (path,) = archives.glob("*.whl")
    with zipfile.ZipFile(path) as wheel:
        names = set(wheel.namelist())
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        about = wheel.read(metadata).decode()
    beside = {name for name in names if name.startswith(metadata.removesuffix("METADATA"))}
    assert names - beside == package_files
    assert beside >= {metadata.replace("METADATA", f"licenses/{name}") for name in LICENCES}
    assert "License-Expression: Apache-2.0 AND CC-BY-4.0\n" in about
    assert "Requires-Dist: scikit-learn" not in "".join(
        line for line in about.splitlines() if "extra ==" not in line
    )


def _check_sdist(archives, package_files):
    """The sdist holds what the wheel is built from, and the tests."""
    (path,) = archives.glob("*.tar.gz")
    with tarfile.open(path) as sdist:
        names = {member.name.partition("/")[2] for member in sdist if member.isfile()}
    assert names >= {f"src/{name}" for name in package_files} | LICENCES
    assert names >= {"README.md", "pyproject.toml", "tests/conftest.py"}
    assert not {name for name in names if name.endswith((".pyc", ".venv"))}


def _check_fitness(archives):
    """A package index would take them."""
    command = [sys.executable, "-m", "twine", "check", "--strict", *archives.iterdir()]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
