"""Comparisons: what is in the rows, what the figures over objects are, and what stands in files."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import misure
import toys
from misure.datasets import Sample, SampleList, TriangleDataset
from misure.methods import METHODS, MapMethod
from misure.metrics import GROUPS, METRICS
from misure.metrics.comparison.compare import CONTROLS, DEFAULT_METHODS, compare
from misure.metrics.comparison.comparison import Comparison
from misure.metrics.comparison.relevance import relevance_of
from misure.metrics.comparison.row import Row
from misure.metrics.comparison.tables import as_csv, as_markdown
from misure.reports.folders import save_comparison

FEW = ("sufficient_area", "iou", "num_parts", "computation")


def _beacon_sample(key="beacon"):
    image = toys.beacon_image()
    annotation = (image[0] > 0).long()
    relevance = toys.beacon_answer(2)
    return Sample(key, image, annotation, relevance, point=(12, 12))


@pytest.fixture(scope="module")
def model():
    return toys.model_of(toys.Beacon(), class_names=("background", "square"))


@pytest.fixture
def failing(monkeypatch):
    """A method that fails on images that are dark in the first channel's corner."""

    def fails(_model, image, target):
        if image[0, 0, 0] > 0:
            raise RuntimeError("no <b>luck</b> | here")
        return target.region.float()

    monkeypatch.setitem(
        METHODS, "failing", MapMethod(name="failing", kind="control", function=fails)
    )
    return "failing"


def _marked(key="marked"):
    sample = _beacon_sample(key)
    image = sample.image.clone()
    image[0, 0, 0] = 0.25
    return replace(sample, image=image)


def test_what_is_known_to_matter_is_found_by_misure_and_not_by_the_controls(model):
    found = compare(
        model,
        [_beacon_sample()],
        methods=("misure", *CONTROLS),
        metrics=FEW,
        dice_threshold=1.0,  # of 0.9 some pixels of the target could be left out
        method_options={"misure": {"preset": "smallest"}},
        seed=0,
    )
    by_method = {row.method: row for row in found.rows}
    share = toys.beacon_answer(2).float().mean().item()
    assert by_method["misure"].metrics["iou"] > 0.9
    assert by_method["misure"].metrics["sufficient_area"] == pytest.approx(share, abs=0.005)
    for control in CONTROLS:
        assert by_method[control].metrics["iou"] < 0.5
        assert by_method[control].cost.pass_equivalents == 0
    cost = by_method["misure"].cost
    assert by_method["misure"].metrics["pass_equivalents"] == cost.pass_equivalents > 0
    assert by_method["misure"].metric_passes > 0
    assert by_method["misure"].target["class_name"] == "square"
    assert by_method["misure"].target["area_fraction"] == 25 / 900


def test_a_map_is_the_one_that_the_method_makes_by_itself(model):
    sample = _beacon_sample()
    target = misure.predicted_target(model, sample.image, point=sample.point)
    found = compare(model, [sample], methods=("rise", "random"), metrics=("iou",), seed=4)
    for name, one in found.pictured[0].maps.items():
        assert torch.equal(one, METHODS[name](model, sample.image, target, seed=4).saliency_map)


def test_one_failure_leaves_one_cell_empty_and_says_why(model, failing):
    empty = Sample("empty", torch.zeros(3, 30, 30))
    samples = [_beacon_sample(), _marked(), empty]
    found = compare(model, samples, methods=(failing, "edges"), metrics=("iou", "gini"))
    assert [(row.image, row.method, bool(row.error)) for row in found.rows] == [
        ("beacon", failing, False),
        ("beacon", "edges", False),
        ("marked", failing, True),
        ("marked", "edges", False),
        ("empty", failing, True),
        ("empty", "edges", True),
    ]
    assert found.rows[2].error == "RuntimeError: no <b>luck</b> | here"
    assert found.rows[2].cost is None
    assert "finds nothing else" in found.rows[4].error
    assert found.summary()[failing]["iou"]["n"] == 1
    assert found.summary()["edges"]["iou"]["n"] == 2


