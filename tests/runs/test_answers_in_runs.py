"""Further questions in a run: what is recorded, on networks whose answer is known."""

import csv
import io
import json

import nibabel
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from msgspec.structs import replace

import misure
import toys
from misure._util.arrays import read_arrays
from misure._util.records import encode
from misure.cli.app import main
from misure.datasets import Sample, SampleList
from misure.errors import InputError, RunFolderError
from misure.explanation.answers.hidden import HiddenRegion
from misure.explanation.explanation import Explanation
from misure.reliability.scoring import check_settings, feature_settings
from misure.reports.figures import notes_of
from misure.reports.run_volumes import write_run_volumes
from misure.runs.execution import Execution
from misure.runs.folder import RunFolder
from misure.runs.other_images import OtherImages
from misure.runs.plan import RunPlan
from misure.runs.run import read_run, run
from misure.runs.table import RunTable

NAMES = ("sky", "lamp")
FEW = {"preset": "quick", "max_passes": 250, "baseline_image": "mean"}
BEACON = toys.Beacon.image()
SAMPLES = SampleList([Sample("a", BEACON), Sample("b", BEACON.roll(1, 1))])
GROUPS = ("necessary", "surroundings", "reasons", "effects", "robustness")


def _run(out, samples=SAMPLES, *, net=None, limit=None, **plan):
    model = toys.model_of(net or toys.Beacon(), class_names=NAMES)
    plan = RunPlan(**{"method_options": FEW} | plan)
    return run(samples, model, out, plan, execution=Execution(limit=limit))


@pytest.fixture(scope="module")
def answered(tmp_path_factory):
    out = tmp_path_factory.mktemp("answered") / "run"
    done = _run(out, questions=["all"], robust=0.9)
    assert (done.num_objects, done.num_failed) == (2, 0)
    return out


def test_the_answers_are_right(answered):
    first, second = read_run(answered)
    beacon = BEACON[2] > 0.5
    for record, where in ((first, beacon), (second, beacon.roll(1, 0))):
        necessary = HiddenRegion.load(answered / record.necessary.map)
        assert (record.necessary.is_found, record.necessary.threshold) == (True, 0.5)
        left = 25 - int((necessary.region & necessary.target.region).sum())
        is_broken = bool((necessary.region & where).any())
        assert record.necessary.dice == (0 if is_broken else 2 * left / (left + 25)) <= 0.5
        around = HiddenRegion.load(answered / record.surroundings.map)
        assert around.values.outside_target
        assert record.surroundings.outside_target_fraction == 1
        assert record.surroundings.dice == 0
        assert (around.region & where).any()
        assert not (around.region & around.target.region).any()
        strongest = record.effects.strongest
        assert (strongest.effect, record.effects.strongest_control_dice) == (1, 1)
        assert (record.reasons.num_reasons, record.reasons.dice_of_rest) == (1, 0)
        explanation = Explanation.load(answered / record.map)
        (region,) = read_arrays(answered / record.reasons.map)["regions"]
        assert (torch.from_numpy(region) == explanation.minimally_sufficient_region).all()
        assert record.robustness.at_least == 0.9
        assert record.summary[0].startswith("Shown alone, ")
        assert necessary.sentence in record.summary
        assert any(sentence.startswith("The region suffices on ") for sentence in record.summary)


def test_the_cost_counts_every_pass(tmp_path):
    model = toys.model_of(toys.Beacon(), class_names=NAMES)
    with model.counting() as spent:
        run(SAMPLES[:1], model, tmp_path / "run", RunPlan(method_options=FEW, questions=["all"]))
    (record,) = read_run(tmp_path / "run")
    assert record.cost.pass_equivalents == sum(record.passes.values()) <= 250
    assert record.cost.pass_equivalents == spent.pass_equivalents - 1  # finding the objects
    assert list(record.passes) == ["sufficient", "necessary", "surroundings", "reasons", "effects"]


