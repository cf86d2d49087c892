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
    "misure/reports/templates/report.js",
}


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    """A folder with the wheel and the sdist."""
    out = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "build", "--outdir", out, ROOT], check=True)
    return out


@pytest.fixture(scope="module")
def package_files():
    """The files of the package in the checkout, as `misure/errors.py`."""
    paths = (path for path in (ROOT / "src" / "misure").rglob("*") if path.is_file())
    names = {path.relative_to(ROOT / "src").as_posix() for path in paths}
    files = {name for name in names if "__pycache__" not in name}
    assert files >= DATA
    return files


def test_the_wheel_holds_the_package_and_nothing_else(archives, package_files):
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


def test_the_sdist_holds_what_the_wheel_is_built_from_and_the_tests(archives, package_files):
    (path,) = archives.glob("*.tar.gz")
    with tarfile.open(path) as sdist:
        names = {member.name.partition("/")[2] for member in sdist if member.isfile()}
    assert names >= {f"src/{name}" for name in package_files} | LICENCES
    assert names >= {"README.md", "pyproject.toml", "tests/conftest.py"}
    assert not {name for name in names if name.endswith((".pyc", ".venv"))}


def test_the_archives_are_fit_for_a_package_index(archives):
    command = [sys.executable, "-m", "twine", "check", "--strict", *archives.iterdir()]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
