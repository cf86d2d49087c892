"""Further questions in the report: the matrix of effects, the sentences and the hidden regions."""

import base64
import io

import numpy as np
import pytest
import torch
from msgspec.structs import replace
from PIL import Image

import toys
from browsing import cards, count, until
from misure.datasets import Sample, SampleList
from misure.errors import RunFolderError
from misure.explanation.answers.hidden import HiddenRegion
from misure.explanation.answers.reasons import ReasonRecord
from misure.explanation.robust.measured import Robustness
from misure.reports.answers import (
    LABELS,
    answer_figures,
    answers_at_a_glance,
    effect_labels,
    hidden_captions,
    surroundings_at_a_glance,
)
from misure.reports.page import write_report
from misure.reports.planes import object_pictures
from misure.runs.answer_record import ChannelsGroup, ReasonsGroup
from misure.runs.folder import RunFolder
from misure.runs.plan import RunPlan
from misure.runs.run import read_run, run

NAMES = ("background", "rider", "big horse")
NUM = 5


@pytest.fixture(scope="module")
def answered(tmp_path_factory):
    """Five images of a rider who is lost without the horse, and a run that asks nothing more."""
    folder = tmp_path_factory.mktemp("answered")
    model = toys.model_of(toys.Pair(), class_names=NAMES)
    samples = SampleList(Sample(f"s{i}", toys.Pair.image().roll(i, 1)) for i in range(NUM))
    few = {"preset": "quick", "baseline_image": "mean", "max_passes": 120, "num_draws": 0}
    asked = ("necessary", "surroundings", "effects")
    plan = RunPlan(classes=("rider",), method_options=few, questions=asked)
    run(samples, model, folder / "run", plan)
    run(samples[:1], model, folder / "plain", RunPlan(method_options=few))
    write_report([folder / "run"], folder / "report.html")
    return folder


def test_the_run_at_a_glance_says_what_was_found(answered):
    records = read_run(answered / "run")
    found = [record.necessary for record in records if record.necessary.is_found]
    first, second = answers_at_a_glance(records)
    assert first.startswith(
        f"A region that, hidden, loses the object was found for {len(found)} of"
    )
    lost = [record for record in records if record.surroundings.is_found]
    assert len(lost) == NUM
    assert second.startswith(
        f"A region of its surroundings that, hidden, loses the object was found for {NUM} of {NUM}"
    )
    assert answers_at_a_glance(read_run(answered / "plain")) == []


def test_the_matrix_has_the_dependency_with_its_examples(answered):
    records = read_run(answered / "run")
    places = {record.key: place for place, record in enumerate(records)}
    shown = surroundings_at_a_glance("toy", records, places)
    assert shown["columns"] == ["background", "big horse"]
    (rider,) = shown["rows"]
    background, cell = rider["cells"]
    assert (cell["effect"], cell["interval"], cell["num_objects"]) == (1, "1.00 to 1.00", NUM)
    assert (cell["is_dependency"], cell["figure"]) == (True, "without_big_horse")
    assert background["effect"] == 0  # but for the horse nothing there is needed
    (sentence,) = shown["sentences"]
    assert sentence["text"].startswith("Hiding the big horse takes 1.00 of the Dice of the rider")
    assert sentence["examples"] == [
        {"key": f"s{i}#1", "place": places[f"s{i}#1"]} for i in range(NUM)
    ]
    few = surroundings_at_a_glance("toy", records[:4], places)
    assert {cell["interval"] for row in few["rows"] for cell in row["cells"] if cell} == {""}
    assert few["sentences"][0]["text"].startswith("No class was found to depend on another")
    assert shown["untested"] == []
    (untested,) = few["untested"]
    assert "too few images for an interval" in untested["text"]
    assert [example["key"] for example in untested["examples"]] == [f"s{i}#1" for i in range(4)]
    assert surroundings_at_a_glance("toy", read_run(answered / "plain"), {}) is None


def test_the_hidden_regions_are_in_the_pictures(answered):
    folder = RunFolder(answered / "run")
    for record in read_run(answered / "run"):
        encoded = object_pictures(folder, record, 100)["planes"]
        with Image.open(io.BytesIO(base64.b64decode(encoded))) as picture:
            flags = np.asarray(picture)[..., 1]
        for name, flag in (("necessary", 16), ("surroundings", 32)):
            group = getattr(record, name)
            hidden = HiddenRegion.load(answered / "run" / group.map)
            assert torch.equal(torch.from_numpy((flags & flag) > 0), hidden.region)
            assert bool(hidden.region.any()) == group.is_found


