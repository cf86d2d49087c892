"""Runs side by side: the same object stands beside itself, whatever its number."""

import numpy as np
import pytest
import torch

import misure
import toys
from misure.datasets import Sample, SampleList
from misure.metrics.comparison.compare_runs import compare_runs
from misure.runs.alignment import RunInRow, _overlaps, _Target, align
from misure.runs.plan import RunPlan
from misure.runs.run import run
from painted import LEFT, RIGHT, ROWS, THING_SKY, Painted, painted_image, run_painted


def _pairs(*runs):
    """The keys of each object in each run, and its overlap."""
    return [
        (*(record and record.key for record in one.records), one.overlaps[-1])
        for one in align(runs)
    ]


def test_classes_of_other_numbers_stand_by_their_names(tmp_path):
    first = run_painted(tmp_path / "a", *THING_SKY)
    second = run_painted(tmp_path / "b", Painted((1, 0)), ("", "Sky", "thing"))
    assert _pairs(first, second) == [
        ("a#1.0", "a#2.0", 1.0),
        ("a#1.1", "a#2.1", 1.0),
        ("a#2.0", "a#1.0", 1.0),
    ]


def test_objects_of_other_ranks_stand_by_their_overlap(tmp_path):
    """The second network sees a part of the right thing, so its left one is the largest."""
    first = run_painted(tmp_path / "a", *THING_SKY)
    net = Painted((0, 1), without=[(ROWS, slice(22, 28))])
    second = run_painted(tmp_path / "b", net, THING_SKY[1])
    assert _pairs(first, second) == [
        ("a#1.0", "a#1.1", 0.5),
        ("a#1.1", "a#1.0", 1.0),
        ("a#2.0", "a#2.0", 1.0),
    ]


def test_an_object_that_nothing_overlaps_has_no_counterpart(tmp_path):
    first = run_painted(tmp_path / "a", Painted((0, 1), without=[(ROWS, LEFT)]), THING_SKY[1])
    second = run_painted(tmp_path / "b", Painted((0, 1), without=[(ROWS, RIGHT)]), THING_SKY[1])
    assert _pairs(first, second) == [
        ("a#1.0", None, None),
        ("a#2.0", "a#2.0", 1.0),
        (None, "a#1.0", None),
    ]


@pytest.mark.parametrize("names", [(), ("", "sky", "thing")])
def test_without_names_the_numbers_decide(tmp_path, names):
    first = run_painted(tmp_path / "a", Painted((0, 1)), ())
    second = run_painted(tmp_path / "b", Painted((0, 1)), names)
    assert [one[:2] for one in _pairs(first, second)] == [
        ("a#1.0", "a#1.0"), ("a#1.1", "a#1.1"), ("a#2.0", "a#2.0"),
    ]  # fmt: skip


def test_whole_classes_of_two_networks(tmp_path):
    first = run_painted(tmp_path / "a", *THING_SKY, instances=False)
    second = run_painted(tmp_path / "b", Painted((1, 0)), ("", "sky", "thing"), instances=False)
    assert _pairs(first, second) == [("a#1", "a#2", 1.0), ("a#2", "a#1", 1.0)]


def test_an_object_that_failed_stands_by_its_key_beside_runs_of_the_same_network(
    tmp_path, monkeypatch
):
    first = run_painted(tmp_path / "a", *THING_SKY)

    def fail(*_, **__):
        raise misure.InputError("no map today.")

    monkeypatch.setattr("misure.runs.worker.RunWorker._explain_targets", fail)
    second = run_painted(tmp_path / "b", *THING_SKY)
    assert _pairs(first, second) == [(key, key, None) for key in ("a#1.0", "a#1.1", "a#2.0")]
    other = run_painted(tmp_path / "c", Painted((1, 0)), ("", "sky", "thing"))
    assert [one[1] for one in _pairs(second, other)] == [None] * 3 + ["a#1.0", "a#2.0", "a#2.1"]


def test_a_sample_that_failed_stands_beside_what_others_found_in_it(tmp_path):
    class Broken(SampleList):
        def __getitem__(self, index):
            raise misure.InputError("no image.")

    first = run_painted(tmp_path / "a", *THING_SKY)
    model = toys.model_of(Painted((1, 0)), class_names=("", "sky", "thing"))
    run(Broken([Sample("a", painted_image())]), model, tmp_path / "b", RunPlan(method="edges"))
    rows = align([first, RunInRow.open(tmp_path / "b")])
    assert len(rows) == 3
    assert {one.records[1].reason for one in rows} == {"no image."}


def test_images_of_other_shapes_have_no_overlap(tmp_path):
    first = run_painted(tmp_path / "a", *THING_SKY)
    model = toys.model_of(Painted((1, 0)), class_names=("", "sky", "thing"))
    larger = SampleList([Sample("a", torch.nn.functional.pad(painted_image(), (0, 4)))])
    run(larger, model, tmp_path / "b", RunPlan(method="edges", instances=True))
    assert all(None in one.records for one in align([first, RunInRow.open(tmp_path / "b")]))


def test_overlaps_are_those_of_a_plain_loop(tmp_path):
    generator = np.random.default_rng(0)
    regions = generator.random((5, 6, 7)) < 0.4
    targets = [_Target(one.shape, np.flatnonzero(one)) for one in regions]
    wanted = [[(a & b).sum() / (a | b).sum() for b in regions[2:]] for a in regions[:2]]
    assert np.allclose(_overlaps(targets[:2], targets[2:]), wanted)


def test_methods_are_not_compared_on_other_objects(tmp_path):
    """Networks without weights look alike but for what they find."""
    run_painted(tmp_path / "a", *THING_SKY)
    net = Painted((0, 1), without=[(ROWS, slice(22, 28))])
    run_painted(tmp_path / "b", net, THING_SKY[1], method="random")
    samples = SampleList([Sample("a", painted_image())])
    model = toys.model_of(net, class_names=THING_SKY[1])
    with pytest.raises(misure.InputError, match=r"'a#1.0' has 96 pixels .* for edges and 80 of"):
        compare_runs(model, samples, [tmp_path / "a", tmp_path / "b"], metrics=["gini"])
