"""Runs over whole data sets: what is recorded, what survives, and that nothing depends on the way."""

import errno
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import fields
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import misure
import toys
from misure._util.files import durable_file
from misure._util.records import plain
from misure.cli.app import main
from misure.datasets import Sample, SampleList, TriangleDataset
from misure.errors import MisureWarning
from misure.explanation import explain
from misure.explanation.explanation import Explanation
from misure.reports.page import write_report
from misure.runs.execution import Execution, shard_of_environment
from misure.runs.folder import RunFolder, RunWriter
from misure.runs.job import make_job
from misure.runs.plan import RunPlan
from misure.runs.record import ExplainedObject
from misure.runs.run import read_run, run
from misure.runs.table import RunTable

QUICK = {"preset": "smallest", "max_passes": 40, "num_minimality_tests": 0}


def _sample(key, brightness=1.0):
    image = toys.square_image()
    image[0, 20:24, 20:26] = 1.0  # a second object
    return Sample(key, image * brightness)


SAMPLES = SampleList([_sample(f"{name}.png") for name in "abc"])


def _run(out, model, samples=SAMPLES, **options):
    """A run whose options are fields of the plan, of the execution, or `on_progress`."""
    execution = {
        field.name: options.pop(field.name) for field in fields(Execution) if field.name in options
    }
    on_progress = options.pop("on_progress", None)
    plan = RunPlan(**{"method_options": QUICK, **options})
    return run(samples, model, out, plan, execution=Execution(**execution), on_progress=on_progress)


def test_every_object_is_explained_and_recorded(model, tmp_path):
    done = _run(tmp_path / "run", model, instances=True)
    assert (done.num_samples, done.num_objects, done.num_failed) == (3, 6, 0)
    records = read_run(tmp_path / "run")
    assert [one.key for one in records] == [
        f"{name}.png#1.{number}" for name in "abc" for number in (0, 1)
    ]
    first = records[0]
    assert first.status == "done"
    assert first.class_name == "bright"
    assert first.target.pixels == 25
    assert first.cost.pass_equivalents > 0
    assert first.timing is None
    explanation = Explanation.load(tmp_path / "run" / first.map)
    assert explanation.dice == first.minimally_sufficient_region.dice >= 0.9
    with Image.open(tmp_path / "run" / first.thumbnail) as thumbnail:
        assert thumbnail.size == (30, 30)
    assert sum(one.pixels for one in first.context) == int(
        (explanation.minimally_sufficient_region & ~explanation.target.region).sum()
    )


def test_a_class_as_a_whole_classes_by_name_and_the_smallest_object(model, tmp_path):
    _run(tmp_path / "whole", model)
    assert [one.key for one in read_run(tmp_path / "whole")] == [f"{n}.png#1" for n in "abc"]
    _run(tmp_path / "named", model, classes=["dark", "1"])
    assert len(read_run(tmp_path / "named")) == 6
    _run(tmp_path / "large", model, instances=True, min_area=0.027)
    assert [one.instance for one in read_run(tmp_path / "large")] == [0, 0, 0]


def test_the_context_is_told_by_the_models_own_segmentation(tmp_path):
    model = toys.model_of(toys.Beacon(), class_names=("sky", "square"))
    samples = SampleList([Sample("beacon", toys.beacon_image())])
    run(samples, model, tmp_path / "run", RunPlan(method_options={"max_passes": 60}))
    (record,) = read_run(tmp_path / "run")
    (context,) = record.context
    assert context.class_name == "sky"
    assert context.pixels >= 9


def test_going_on_is_the_same_as_never_having_stopped(model, tmp_path):
    _run(tmp_path / "once", model)
    _run(tmp_path / "twice", model, limit=1)
    assert len(read_run(tmp_path / "twice")) == 1
    done = _run(tmp_path / "twice", model)
    assert done.total_samples == 2
    assert _run(tmp_path / "twice", model).total_samples == 0
    assert read_run(tmp_path / "once") == read_run(tmp_path / "twice")


