"""Means and intervals over objects, against scipy and by counting how often they hold."""

import numpy as np
import pytest
from scipy import stats

from misure.metrics.comparison.row import Row
from misure.metrics.comparison.statistics import common_rows, differences, summarise, summarise_rows


def _names(number):
    return [str(i) for i in range(number)]


def test_the_figures_over_many_objects_are_those_of_scipy():
    figures = np.random.default_rng(1).normal(size=400)
    found = summarise(figures, _names(400))
    assert found["mean"] == pytest.approx(figures.mean())
    assert found["median"] == pytest.approx(np.median(figures))
    assert (found["n"], found["num_cases"]) == (400, 400)
    wanted = stats.bootstrap(
        (figures,), np.mean, method="percentile", n_resamples=20_000, random_state=0
    ).confidence_interval
    assert (found["low"], found["high"]) == pytest.approx((wanted.low, wanted.high), abs=0.01)


def test_few_cases_have_an_interval_that_holds_and_fewer_have_none():
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(200):
        found = summarise(rng.normal(size=5), _names(5))
        held += found["low"] <= 0 <= found["high"]
    assert held > 0.88 * 200  # plain percentiles hold 85 % of the time
    found = summarise([0.25, 0.75], ["a", "b"])
    assert found == {
        "mean": 0.5, "median": 0.5, "low": None, "high": None, "n": 2, "num_cases": 2,
    }  # fmt: skip


def test_objects_of_one_image_are_drawn_together():
    figures = np.random.default_rng(1).normal(size=8)
    single = summarise(figures, _names(8))
    tripled = summarise(np.repeat(figures, 3), np.repeat(_names(8), 3))
    assert tripled == pytest.approx(single | {"n": 24})
    uneven = summarise([1.0, 1.0, 1.0, 0.0], ["a", "a", "a", "b"])
    assert (uneven["mean"], uneven["num_cases"]) == (0.75, 2)


ROWS = [
    Row("a", "a", {"pixels": 3}, "ours", {"iou": 0.5, "growth_px": 2.0}),
    Row("a", "a", {"pixels": 3}, "theirs", {"iou": 0.25, "growth_px": None}),
    Row("b", "b", {"pixels": 3}, "ours", {"iou": 1.0, "growth_px": 4.0}),
    Row("b", "b", {"pixels": 3}, "theirs", {"iou": None, "growth_px": None}),
    Row("c", "c", None, "ours", {}),
    Row("c", "c", None, "theirs", {}),
]


def test_means_beside_each_other_are_of_the_same_objects():
    metrics = ["iou", "growth_px"]
    everything = summarise_rows(ROWS, ["ours", "theirs"], metrics)
    assert [everything["ours"][one]["n"] for one in metrics] == [2, 2]
    rows = common_rows(ROWS, metrics)
    assert {row.image for row in rows} == {"a"}
    found = summarise_rows(rows, ["ours", "theirs"], metrics)
    assert found["ours"]["iou"]["mean"] == 0.5
    assert found["ours"]["growth_px"]["n"] == found["theirs"]["iou"]["n"] == 1
    assert list(found["theirs"]) == ["iou"]  # it grows nothing
    assert common_rows(ROWS[4:], metrics) == []


def test_differences_are_of_the_same_object():
    found = differences(ROWS, "ours", ["iou", "growth_px"])
    assert list(found) == ["theirs"]
    assert list(found["theirs"]) == ["iou"]
    assert found["theirs"]["iou"]["mean"] == -0.25
    assert found["theirs"]["iou"]["n"] == 1