def test_only_what_is_asked_has_columns(answered, tmp_path):
    _run(tmp_path / "some", questions=["necessary"], limit=1)
    (record,) = read_run(tmp_path / "some")
    assert [getattr(record, name) is not None for name in GROUPS] == [True, *[False] * 4]
    columns = {}
    for name, out in (("all", answered), ("some", tmp_path / "some")):
        with RunTable.open(out) as table:
            table.write_csv(tmp_path / f"{name}.csv")
        (header, *rows) = csv.reader(io.StringIO((tmp_path / f"{name}.csv").read_text()))
        columns[name] = dict(zip(header, rows[0], strict=True))
    groups = {name: {column.partition(".")[0] for column in columns[name]} for name in columns}
    assert groups["some"] & set(GROUPS) == {"necessary"}
    assert groups["all"] >= {*GROUPS, "summary", "passes"}
    row = columns["all"]
    assert row["necessary.is_found"] == "True"
    assert float(row["surroundings.outside_target_fraction"]) == 1
    assert row["effects.strongest.kind"] == "superpixel"
    assert float(row["effects.strongest.effect"]) == 1
    assert row["robustness.answer"] in ("yes", "no", "unclear")
    assert row["reasons.num_reasons"] == "1"
    assert json.loads(row["summary"])[0].startswith("Shown alone")


def test_a_run_that_asks_nothing_more_records_what_it_did_before(tmp_path):
    _run(tmp_path / "plain", limit=1, questions=["sufficient"])
    (record,) = RunFolder(tmp_path / "plain").records()
    written = json.loads(encode(record))
    assert not {"summary", "passes", *GROUPS} & set(written)
    with RunTable.open(tmp_path / "plain") as table:
        assert not [c for c in table.columns if c.partition(".")[0] in {*GROUPS, "passes"}]
    model = toys.model_of(toys.Beacon(), class_names=NAMES)
    (direct,) = misure.explain_all(
        model,
        BEACON,
        [misure.predicted_target(model, BEACON, 1)],
        seed=RunPlan().seed_of("a"),
        other_image=SAMPLES[1].image,
        other_image_name="b",
        **FEW,
    )
    assert record.minimally_sufficient_region == direct.values.minimally_sufficient_region
    assert record.cost == direct.values.cost.counts()