def test_shards_in_any_order_make_the_whole(model, tmp_path):
    _run(tmp_path / "once", model, instances=True)
    for index in (1, 0):
        _run(tmp_path / "shards", model, instances=True, shard=(index, 2))
    assert read_run(tmp_path / "once") == read_run(tmp_path / "shards")


def test_seeds_come_from_the_key_and_not_from_the_order(model, tmp_path):
    options = {"method": "random", "method_options": {}}
    _run(tmp_path / "there", model, **options)
    _run(tmp_path / "back", model, SampleList(SAMPLES[::-1]), **options)
    there, back = read_run(tmp_path / "there"), read_run(tmp_path / "back")
    assert there == back
    seeds = [one.key for one in there]
    maps = [np.load(tmp_path / "there" / one.map)["saliency_map"] for one in there]
    assert len(seeds) == 3
    assert not np.array_equal(maps[0], maps[1])
    _run(tmp_path / "other", model, seed=1, **options)
    other = np.load(tmp_path / "other" / read_run(tmp_path / "other")[0].map)["saliency_map"]
    assert not np.array_equal(maps[0], other)


class Moody(torch.nn.Module):
    """Raises, gives NaN or runs out of memory on images of a certain brightness."""

    def __init__(self):
        super().__init__()
        self.healed = False
        self.inner = toys.OwnBrightness()

    def forward(self, images):
        mood = round(float(images[:, 0, 0, 0].detach().max()), 2)
        if not self.healed and mood == 0.25:
            raise RuntimeError("a bad\nday")
        if not self.healed and mood == 0.5:
            return self.inner(images) * float("nan")
        if not self.healed and mood == 0.75:
            raise torch.OutOfMemoryError("out of memory")
        return self.inner(images)


def _moody_samples():
    samples = []
    for mood in (0.0, 0.25, 0.5, 0.75):
        sample = _sample(f"{mood}.png")
        sample.image[0, 0, 0] = mood
        samples.append(sample)
    return SampleList(samples)


def test_what_fails_is_recorded_with_its_reason_and_can_be_done_once_more(tmp_path):
    net = Moody()
    model = toys.model_of(net, probabilities=False)
    done = _run(tmp_path / "run", model, _moody_samples())
    assert (done.num_objects, done.num_failed) == (1, 3)
    reasons = {one.key: one.reason for one in read_run(tmp_path / "run")}
    assert reasons["0.0.png#1"] == ""
    assert "a bad day" in reasons["0.25.png"]
    assert "finite" in reasons["0.5.png"]
    assert "memory" in reasons["0.75.png"]
    assert _run(tmp_path / "run", model, _moody_samples()).total_samples == 0
    net.healed = True
    again = _run(tmp_path / "run", model, _moody_samples(), retry_failed=True)
    assert (again.num_objects, again.num_failed) == (3, 0)
    records = read_run(tmp_path / "run")
    assert [one.status for one in records] == ["done"] * 4
    _run(tmp_path / "clean", model, _moody_samples())
    assert records == read_run(tmp_path / "clean")


@pytest.mark.slow
def test_a_recorded_reason_does_not_depend_on_the_process(folder):
    (folder / "images" / "3.png").write_bytes(b"no image")
    source, spec = str(folder / "images"), f"python:{folder}/net.py:make"
    options = {"plan": RunPlan(method_options=QUICK), "model_options": {"probabilities": False}}
    run(source, spec, folder / "apart", **options)
    run(source, misure.load_model(spec, probabilities=False), folder / "here", **options)
    apart, here = (
        [record.reason for record in read_run(folder / name) if record.status == "failed"]
        for name in ("apart", "here")
    )
    assert len(here) == 1
    assert here == apart
    assert "run:" not in here[0]


def test_one_object_that_fails_leaves_the_others_of_its_image(model, tmp_path, monkeypatch):
    whole = explain.explain_all

    def fails_on_the_large_one(model_, image, targets, **options):
        if any(int(target.region.sum()) == 25 for target in targets):
            raise misure.InputError("explain: not this one.")
        return whole(model_, image, targets, **options)

    monkeypatch.setattr("misure.methods.misure.explain_all", fails_on_the_large_one)
    done = _run(tmp_path / "run", model, SampleList(SAMPLES[:1]), instances=True)
    assert (done.num_objects, done.num_failed) == (1, 1)
    by_status = {one.status: one for one in read_run(tmp_path / "run")}
    assert by_status["failed"].key == "a.png#1.0"
    assert by_status["failed"].reason == "explain: not this one."
    assert by_status["failed"].class_name == "bright"
    assert by_status["done"].key == "a.png#1.1"


