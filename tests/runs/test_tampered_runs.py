"""Run folders that somebody has changed: one sentence each, never a traceback."""

import json
import shutil

import numpy as np
import pytest
import torch

import misure
import toys
from misure._util.records import decode
from misure.datasets import Sample, SampleList
from misure.reports.page import write_report
from misure.reports.run_volumes import write_run_volumes
from misure.runs.folder import RunFolder
from misure.runs.plan import RunPlan
from misure.runs.record import RunFile
from misure.runs.run import read_run, run

NAN, INFINITE = float("nan"), float("inf")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    plan = RunPlan(method_options={"max_passes": 40, "num_minimality_tests": 0})
    run(SampleList([Sample("s", toys.beacon_image())]), toys.model_of(toys.Beacon()), folder, plan)
    return folder


@pytest.fixture
def copied(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "run")


def _change(folder, place, value):
    (file,) = folder.glob("records-*")
    first, *others = file.read_text().splitlines(keepends=True)
    values = part = json.loads(first)
    *parts, last = place.split(".")
    for name in parts:
        part = part[int(name)] if isinstance(part, list) else part[name]
    part[last] = value
    file.write_text("".join([json.dumps(values) + "\n", *others]))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("class_index", 2**64), ("class_index", -1), ("instance", -3), ("target.pixels", 1e9),
        ("target.pixels", -1), ("target", None), ("cost.pass_equivalents", 10**30),
        ("sufficient_region.growth_px", -5), ("minimally_sufficient_region.area_fraction", 1.5),
        ("minimally_sufficient_region.relative_area", "x"), ("sufficiency_curve.0.dice", 1e300),
        ("silhouette_dice", -2), ("transfer_dice", [1]), ("viewing_order", [[0, True]] * 3),
        ("viewing_order", [[9, True], [1, True], [2, True]]), ("affine", [[1.0]]),
        ("context", [{"class_index": -2, "class_name": "x", "pixels": 1}]),
        ("prediction", None), ("more", 1), ("map", "../../x.npz"), ("thumbnail", "/etc/hostname"),
    ],
)  # fmt: skip
def test_a_record_of_other_values_is_refused(copied, tmp_path, place, value):
    _change(copied, place, value)
    with pytest.raises(misure.RunFolderError, match=r"expected (records of a run in|files inside)"):
        write_report([copied], tmp_path / "r.html")
    assert not (tmp_path / "r.html").exists()


@pytest.mark.parametrize("name", ["silhouette_dice", "prediction.entropy", "target.area_fraction"])
@pytest.mark.parametrize("value", [NAN, INFINITE])
def test_numbers_that_are_none_never_reach_a_report(copied, tmp_path, name, value):
    _change(copied, name, value)
    with (
        pytest.warns(misure.errors.MisureWarning, match="damaged line in it, which is left out"),
        pytest.raises(misure.RunFolderError, match="has none yet"),
    ):
        write_report([copied], tmp_path / "r.html")


def _with_map(folder, change):
    (file,) = (folder / "maps").rglob("*.npz")
    with np.load(file) as arrays:
        values = dict(arrays)
    change(values)
    np.savez(file, **values)


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("target", np.zeros((3, 5), bool)), ("target", np.zeros(3, bool)),
        ("target", np.ones((30, 30))), ("target", np.zeros((0, 0), bool)),
        ("target", np.zeros((30, 30), bool)), ("saliency_map", np.float32(1)),
        ("saliency_map", np.zeros((1, 1, 1, 30, 30), np.float32)),
        ("saliency_map", np.full((30, 30), np.nan, np.float32)),
        ("saliency_map", np.full((30, 30), -np.inf, np.float32)),
        ("sufficient_region", np.zeros((30, 31), bool)), ("sufficient_region", None),
        ("minimally_sufficient_region", np.zeros((30, 30), np.float32)), ("saliency_map", None),
    ],
)  # fmt: skip
def test_a_map_of_other_arrays_is_refused(copied, tmp_path, name, array):
    assert toys.beacon_image().shape[1:] == (30, 30)
    change = dict.pop if array is None else lambda values, key: values.update({key: array})
    _with_map(copied, lambda values: change(values, name))
    with pytest.raises(misure.RunFolderError, match=r"expected (a map in|the map of)"):
        write_report([copied], tmp_path / "r.html")


def test_the_map_of_another_object_is_refused(copied, tmp_path):
    _change(copied, "target.pixels", 7)
    with pytest.raises(misure.RunFolderError, match="an object of 7 pixels.* but its target has"):
        write_report([copied], tmp_path / "r.html")


def test_settings_with_numbers_that_are_none_are_refused(copied):
    file = copied / "run.json"
    file.write_text(file.read_text().replace('"dice_threshold": 0.9', '"dice_threshold": NaN'))
    with pytest.raises(misure.RunFolderError, match="run.json, but it cannot be used"):
        RunFolder(copied).settings()
    with pytest.raises(misure.InputError, match="expected a run, but it cannot be used"):
        decode("[" * 200_000 + "]" * 200_000, RunFile, "a run")


def test_an_affine_without_directions_is_refused(tmp_path):
    sample = Sample("v", toys.beacon_image(3), affine=torch.eye(4).double())
    model = toys.model_of(toys.Beacon())
    run(SampleList([sample]), model, tmp_path / "run", RunPlan(method="edges"))
    _change(tmp_path / "run", "affine", [[1.0, 0, 0, 0]] * 4)
    with pytest.raises(misure.RunFolderError, match="gives each axis a direction"):
        write_run_volumes(tmp_path / "run", tmp_path / "out")


def test_what_is_whole_is_read(whole, tmp_path):
    assert write_report([whole], tmp_path / "r.html")
    assert [record.status for record in read_run(whole)] == ["done"]
