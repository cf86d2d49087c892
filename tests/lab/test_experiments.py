"""Metrics of maps in run folders, and experiments made of them."""

import csv
import json

import pytest
from click.testing import CliRunner
from msgspec import structs

import misure
import toys
from misure.cli.app import main
from misure.datasets import Sample, SampleList
from misure.lab.experiments import list_experiments, read_plan, run_experiment
from misure.lab.experiments.run import Placeholders
from misure.metrics.comparison.compare import compare
from misure.metrics.comparison.compare_runs import compare_runs
from misure.runs.execution import Execution
from misure.runs.folder import RunFolder
from misure.runs.plan import RunPlan
from misure.runs.run import run

QUICK = {"max_passes": 40, "num_minimality_tests": 0}
METRICS = ["localisation", "fineness", "sufficient_area", "pass_equivalents"]


@pytest.fixture
def samples():
    image = toys.square_image()
    relevance = image[0] > 0.5
    return SampleList(
        [Sample(key, image * grey, relevance=relevance) for key, grey in (("a", 1.0), ("b", 0.9))]
    )


@pytest.fixture
def runs(model, samples, tmp_path):
    for method, options in (("misure", QUICK), ("saliency", {}), ("edges", {})):
        run(samples, model, tmp_path / method, RunPlan(method=method, method_options=options))
    return [tmp_path / method for method in ("misure", "saliency", "edges")]


def test_figures_of_runs_are_those_of_a_comparison(model, samples, runs):
    found = compare_runs(model, samples, runs, metrics=METRICS)
    wanted = compare(model, samples, methods=["saliency", "edges"], metrics=METRICS, class_index=1)
    for one in wanted.rows:
        (same,) = [r for r in found.rows if (r.image, r.method) == (f"{one.image}#1", one.method)]
        for name in ("energy_inside", "effective_area", "sufficient_area", "pass_equivalents"):
            assert same.metrics[name] == pytest.approx(one.metrics[name]), name
        assert same.cost.pass_equivalents == one.cost.pass_equivalents
    assert found.methods == ["misure", "saliency", "edges"]
    assert {row.case for row in found.rows} == {"a", "b"}
    assert all(row.metrics["iou"] is not None for row in found.rows)
    ours = [row for row in found.rows if row.method == "misure"]
    assert all(row.metrics["growth_px"] is not None for row in ours)
    assert {name for one in found.pictured for name in one.maps} == {"misure", "saliency", "edges"}


def test_nothing_is_measured_twice(model, samples, runs):
    first = compare_runs(model, samples, runs, metrics=METRICS)
    with model.counting() as cost:
        again = compare_runs(model, samples, runs, metrics=METRICS)
    assert cost.pass_equivalents == 0
    assert [one.metrics for one in again.rows] == [one.metrics for one in first.rows]
    (file,) = runs[0].glob("metrics-*.jsonl")
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(lines[0] + lines[1][:20])  # torn by a kill
    third = compare_runs(model, samples, runs, metrics=METRICS)
    assert [one.metrics for one in third.rows] == [one.metrics for one in first.rows]
    other = compare_runs(model, samples, runs, metrics=["gini"])
    assert all(list(one.metrics) == ["gini"] for one in other.rows)


def test_a_run_that_went_further_is_compared_over_the_others_samples(model, samples, tmp_path):
    run(samples, model, tmp_path / "edges", RunPlan(method="edges"))
    run(samples, model, tmp_path / "random", RunPlan(method="random"), execution=Execution(limit=1))
    runs = [tmp_path / "edges", tmp_path / "random"]
    found = compare_runs(model, samples, runs, metrics=["gini"])
    assert {(row.image, row.method) for row in found.rows} == {("a#1", "edges"), ("a#1", "random")}