def test_a_figure_that_is_none_is_a_failure_of_its_item_alone(model, tmp_path, monkeypatch):
    whole = explain.explain_all

    def endless(model_, image, targets, **options):
        return [
            found.with_values(transfer_dice=float("nan"))
            if found.values.target.pixels == 25
            else found
            for found in whole(model_, image, targets, **options)
        ]

    monkeypatch.setattr("misure.methods.misure.explain_all", endless)
    done = _run(tmp_path / "run", model, SampleList(SAMPLES[:1]), instances=True)
    assert (done.num_objects, done.num_failed) == (1, 1)


def test_a_run_folder_that_is_gone_ends_the_run(model, tmp_path):
    def goes(progress):
        if progress.num_samples == 1:
            shutil.rmtree(tmp_path / "run")

    with pytest.raises(OSError, match="No such file"):
        _run(tmp_path / "run", model, on_progress=goes)
    assert not (tmp_path / "run").exists()


def test_a_source_that_changes_meanwhile_ends_the_run(model, tmp_path):
    samples = SampleList(SAMPLES)

    def changes(progress):
        if progress.num_samples == 1:
            samples.pop(0)

    with pytest.raises(misure.RunFolderError, match=r"^run: expected sample 1 to be 'b\.png'"):
        _run(tmp_path / "run", model, samples, on_progress=changes)


def test_a_run_folder_inside_its_source_is_an_error(model, tmp_path):
    Image.new("L", (9, 9)).save(tmp_path / "a.png")
    with pytest.raises(misure.InputError, match="expected a run folder outside the source"):
        run(str(tmp_path), model, tmp_path / "run")


