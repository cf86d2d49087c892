"""What `reliability fit` says of its model: figures on images left out, beside plain confidence."""

import numpy as np
import pytest

from misure.errors import InputError
from misure.metrics.comparison.statistics import bootstrap
from misure.reliability import measure_quality
from misure.reliability.evaluation import predict_unseen
from misure.reliability.quality import Estimate, Quality
from misure.reliability.scores import auroc, mean_absolute_error
from reliability_examples import OPTIONS, SURE, examples_of, mixed


@pytest.fixture(autouse=True)
def few_strengths(monkeypatch):
    monkeypatch.setattr("misure.reliability.learners._STRENGTHS", (0.1, 10.0))


def _quality(auroc_of, mae_gain, auroc_gain=(0.1, 0.05, 0.15)):
    def estimate(values):
        return Estimate(values[0], tuple(values[1:]))

    return Quality(
        num_objects=30, num_images=10, num_failed=9, cut=0.8,
        model={"auroc": estimate(auroc_of), "mae": Estimate(0.1, None)}, confidence={},
        gain={"auroc": estimate(auroc_gain), "mae": estimate(mae_gain)},
    )  # fmt: skip


@pytest.mark.slow
def test_a_model_that_knows_more_is_better_and_nothing_is_doubted():
    examples = examples_of(60, answer=mixed)
    quality = measure_quality(examples, SURE, cut=0.6, learner="linear", seed=0, num_resamples=20)
    options = OPTIONS | {"cut": 0.6}
    predicted = predict_unseen(examples, examples, SURE, options)
    plain = predict_unseen(examples, examples, ["max_probability"], options)
    assert quality.model["auroc"].value == auroc(predicted)
    assert quality.model["mae"].value == mean_absolute_error(predicted)
    assert quality.confidence["mae"].value == mean_absolute_error(plain)
    assert quality.gain["auroc"].value == pytest.approx(auroc(predicted) - auroc(plain))
    (interval,) = bootstrap(
        lambda rows: [mean_absolute_error(plain.take(rows))],
        examples.groups.tolist(),
        num_resamples=20,
    )
    assert quality.confidence["mae"].interval == interval
    assert quality.num_failed == int((examples.dices < 0.6).sum())
    assert quality.num_images == 20
    assert quality.doubts() == []


@pytest.mark.slow
def test_a_model_of_noise_is_doubted():
    quality = measure_quality(examples_of(90), SURE, cut=0.5, num_resamples=20)
    low, high = quality.model["auroc"].interval
    assert low <= 0.5
    first, second = quality.doubts()
    assert first == (
        f"it is not shown to find failures at all: the interval of its AUROC, {low:.3f} to "
        f"{high:.3f}, holds or lies below 0.5, which is chance"
    )
    assert "predict the Dice better than plain confidence" in second


def test_each_doubt_names_what_is_not_shown():
    better = (-0.02, -0.03, -0.01)
    assert _quality((0.8, 0.7, 0.9), better).doubts() == []
    (said,) = _quality((0.8, 0.7, 0.9), better, (0.01, -0.02, 0.04)).doubts()
    assert said == (
        "it is not shown to find failures better than plain confidence "
        "(+0.010 AUROC, -0.020 to +0.040)"
    )
    (said,) = _quality((0.6, 0.45, 0.7), better, (0.01, -0.02, 0.04)).doubts()
    assert "0.450 to 0.700" in said
    (said,) = _quality((0.8, 0.7, 0.9), (0.0, -0.01, 0.01)).doubts()
    assert "predict the Dice" in said


@pytest.mark.slow
def test_plain_confidence_is_not_compared_with_itself():
    examples = examples_of(60, answer=mixed)
    quality = measure_quality(examples, ["max_probability"], cut=0.6, num_resamples=20)
    assert (quality.confidence, quality.gain) == ({}, {})


def test_too_few_images_are_said():
    examples = examples_of(21, answer=mixed)
    with pytest.raises(InputError, match="leave out a fifth"):
        measure_quality(examples, SURE, cut=float(np.median(examples.dices)))
