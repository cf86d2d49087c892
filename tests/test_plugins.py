"""The examples of docs/guide/adding.md, taken as another package would bring them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples" / "plugins"

ENTRY_POINTS = """
[misure.methods]
depth = method

[misure.metrics]
centre_distance_px = metric

[misure.datasets]
discs = dataset

[misure.loaders]
brighter = loader

[misure.presets]
brief = preset
"""

USE = """
import misure
from misure.datasets import open_dataset

assert "depth" not in misure.METHODS.shipped
model = misure.load_model("brighter:0.5")
samples = open_dataset("discs:2")
assert samples.keys == ["disc000", "disc001"]
target = misure.predicted_target(model, samples[0].image, 1)
result = misure.METHODS["depth"](model, samples[0].image, target, power=2.0)
assert result.saliency_map[16, 16] == result.saliency_map.max() > 1
compared = misure.compare(model, samples, methods=["depth", "random"], metrics=["localisation"])
assert "centre_distance_px" in compared.metrics
assert compared.summary()["depth"]["centre_distance_px"]["mean"] < 1
assert misure.explain(model, samples[0].image, target, preset="brief").settings["edge_px"] == 2
"""


@pytest.fixture
def package(tmp_path):
    """A folder with the examples and the metadata that pip would have written for them."""
    for file in EXAMPLES.glob("*.py"):
        (tmp_path / file.name).write_text(file.read_text())
    info = tmp_path / "misure_examples-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: misure-examples\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    return tmp_path


def _run(package, *arguments):
    source = f"import sys; sys.path.insert(0, {str(package)!r})\n"
    return subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", source + arguments[0]],
        capture_output=True,
        text=True,
        check=False,
    )


def test_another_package_adds_a_method_a_metric_a_data_set_a_loader_and_a_preset(package):
    done = _run(package, USE)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_check_and_the_command_line_know_what_another_package_adds(package):
    code = (
        "import misure\n"
        "from misure.cli import main\n"
        "from misure.testing import check_explainer\n"
        "print(check_explainer(misure.METHODS['depth']))\n"
        "print('and then')\n"
        "main(['methods', '-v'])\n"
    )
    done = _run(package, code)
    assert done.returncode == 0, done.stderr
    checked, _, listed = done.stdout.partition("and then\n")
    assert f"```text\n{checked}```" in (ROOT / "docs" / "guide" / "adding.md").read_text()
    assert "power = 1.0\n        exponent of the distance; larger ones favour the middle." in listed


@pytest.mark.slow
def test_a_broken_package_gives_a_warning_and_leaves_the_rest(package):
    (package / "metric.py").write_text("import a_library_that_is_not_there\n")
    code = (
        "import warnings, misure\n"
        "with warnings.catch_warnings(record=True) as told:\n"
        "    warnings.simplefilter('always')\n"
        "    assert 'gini' in misure.METRICS and 'centre_distance_px' not in misure.METRICS\n"
        "    assert 'depth' in misure.METHODS\n"
        "(sentence,) = [str(one.message) for one in told if one.category is UserWarning]\n"
        "assert sentence.startswith('The package misure-examples offers the metric '), sentence\n"
    )
    done = _run(package, code)
    assert done.returncode == 0, done.stderr


def test_the_page_shows_the_examples_as_they_are():
    page = (ROOT / "docs" / "guide" / "adding.md").read_text()
    snippets = re.findall(r"```python\n(.*?)```", page, re.S)
    files = {file.read_text() for file in EXAMPLES.glob("*.py")}
    assert files <= set(snippets)
    for group in re.findall(r"^\[(misure\.\w+)\]", ENTRY_POINTS, re.M):
        assert f'[project.entry-points."{group}"]' in page


def test_an_example_is_short():
    for file in EXAMPLES.glob("*.py"):
        assert len(file.read_text().splitlines()) <= 30, file.name