def test_a_name_that_is_not_utf_8_is_a_name_too(model, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    pixels = (toys.square_image()[0].numpy() * 255).astype(np.uint8)
    name = os.fsencode(folder) + b"/caf\xe9.png"
    with open(name, "wb") as file:  # noqa: PTH123
        Image.fromarray(pixels).save(file, format="PNG")
    assert _run(tmp_path / "run", model, str(folder)).num_objects == 1
    with RunTable.open(tmp_path / "run") as table:
        table.write_csv(tmp_path / "t.csv")
        table.write_parquet(tmp_path / "t.parquet")
    assert "caf\\udce9.png" in (tmp_path / "t.csv").read_text()
    write_report([tmp_path / "run"], tmp_path / "r.html")


def test_many_objects_are_explained_a_few_at_a_time(model, tmp_path, monkeypatch):
    whole, sizes = explain.explain_all, []

    def counts(model_, image, targets, **options):
        sizes.append(len(targets))
        return whole(model_, image, targets, **options)

    monkeypatch.setattr("misure.methods.misure.explain_all", counts)
    image = torch.zeros(1, 30, 30)
    image[0, 2::4, 2::4] = 1.0
    samples = SampleList([Sample("dots", image[:, :, :11])])
    done = _run(tmp_path / "run", model, samples, instances=True, min_area=0.0)
    assert done.num_objects == 21
    assert sizes == [8, 8, 5]


def test_a_folder_of_images_with_one_that_cannot_be_read(model, tmp_path):
    folder = tmp_path / "images"
    (folder / "deep").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    pixels = (toys.square_image()[0].numpy() * 255).astype(np.uint8)
    Image.fromarray(pixels).save(folder / "deep" / "a.png")
    Image.fromarray(pixels).save(folder / "b.PNG")
    Image.fromarray(pixels).save(folder / ".hidden" / "c.png")
    (folder / "broken.jpg").write_bytes(b"no image")
    (folder / "notes.md").write_text("not an image")
    assert _run(tmp_path / "run", model, str(folder)).num_failed == 1
    records = read_run(tmp_path / "run")
    assert [one.key for one in records] == ["b.PNG#1", "broken.jpg", "deep/a.png#1"]
    assert "broken.jpg" in records[1].reason
    listed = tmp_path / "list.txt"
    listed.write_text("images/b.PNG\n\nimages/deep/a.png\n")
    _run(tmp_path / "listed", model, str(listed))
    assert [one.sample for one in read_run(tmp_path / "listed")] == [
        "images/b.PNG", "images/deep/a.png",
    ]  # fmt: skip


def test_other_settings_or_another_network_are_an_error_that_names_the_difference(model, tmp_path):
    _run(tmp_path / "run", model)
    with pytest.raises(misure.RunFolderError, match=r"dice_threshold: 0\.9 there, 0\.8 now\. Name"):
        _run(tmp_path / "run", model, dice_threshold=0.8)
    convolution = torch.nn.Conv2d(1, 2, 1)
    _run(tmp_path / "net", toys.model_of(convolution))
    with torch.no_grad():
        convolution.bias += 1
    with pytest.raises(misure.RunFolderError, match="fingerprint"):
        _run(tmp_path / "net", toys.model_of(convolution))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"method": "magic"}, "^run: expected a method among misure, .*got 'magic'"),
        ({"method_options": {"max_pases": 3}}, "'max_pases'"),
        ({"method": "rise"}, "expected options of rise among .*max_passes"),
        ({"classes": ["cat"]}, "expected a class of OwnBrightness, got 'cat'"),
        ({"min_area": 1.0}, "expected min_area in"),
        ({"dice_threshold": 0.0}, "dice_threshold in"),
        ({"engine": "slurm"}, "expected engine local or ray"),
        ({"num_workers": 0}, "num_workers of 1 or more"),
        ({"num_workers": 2}, "got objects in memory"),
        ({"engine": "ray"}, "got objects in memory"),
        ({"num_threads": 0}, "^expected num_threads of 1 or more"),
        ({"limit": 0}, "expected limit of 1 or more"),
        ({"shard": (2, 2)}, r"expected shard \(i, n\)"),
        ({"samples": SampleList([SAMPLES[0], SAMPLES[0]])}, "got 'a.png' twice"),
        ({"samples": "nowhere"}, "expected one of triangle.*got 'nowhere'"),
    ],
)
def test_bad_arguments_leave_no_folder(model, tmp_path, options, words):
    with pytest.raises(misure.InputError, match=words):
        _run(tmp_path / "run", model, **options)
    assert not (tmp_path / "run").exists()


def test_a_folder_that_is_no_run_is_an_error(model, tmp_path):
    with pytest.raises(
        misure.RunFolderError, match=r"expected the folder of a run, with a run\.json"
    ):
        read_run(tmp_path)
    (tmp_path / "run.json").write_text('{"format": 99, "settings": {}}')
    with pytest.raises(misure.RunFolderError, match="of format 2, .* another version .format 99"):
        read_run(tmp_path)
    lost = tmp_path / "lost"
    lost.mkdir()
    (lost / "records-1.jsonl").write_text("")
    with pytest.raises(misure.RunFolderError, match=r"with a run\.json in it"):
        _run(lost, model)
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(misure.RunFolderError, match="expected a folder that can be written to"):
        _run(file, model)


