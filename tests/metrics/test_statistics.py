"""Means and intervals over objects, against scipy and by counting how often they hold."""

import numpy as np
import pytest
from scipy import stats

from misure.metrics.comparison.row import Row
from misure.metrics.comparison.statistics import (
    bootstrap,
    common_rows,
    differences,
    summarise,
    summarise_rows,
)


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


def _row(key, method, **metrics):
    target = {"pixels": 3} if metrics else None
    return Row(image=key, case=key, target=target, method=method, metrics=metrics)


ROWS = [
    _row("a", "ours", iou=0.5, growth_px=2.0),
    _row("a", "theirs", iou=0.25, growth_px=None),
    _row("b", "ours", iou=1.0, growth_px=4.0),
    _row("b", "theirs", iou=None, growth_px=None),
    _row("c", "ours"),
    _row("c", "theirs"),
]


def test_the_interval_of_any_statistic_is_that_of_the_mean_if_it_is_the_mean():
    values = np.random.default_rng(1).normal(size=24)
    cases = np.repeat(_names(8), 3)
    found = summarise(values, cases)
    (interval, nothing) = bootstrap(
        lambda numbers: [values[numbers].mean(), np.nan], cases, num_resamples=10_000
    )
    assert interval == pytest.approx((found["low"], found["high"]))
    assert nothing is None
    assert bootstrap(lambda numbers: [values[numbers].mean()], ["a", "b"] * 12) == [None]


def test_a_paired_difference_is_narrower_than_the_spread_of_the_objects():
    rng = np.random.default_rng(1)
    first = rng.normal(size=60)
    second = first + 0.1 + 0.01 * rng.normal(size=60)
    ((low, high),) = bootstrap(
        lambda numbers: [np.median(second[numbers] - first[numbers])], _names(60)
    )
    assert 0.09 < low < 0.1 < high < 0.11


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
