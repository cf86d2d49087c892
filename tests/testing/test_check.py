"""The toy networks with a known explanation, and the check that any explainer can be put through."""

from functools import partial

import pytest
import torch

import misure
from misure.testing import TOYS, Beacon, check_explainer


@pytest.mark.parametrize("num_dimensions", [2, 3])
@pytest.mark.parametrize("toy", TOYS)
def test_a_toy_segments_its_target_from_what_it_needs_and_from_nothing_smaller(toy, num_dimensions):
    net, image, needed = toy(), toy.image(num_dimensions), toy.needed(num_dimensions)
    target = net(image[None])[0].argmax(0) == 1
    assert needed.shape == image.shape[1:]
    assert target.any()
    shown = net((image * needed)[None])[0].argmax(0) == 1
    assert torch.equal(shown, target)
    for pixel in needed.nonzero()[::3]:
        fewer = needed.clone()
        fewer[tuple(pixel)] = False
        assert not torch.equal(net((image * fewer)[None])[0].argmax(0) == 1, target)


@pytest.mark.parametrize("dimensions", [(2,), (3,)])
@pytest.mark.parametrize("explainer", [misure.explain, misure.METHODS["misure"]])
def test_misure_passes(explainer, dimensions):
    report = check_explainer(partial(explainer, preset="smallest"), dimensions=dimensions)
    assert report.passed, str(report)
    assert [result.toy for result in report.results] == ["OwnBrightness", "Beacon", "Constant"]
    assert str(report).count("passed") == 3


def test_by_default_misure_passes_with_broad_regions():
    """Every region suffices, but much of what lies around a far beacon is shown with it."""
    report = check_explainer(misure.explain, max_outside=0.75)
    assert report.passed, str(report)
    assert not check_explainer(misure.METHODS["sufficient_region"], max_outside=0.75).passed


def test_the_right_answer_passes_as_a_region_and_as_a_map():
    def knows(model, image, _target):
        return model.net.needed(image.ndim - 1)

    def maps(model, image, _target):
        return model.net.needed(image.ndim - 1).float()

    for explainer in (knows, maps):
        assert check_explainer(explainer, dimensions=(2, 3), max_outside=0.0).passed


@pytest.mark.parametrize(
    ("name", "passed"),
    [
        ("random", [False, False, False]),
        ("edges", [False, False, False]),
        ("target_itself", [True, False, False]),
        ("saliency", [True, False, True]),
        ("sufficient_region", [True, False, False]),
    ],
)
def test_what_other_methods_get_right(name, passed):
    report = check_explainer(misure.METHODS[name])
    assert [result.passed for result in report.results] == passed, str(report)
    assert report.passed is False


def test_the_report_says_what_was_expected_and_what_came():
    def half(_model, image, _target):
        return image.amax(0) > 2

    lines = str(check_explainer(half)).splitlines()
    assert lines[1] == (
        "FAILED  Beacon in 2D: expected the target and the beacon 10 px away from it; got a region "
        "0 px large, 0 px of it not needed, and with a Dice of 0.00 when shown alone."
    )
    assert lines[2].startswith(
        "passed  Constant in 2D: expected no pixel at all; got a region of 0"
    )


def test_an_explainer_that_raises_or_gives_another_shape_has_failed():
    def raises(_model, _image, _target):
        raise ValueError("no idea")

    def small(_model, _image, _target):
        return torch.zeros(3, 3)

    report = check_explainer(raises)
    assert not report.passed
    assert "got an error: ValueError: no idea." in str(report)
    assert "got a result of shape (3, 3) for (30, 30) pixels" in str(check_explainer(small))


def test_the_beacon_ends_ten_pixels_away_from_the_target():
    block = Beacon.image()[0].nonzero()
    beacon = Beacon.image()[2].nonzero()
    distances = (block[:, None] - beacon[None]).float().norm(dim=2).amin(0)
    assert float(distances.max()) == 10