def test_a_damaged_region_is_one_sentence(answered, tmp_path):
    folder = RunFolder(answered / "run")
    record = read_run(answered / "run")[0]
    with pytest.raises(RunFolderError, match=r"expected region in necessary/.* \(30, 30\)"):
        folder.read_region(record.necessary.map, "region", (12, 12))
    with pytest.raises(RunFolderError, match="expected regions in necessary/"):
        folder.read_region(record.necessary.map, "regions", (30, 30))
    with pytest.raises(RunFolderError, match="inside the run folder"):
        folder.read_region("../outside.npz", "region", (30, 30))


def test_a_run_without_questions_has_none_of_it_on_its_page(answered):
    write_report([answered / "plain"], answered / "plain.html")
    text = (answered / "plain.html").read_text()
    assert "<h3>Surroundings</h3>" not in text
    assert 'value="necessary"' not in text


def test_a_cell_shows_its_objects_and_an_object_its_answers(browser, answered):
    browser.get((answered / "report.html").as_uri())
    until(lambda: cards(browser))
    (cell,) = browser.find_elements("css selector", ".effects .sure .to-effect")
    browser.execute_script("arguments[0].click()", cell)
    assert count(browser) == NUM
    assert all(name.startswith("rider") for name in cards(browser))
    example = browser.find_element("css selector", ".dependencies .to-object")
    browser.execute_script("arguments[0].click()", example)
    until(lambda: browser.find_elements("css selector", "#large .summary li"))
    record = next(one for one in read_run(answered / "run") if one.key == "s0#1")
    said = [one.text for one in browser.find_elements("css selector", "#large .summary li")]
    assert said == record.summary
    kinds = browser.execute_script(
        "return [...document.querySelectorAll('#large canvas')].map((one) => one.dataset.kind)"
    )
    assert kinds[-2:] == ["necessary", "surroundings"]
    grey = browser.execute_script(
        "const c = document.querySelector('#large canvas[data-kind=surroundings]');"
        "const p = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; let n = 0;"
        "for (let i = 0; i < p.length; i += 4) n += p[i] > 90 && p[i] === p[i + 1]; return n"
    )
    around = HiddenRegion.load(answered / "run" / record.surroundings.map)
    assert grey >= int(around.region.sum()) > 0
    assert not [one for one in browser.get_log("browser") if one["level"] == "SEVERE"]


def test_every_figure_of_an_answer_has_a_label(answered):
    record = read_run(answered / "run")[0]
    robust = Robustness(
        question="sufficient",
        threshold=0.9,
        share=0.5,
        lower_bound=0.1,
        upper_bound=0.9,
        confidence=0.95,
        at_least=0.9,
        held=1,
        drawn=2,
        by_kind={},
        left_out={},
        passes=2,
        looks=[2],
        rule="",
        answer="no",
        seed=0,
    )
    reason = ReasonRecord(
        area_fraction=0.1, dice=1.0, dice_without=0.9, num_parts=1, is_reduced=True
    )
    reasons = ReasonsGroup(
        map="",
        num_reasons=2,
        share_target=False,
        dice_of_rest=0.25,
        stopped_by="rest",
        reasons=[reason, reason],
    )
    channels = ChannelsGroup(
        dice_shown=1.0,
        baseline_image="mean",
        strongest="T1 c+",
        effects={"T1 c+": 0.5, "channel 1": -0.25},
        dice_alone={"T1 c+": 1.0, "channel 1": 0.0},
        sets=[["T1 c+"]],
        set_size=1,
        is_smallest=True,
        are_all=True,
        fills_agree=True,
        num_sets_shown=4,
    )
    known = replace(record, robustness=robust, reasons=reasons, channels=channels)
    figures = answer_figures(known)
    assert set(figures) == {*LABELS, *effect_labels(known)}
    assert effect_labels(known) == {
        "without_big_horse": "Dice lost without big horse",
        "without_background": "Dice lost without background",
        "without_channel_t1_c_": "Dice lost without T1 c+",
        "without_channel_1": "Dice lost without channel 1",
    }
    assert (figures["strongest_channel_effect"], figures["without_channel_1"]) == (0.5, -0.25)
    assert (figures["without_big_horse"], figures["strongest_beyond_chance"]) == (1, 1)
    assert (figures["num_reasons"], figures["dice_of_rest"]) == (2, 0.25)
    assert (figures["robustness_share"], figures["robustness_lower_bound"]) == (0.5, 0.1)
    assert figures["surroundings_area"] == record.surroundings.area_fraction
    assert hidden_captions(known)["reasons"] == "1 other reason"
    assert answers_at_a_glance([known])[2:] == [
        "1 of 1 have more than one reason.",
        (
            "The minimally sufficient region suffices on at least 90 % of baseline images for 0 of "
            "1, on fewer for 1; 0 are unclear."
        ),
    ]
