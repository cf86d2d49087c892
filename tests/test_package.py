"""What the package promises as a whole."""

import ast
import functools
import itertools
import re
import tomllib
from pathlib import Path

import pytest

import misure

ROOT = Path(__file__).parents[1]

PUBLIC = [
    "Answer",
    "CheckedRegion",
    "Comparison",
    "Cost",
    "EmptyTargetError",
    "Execution",
    "Explanation",
    "HiddenRegion",
    "InputError",
    "METHODS",
    "METRICS",
    "MissingDataError",
    "MissingDependencyError",
    "MisureError",
    "ModelError",
    "PRESETS",
    "Reasons",
    "Robustness",
    "RunFolderError",
    "RunPlan",
    "Segmentation",
    "SegmentationModel",
    "Stability",
    "Target",
    "__version__",
    "answer",
    "as_captum_forward",
    "blocking_region",
    "channel_effects",
    "channel_regions",
    "check_region",
    "compare",
    "context_effect_matrix",
    "context_effects",
    "explain",
    "explain_all",
    "find_reasons",
    "leverage",
    "load_model",
    "log_explanation",
    "missed_objects",
    "missed_target",
    "necessary_region",
    "predicted_target",
    "prompt_sensitivity",
    "read_image",
    "read_run",
    "robustness",
    "run",
    "segment",
    "stability_of",
    "sufficient_area",
    "write_report",
]


def test_the_public_names():
    assert sorted(misure.__all__) == PUBLIC
    assert set(PUBLIC) <= set(dir(misure))
    for name in PUBLIC:
        assert getattr(misure, name) is getattr(misure, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'explane'"):
        misure.explane  # noqa: B018


def test_the_errors_are_one_tree():
    for name in PUBLIC:
        if name.endswith("Error"):
            assert issubclass(getattr(misure, name), misure.MisureError)
    assert issubclass(misure.InputError, ValueError)
    assert issubclass(misure.EmptyTargetError, misure.InputError)
    assert issubclass(misure.MissingDependencyError, ImportError)


def test_the_citation_names_the_newest_release():
    newest = re.search(r"^## \[([\d.]+)\]", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.M)[1]
    assert f"version: {newest}\n" in (ROOT / "CITATION.cff").read_text("utf-8")
    assert misure.__version__ == newest or ".dev" in misure.__version__


def test_the_oldest_versions_that_are_tested_are_those_that_are_allowed():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    # Tools; and what needs torchvision, whose builds need CUDA's torch.
    others = {"dev", "docs", "all", "networks"}
    others |= {"torchvision", "nnunet", "smp", "bioimageio", "ultralytics", "napari"}
    allowed = [*project["dependencies"], *itertools.chain(*(extras[k] for k in {*extras} - others))]
    floors = dict(line.split(">=") for line in allowed)
    lines = (ROOT / "constraints-oldest.txt").read_text("utf-8").splitlines()
    tested = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert tested.keys() == floors.keys()
    assert tested.pop("torch") == "2.13.0"  # said in constraints-oldest.txt
    for name, version in tested.items():
        assert f"{version}.0".startswith(f"{floors[name]}."), name


ROOMS = [
    "errors",
    "_version",
    "_util",
    "images",
    "datasets",
    "models",
    "explanation",
    "methods",
    "runs",
    "metrics",
    "reliability",
    "reports",
    "viewer",
    "napari",
    "lab",
    "testing",
    "cli",
    "__main__",
]
"""In reading order: a room imports itself and the rooms before it."""


@functools.cache
def _parsed(path):
    return ast.parse(path.read_text("utf-8"))


def _imports_of(path):
    for node in ast.walk(_parsed(path)):
        if isinstance(node, ast.ImportFrom):
            yield node.module or ""
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_rooms_import_only_what_stands_before_them():
    folder = ROOT / "src" / "misure"
    places = {path: path.relative_to(folder).parts[0] for path in folder.rglob("*.py")}
    del places[folder / "__init__.py"]  # the public names, fetched on first use
    assert {place.removesuffix(".py") for place in places.values()} == set(ROOMS)
    for path, place in places.items():
        own = place.removesuffix(".py")
        for name in _imports_of(path):
            package, _, rest = name.partition(".")
            if package == "misure":
                room = rest.partition(".")[0]
                assert room, f"{path} imports misure itself"
                assert ROOMS.index(room) <= ROOMS.index(own), f"{path} imports {name}"
                assert {room, own} != {"datasets", "models"}, f"{path} imports {name}"


ONLY_IN = {"matplotlib": ("reports", "lab"), "click": ("cli",)}


def test_what_draws_and_what_reads_the_command_line_stay_in_their_rooms():
    folder = ROOT / "src" / "misure"
    for path in folder.rglob("*.py"):
        for name in _imports_of(path):
            rooms = ONLY_IN.get(name.partition(".")[0])
            assert not rooms or path.relative_to(folder).parts[0] in rooms, f"{path}: {name}"
            if name.startswith("matplotlib"):
                assert path.name == "canvas.py", f"{path}: take {name} from misure.reports.canvas"


def test_explaining_does_not_wait_for_statistics():
    """scipy.stats takes as long to import as an explanation of a small image; signal needs it."""
    for path in (ROOT / "src" / "misure" / "explanation").rglob("*.py"):
        for node in _parsed(path).body:
            if isinstance(node, ast.ImportFrom) and node.module == "scipy":
                assert not {"signal", "stats"} & {alias.name for alias in node.names}, path


def test_each_room_says_in_a_sentence_what_it_is():
    for path in (ROOT / "src" / "misure").rglob("__init__.py"):
        assert ast.get_docstring(_parsed(path)), path