def test_a_folder_that_misure_0_1_0_wrote_is_refused(model, tmp_path):
    _run(tmp_path / "run", model)
    file = tmp_path / "run" / "run.json"
    settings = json.loads(file.read_text())["settings"]
    del settings["finds_regions"]
    old = {"format": 1, "settings": {**settings, "misure_version": "0.1.0"}}
    file.write_text(json.dumps(old))
    words = "was written by misure 0.1.0 .format 1.. Make the run again"
    for use in (
        read_run,
        lambda path: _run(path, model),
        lambda path: write_report([path], tmp_path / "a.html"),
    ):
        with pytest.raises(misure.MisureError, match=words):
            use(tmp_path / "run")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda line: line.pop("map"), "missing required field `map`"),
        (lambda line: line.update(mapp="x"), "unknown field `mapp`"),
        (
            lambda line: line.update(class_index="1"),
            r"Expected `int`, got `str` - at .*class_index",
        ),
        (lambda line: line["cost"].pop("forward_passes"), r"field `forward_passes` - at .*cost"),
    ],
)
def test_a_field_that_is_missing_unknown_or_wrong_is_named_with_its_file(
    model, tmp_path, damage, words
):
    _run(tmp_path / "run", model, limit=1)
    (file,) = (tmp_path / "run").glob("records-*")
    first, *others = file.read_text().splitlines(keepends=True)
    line = json.loads(first)
    damage(line)
    file.write_text("".join([json.dumps(line) + "\n", *others]))
    with pytest.raises(misure.RunFolderError, match=f"{file.name}.*{words}"):
        read_run(tmp_path / "run")


def test_torn_lines_are_ignored_and_nothing_counts_twice(model, tmp_path):
    _run(tmp_path / "run", model)
    whole = read_run(tmp_path / "run")
    (file,) = (tmp_path / "run").glob("records-*")
    lines = file.read_bytes().splitlines(keepends=True)
    torn = tmp_path / "run" / "records-torn.jsonl"
    torn.write_bytes(lines[0] + b'{"key": "zz", "sta\n' + b"[3]\n" + lines[2][:50])
    with pytest.warns(MisureWarning, match="records-torn.jsonl, got 2 damaged lines in it"):
        assert read_run(tmp_path / "run") == whole
    failed = (
        json.dumps(
            {"key": whole[0].key, "sample": "a.png", "status": "failed", "reason": "it broke"}
        )
        + "\n"
    )
    torn.unlink()
    (tmp_path / "run" / "records-0.jsonl").write_text(failed)
    assert read_run(tmp_path / "run") == whole
    file.write_bytes(b"".join(lines[:-1]) + lines[-1][:9])  # killed while it wrote the last line
    assert _run(tmp_path / "run", model).total_samples == 1
    assert read_run(tmp_path / "run") == whole


def test_a_record_appears_only_after_its_files(model, tmp_path, monkeypatch):
    seen = []
    append = RunWriter.append

    def looks(self, lines):
        for line in lines:
            if isinstance(line, ExplainedObject):
                seen.append(Explanation.load(tmp_path / "run" / line.map).dice)
                assert (tmp_path / "run" / line.thumbnail).stat().st_size > 0
        append(self, lines)

    monkeypatch.setattr(RunWriter, "append", looks)
    _run(tmp_path / "run", model)
    assert len(seen) == 3


def test_a_durable_file_is_there_and_complete_or_not_there(tmp_path):
    path = tmp_path / "file"
    with durable_file(path) as unfinished:
        unfinished.write_text("one")
        assert not path.exists()
    with pytest.raises(ZeroDivisionError), durable_file(path) as unfinished:
        unfinished.write_text(f"half {1 / 0}")
    assert path.read_text() == "one"
    assert not [one for one in tmp_path.iterdir() if "unfinished" in one.name]


def test_a_disk_that_is_full_ends_the_run_and_loses_nothing(model, tmp_path, monkeypatch):
    append, lines_written = RunWriter.append, []

    def full(self, lines):
        if lines_written:
            raise OSError(errno.ENOSPC, "No space left on device")
        lines_written.append(lines)
        append(self, lines)

    monkeypatch.setattr(RunWriter, "append", full)
    with pytest.raises(OSError, match="No space left"):
        _run(tmp_path / "run", model)
    monkeypatch.undo()
    assert len(read_run(tmp_path / "run")) == 1
    assert _run(tmp_path / "run", model).total_samples == 2


def test_progress_counts_samples_items_and_time(model, tmp_path):
    seen = []
    _run(tmp_path / "run", model, instances=True, on_progress=seen.append)
    assert [one.num_samples for one in seen] == [0, 1, 2, 3]
    assert [one.num_objects for one in seen] == [0, 2, 4, 6]
    assert seen[0].seconds_left is None
    assert seen[-1].seconds_left == 0