def test_a_method_that_fails_does_not_spoil_the_picture_of_the_others(model, failing):
    samples = [_beacon_sample(), _marked()]
    found = compare(model, samples, methods=(failing, "edges"), metrics=("iou",))
    figure = found.plot()
    methods = ["target", *found.methods]
    assert [axes.get_title() for axes in figure.axes[: len(methods)]] == methods
    written = [" ".join(axes.texts[0].get_text().split()) for axes in figure.axes if axes.texts]
    assert any("no <b>luck</b> | here" in text for text in written)
    has_picture = [bool(axes.images) for axes in figure.axes]
    maps = [[True, *(method in shown.maps for method in found.methods)] for shown in found.pictured]
    assert has_picture == [cell for row in maps for cell in row]
    assert not all(has_picture)
    sizes = {tuple(np.round(axes.get_position().size, 4)) for axes in figure.axes}
    assert len(sizes) == 1  # a failure takes no room from the others


def test_a_metric_that_fails_leaves_its_own_cell_empty(model, monkeypatch):
    def breaks(saliency_map):
        raise misure.InputError("gini: expected luck.")

    monkeypatch.setitem(METRICS, "gini", replace(METRICS["gini"], function=breaks))
    endless = replace(METRICS["total_variation"], function=lambda saliency_map: float("inf"))
    monkeypatch.setitem(METRICS, "total_variation", endless)
    (row,) = compare(model, [_beacon_sample()], methods=("edges",), metrics=("fineness",)).rows
    assert row.metrics["gini"] is None
    assert row.metrics["total_variation"] is None
    assert row.metrics["effective_area"] > 0
    assert row.error == "gini: gini: expected luck.; total_variation: ValueError: it gave inf"


def test_a_sample_that_cannot_be_read_is_a_cell_and_slices_of_a_patient_one_case(model):
    class Damaged(SampleList):
        def __getitem__(self, index):
            if index == 1:
                raise OSError("disk")
            return super().__getitem__(index)

    names = ("case0001/slice000", "case0001/slice001", "case0001/slice002")
    samples = Damaged([_beacon_sample(name) for name in names])
    found = compare(model, samples, methods=("edges",), metrics=("gini",))
    assert [row.error for row in found.rows] == ["", "OSError: disk", ""]
    assert {row.case for row in found.rows} == {"case0001"}
    figures = found.summary()["edges"]["gini"]
    assert figures["low"] is figures["high"] is None


def test_nothing_known_gives_no_figure_and_no_error(model):
    nobody_said = replace(_beacon_sample(), relevance=None, point=None, annotation=None)
    (row,) = compare(model, [nobody_said], methods=("edges",), metrics=("iou", "gini")).rows
    assert row.metrics["iou"] is None
    assert row.error == ""


def test_relevance_depends_on_the_target_and_not_on_how_it_was_chosen(model):
    by_point, by_class, by_instance = (
        compare(model, [_beacon_sample()], methods=("edges",), metrics=("iou",), **chosen).rows[0]
        for chosen in ({}, {"class_index": 1}, {"instance": 0})
    )
    assert by_point.metrics["iou"] > 0
    assert by_point.metrics == by_class.metrics == by_instance.metrics
    sample = _beacon_sample()
    elsewhere = replace(sample, relevance=~sample.relevance)
    (row,) = compare(model, [elsewhere], methods=("edges",), metrics=("iou",)).rows
    assert row.metrics["iou"] is None
    assert row.error == ""


def test_a_class_in_two_arrangements_has_no_relevance_and_each_object_its_own():
    sample = TriangleDataset(1, num_triangles=2, size_px=128, side_px=32, glyph_px=12)[0]
    both, nothing = sample.annotation == 1, torch.zeros_like(sample.relevance)
    assert relevance_of(sample, misure.Target(1, sample.relevance, nothing)) is sample.relevance
    assert relevance_of(sample, misure.Target(1, both & ~sample.relevance, nothing)) is None
    assert relevance_of(sample, misure.Target(1, both, nothing)) is None
    unknown = replace(sample, relevance=None)
    assert relevance_of(unknown, misure.Target(1, sample.relevance, nothing)) is None


