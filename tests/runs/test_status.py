"""How far a run is, and what it would take: `misure status` and `misure run --dry-run`."""

import json
import time

import pytest
import torch
from click.testing import CliRunner
from msgspec import structs

import misure
import toys
from misure._util.records import encode
from misure._util.unfinished import this_process
from misure.cli.app import main
from misure.cli.forecast_text import forecast_lines
from misure.datasets.sample import Sample, SampleList
from misure.runs.calls import noted_calls
from misure.runs.execution import Execution
from misure.runs.folder import RunFolder
from misure.runs.forecast import Forecast, MeasuredSample, forecast_run
from misure.runs.plan import RunPlan
from misure.runs.status import run_status

QUICK = {"preset": "smallest", "max_passes": 40, "num_minimality_tests": 0}
PLAN = RunPlan(instances=True, method_options=QUICK)


def _sample(key, *, bad=False, two=True):
    image = toys.square_image()
    if two:
        image[0, 20:24, 20:26] = 1.0
    if bad:
        image[0, 0, 0] = float("nan")
    return Sample(key, image)


SAMPLES = SampleList(
    [_sample("a.png"), _sample("bad.png", bad=True), _sample("c.png", two=False), _sample("d.png")]
)


@pytest.fixture
def model():
    return toys.model_of(toys.OwnBrightness())


def _status(*arguments):
    return CliRunner().invoke(main, ["status", *map(str, arguments)])


def test_a_run_is_begun_goes_on_and_is_finished(model, tmp_path):
    out = tmp_path / "run"
    seen = []

    def look(progress):
        if progress.num_samples == 1:
            seen.append((run_status(out), _status(out)))

    misure.run(SAMPLES, model, out, PLAN, on_progress=look, execution=Execution(limit=3))
    ((status, done),) = seen
    assert (status.num_samples, status.num_finished, status.num_left) == (3, 1, 2)
    assert (status.num_running, status.num_unknown) == (1, 0)
    assert status.seconds_left > 0
    assert done.exit_code == 3
    assert "running (1 call), about" in done.output
    assert "2 samples" in done.output

    status = run_status(out)
    assert (status.num_samples, status.num_finished, status.num_left) == (3, 3, 0)
    assert (status.num_objects, status.num_failed, status.num_running) == (3, 1, 0)
    passes = [
        record.cost.pass_equivalents for record in misure.read_run(out) if record.status == "done"
    ]
    assert status.passes == (min(passes), sum(passes) / 3, max(passes))
    done = _status(out)
    assert done.exit_code == 1
    assert "finished          3 of 3 samples" in done.output
    assert "1 object, such as bad.png: expected" in done.output
    assert 'instances true, method_options {"preset": "smallest"' in done.output
    settings = json.loads(_status(out, "--settings").output)
    assert settings["method_options"] == QUICK


def test_a_run_without_failures_is_0_and_one_that_was_killed_is_4(model, tmp_path):
    out = tmp_path / "run"
    misure.run(SampleList([_sample("a.png"), _sample("d.png")]), model, out, PLAN)
    assert _status(out).exit_code == 0
    (file,) = out.glob("calls-*.jsonl")
    begun, _ = file.read_text().splitlines()
    for process, code, words in (
        (this_process(), 3, "running (1 call), time left not known yet"),
        (f"{this_process().partition('-')[0]}-99999999", 4, "stopped before its end"),
        ("00000000-1", 4, "1 call of other machines may go on"),
    ):
        call = json.loads(begun) | {"process": process, "num_samples": 5, "num_finished": 2}
        file.write_text(json.dumps(call) + "\n")
        done = _status(out)
        assert (done.exit_code, "3 samples" in done.output) == (code, True), done.output
        assert words in done.output
    file.unlink()
    done = _status(out)
    assert done.exit_code == 4
    assert "not known, as no call of this run is noted" in done.output


def test_the_time_left_is_at_the_rate_since_the_call_began(model, tmp_path):
    out = tmp_path / "run"
    misure.run(SampleList([_sample("a.png"), _sample("d.png")]), model, out, PLAN)
    (call,) = noted_calls(RunFolder(out))
    (file,) = out.glob("calls-*.jsonl")
    assert call.has_ended
    now = structs.replace(call, has_ended=False, begun=time.time() - 100, num_samples=6)
    file.write_bytes(encode(now) + b"\n")
    assert run_status(out).seconds_left == pytest.approx(200, rel=0.05)  # 2 in 100 s, 4 left