def test_figures_at_an_address_are_kept_too(model, samples):
    address = "memory://experiments/run"
    run(samples, model, address, RunPlan(method="edges"))
    first, second = (
        compare_runs(model, SampleList(samples), [address], metrics=["gini"]) for _ in range(2)
    )
    assert [one.metrics for one in first.rows] == [one.metrics for one in second.rows]
    compare_runs(model, samples, [address], metrics=["effective_area"])
    with model.counting() as cost:
        compare_runs(model, samples, [address], metrics=["gini"])
    assert cost.pass_equivalents == 0


def test_runs_that_differ_in_more_than_the_method_are_not_compared(model, samples, runs, tmp_path):
    run(samples, model, tmp_path / "other", RunPlan(method="random", dice_threshold=0.8))
    with pytest.raises(misure.InputError, match="got dice_threshold: 0.9 there, 0.8 now"):
        compare_runs(model, samples, [runs[1], tmp_path / "other"], metrics=METRICS)


def test_a_map_is_made_again_from_its_own_seed(model, samples, tmp_path):
    run(samples, model, tmp_path / "random", RunPlan(method="random"))
    run(samples, model, tmp_path / "edges", RunPlan(method="edges"))
    runs = [tmp_path / "random", tmp_path / "edges"]
    found = compare_runs(model, samples, runs, metrics=["noise_sensitivity"])
    for row in found.rows:
        if row.method == "random":
            assert row.metrics["noise_sensitivity"] == 0  # noise does not change lots


def test_what_failed_stays_an_empty_cell(model, samples, runs):
    folder = RunFolder(runs[1])
    (file,) = runs[1].glob("records-*.jsonl")
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    for line in lines:
        if line.get("key") == "b#1":
            kept = {name: line[name] for name in ("key", "sample", "class_index", "class_name")}
            line.clear()
            line |= {"status": "failed", "reason": "it broke", **kept}
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert [one.status for one in folder.records()] == ["done", "failed"]
    found = compare_runs(model, samples, runs, metrics=METRICS)
    (failed,) = [row for row in found.rows if row.error]
    assert (failed.image, failed.method, failed.error, failed.cost) == (
        "b#1", "saliency", "it broke", None,
    )  # fmt: skip
    assert found.summary()["saliency"]["gini"]["n"] == 1


def test_bad_runs_are_one_sentence(model, samples, runs, tmp_path):
    with pytest.raises(misure.InputError, match="runs of different methods"):
        compare_runs(model, samples, [runs[0], runs[0]], metrics=METRICS)
    with pytest.raises(misure.RunFolderError, match="a folder of a run|the folder of a run"):
        compare_runs(model, samples, [tmp_path / "nothing"], metrics=METRICS)
    with pytest.raises(misure.InputError, match="has no sample 'a'"):
        compare_runs(model, SampleList(samples[1:]), runs, metrics=METRICS)
    for path in (runs[1] / "maps").rglob("*.npz"):
        path.write_bytes(b"garbage")
    with pytest.raises(misure.RunFolderError, match="expected a map in maps/"):
        compare_runs(model, samples, runs, metrics=METRICS)


# --- experiments ----------------------------------------------------------------------------------

PLAN = """
title = "Two parts"
question = "Does it work?"
methods = ["misure", "saliency"]
metrics = ["localisation", "fineness", "computation"]
headline = ["iou", "growth_px"]
num_samples = 2
[method_options.misure]
max_passes = 51
[[parts]]
name = "shipped"
dataset = "triangle:5"
model = "triangle"
[[parts]]
name = "small"
dataset = "triangle:5,side=26"
train = { dataset = "triangle:side=26", network = "small_unet", num_steps = 4, validate_every = 2 }
[quick]
num_samples = 1
parts = ["shipped"]
"""


@pytest.fixture
def plan(tmp_path):
    (tmp_path / "mine.toml").write_text(PLAN)
    return read_plan(str(tmp_path / "mine.toml"))