def test_torchrun_says_which_shard(monkeypatch):
    assert shard_of_environment() is None
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert shard_of_environment() == (1, 4)


def test_a_run_as_a_table(model, tmp_path):
    _run(tmp_path / "run", model)
    records = read_run(tmp_path / "run")
    frame = misure.read_run(tmp_path / "run", as_frame=True)
    assert list(frame["key"]) == [one.key for one in records]
    assert frame["minimally_sufficient_region.dice"].min() >= 0.9
    invoke = CliRunner().invoke
    csv_file, parquet, merged = (tmp_path / f"t.{end}" for end in ("csv", "parquet", "jsonl"))
    done = invoke(main, ["export", str(tmp_path / "run"), "--csv", str(csv_file), "--parquet", str(parquet)])  # fmt: skip
    assert done.exit_code == 0, done.output
    import pandas

    assert list(pandas.read_csv(csv_file)["key"]) == list(frame["key"])
    assert list(pandas.read_parquet(parquet)["key"]) == list(frame["key"])
    assert invoke(main, ["merge", str(tmp_path / "run"), "--out", str(merged)]).exit_code == 0
    assert [json.loads(line) for line in merged.read_text().splitlines()] == plain(records)
    done = invoke(main, ["export", str(tmp_path / "run")])
    assert done.exit_code == 2
    assert "expected --csv FILE, --parquet FILE, --nifti DIR or --fiftyone DIR" in done.output


# --- processes of their own -----------------------------------------------------------------------

NETWORK = """
    import os, signal, time, torch

    class Net(torch.nn.Module):
        def forward(self, images):
            mood = round(float(images[:, 0, 0, 0].detach().max()), 1)
            if mood == 0.4:
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(float(os.environ.get("SLEEP_S", "0")))
            evidence = 10 * (images[:, :1] - 0.5)
            return torch.cat([-evidence, evidence], dim=1)

    def make():
        return Net()
"""