def test_going_on_is_the_same_and_other_questions_are_another_run(tmp_path):
    few = FEW | {"max_passes": 130}
    asked = {"questions": ["necessary", "effects"], "robust": 0.8, "method_options": few}
    _run(tmp_path / "once", **asked)
    _run(tmp_path / "twice", limit=1, **asked)
    assert len(read_run(tmp_path / "twice")) == 1
    assert _run(tmp_path / "twice", **asked).total_samples == 1
    assert read_run(tmp_path / "once") == read_run(tmp_path / "twice")
    with pytest.raises(RunFolderError, match="questions: .*'necessary', 'effects'.* there"):
        _run(tmp_path / "twice", robust=0.8, method_options=few)
    with pytest.raises(RunFolderError, match=r"robust: 0\.8 there, None now"):
        _run(tmp_path / "twice", questions=asked["questions"], method_options=few)


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        ({"questions": ["blocking"]}, "questions among sufficient, necessary, .* got 'blocking'"),
        ({"questions": ["all"], "method": "edges", "method_options": {}}, "with the method misure and all objects"),
        ({"questions": ["all"], "method_options": {"max_passes": 100}}, "max_passes of 129 or more"),
        ({"questions": ["necessary"], "method_options": {"preset": "paper"}}, "got paper"),
        ({"questions": ["all"], "method_options": {"robust": 0.9}}, "robust of the run itself"),
        ({"questions": ["necessary"], "lost_dice": 1.0}, "lost_dice of at least 0 and below 1"),
        (
            {"questions": ["all"], "method_options": {"compare_presentations": True, "max_content_dice": 0.5, "max_passes": 130}},
            "a larger max_passes for these options",
        ),
        ({"robust": 2.0}, "robust above 0 and below 1"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_said_before_the_run_begins(tmp_path, plan, said):
    with pytest.raises(InputError, match=said):
        _run(tmp_path / "run", **plan)
    assert not (tmp_path / "run").exists()


def test_an_object_whose_answer_fails_is_recorded_and_the_others_are_answered(tmp_path):
    class Dark(SampleList):
        def __getitem__(self, index):
            if index == 0:
                raise OSError("gone")
            return super().__getitem__(index)

    done = _run(tmp_path / "run", Dark(SAMPLES), questions=["necessary"])
    assert (done.num_objects, done.num_failed) == (1, 1)
    assert read_run(tmp_path / "run")[1].necessary.is_found


def test_other_images_are_read_when_they_are_drawn():
    read = []

    class Counted(SampleList):
        def __getitem__(self, index):
            read.append(index)
            if index == 2:
                raise OSError("gone")
            return super().__getitem__(index)

    some = OtherImages(Counted([Sample(str(i), BEACON) for i in range(6)])).some(0)
    assert (len(some), read) == (3, [])
    assert torch.equal(some[0], BEACON)
    assert some[1].numel() == 0
    assert torch.equal(some[0], BEACON)
    assert read == [1, 2]


def test_the_command_asks_by_flags(tmp_path, in_this_process):
    def call(*more):
        return CliRunner().invoke(main, [
            "run", "triangle:1", "--model", "triangle", "--device", "cpu", "--preset", "quick",
            "--out", str(tmp_path / "run"), *more,
        ])  # fmt: skip

    done = call("--question", "effects", "--question", "sufficient", "--max-passes", "80")
    assert done.exit_code == 0, done.output
    record = read_run(tmp_path / "run")[0]
    assert list(record.passes) == ["sufficient", "effects"]
    assert RunFolder(tmp_path / "run").settings().questions == ("sufficient", "effects")
    wrong = call("--question", "nothing")
    assert (wrong.exit_code, "Traceback" in wrong.output) == (2, False)
    assert "got 'nothing'" in wrong.output


def test_what_suffices_has_passes_of_its_own(answered, tmp_path):
    record = read_run(answered)[0]
    assert record.passes_of_explaining == record.passes["sufficient"] < record.cost.pass_equivalents
    stopped = replace(record.minimally_sufficient_region, stopped_by="max_passes", is_reduced=True)
    (note,) = notes_of(replace(record, minimally_sufficient_region=stopped))
    assert (
        note == f"the budget ended the search after {record.passes['sufficient']} pass equivalents"
    )
    _run(tmp_path / "plain", limit=1)
    (plain,) = read_run(tmp_path / "plain")
    assert plain.passes_of_explaining == plain.cost.pass_equivalents
    with pytest.raises(InputError, match="got others: method_options"):
        check_settings(answered, feature_settings(tmp_path / "plain"))
    check_settings(answered, feature_settings(answered))


def test_hidden_regions_of_volumes_become_volumes(tmp_path):
    affine = torch.diag(torch.tensor([0.8, 0.8, 5.0, 1.0], dtype=torch.float64))
    volume = Sample("v", toys.Beacon.image(3), affine=affine)
    few = FEW | {"max_passes": 80}
    _run(tmp_path / "run", SampleList([volume]), questions=["surroundings"], method_options=few)
    (record,) = read_run(tmp_path / "run")
    hidden = HiddenRegion.load(tmp_path / "run" / record.surroundings.map)
    assert hidden.values.spacing_mm == [0.8, 0.8, 5.0]
    assert write_run_volumes(tmp_path / "run", tmp_path / "out") == 1
    file = nibabel.load(tmp_path / "out" / "v_lamp" / "surroundings_region.nii.gz")
    assert np.array_equal(np.asarray(file.dataobj) > 0, hidden.region.numpy())
    assert np.allclose(file.affine, affine.numpy())
    assert not (tmp_path / "out" / "v_lamp" / "necessary_region.nii.gz").exists()
