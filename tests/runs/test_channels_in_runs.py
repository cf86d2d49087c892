"""The question `channels` in runs: records, tables and the report, on networks of known answer."""

import csv
import json

import pytest
import torch
from click.testing import CliRunner

import misure
import toys
from misure.cli.app import main
from misure.datasets import Sample, SampleList
from misure.explanation.answers.shares import ASKED_OF_DRAWN, SharedBudget, as_questions
from misure.reports.answers import answer_figures, effect_labels
from misure.reports.channels_table import channels_at_a_glance
from misure.reports.page import write_report
from misure.runs.plan import RunPlan
from misure.runs.run import read_run, run
from misure.runs.table import RunTable

pytestmark = pytest.mark.slow

NAMES = ("dark", "left", "right")
CHANNELS = "t1,t2,flair"
NUM = 5


class TwoClasses(torch.nn.Module):
    """`left` is bright in t1; `right` is bright in t2 or in flair."""

    def forward(self, images):
        left = images[:, :1] - 0.9
        right = torch.maximum(images[:, 1:2], images[:, 2:]) - 0.9
        return toys.SHARPNESS * torch.cat([torch.zeros_like(left), left, right], 1)


def image():
    pixels = torch.zeros(3, 24, 24)
    pixels[0, 4:10, 4:10] = 1
    pixels[1:, 14:20, 12:18] = 1
    return pixels


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("channels")
    model = toys.model_of(TwoClasses(), class_names=NAMES, channel_names=CHANNELS)
    samples = SampleList(Sample(f"s{i}", image().roll(i, 1)) for i in range(NUM))
    few = {"preset": "quick", "max_passes": 120, "baseline_image": "mean"}
    plan = RunPlan(method_options=few, questions=("channels",))
    done = run(samples, model, folder / "run", plan)
    assert (done.num_objects, done.num_failed) == (2 * NUM, 0)
    write_report([folder / "run"], folder / "report.html")
    return folder


def test_the_record_names_the_channels(asked):
    for record in read_run(asked / "run"):
        group = record.channels
        assert list(group.effects) == CHANNELS.split(",")
        assert list(record.passes) == ["sufficient", "channels"]
        assert record.passes["channels"] == 1 + 3 * (group.num_sets_shown - 1)
        if record.class_name == "left":
            assert (group.strongest, group.sets, group.set_size) == ("t1", [["t1"]], 1)
            assert group.effects["t1"] > 0.7
            assert group.effects["t2"] == group.effects["flair"] == 0
        else:
            assert group.sets == [["t2"], ["flair"]]
        assert group.is_smallest
        assert group.are_all
        assert any("hown alone, " in sentence for sentence in record.summary[1:])


def test_each_channel_has_a_column_and_a_figure(asked):
    with RunTable.open(asked / "run") as table:
        table.write_csv(asked / "run.csv")
    with (asked / "run.csv").open() as file:
        rows = [*csv.DictReader(file)]
    left = next(row for row in rows if row["class_name"] == "left")
    assert float(left["channels.effects.t1"]) > 0.7
    assert float(left["channels.effects.flair"]) == 0
    assert json.loads(left["channels.sets"]) == [["t1"]]
    record = next(one for one in read_run(asked / "run") if one.class_name == "left")
    figures = answer_figures(record)
    assert figures["without_channel_t1"] == figures["strongest_channel_effect"]
    assert figures["channels_needed"] == 1
    assert effect_labels(record)["without_channel_flair"] == "Dice lost without flair"


def test_the_report_has_a_table_of_classes_and_channels(asked):
    records = read_run(asked / "run")
    table = channels_at_a_glance(records)
    assert table["columns"] == CHANNELS.split(",")
    left, right = table["rows"]
    assert (left["class_name"], left["num_objects"], right["class_name"]) == ("left", NUM, "right")
    effects = [record.channels.effects["t1"] for record in records if record.class_name == "left"]
    assert left["cells"][0]["effect"] == pytest.approx(sum(effects) / NUM)
    assert left["cells"][0]["num_needed"] == left["cells"][0]["num_with_sets"] == NUM
    assert [cell["num_needed"] for cell in right["cells"]] == [0, 0, 0]
    assert left["cells"][0]["interval"]
    assert left["cells"][1]["effect"] == 0
    assert table["sentences"] == [
        f"left: the smallest set that suffices is t1 for {NUM} of {NUM}.",
        f"right: the smallest set that suffices is t2 or flair for {NUM} of {NUM}.",
    ]
    page = (asked / "report.html").read_text()
    assert "<h3>Channels</h3>" in page
    assert 'data-figure="without_channel_t1"' in page
    assert channels_at_a_glance([]) is None


def test_all_leaves_channels_out_and_the_budget_has_a_share_for_them():
    assert "channels" not in as_questions(["all"])
    assert as_questions(["channels", "all"]) == ASKED_OF_DRAWN
    budget = SharedBudget(250, ASKED_OF_DRAWN)
    assert budget.share("channels") == 50
    assert budget.share("effects") == 30
    spent = 0
    for question in ("effects", "channels", "sufficient", "surroundings", "reasons", "necessary"):
        share = budget.share(question)
        budget.spend(share)
        spent += share
    assert spent == 250


def test_an_answer_has_channels_and_keeps_its_budget():
    model = toys.model_of(TwoClasses(), class_names=NAMES, channel_names=CHANNELS)
    found = misure.answer(
        model, image(), "left", questions=["channels"], preset="quick", max_passes=90
    )
    assert found.channels.sets[0].names == ("t1",)
    assert sum(found.passes.values()) == found.cost.pass_equivalents <= 90
    assert found.record()["channels"]["sets"][0]["names"] == ("t1",)
    many = toys.model_of(toys.ByChannel(lambda channels: channels[0]))
    found = misure.answer(
        many, toys.ByChannel.image(2, 40), 1, questions=["channels"], preset="quick", max_passes=90
    )
    assert found.channels is None
    assert found.passes["channels"] == 0


def test_a_network_of_one_channel_is_refused_before_any_work(tmp_path):
    model = toys.model_of(toys.OwnBrightness(), num_channels=1)
    with pytest.raises(misure.InputError, match="a network of two channels or more for the quest"):
        run(SampleList([]), model, tmp_path / "run", RunPlan(questions=["channels"]))


def test_run_takes_the_question(tmp_path):
    arguments = ["run", "triangle:1", "--model", "triangle", "--out", tmp_path / "run",
                 "--question", "channels"]  # fmt: skip
    done = CliRunner().invoke(main, [str(one) for one in arguments])
    assert done.exit_code == 2
    assert "expected a network of two channels or more" in done.output