def test_a_network_without_gradients_fails_in_the_rows_of_the_methods_that_need_them():
    model = toys.model_of(toys.Beacon(), differentiable=False)
    methods = ("misure_paper", "seg_grad_cam", "edges")
    rows = compare(model, [_beacon_sample()], methods=methods, metrics=("gini",)).rows
    assert [("with gradients" in row.error, row.cost is None) for row in rows] == [
        (True, True), (True, True), (False, False),
    ]  # fmt: skip
    assert {row.target["class_index"] for row in rows} == {1}


def test_nothing_is_left_of_the_runs_that_a_comparison_makes(model, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    compare(model, [_beacon_sample()], methods=("edges",), metrics=("gini",))
    assert list(tmp_path.iterdir()) == []


def test_a_point_where_the_model_draws_something_else_is_not_explained(model):
    elsewhere = replace(_beacon_sample(), annotation=torch.full((30, 30), 2))
    with pytest.raises(misure.InputError, match="expected at least one map, got none; the first"):
        compare(model, [elsewhere], methods=("edges",))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"methods": ("edge",)}, "expected methods among misure, .*got 'edge'"),
        ({"methods": ()}, "expected methods among misure, .*got none"),
        ({"methods": ("misure",), "method_options": {"misure": {"max_pases": 3}}}, "'max_pases'"),
        ({"metrics": ("dice",)}, "expected metrics among sufficiency, .*got 'dice'"),
        ({"method_options": {"occlusion": {}}}, "expected options of the methods that are comp"),
        ({"method_options": {"rise": {"num": 3}}}, "expected options of rise among num_masks"),
        ({"baseline_image": "pink"}, "got none; the first: .*'pink'"),
    ],
)
def test_bad_arguments_are_errors(model, given, words):
    with pytest.raises(misure.InputError, match=words):
        compare(model, [_beacon_sample()], **{"methods": ("rise",)} | given)


def test_a_key_that_comes_twice_is_an_error(model):
    with pytest.raises(misure.InputError, match="got .beacon. twice"):
        compare(model, [_beacon_sample(), _beacon_sample()])


def test_the_baseline_image_reaches_the_methods_that_take_one(model):
    found = compare(
        model, [_beacon_sample()], methods=("misure", "rise", "edges"), metrics=("iou",),
        baseline_image="noise",
        method_options={
            "misure": {"max_passes": 60}, "rise": {"baseline_image": "black", "num_masks": 9}
        },
    )  # fmt: skip
    options = [one["options"].get("baseline_image") for one in found.settings["methods"].values()]
    assert options == ["noise", "black", None]


def test_class_0_of_a_network_of_several_labels_is_a_class_like_any_other():
    several = toys.model_of(toys.OwnBrightness(), multilabel=True)
    dark = 1 - toys.square_image()
    found = compare(several, [Sample("dark", dark)], methods=("edges",), metrics=("gini",))
    assert found.rows[0].target["class_index"] in (0, 1)
    assert found.rows[0].target["area_fraction"] > 0.9


def test_a_tensor_among_the_options_is_written_as_a_word(model, tmp_path):
    other = torch.zeros(3, 30, 30)
    found = compare(
        model, [_beacon_sample()], methods=("misure",), metrics=("gini",),
        method_options={"misure": {"other_image": other, "max_passes": 60}},
    )  # fmt: skip
    save_comparison(found, tmp_path)
    written = json.loads((tmp_path / "comparison.json").read_text())
    assert written["settings"]["methods"]["misure"]["options"]["other_image"] == "tensor"


def test_no_sample_is_an_error(model):
    with pytest.raises(misure.InputError, match="there is no sample"):
        compare(model, [])


def test_names_and_groups_of_metrics_and_all(model):
    rows = compare(model, [_beacon_sample()], methods=("edges",), metrics=("iou", "fineness")).rows
    fineness = [one.name for one in METRICS.values() if one.group == "fineness"]
    assert list(rows[0].metrics) == ["iou", *fineness]
    assert set(DEFAULT_METHODS) >= set(CONTROLS)
    assert set(CONTROLS) == {"random", "edges", "target_itself", "class_itself"}


