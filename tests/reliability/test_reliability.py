"""Reliability: features, annotated Dices, learners, measures, files and commands."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from msgspec import structs
from PIL import Image
from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor

import misure
import toys
from misure.cli.app import main
from misure.datasets import Sample, SampleList, open_dataset
from misure.datasets.label_files import LabelFiles, read_class_picture
from misure.errors import MisureWarning
from misure.reliability import (
    FEATURES,
    LEARNERS,
    Examples,
    Predictions,
    ReliabilityModel,
    evaluate_reliability,
    feature_matrix,
    fit_reliability,
    matched_dices,
    names_of,
    object_dices,
    read_examples,
    score_run,
)
from misure.reliability.calibration import platt
from misure.reliability.evaluation import FEATURE_SETS, predict_unseen
from misure.reliability.learners import _BOOSTING, _as_trees, folds_of
from misure.reliability.score_functions import score_of
from misure.reliability.scores import (
    MEASURES,
    auroc,
    gains,
    measure_all,
    reliability_bins,
    risk_coverage,
)
from misure.runs.plan import RunPlan
from misure.runs.record import Prediction
from misure.runs.run import read_run, run
from reliability_examples import OPTIONS, SURE, examples_of, mixed, record_of


@pytest.fixture
def quick_learners(monkeypatch):
    """Learners in a third of the time: fewer trees of larger steps, fewer strengths to choose from."""
    few = {"n_estimators": 25, "learning_rate": 0.3}
    monkeypatch.setattr("misure.reliability.learners._BOOSTING", _BOOSTING | few)
    monkeypatch.setattr("misure.reliability.learners._STRENGTHS", (0.1, 10.0))


def _changed(record, **prediction):
    """A record with other values of its prediction."""
    return structs.replace(record, prediction=structs.replace(record.prediction, **prediction))


@pytest.mark.parametrize(
    ("learner", "error", "ranking"), [("linear", 0.01, 0.99), ("boosting", 0.04, 0.97)]
)
def test_features_that_determine_the_dice_are_learnt(learner, error, ranking):
    model = fit_reliability(examples_of(answer=mixed), SURE, learner=learner, cut=0.6)
    fresh = examples_of(300, 1, mixed)
    said = model.predict(fresh.records)
    assert np.mean([abs(a.dice - b) for a, b in zip(said, fresh.dices, strict=True)]) < error
    predicted = _predicted(said, fresh, 0.6)
    assert auroc(predicted) > ranking
    inside = [a.low <= b <= a.high for a, b in zip(said, fresh.dices, strict=True)]
    assert 0.8 < np.mean(inside) <= 1


def test_the_score_of_an_instance_is_a_feature():
    record = record_of(0)
    scored = structs.replace(record, target=structs.replace(record.target, score=0.7))
    assert FEATURES["score"].of(scored) == 0.7
    assert math.isnan(FEATURES["score"].of(record))


def test_rows_whose_features_are_missing_are_left_out():
    found = evaluate_reliability(examples_of(90, answer=mixed), learners=["linear"], cut=0.6)
    assert {row for row, _ in found.values} == {"max_probability", "soft_dice"}
    assert found.values["soft_dice", "linear"]["auroc"] < 0.95  # the other half of the answer
    assert not found.gains


def _predicted(said, examples, cut):
    dices, low, high, failure = (
        np.array([getattr(reliability, name) for reliability in said])
        for name in ("dice", "low", "high", "failure_probability")
    )
    return Predictions(
        cut=cut, dices=examples.dices, groups=examples.groups, fold=np.zeros(len(examples)),
        predicted_dices=dices, low=low, high=high, failure_probabilities=failure,
    )  # fmt: skip


@pytest.mark.usefixtures("quick_learners")
@pytest.mark.parametrize("learner", LEARNERS)
def test_shuffled_dices_give_no_ranking_and_honest_intervals(learner):
    figures = []
    for seed in range(4):
        model = fit_reliability(examples_of(300, seed), SURE, learner=learner, cut=0.5)
        fresh = examples_of(300, 100 + seed)  # pooled folds would be a little below 0.5
        figures.append(measure_all(_predicted(model.predict(fresh.records), fresh, 0.5)))
    rankings = [one["auroc"] for one in figures]
    assert abs(np.mean(rankings) - 0.5) < 2 * 0.034 / 2  # two standard errors of the mean of four
    assert np.mean([one["interval_coverage"] for one in figures]) > 0.85


@pytest.mark.usefixtures("quick_learners")
@pytest.mark.slow
def test_a_leak_between_folds_would_show():
    """Features that name the image: of use only to who has seen the image's other objects."""
    num = 90
    generator = np.random.default_rng(0)
    names, dice_of = generator.random((num // 3, 2)), generator.random(num // 3)
    records = [
        record_of(i, max_probability=names[i // 3, 0], margin=names[i // 3, 1]) for i in range(num)
    ]
    dices = dice_of[np.arange(num) // 3]
    by_image = Examples(records=records, dices=dices, groups=np.arange(num) // 3)
    by_object = Examples(records=records, dices=dices, groups=np.arange(num))
    features = {"max_probability", "margin"}
    honest, leaking = (_cross_validated(one, sorted(features)) for one in (by_image, by_object))
    assert abs(honest - 0.5) < 0.2
    assert leaking > 0.8


def _cross_validated(examples, names):
    said, order = [], []
    for fit, test in folds_of(examples.groups, 0):
        model = fit_reliability(examples.take(fit), names, learner="boosting", cut=0.5)
        said += model.predict(examples.take(test).records)
        order.append(test)
    return auroc(_predicted(said, examples.take(np.concatenate(order)), 0.5))


def test_no_group_is_on_both_sides_and_every_object_is_tested_once():
    groups = np.array([f"image{i // 3}" for i in range(40)])
    parts = folds_of(groups, 3)
    assert len(parts) == 5
    assert sorted(np.concatenate([test for _, test in parts])) == list(range(40))
    for fit, test in parts:
        assert not set(groups[fit]) & set(groups[test])


@pytest.mark.usefixtures("quick_learners")
@pytest.mark.parametrize("learner", LEARNERS)
def test_one_object_alone_has_the_score_it_has_among_others(learner, tmp_path):
    examples = examples_of(answer=mixed)
    for number in (3, 50):
        examples.records[number] = _changed(
            examples.records[number], margin=None
        )  # missing ones are allowed
    model = fit_reliability(examples, SURE, learner=learner, cut=0.6)
    together = model.predict(examples.records)
    some = slice(60)
    assert [model.predict([one])[0] for one in examples.records[some]] == together[some]
    model.save(tmp_path / "model.json")
    again = ReliabilityModel.load(tmp_path / "model.json")
    assert again == model
    assert again.predict(examples.records) == together


def test_main_reasons_are_the_features_that_lower_the_dice():
    examples = examples_of(answer=lambda sure: np.clip(sure[:, 3], 0, 1))
    model = fit_reliability(examples, SURE, cut=0.5)
    bad, good = (record_of(0, **dict.fromkeys(SURE, 0.5) | {"soft_dice": x}) for x in (0.0, 1.0))
    (said_bad, said_good) = model.predict([bad, good])
    assert said_bad.reasons[0][0] == "soft_dice"
    assert said_bad.reasons[0][1] < -0.3
    assert "soft_dice" not in dict(said_good.reasons)
    assert said_bad.failure_probability > 0.9
    assert said_good.failure_probability < 0.1


@pytest.mark.parametrize("kind", [GradientBoostingRegressor, GradientBoostingClassifier])
def test_trees_of_plain_numbers_say_what_those_of_scikit_learn_say(kind):
    generator = np.random.default_rng(0)
    x = generator.normal(size=(200, 4)).astype(np.float32)
    y = x[:, 0] * x[:, 1] + 0.1 * generator.normal(size=200)
    is_regression = kind is GradientBoostingRegressor
    wanted = y if is_regression else y > 0
    made = kind(n_estimators=30, subsample=0.7, random_state=0).fit(x, wanted)
    share = float(np.mean(wanted))
    trees = _as_trees(made, float(y.mean()) if is_regression else math.log(share / (1 - share)))
    theirs = made.predict(x) if is_regression else made.decision_function(x)
    np.testing.assert_allclose(score_of(trees, x), theirs, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p["feature_names"].__setitem__(0, "secret"), "there is no feature 'secret'"),
        (lambda p: p["dice"].update(weights=[1.0]), "1 weights for 4 columns"),
        (lambda p: p["dice"].update(kind="pickle"), r"Invalid value 'pickle' - at `\$\.model\.dice"),
        (lambda p: p["scaling"].update(std=[0.0] * 4), r"a std is 0 - at `\$\.model\.scaling`"),
        (lambda p: p["scaling"].update(mean=[0.0], std=[1.0]), "scaling does not fit its features"),
        (lambda p: p.update(slope=-1.0), r"`float` >= 0.0 - at `\$\.model\.slope`"),
        (lambda p: p.update(slope=float("nan")), "NaN is no number of JSON"),
        (lambda p: p.update(slope=float("inf")), "Infinity is no number of JSON"),
        (lambda p: p["dice"].update(bias=float("inf")), "Infinity is no number of JSON"),
        (lambda p: p.pop("failure"), "missing required field `failure`"),
        (lambda p: p.update(colour=3), r"unknown field `colour` - at `\$\.model`"),
        (lambda p: p.update(about={}), r"missing required field `settings` - at `\$\.model\.about`"),
        (lambda p: p.update(half_width=-3), r"`float` >= 0.0 - at `\$\.model\.half_width`"),
        (lambda p: p.update(cut=2), r"`float` <= 1.0 - at `\$\.model\.cut`"),
        (lambda p: p["scaling"].update(flagged=[0, 0]), "flagged twice"),
        (lambda p: p["scaling"].update(flagged=[4]), "flagged that does not exist"),
        (
            lambda p: p.update(dice={"kind": "trees", "bias": 0, "trees": [
                {"column": [0], "threshold": [0.0], "left": [0], "right": [0], "value": [0.0]}]}),
            r"nodes are in no order - at `\$\.model\.dice\.trees\[0\]`",
        ),
        (
            lambda p: p.update(dice={"kind": "trees", "bias": 0, "trees": [
                {"column": [0], "threshold": [], "left": [0], "right": [0], "value": [0.0]}]}),
            "lists of different lengths",
        ),
        (
            lambda p: p.update(dice={"kind": "trees", "bias": 0, "trees": [
                {"column": [9, -1, -1], "threshold": [0.0] * 3, "left": [1, 0, 0],
                 "right": [2, 0, 0], "value": [0.0] * 3}]}),
            "a tree that looks at column 9 of 4",
        ),
    ],
)  # fmt: skip
def test_files_that_are_no_models(change, message, tmp_path):
    path = tmp_path / "model.json"
    fit_reliability(examples_of(answer=mixed), SURE, cut=0.6).save(path)
    content = json.loads(path.read_text())
    change(content["model"])
    path.write_text(json.dumps(content))
    with pytest.raises(misure.InputError, match=f"expected a file written by .*{message}"):
        ReliabilityModel.load(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"format": "misure reliability 1", "feature_names": [], "about": {"made": {}}},
            "written by misure 0.1.0 in format 'misure reliability 1'. Fit the model again",
        ),
        ({"format": 9, "misure_version": "7.1"}, "written by misure 7.1 in format 9. Fit"),
    ],
)
def test_models_of_other_versions_are_refused_by_their_version(content, message, tmp_path):
    path = tmp_path / "model.json"
    path.write_text(json.dumps(content))
    with pytest.raises(misure.InputError, match=message) as raised:
        ReliabilityModel.load(path)
    assert str(path) in str(raised.value)


def test_files_that_are_not_even_json(tmp_path):
    for content in (b"", b"\x80\x04", b"[]", b"1", b"[" * 200_000):
        (tmp_path / "model.json").write_bytes(content)
        with pytest.raises(misure.InputError, match="expected a file written by"):
            ReliabilityModel.load(tmp_path / "model.json")
    with pytest.raises(misure.InputError, match="expected a file written by"):
        ReliabilityModel.load(tmp_path / "nowhere.json")


@pytest.mark.parametrize(
    ("examples", "options", "message"),
    [
        (examples_of(answer=lambda sure: 0.9 + 0 * sure[:, 0]), {}, "all 240 are at or above it"),
        (examples_of(answer=lambda sure: 0.1 * sure[:, 0]), {}, "all 240 are below it"),
        (examples_of(5), {}, "at least 20 annotated objects of 5 images .* got 5 of 2"),
        (examples_of(0), {}, "got 0 of 0"),
        (examples_of(), {"cut": 0}, r"a cut in \(0, 1\]"),
        (examples_of(), {"learner": "oracle"}, "expected a learner among linear, boosting"),
        (examples_of(), {"names": ["silhouette_dice"]}, "they have none of these"),
    ],
)
def test_examples_that_nothing_can_be_learnt_from(examples, options, message):
    names = options.pop("names", SURE) if "names" in options else SURE
    with pytest.raises(misure.InputError, match=message):
        fit_reliability(examples, names, **options)


def test_names_of_groups():
    assert names_of(["confidence"])[:2] == ["max_probability", "margin"]
    assert names_of(["all"]) == list(FEATURES)
    assert names_of(["soft_dice", "form"])[0] == "soft_dice"
    with pytest.raises(misure.InputError, match="got 'hope'"):
        names_of(["hope"])
    for groups in FEATURE_SETS.values():
        assert names_of(groups)


# --- Dices with annotations ---------------------------------------------------------------------


def _regions(*rows):
    """One region for each letter of a picture."""
    letters = sorted({sign for row in rows for sign in row if sign != "."})
    return [torch.tensor([[sign == letter for sign in row] for row in rows]) for letter in letters]


ALL = torch.ones(1, 8, dtype=torch.bool)


def _numbers(row):
    letters = sorted(set(row) - {"."})
    return torch.tensor([[0 if sign == "." else 1 + letters.index(sign) for sign in row]])


@pytest.mark.parametrize(
    ("drawn", "annotated", "wanted"),
    [
        ("aa......", "aa......", [1.0]),
        ("aaaa....", "aabb....", [1.0]),  # two that touch, drawn as one
        ("aa.b....", "aa......", [1.0, 0.0]),  # b is of nothing
        ("aaa.bb..", "aaaaaa..", [2 * 3 / 9, 2 * 2 / 8]),  # one, drawn in two
        ("aa......", "......aa", [0.0]),
        ("aa..bb..", "aa..bbbb", [1.0, 2 * 2 / 6]),
    ],
)
def test_objects_are_compared_with_those_that_are_their_own(drawn, annotated, wanted):
    found = matched_dices(_regions(drawn), _regions(annotated), ALL)
    assert found == pytest.approx(wanted)
    assert matched_dices(_regions(drawn), _numbers(annotated), ALL) == found


def test_pixels_that_nobody_judged_count_neither_way():
    judged = torch.tensor([[True] * 4 + [False] * 4])
    assert matched_dices(_regions("aaaaaa.."), _regions("aaaa...."), judged) == [1.0]
    assert matched_dices(_regions("......aa"), [], judged) == [None]
    assert matched_dices(_regions("aa......"), [], judged) == [0.0]


@pytest.fixture(scope="module")
def noisy_run(tmp_path_factory, working_here):
    """Objects that the network of the demo draws on noisy images, well and badly."""
    out = tmp_path_factory.mktemp("runs") / "noisy"
    with working_here():
        run(
            "corrupted:noise=0.08,triangle:12",
            "triangle",
            out,
            RunPlan(method="edges", instances=True, test_time_augmentation=True),
        )
    return out


def test_dices_of_a_run(noisy_run):
    known = object_dices(noisy_run, open_dataset("triangle:12"))
    assert len(known) == len(read_run(noisy_run))
    assert 0 <= min(known.values()) < 0.8 < max(known.values())
    examples = read_examples([noisy_run, noisy_run], ["triangle:12"])
    assert len(examples) == 2 * len(known)
    assert len(np.unique(examples.groups)) == 12
    matrix = feature_matrix(examples.records, list(FEATURES))
    there = dict(zip(FEATURES, ~np.isnan(matrix).any(0), strict=True))
    known = names_of(["confidence", "form", "augmentation"])
    assert [n for n in known if not there[n]] == ["score"]  # the network reports no instances
    assert not any(there[n] for n in names_of(["context"]))


@pytest.fixture
def photographs(tmp_path):
    """A run over pictures, and a folder of their annotations."""
    folder, labels = tmp_path / "photographs", tmp_path / "labels"
    (folder / "sub").mkdir(parents=True)
    (labels / "sub").mkdir(parents=True)
    pixels = np.zeros((24, 24), np.uint8)
    pixels[4:12, 4:12] = 255
    for name in ("a", "sub/b", "c"):
        Image.fromarray(pixels).save(folder / f"{name}.png")
    run(str(folder), toys.model_of(toys.OwnBrightness()), tmp_path / "run", RunPlan(method="edges"))
    classes = (pixels > 0).astype(np.uint8)
    Image.fromarray(classes).save(labels / "a.png")
    classes[8:12, 4:12] = 0
    classes[0:2] = 255  # not judged
    with_palette = Image.fromarray(classes, "P")
    with_palette.putpalette([*range(256)] * 3)
    with_palette.save(labels / "sub" / "b.png")
    return tmp_path / "run", labels


UNANNOTATED = "ignore:.*has no annotation of 1 of 3 images:misure.errors.MisureWarning"


def _dices(run_folder, labels, **numbering):
    examples = read_examples([run_folder], [str(labels)], **numbering)
    keys = [one.key.split(".png")[0] for one in examples.records]
    return dict(zip(keys, examples.dices.tolist(), strict=True))


@pytest.mark.filterwarnings(UNANNOTATED)
def test_annotations_as_a_folder_of_pictures(photographs):
    run_folder, labels = photographs
    assert _dices(run_folder, labels) == {"a": 1.0, "sub/b": pytest.approx(2 * 32 / (64 + 32))}
    Image.fromarray(np.zeros((24, 24, 3), np.uint8)).save(labels / "a.png")
    with pytest.raises(misure.InputError, match="expected a picture of class numbers.* got RGB"):
        read_examples([run_folder], [str(labels)])
    (labels / "none").mkdir()
    with pytest.raises(
        misure.MissingDataError, match=r"such as a\.png for a\.png, found none of 3"
    ):
        read_examples([run_folder], [str(labels / "none")])


def test_images_without_a_usable_annotation_are_counted(photographs):
    run_folder, labels = photographs
    with pytest.warns(MisureWarning, match="no annotation of 1 of 3 images, .* first is c.png"):
        assert set(_dices(run_folder, labels)) == {"a", "sub/b"}
    (labels / "a.png").write_bytes(b"\x89PNG")
    Image.fromarray(np.zeros((24, 24), np.uint8)).save(labels / "c.png")
    with pytest.warns(MisureWarning, match="annotations of 1 of 3 samples .* that of a.png: exp"):
        assert set(_dices(run_folder, labels)) == {"sub/b", "c"}


@pytest.mark.filterwarnings(UNANNOTATED)
def test_numbers_in_annotations_mean_what_is_said_or_are_refused(photographs):
    run_folder, labels = photographs
    right = _dices(run_folder, labels)
    classes = {name: np.asarray(Image.open(labels / f"{name}.png")) for name in ("a", "sub/b")}

    def save(change):
        for name, numbers in classes.items():
            Image.fromarray(change(numbers.astype(int)).astype(np.uint8)).save(
                labels / f"{name}.png"
            )

    save(lambda numbers: np.where(numbers == 1, 255, 0))
    with pytest.raises(misure.InputError, match=r"255 may be the object .*\(--label-map 255=1"):
        _dices(run_folder, labels)
    save(lambda numbers: np.where(numbers == 1, 255, np.where(numbers == 255, 7, 0)))
    assert _dices(run_folder, labels, label_map={255: 1}, ignore=(7,)) == right
    save(lambda numbers: np.where(numbers == 255, 0, numbers + 1))
    with pytest.raises(misure.InputError, match=r"classes 0 to 1, .* got 2 in .*--label-offset -1"):
        _dices(run_folder, labels, label_offset=0)
    assert _dices(run_folder, labels, label_offset=-1) == right


@pytest.mark.filterwarnings(UNANNOTATED)
def test_the_offset_of_annotations_is_that_of_the_network(photographs, tmp_path):
    run_folder, labels = photographs
    right = _dices(run_folder, labels)
    model = toys.model_of(toys.OwnBrightness(), label_offset=-1)
    again = tmp_path / "again"
    run(str(tmp_path / "photographs"), model, again, RunPlan(method="edges"))
    for name in ("a", "sub/b"):
        numbers = np.asarray(Image.open(labels / f"{name}.png")).astype(int)
        shifted = np.where(numbers == 255, 0, numbers + 1).astype(np.uint8)
        Image.fromarray(shifted).save(labels / f"{name}.png")
    assert _dices(again, labels) == right
    by_hand = LabelFiles(labels, ["a.png", "sub/b.png", "c.png"])
    assert set(object_dices(again, by_hand).values()) == set(right.values())


@pytest.mark.filterwarnings(UNANNOTATED)
def test_photographs_are_no_annotations(photographs):
    run_folder, labels = photographs
    levels = np.random.default_rng(0).integers(0, 200, (24, 24), dtype=np.uint8)
    Image.fromarray(levels).save(labels / "a.png")
    with pytest.raises(misure.InputError, match="as grey levels of a photograph do"):
        _dices(run_folder, labels)
    with pytest.raises(misure.InputError, match="as grey levels of a photograph do"):
        read_class_picture(labels / "a.png")
    Image.fromarray(levels).save(labels / "a.png", "JPEG")
    with pytest.raises(misure.InputError, match="a JPEG, which changes numbers"):
        _dices(run_folder, labels)


def test_one_annotation_belongs_to_one_image(tmp_path):
    Image.new("L", (4, 4)).save(tmp_path / "a.png")
    with pytest.raises(misure.InputError, match=r"a\.jpg and a\.png share .*Name them a\.jpg\.png"):
        LabelFiles(tmp_path, ["a.jpg", "a.png"])
    for name in ("a.jpg.png", "a.png.png"):
        Image.new("L", (4, 4), len(name) % 3).save(tmp_path / name)
    assert len(LabelFiles(tmp_path, ["a.jpg", "a.png"])) == 2
    Image.new("L", (4, 4)).save(tmp_path / "b.png")
    Image.new("L", (4, 4)).save(tmp_path / "b.tif")
    with pytest.raises(misure.InputError, match=r"one annotation of b\.jpg, got .*b\.png and"):
        LabelFiles(tmp_path, ["b.jpg"])


def test_an_annotation_is_turned_as_its_exif_tag_says(tmp_path):
    numbers = np.zeros((4, 6), np.uint8)
    numbers[0, 0] = 3
    exif = Image.Exif()
    exif[0x0112] = 6  # the stored left side is the top
    Image.fromarray(numbers).save(tmp_path / "a.png", exif=exif)
    assert read_class_picture(tmp_path / "a.png").nonzero().tolist() == [[0, 3]]
    (tmp_path / "images").mkdir()
    Image.new("RGB", (6, 4)).save(tmp_path / "images" / "a.jpg", exif=exif)
    assert LabelFiles(tmp_path, ["a.jpg"], images=tmp_path / "images")[0].annotation.any()
    Image.fromarray(numbers.T).save(tmp_path / "a.png")  # its sides are those of the turned image
    assert LabelFiles(tmp_path, ["a.jpg"], images=tmp_path / "images")[0].annotation.any()
    Image.fromarray(numbers[:, :4]).save(tmp_path / "a.png")
    with pytest.warns(MisureWarning, match=r"a\.jpg is turned by its EXIF tag, .*a\.png has none"):
        LabelFiles(tmp_path, ["a.jpg"], images=tmp_path / "images")[0]


def test_nothing_is_said_of_annotations_that_know_their_numbers(noisy_run):
    with pytest.raises(misure.InputError, match="expected no label_offset for TriangleDataset"):
        read_examples([noisy_run], ["triangle:12"], label_offset=-1)


def test_annotations_of_other_data_are_errors(noisy_run):
    with pytest.raises(misure.InputError, match="expected annotations of the samples of"):
        object_dices(noisy_run, open_dataset("triangle:5"))
    samples = [open_dataset("triangle:12")[i] for i in range(12)]

    class Named(SampleList):
        class_names = ("background", "boat")

    with pytest.raises(misure.InputError, match="'triangle' is not among background, boat"):
        object_dices(noisy_run, Named(samples))
    cut = [Sample(one.key, one.image, one.annotation[1:]) for one in samples]
    with pytest.raises(misure.InputError, match="expected an annotation of"):
        object_dices(noisy_run, SampleList(cut))
    bare = SampleList([Sample(one.key, one.image) for one in samples])
    assert object_dices(noisy_run, bare) == {}
    with pytest.raises(misure.InputError, match="expected annotated objects, there is none in"):
        read_examples([noisy_run], [bare])
    with pytest.raises(misure.InputError, match="one data set of annotations for all runs or one"):
        read_examples([noisy_run], ["triangle:12", "triangle:12"])


@pytest.mark.usefixtures("in_this_process")
def test_runs_made_otherwise_are_not_scored(noisy_run, tmp_path):
    examples = read_examples([noisy_run], ["triangle:12"])
    model = fit_reliability(examples, names_of(["confidence"]))
    rows = score_run(noisy_run, model)
    assert [row["rank"] for row in rows] == list(range(1, len(rows) + 1))
    chances = [row["failure_probability"] for row in rows]
    assert chances == sorted(chances, reverse=True)
    run("triangle:2", "triangle", tmp_path / "other", RunPlan(method="random", instances=True))
    with pytest.raises(misure.InputError, match="method: 'edges' there, 'random' now"):
        score_run(tmp_path / "other", model)
    with pytest.raises(misure.InputError, match="method: 'edges' there, 'random' now"):
        read_examples([noisy_run, tmp_path / "other"], ["triangle:12"])


def test_records_without_features(noisy_run):
    model = fit_reliability(read_examples([noisy_run], ["triangle:12"]), names_of(["confidence"]))
    nothing = dict.fromkeys(Prediction.__struct_fields__)
    bare = [_changed(record, **nothing) for record in read_run(noisy_run)[:2]]
    with pytest.raises(misure.InputError, match="they have none of these"):
        model.predict(bare)
    assert model.predict([]) == []


# --- measures -----------------------------------------------------------------------------------


def _some_predictions():
    generator = np.random.default_rng(2)
    dices, failure, said = generator.random((3, 57))
    return Predictions(
        cut=0.5, dices=dices, groups=np.arange(57) // 2, fold=np.zeros(57), predicted_dices=said,
        low=said - 0.2, high=said + 0.2, failure_probabilities=failure,
    )  # fmt: skip


def test_measures_are_what_loops_say():
    one = _some_predictions()
    pairs = [(a, b) for a in range(57) for b in range(57) if one.failed[a] and not one.failed[b]]
    wins = [one.failure_probabilities[a] > one.failure_probabilities[b] for a, b in pairs]
    assert MEASURES["auroc"].of(one) == pytest.approx(np.mean(wins))
    order = sorted(range(57), key=lambda i: -one.predicted_dices[i])
    risks = [np.mean([1 - one.dices[i] for i in order[:k]]) for k in range(1, 58)]
    np.testing.assert_allclose(risk_coverage(one), risks)
    assert MEASURES["aurc"].of(one) == pytest.approx(np.mean(risks))
    assert sum(num for _, _, num in reliability_bins(one)) == 57
    inside = [abs(a - b) <= 0.2 for a, b in zip(one.dices, one.predicted_dices, strict=True)]
    assert MEASURES["interval_coverage"].of(one) == pytest.approx(np.mean(inside))


def test_ranks_are_compared_within_folds():
    """Two folds, each in perfect order, the second one's figures all too high."""
    dices = np.array([0.1, 0.3, 0.7, 0.9] * 2)
    said = np.array([0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9])
    fold = np.repeat([0, 1], 4)
    one = Predictions(
        cut=0.5, dices=dices, groups=np.arange(8), fold=fold, predicted_dices=said, low=said,
        high=said, failure_probabilities=1 - said,
    )  # fmt: skip
    assert MEASURES["auroc"].of(one) == MEASURES["spearman"].of(one) == pytest.approx(1)
    pooled = replace(one, fold=0 * fold)
    assert MEASURES["auroc"].of(pooled) < 0.8


@pytest.mark.parametrize("share", [0.02, 0.1, 0.4])
def test_chances_stay_chances_where_scores_are_skewed_and_failures_rare(share):
    for seed in range(20):
        generator = np.random.default_rng(seed)
        scores = generator.exponential(size=300)
        failed = generator.random(300) < share
        failed[:2] = True, False
        slope, intercept = platt(scores, failed)
        chances = 1 / (1 + np.exp(-(slope * scores + intercept)))
        assert slope >= 0
        assert chances.mean() == pytest.approx(failed.mean(), abs=0.02)
        assert ((chances > 1e-3) & (chances < 1 - 1e-3)).mean() > 0.9


@pytest.mark.slow
@pytest.mark.usefixtures("quick_learners")
def test_features_that_know_nothing_add_nothing():
    generator = np.random.default_rng(5)
    gains = []
    for seed in range(4):
        examples = examples_of(150, seed, lambda sure: generator.random(len(sure)))
        few, many = (
            predict_unseen(examples, examples, names, OPTIONS | {"seed": seed})
            for names in (["margin"], list(SURE))
        )
        gains.append([MEASURES[n].of(many) - MEASURES[n].of(few) for n in ("auroc", "spearman")])
    assert np.abs(np.mean(gains, axis=0)).max() < 0.06


@pytest.mark.usefixtures("quick_learners")
def test_images_of_both_conditions_are_never_fitted_and_tested_on_at_once():
    num = 150
    generator = np.random.default_rng(0)
    names, dice_of = generator.random((num // 3, 2)), generator.random(num // 3)
    records = [
        record_of(i, max_probability=names[i // 3, 0], margin=names[i // 3, 1]) for i in range(num)
    ]
    clean = Examples(
        records=records, dices=dice_of[np.arange(num) // 3], groups=np.arange(num) // 3
    )
    other = Examples(records=records, dices=clean.dices, groups=clean.groups + 1000)
    options = OPTIONS | {"learner": "boosting"}
    same, different = (
        MEASURES["spearman"].of(predict_unseen(clean, test, ["max_probability", "margin"], options))
        for test in (clean, other)
    )
    assert same < 0.4
    assert different > 0.8  # taken for other images, which these are not


def test_gains_have_paired_intervals_over_images_or_none_with_few_images():
    one = _some_predictions()
    half = replace(one, predicted_dices=(one.predicted_dices + one.dices) / 2)
    gain = gains(one, half, ["mae", "auroc"], num_resamples=100)
    low, high = gain["mae"].interval
    assert low < gain["mae"].difference < high < 0
    assert gain["mae"].difference == pytest.approx(-MEASURES["mae"].of(one) / 2)
    assert (gain["auroc"].difference, gain["auroc"].interval) == (0, (0, 0))  # same probabilities
    assert gains(one, half, ["mae"], num_resamples=100)["mae"] == gain["mae"]
    few = np.arange(8)  # of four images
    assert gains(one.take(few), half.take(few), ["mae"])["mae"].interval is None


def test_measures_without_failures_say_so():
    one = _some_predictions()
    good = replace(one, cut=0.0)
    assert math.isnan(MEASURES["auroc"].of(good))
    assert math.isnan(MEASURES["auprc"].of(good))
    assert MEASURES["mae"].of(good) == MEASURES["mae"].of(one)


# --- commands -----------------------------------------------------------------------------------


def _invoke(*words):
    return CliRunner().invoke(main, ["reliability", *map(str, words)])


@pytest.mark.usefixtures("quick_learners")
@pytest.mark.slow
def test_commands_from_runs_to_lists(noisy_run, tmp_path, monkeypatch):
    rows = ("max_probability", "confidence", "confidence + augmentation")
    few = {name: groups for name, groups in FEATURE_SETS.items() if name in rows}
    monkeypatch.setattr("misure.reliability.evaluation.FEATURE_SETS", few)
    file, listed = tmp_path / "model.json", tmp_path / "review.csv"
    said = _invoke("fit", noisy_run, "--annotations", "triangle:12", "--out", file)
    assert said.exit_code == 0, said.output
    assert "of 12 images" in said.output
    assert "cross-validated by image" in said.output or "cannot be measured: " in said.output
    said = _invoke("score", noisy_run, "--model", file, "--out", listed)
    assert said.exit_code == 0, said.output
    lines = listed.read_text().splitlines()
    assert lines[0].startswith("rank,key,sample,class_name,predicted_dice,low,high,failure_prob")
    assert len(lines) == 1 + len(read_run(noisy_run))
    out = tmp_path / "evaluation"
    said = _invoke(
        "evaluate",
        noisy_run,
        "--annotations",
        "triangle:12",
        "--out",
        out,
        "--quiet",
        "--resamples",
        20,
    )
    assert said.exit_code == 0, said.output
    assert "cross-validated by image" in (out / "evaluation.md").read_text()
    assert (out / "evaluation.csv").read_text().count("\n") == 1 + 1 + 2 * 2
    assert (out / "curves.png").stat().st_size > 10_000


def test_commands_answer_bad_input_with_one_sentence(noisy_run, tmp_path):
    nothing = _invoke("fit", noisy_run, "--annotations", "triangle:12", "--features", "explanation",
                      "--out", tmp_path / "model.json")  # fmt: skip
    assert nothing.exit_code == 2
    assert "they have none of these" in nothing.output
    assert not (tmp_path / "model.json").exists()
    nowhere = _invoke("score", tmp_path, "--model", tmp_path / "model.json")
    assert nowhere.exit_code == 2
    assert "expected a file written by" in nowhere.output