def test_shards_count_together(model, tmp_path):
    out = tmp_path / "run"
    for shard, left in (((0, 2), 0), ((1, 2), 0)):
        misure.run(SAMPLES, model, out, PLAN, execution=Execution(shard=shard))
        assert run_status(out).num_left == left
    assert run_status(out).num_samples == 4


def test_no_run_is_one_sentence(tmp_path):
    done = _status(tmp_path)
    assert done.exit_code == 2
    assert "there is none in" in done.output
    assert "Errno" not in done.output


def test_a_dry_run_counts_measures_one_sample_and_writes_nothing(model, tmp_path):
    out = tmp_path / "run"
    forecast = forecast_run(SAMPLES, model, out, PLAN)
    assert not out.exists()
    assert (forecast.num_samples, forecast.num_left, forecast.num_unreadable) == (4, 4, 1)
    assert sorted(forecast.counts) == [1, 2, 2]
    assert forecast.num_objects == (5, 5, 5)
    assert forecast.measured.key in ("a.png", "d.png")
    misure.run(SAMPLES, model, out, PLAN, execution=Execution(limit=1))
    before = sorted((path, path.read_bytes()) for path in out.rglob("*") if path.is_file())
    passes = [one.cost.pass_equivalents for one in misure.read_run(out)]
    assert forecast.measured.passes == passes
    assert forecast.pass_equivalents == (
        pytest.approx(5 * sum(passes) / 2), 5 * min(passes), 5 * max(passes)
    )  # fmt: skip
    again = forecast_run(SAMPLES, model, out, PLAN)
    assert (again.num_samples, again.num_left) == (4, 3)
    assert before == sorted((path, path.read_bytes()) for path in out.rglob("*") if path.is_file())
    said = "\n".join(forecast_lines(again, "RUN"))
    assert "Images: 4 samples, 1 of them finished in RUN already." in said
    assert "Objects: 3, counted on all of them. 1 sample failed: expected" in said
    other = RunPlan(method_options=QUICK)
    with pytest.raises(misure.errors.RunFolderError, match="instances"):
        forecast_run(SAMPLES, model, out, other)


def test_the_estimate_has_the_spread_of_what_was_counted():
    measured = MeasuredSample(key="a", passes=[80, 120], reasons=[], seconds=20.0)
    forecast = Forecast(
        num_samples=1000, num_left=900, counts=[1, 3, 1, 3], num_unreadable=0, reason="",
        seconds_of_segmenting=2.0, measured=measured, num_workers=4,
    )  # fmt: skip
    # mean 2, deviation 1.1547, standard error 0.57735 x sqrt(1 - 4 / 900): 0.57607
    middle, low, high = forecast.num_objects
    assert (middle, low, high) == (
        1800,
        pytest.approx(763.1, abs=0.2),
        pytest.approx(2836.9, abs=0.2),
    )
    assert forecast.pass_equivalents[0] == 1800 * 100
    assert forecast.pass_equivalents[1] == pytest.approx(763.1 * 80, rel=1e-3)
    assert forecast.seconds[0] == pytest.approx((900 * 2 + 1800 * 10) / 4)
    lines = forecast_lines(forecast, "run")
    assert lines[0] == "Images: 1,000 samples, 100 of them finished in run already."
    assert (
        "about 1,800 (763 to 2,837), from 4 samples that the network segmented (1 to 3" in lines[1]
    )
    assert "80 to 120 pass equivalents an object" in lines[2]
    assert "about 1.4 hours" in lines[4]
    assert lines[-1].endswith("nothing was written to run.")


def test_the_command_of_a_dry_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ["run", "triangle:2", "--model", "triangle", "--device", "cpu", "--out", "run"]
    quick = ["--preset", "smallest", "--max-passes", "40", "--option", "num_minimality_tests=0"]
    done = CliRunner().invoke(main, [*arguments, *quick, "--dry-run"])
    assert done.exit_code == 0, done.output
    assert done.output.startswith("Images: 2 samples.\nObjects: ")
    assert "Measured: triangle-test-" in done.output
    assert not any(tmp_path.iterdir())
    nothing = SampleList([Sample("a", torch.zeros(1, 24, 24))])
    forecast = forecast_run(nothing, toys.model_of(toys.OwnBrightness()), "run", PLAN)
    assert "no object was found to explain" in "\n".join(forecast_lines(forecast, "run"))
