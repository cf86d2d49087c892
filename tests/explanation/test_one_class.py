"""Where one class is asked about, no logits of all classes are made, and the answer is the same."""

import pytest
import torch

import misure
import toys
from misure.explanation.answers import channels as channel_answers
from misure.explanation.answers.intervention import HiddenOutcome, Hiding, hide_each
from misure.explanation.presentation import make_presentations
from misure.models.model import SegmentationModel
from misure.models.segmentation import drawn_region


@pytest.fixture
def shown():
    net = toys.random_network(0, 2, 4).eval().requires_grad_(False)
    model = toys.model_of(net, window=(8, 10))
    image = torch.rand(2, 15, 22, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        labels = model(image[None])[0].argmax(0)
    found = [misure.predicted_target(model, image, int(k)) for k in labels.unique()]
    assert len(found) > 1
    return model, image, labels, found


def _refuse(*_given):
    raise AssertionError("all classes were asked for")


def test_hidden_regions_are_answered_by_the_logits_that_decide(shown, monkeypatch):
    model, image, _, targets = shown
    ways = make_presentations(model, image, baseline_image="mean,blurred")
    region = torch.zeros(15, 22, dtype=torch.bool)
    region[3:9, 4:15] = True
    expected = []
    for target in targets:
        outcomes = []
        for way in ways:
            with torch.no_grad():
                drawn = model(way.show(1 - region[None].float()))[0].argmax(0) == target.class_index
            outcomes.append(HiddenOutcome.of(target, drawn & (~region | target.region)))
        expected.append(HiddenOutcome.mean(outcomes))
    hidings = [Hiding(lambda: region, lambda target=target: target) for target in targets]
    monkeypatch.setattr(SegmentationModel, "__call__", _refuse)
    found = hide_each(model, ways, hidings)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dice == pytest.approx(theirs.dice)
        assert ours.share_left == pytest.approx(theirs.share_left)
        assert ours.added == pytest.approx(theirs.added)


def test_what_a_model_draws_of_a_class_is_found_from_the_logits_that_decide(shown, monkeypatch):
    model, image, labels, targets = shown
    monkeypatch.setattr(SegmentationModel, "__call__", _refuse)
    with model.counting() as cost:
        for target in targets:
            assert torch.equal(drawn_region(model, image, target), labels == target.class_index)
    assert cost.forward_passes == len(targets)


def test_channels_are_answered_by_the_logits_that_decide(shown, monkeypatch):
    model, image, _, targets = shown
    ways, sets, expected = make_presentations(model, image), [(0,), (1,), (0, 1)], []
    for channels in sets:
        visibility = torch.zeros_like(image)
        visibility[list(channels)] = 1
        with torch.no_grad():
            drawn = model(ways[0].show(visibility[None]))[0].argmax(0)
        outcome = HiddenOutcome.of(targets[0], drawn == targets[0].class_index)
        expected.append((outcome,))
    monkeypatch.setattr(SegmentationModel, "__call__", _refuse)
    assert channel_answers._show(model, image, ways, targets[0], sets, None) == expected