@pytest.mark.slow
@pytest.mark.usefixtures("in_this_process", "few_canvases")
def test_an_experiment_of_ones_own_from_the_command_line(plan, tmp_path):
    pytest.importorskip("monai")
    command = ["experiment", str(tmp_path / "mine.toml"), "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    out = tmp_path / "out"
    assert "training small_unet on triangle:side=26, at most 4 steps" in done.output
    assert "pass equivalents in all" in done.output
    for name in ("experiment.toml", "table.md", "figure.png", "figure.svg"):
        assert (out / name).stat().st_size > 0
    for name in ("comparison.md", "comparison.csv", "comparison.png", "report.html"):
        assert (out / "shipped" / name).stat().st_size > 0
    assert (out / "networks" / "small" / "card.md").stat().st_size > 0
    with (out / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {(row["part"], row["method"]) for row in rows} == {
        ("shipped", "misure"), ("shipped", "saliency"),
    }  # fmt: skip
    assert "small: left out, there is no map" in done.output  # after 4 steps it segments nothing
    tables = (out / "table.csv").read_text(), (out / "table.md").read_text()
    assert CliRunner().invoke(main, command).exit_code == 0
    assert ((out / "table.csv").read_text(), (out / "table.md").read_text()) == tables
    quick = CliRunner().invoke(main, [*command, "--quick"])
    assert quick.exit_code == 2
    assert "holds another experiment" in quick.output
    training = structs.replace(plan.parts[1].train, dataset="triangle:side=34")
    other = structs.replace(plan, parts=[structs.replace(plan.parts[1], train=training)])
    with pytest.raises(
        misure.InputError, match="trained on, triangle:side=26, got triangle:side=34"
    ):
        run_experiment(other, out)


def test_every_plan_that_is_brought_along_makes_sense():
    assert list_experiments() == [
        "coco", "hippocampus", "receptive-field", "synapse", "transformer-against-cnn", "triangle",
        "triangle-disc",
    ]  # fmt: skip
    for name in list_experiments():
        plan = read_plan(name)
        assert plan.quickly().num_samples <= 2
        assert {"misure", "sufficient_region"} & {*plan.methods}
        assert plan.quickly().text != plan.text


@pytest.mark.parametrize("scheme", ["python", "function", "torchscript", "export", "PYTHON"])
def test_a_plan_of_somebody_else_cannot_run_code(plan, tmp_path, scheme):
    spec = f"{scheme}:{tmp_path}/evil.py:net"
    (tmp_path / "evil.py").write_text(f"import os; os.mkdir({str(tmp_path / 'ran')!r})")
    parts = [structs.replace(plan.parts[0], model=spec)]
    for model in ("", "triangle"):
        with pytest.raises(misure.InputError, match="names .*, which runs code. If you trust it"):
            run_experiment(structs.replace(plan, parts=parts), tmp_path / "out", model=model)
    assert not (tmp_path / "ran").exists()
    if scheme == "python":
        with pytest.raises(misure.InputError, match="net of .* raised AttributeError"):
            run_experiment(structs.replace(plan, parts=parts), tmp_path / "out", model=spec)


@pytest.mark.parametrize("scheme", ["monai", "nnunet", "bioimageio"])
def test_a_plan_cannot_trust_a_network_even_one_that_the_user_names(plan, tmp_path, scheme):
    """Whoever wrote the plan is not whom the user trusts; the way out is a function of theirs."""
    spec = f"{scheme}:{tmp_path}/x"
    parts = [structs.replace(plan.parts[0], model=spec)]
    trusting = structs.replace(plan, parts=parts, model_options={"trust": True})
    for model in ("", spec):
        with pytest.raises(misure.InputError, match="with trust, which runs code.*function of yo"):
            run_experiment(trusting, tmp_path / "out", model=model)
    trained = structs.replace(plan, parts=plan.parts[1:], model_options={"trust": True})
    with pytest.raises(misure.InputError, match="names one to train with trust, which runs code"):
        run_experiment(trained, tmp_path / "other")
    assert not (tmp_path / "other" / "networks").exists()
    doubting = structs.replace(trusting, model_options={"trust": False})
    with pytest.raises(misure.MisureError) as caught:
        run_experiment(doubting, tmp_path / "third")
    assert "runs code" not in str(caught.value)


def test_what_a_plan_needs_is_said(tmp_path):
    for name in ("coco", "hippocampus"):  # what failed at once does not take the folder
        with pytest.raises(misure.InputError, match="expected --data, since the experiment needs"):
            run_experiment(read_plan(name), tmp_path / "out", model="triangle")
    with pytest.raises(misure.InputError, match="a folder without a comma"):
        Placeholders(tmp_path / "a,b", "there").fill("nifti:{data},{out}/test.txt")
    filled = Placeholders(tmp_path, "there", "net").fill("nifti:{data},{out}/test.txt")
    assert filled == f"nifti:there,{tmp_path}/test.txt"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"misure", "saliency"', '"sorcery"', "no method 'sorcery'"),
        ('["iou"', '["gini", "seconds", "insertion"', "insertion is not among its metrics"),
        ('"localisation", "fineness"', '"beauty"', "there is no metric 'beauty'; the metrics are"),
        ('model = "triangle"', "", "part shipped needs either model or train"),
        ('name = "small"', 'name = "shipped"', "different names"),
        ("num_samples = 2", "num_samples = 2\ncolour = 3", "unknown field `colour`"),
        (
            "num_samples = 2",
            'num_samples = "2"',
            r"Expected `int`, got `str` - at `\$\.num_samples`",
        ),
        ("[[parts]]", "[[parts]", "cannot be used"),
        (
            "num_samples = 2",
            "num_samples = 2\nnote = 3",
            r"Expected `str`, got `int` - at `\$\.note`",
        ),
        ("num_samples = 2", 'num_samples = 2\nscatter = ["iou"]', "scatter needs two metrics"),
        (
            "num_samples = 2",
            "num_samples = 2\nmethod_options.edges = 3",
            r"Expected `object`, got `int` - at `\$\.method_options",
        ),
        ('name = "small"', 'name = "../../escaped"', "cannot name a part"),
        ('name = "small"', 'name = "runs"', "cannot name a part"),
        (
            'dataset = "triangle:side=26", network',
            "network",
            r"missing required field `dataset` - at `\$\.parts\[1\]\.train`",
        ),
        ("num_steps = 4", "foo = 40", r"unknown field `foo` - at `\$\.parts\[1\]\.train`"),
        ("num_steps = 4", 'out = "x"', r"unknown field `out` - at `\$\.parts\[1\]\.train`"),
        (
            "num_steps = 4",
            'num_steps = "x"',
            r"Expected `int \| null`, got `str` - at `\$\.parts\[1\]\.train\.num_steps`",
        ),
        ('name = "small"', "", r"missing required field `name` - at `\$\.parts\[1\]`"),
        ('title = "Two parts"', "", "missing required field `title`"),
        ("num_samples = 2", "num_samples = 0", r"Expected `int` >= 1 - at `\$\.num_samples`"),
        ("num_samples = 1", "numsamples = 1", r"unknown field `numsamples` - at `\$\.quick`"),
        ("num_samples = 1", 'methods = ["x"]', r"with the changes of \[quick\], .* method 'x'"),
    ],
)
def test_a_plan_that_makes_no_sense_is_one_sentence(tmp_path, old, new, words):
    (tmp_path / "bad.toml").write_text(PLAN.replace(old, new))
    with pytest.raises(misure.InputError, match=words) as raised:
        read_plan(str(tmp_path / "bad.toml"))
    message = str(raised.value)
    assert message.startswith(f"read_plan: expected a plan of an experiment in {tmp_path}/bad.toml")
    assert message.count("expected") == 1
    assert "__init__" not in message
    assert "\n" not in message
    with pytest.raises(misure.InputError, match="expected one of coco, hippocampus"):
        read_plan("moon")
