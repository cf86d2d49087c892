"""What is left behind by processes that are killed, and images that change between two calls."""

import os
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from PIL import Image

import misure
import toys
from misure._util.files import durable_file
from misure._util.folders import writing_folder
from misure._util.unfinished import clear_unfinished, unfinished_name
from misure.datasets import Sample, open_dataset
from misure.datasets.sample import files_of
from misure.datasets.subset import Subset
from misure.metrics.comparison.compare_runs import compare_runs
from misure.runs.execution import Execution
from misure.runs.folder import RunFolder
from misure.runs.plan import RunPlan
from misure.runs.run import read_run, run

LEFT = "import sys, misure._util.unfinished as u; print(u.unfinished_name(sys.argv[1]))"


def _name_of_the_dead(name):
    """A name that a process has given, which has ended since."""
    done = subprocess.run(
        [sys.executable, "-c", LEFT, name], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_a_run_clears_up_what_dead_writers_have_left_and_nothing_else(model, tmp_path):
    samples = [Sample("a", toys.square_image())]
    out = tmp_path / "run"
    options = {"plan": RunPlan(method="random")}
    run(samples, model, out, **options)
    assert sorted(path.name for path in out.iterdir())[1:3] == ["images", "maps"]
    (out / ".unfinished").mkdir()
    dead, alive, foreign = (
        out / ".unfinished" / _name_of_the_dead("a.npz"),
        out / ".unfinished" / unfinished_name("b.npz"),
        out / ".unfinished" / ".c.npz.00000000-1-00000000.unfinished",
    )
    mine = out / ".notes.unfinished"
    for path in (dead, alive, foreign, mine, out / _name_of_the_dead("run.json")):
        path.write_text("")
    run(samples, model, out, **options)
    left = {path for path in out.rglob(".*") if path.is_file()}
    assert left == {alive, foreign, mine}
    os.utime(foreign, (0, 0))  # nobody has written to it for more than a day
    alive.unlink()
    mine.unlink()
    run(samples, model, out, **options)
    assert not list(out.rglob(".*"))


def test_files_and_folders_clear_up_what_was_left_of_themselves(tmp_path):
    names = [_name_of_the_dead(name) for name in ("a.csv", "b.csv", "out")]
    for name in names[:2]:
        (tmp_path / name).write_text("half")
    (tmp_path / names[2]).mkdir()
    with durable_file(tmp_path / "a.csv") as unfinished:
        unfinished.write_text("whole")
    with writing_folder(tmp_path / "out", command="explain", settings={}) as folder:
        (folder / "file").write_text("whole")
    assert {path.name for path in tmp_path.iterdir()} == {"a.csv", names[1], "out"}


def test_a_name_as_long_as_names_may_be_can_be_written(tmp_path):
    path = tmp_path / ("n" * 250 + ".txt")
    with durable_file(path) as unfinished:
        unfinished.write_text("whole")
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


# --- images that change ---------------------------------------------------------------------------


def _save(path, *squares):
    image = torch.zeros(30, 30)
    for top, left, side in squares:
        image[top : top + side, left : left + side] = 1
    Image.fromarray((image.numpy() * 255).astype(np.uint8)).save(path, format="BMP")


@pytest.fixture
def images(tmp_path):
    """Two pictures of one bright square each."""
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("a.bmp", "b.bmp"):
        _save(folder / name, (4, 4, 5))
    return folder


def _run(images, model, out, **execution):
    plan = RunPlan(instances=True, method="random")
    return run(str(images), model, out, plan, execution=Execution(**execution))


def _pixels(out):
    return {record.key: record.target.pixels for record in read_run(out)}


def test_an_image_that_was_replaced_is_refused_and_explained_anew_if_asked(model, images, tmp_path):
    out, once = tmp_path / "run", tmp_path / "once"
    _save(images / "a.bmp", (4, 4, 5), (20, 20, 3))
    _run(images, model, out)
    assert _pixels(out) == {"a.bmp#1.0": 25, "a.bmp#1.1": 9, "b.bmp#1.0": 25}
    _save(images / "a.bmp", (8, 8, 7))  # of the same size in bytes
    words = r"^run: expected the images that .*, got 1 that have changed since, such as a\.bmp\. .*"
    with pytest.raises(misure.RunFolderError, match=words + "--retry-changed"):
        _run(images, model, out)
    done = _run(images, model, out, retry_changed=True)
    assert (done.num_samples, done.num_objects) == (1, 1)
    assert _pixels(out) == {"a.bmp#1.0": 49, "b.bmp#1.0": 25}
    _run(images, model, once)
    assert read_run(out) == read_run(once)
    assert _run(images, model, out).total_samples == 0


def test_an_image_that_was_touched_or_copied_is_the_same_image(model, images, tmp_path):
    _run(images, model, tmp_path / "run")
    os.utime(images / "a.bmp", (0, 0))
    content = (images / "b.bmp").read_bytes()
    (images / "b.bmp").unlink()
    (images / "b.bmp").write_bytes(content)
    assert _run(images, model, tmp_path / "run").total_samples == 0


def test_a_failed_image_that_was_mended_is_tried_again(model, images, tmp_path):
    (images / "a.bmp").write_bytes(b"no image")
    assert _run(images, model, tmp_path / "run").num_failed == 1
    _save(images / "a.bmp", (8, 8, 7))
    assert _run(images, model, tmp_path / "run", retry_failed=True).num_objects == 1
    assert _pixels(tmp_path / "run") == {"a.bmp#1.0": 49, "b.bmp#1.0": 25}


def test_maps_are_not_measured_on_other_images_than_they_are_of(model, images, tmp_path):
    _run(images, model, tmp_path / "run")
    dataset = open_dataset(str(images))
    options = {"metrics": ["localisation"]}
    compare_runs(model, dataset, [tmp_path / "run"], **options)
    _save(images / "a.bmp", (8, 8, 7))
    with pytest.raises(misure.RunFolderError, match=r"such as a\.bmp"):
        compare_runs(model, dataset, [tmp_path / "run"], **options)
    _run(images, model, tmp_path / "run", retry_changed=True)
    rows = compare_runs(model, dataset, [tmp_path / "run"], **options).rows
    fresh = tmp_path / "fresh"
    _run(images, model, fresh)
    assert [row.metrics for row in rows] == [
        row.metrics for row in compare_runs(model, dataset, [fresh], **options).rows
    ]


def test_a_sample_whose_line_is_lost_is_done_again(model, images, tmp_path):
    out = tmp_path / "run"
    _run(images, model, out)
    whole = read_run(out)
    (file,) = out.glob("records-*")
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(line for line in lines if b'"key": "a.bmp#1.0"' not in line))
    assert [record.key for record in read_run(out)] == ["b.bmp#1.0"]
    assert _run(images, model, out).total_samples == 1
    assert read_run(out) == whole


def test_files_are_named_by_data_sets_that_have_some(tmp_path):
    _save(tmp_path / "a.bmp")
    dataset = open_dataset(str(tmp_path))
    assert files_of(Subset(dataset, [0]), 0) == [tmp_path / "a.bmp"]
    corrupted = open_dataset(f"corrupted:noise=0.1,{tmp_path}")
    assert files_of(corrupted, 0) == [tmp_path / "a.bmp"]
    assert files_of(open_dataset("triangle:1"), 0) == []
    assert RunFolder(tmp_path).storage.is_local


def test_what_a_living_process_writes_is_never_cleared(tmp_path):
    folder = tmp_path / unfinished_name("out")
    folder.mkdir()
    two_days_ago = time.time() - 2 * 24 * 3600
    os.utime(folder, (two_days_ago, two_days_ago))
    assert clear_unfinished(tmp_path) == 0
    assert folder.is_dir()


def test_a_folder_with_a_left_over_inside_is_empty(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / _name_of_the_dead("out")).mkdir()
    with writing_folder(out, command="explain", settings={}) as folder:
        (folder / "file").write_text("whole")
    assert sorted(path.name for path in out.iterdir()) == [".misure.json", "file"]