def test_the_threshold_reaches_the_methods_that_have_one(model):
    found = compare(
        model, [_beacon_sample()], methods=("misure", "edges"), metrics=("iou",),
        dice_threshold=0.5, method_options={"misure": {"max_passes": 60}},
    )  # fmt: skip
    assert found.settings["methods"]["misure"]["options"] == {
        "dice_threshold": 0.5, "baseline_image": "mean", "max_passes": 60
    }  # fmt: skip
    assert found.settings["methods"]["edges"]["options"] == {}
    assert found.rows[0].cost.pass_equivalents <= 60


def test_files_say_the_same_and_nothing_of_them_is_markup(model, failing, tmp_path):
    samples = [_beacon_sample("a|b <i>"), _marked()]
    found = compare(model, samples, methods=(failing, "edges"), metrics=FEW)
    save_comparison(found, tmp_path)
    written = json.loads((tmp_path / "comparison.json").read_text())
    assert list(written) == ["settings", "rows", "summary"]
    assert written["summary"]["edges"]["iou"] == found.summary()["edges"]["iou"]
    assert [set(row) >= {"image", "target", "method", "metrics", "cost", "error"}
            for row in written["rows"]] == [True] * 4  # fmt: skip
    assert written["rows"][2]["cost"] is None
    assert written["settings"]["metrics"]["iou"]["higher_is_better"] is True
    lines = list(csv.DictReader((tmp_path / "comparison.csv").read_text().splitlines()))
    assert [line["image"] for line in lines] == ["a|b <i>", "a|b <i>", "marked", "marked"]
    assert float(lines[1]["iou"]) == found.rows[1].metrics["iou"]
    assert lines[2]["iou"] == ""
    assert lines[2]["error"] == "RuntimeError: no <b>luck</b> | here"
    text = (tmp_path / "comparison.md").read_text()
    assert "| marked | failing | RuntimeError: no &lt;b>luck&lt;/b> \\| here |" in text
    assert "iou (1) ↑" in text
    assert "sufficient_area (image) ↓" in text
    with Image.open(tmp_path / "comparison.png") as picture:
        assert picture.size[0] > 400


def _row(key, method, **metrics):
    return Row(image=key, case=key, target={"class_index": 1}, method=method, metrics=metrics)


def test_a_table_counts_the_objects_behind_each_figure():
    rows = [
        _row(key, "edges", gini=gini, iou=iou)
        for key, gini, iou in zip("abcde", (0, 1, 0, 1, 0.5), (None,) * 4 + (0.25,), strict=True)
    ]
    rows += [_row("b", "random", gini=123.4, iou=None)]
    settings = {
        "methods": {"edges": {}, "random": {}}, "metrics": ["gini", "iou", "recall"],
        "dice_threshold": 0.9, "baseline_image": "mean", "model": "a*b",
    }  # fmt: skip
    text = as_markdown(Comparison(rows, settings, []))
    assert "5 objects" in text
    assert "| edges | 0.500 [0.000, 1.000]; 0.500 | 5 |" in text
    assert "| edges | 0.250; 0.250 | 1 |" in text  # of fewer than five cases there is no interval
    assert "| random | – | 0 |" in text
    assert "recall" not in text
    assert as_csv(Comparison(rows, settings, [])).count("\n") == 7


def test_volumes_are_compared_and_drawn_too(tmp_path):
    model = toys.model_of(toys.Beacon())
    sample = Sample("volume", toys.beacon_image(3), None, toys.beacon_answer(3), point=(12, 12, 12))
    found = compare(
        model, SampleList([sample]), methods=("sufficient_region", "edges", "random"),
        metrics=[group for group in GROUPS if group not in ("stability", "sanity")],
    )  # fmt: skip
    assert [row.error for row in found.rows] == ["", "", ""]
    save_comparison(found, tmp_path)
    assert (tmp_path / "comparison.png").stat().st_size > 5000