@pytest.fixture
def folder(tmp_path):
    """A network in a file and six images, of which one kills whoever looks at it."""
    (tmp_path / "net.py").write_text(textwrap.dedent(NETWORK))
    images = tmp_path / "images"
    images.mkdir()
    for number in range(6):
        image = toys.square_image()
        image[0, 0, 0] = 0.4 if number == 3 else 0.0
        image[0, 20 + number // 3, 20 : 22 + number] = 1.0
        Image.fromarray((image[0].numpy() * 255).round().astype(np.uint8)).save(
            images / f"{number}.png"
        )
    return tmp_path


def _arguments(folder, out, *more):
    return [
        "run", f"{folder}/images", "--model", f"python:{folder}/net.py:make",
        "--model-option", "probabilities=false", "--out", f"{folder}/{out}",
        "--preset", "smallest", "--option", "max_passes=40", "--option", "num_minimality_tests=0", *more,
    ]  # fmt: skip


def _command(folder, out, *more):
    return [sys.executable, "-m", "misure", *_arguments(folder, out, *more)]


@pytest.mark.slow
def test_a_sample_that_kills_its_workers_is_recorded_and_the_others_are_done(folder):
    done = CliRunner().invoke(main, _arguments(folder, "run", "--workers", "2"))
    assert done.exit_code == 1, done.output
    assert "5 objects explained, 1 failed" in done.output
    records = read_run(folder / "run")
    assert [one.sample for one in records] == [f"{number}.png" for number in range(6)]
    assert records[3].reason == (
        "3 workers died while they worked on it: they were killed, ran out of memory, or crashed in "
        "native code."
    )
    assert [one.status for one in records].count("done") == 5


def test_a_worker_imports_nothing_that_draws_or_renders():
    code = "import sys, misure.runs.engines.local; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert not {"matplotlib", "jinja2", "click", "pandas"} & set(done.stdout.split())


@pytest.mark.slow
def test_workers_that_die_before_they_begin_end_the_run(folder):
    (folder / "net.py").write_text(
        "import os, signal\nos.kill(os.getpid(), signal.SIGKILL) if __import__('multiprocessing').parent_process() else None\n"
        + textwrap.dedent(NETWORK)
    )
    done = CliRunner().invoke(main, _arguments(folder, "run", "--workers", "1"))
    assert done.exit_code == 2
    assert "no worker can begin: the worker process was killed by signal 9" in done.output


@pytest.mark.slow
def test_a_worker_that_cannot_write_ends_the_run_with_one_sentence(folder, working_here):
    (folder / "images" / "3.png").unlink()
    limit = 4000  # bytes, more than the settings and less than a map with its record
    done = subprocess.run(
        _command(folder, "run", "--workers", "1"), check=False, capture_output=True, text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )  # fmt: skip
    assert done.returncode == 2
    assert "File too large" in done.stderr
    assert "Traceback" not in done.stderr
    with working_here():
        again = CliRunner().invoke(main, _arguments(folder, "run", "--quiet"))
    assert (again.exit_code, again.output) == (0, "")
    assert len(read_run(folder / "run")) == 5


@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again_gives_the_same_bytes_as_one_that_is_not(
    folder, working_here
):
    (folder / "images" / "3.png").unlink()
    environment = {**os.environ, "SLEEP_S": "0.05"}
    for num_records in (0, 2):  # killed at the beginning, then with some items recorded
        process = subprocess.Popen(
            _command(folder, "killed", "--workers", "2"), env=environment,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        while not _children(process.pid) or _num_lines(folder / "killed") < num_records:
            assert process.poll() is None, "the run ended before it could be killed"
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    invoke = CliRunner().invoke
    assert invoke(main, _arguments(folder, "killed", "--workers", "2")).exit_code == 0
    with working_here():
        assert invoke(main, _arguments(folder, "whole")).exit_code == 0
    for out in ("killed", "whole"):
        merge = ["merge", str(folder / out), "--out", str(folder / f"{out}.jsonl")]
        assert invoke(main, merge).exit_code == 0
    killed, whole = ((folder / f"{out}.jsonl").read_bytes() for out in ("killed", "whole"))
    assert killed == whole
    assert len(killed.splitlines()) == 5


def _num_lines(run_folder):
    return sum(path.read_bytes().count(b"\n") for path in run_folder.glob("records-*.jsonl"))


def test_workers_end_at_once_when_the_run_is_killed(folder):
    environment = {**os.environ, "SLEEP_S": "60"}
    process = subprocess.Popen(
        _command(folder, "run", "--workers", "1"), env=environment,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not (workers := _children(process.pid)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert workers
    process.kill()
    process.wait()
    deadline = time.monotonic() + 5  # less than one forward pass takes
    while any(map(_is_running, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(_is_running, workers))


def _is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _children(pid):
    """Processes that were spawned as workers by this one."""
    found = []
    for task in Path("/proc").glob("[0-9]*"):
        try:
            fields = (task / "stat").read_text().rpartition(")")[2].split()
            if int(fields[1]) == pid and b"spawn_main" in (task / "cmdline").read_bytes():
                found.append(int(task.name))
        except OSError:
            continue
    return found


@pytest.mark.usefixtures("in_this_process")
def test_one_command_on_the_data_set(tmp_path):
    arguments = [
        "run", "triangle:2", "--model", "triangle", "--instances", "--limit", "1", "--shard", "0/1",
        "--method", "seg_grad_cam", "--out", str(tmp_path / "run"),
    ]  # fmt: skip
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    assert "1 sample in " in done.output
    records = read_run(tmp_path / "run")
    assert len(records) == 3
    assert records[0].layer == "up.2.5"
    with np.load(tmp_path / "run" / records[0].map) as arrays:
        assert arrays["saliency_map"].shape == TriangleDataset(1)[0].image.shape[1:]
    done = CliRunner().invoke(main, [*arguments[:-1], str(tmp_path / "x"), "--shard", "two"])
    assert done.exit_code == 2
    assert "expected I/N" in done.output


def test_two_runs_that_begin_at_once_agree(model, tmp_path):
    settings = make_job(SAMPLES, model, RunPlan(seed=1), tmp_path / "run").settings(model)
    folder = RunFolder(tmp_path / "run")
    folder.begin(settings)
    folder.begin(settings)
    assert folder.settings() == settings
    with pytest.raises(misure.RunFolderError, match="seed: 1 there, 2 now"):
        RunFolder(tmp_path / "run").begin(msgspec.structs.replace(settings, seed=2))


# --- addresses -------------------------------------------------------------------------------------


# What differs between two pages of the same run: random names, the time, the folder in commands.
_OF_ITS_OWN = r'nonce(-|=.)[\w-]+|"build":"\w+|\d\d:\d\d:\d\d|"misure (report|view) [^"]*",?'


@pytest.mark.parametrize("scheme", ["memory", "file"])
def test_a_run_at_an_address_is_the_same_and_goes_on(model, tmp_path, scheme):
    address = f"{scheme}://{tmp_path}/run"
    _run(tmp_path / "local" / "run", model, instances=True)
    _run(address, model, instances=True, limit=1)
    assert len(read_run(address)) == 2
    done = _run(address, model, instances=True)
    assert done.total_samples == 2
    assert read_run(address) == read_run(tmp_path / "local" / "run")
    with pytest.raises(misure.RunFolderError, match="dice_threshold: 0.9 there, 0.8 now"):
        _run(address, model, instances=True, dice_threshold=0.8)
    pages = []
    for where in (tmp_path / "local" / "run", address):
        write_report([where], tmp_path / "report.html")
        page = (tmp_path / "report.html").read_text()
        pages.append(re.sub(_OF_ITS_OWN, "", page))
    assert pages[0] == pages[1]


def test_an_address_that_nobody_knows_is_an_error(model):
    with pytest.raises(misure.RunFolderError, match="expected a folder or an address"):
        _run("nowhere://bucket/run", model)


def test_a_record_cannot_name_a_file_outside_its_run(model, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "run" / "link").symlink_to(tmp_path / "secret")
    for address in (tmp_path / "run", f"file://{tmp_path}/run"):
        for name in ("../secret", str(tmp_path / "secret"), ""):
            with pytest.raises(misure.RunFolderError, match="files inside the run folder"):
                RunFolder(address).storage.read(name)
    with pytest.raises(misure.RunFolderError, match="files inside the run folder"):
        RunFolder(tmp_path / "run").storage.read("link")


@pytest.mark.usefixtures("in_this_process")
def test_another_file_behind_the_same_spec_is_another_network(folder):
    (folder / "images" / "3.png").unlink()
    spec, plan = f"python:{folder}/net.py:make", RunPlan(method_options=QUICK)
    options = {"model_options": {"probabilities": False}, "execution": Execution(limit=1)}
    run(str(folder / "images"), spec, folder / "run", plan, **options)
    (folder / "net.py").write_text(textwrap.dedent(NETWORK).replace("10 *", "11 *"))
    with pytest.raises(misure.RunFolderError, match="fingerprint"):
        run(str(folder / "images"), spec, folder / "run", plan, **options)


def test_how_pictures_are_read_is_part_of_the_settings(tmp_path):
    (tmp_path / "images").mkdir()
    levels = np.zeros((16, 16), np.uint16)
    levels[4:9, 4:9] = 4095
    Image.fromarray(levels).save(tmp_path / "images" / "a.png")
    net, plan = toys.model_of(toys.OwnBrightness()), RunPlan(method="edges")
    asked = run(str(tmp_path / "images"), net, tmp_path / "asked", plan)
    assert asked.num_failed == 1
    assert "Say depth=12 or depth=16" in read_run(tmp_path / "asked")[0].reason
    done = run(str(tmp_path / "images"), net, tmp_path / "run", plan, image_options={"depth": 12})
    assert done.num_objects == 1
    assert read_run(tmp_path / "run")[0].target.pixels == 25
    assert RunFolder(tmp_path / "run").settings().image_options == {"depth": 12}
    with pytest.raises(
        misure.InputError, match="image options frame, depth, series, channels, got 'deep'"
    ):
        run(str(tmp_path / "images"), net, tmp_path / "no", plan, image_options={"deep": 12})
