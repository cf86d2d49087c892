"""What a search found out, and what it only took for granted, are told apart."""

import pytest
import torch

import misure
import toys
from misure.explanation.presets import make_preset
from misure.explanation.record import reduction_note


class _Whole(torch.nn.Module):
    """Everything is foreground, if every single pixel is seen: nothing can be left out."""

    slope = 1

    def forward(self, images):
        seen = images.flatten(1).amin(1).view(-1, 1, 1, 1) > 0.5
        evidence = torch.where(seen, self.slope * images + 1 - self.slope, -torch.ones_like(images))
        return torch.cat([-evidence, evidence], dim=1)


def _explain(preset, **options):
    model = toys.model_of(_Whole())
    image = torch.ones(1, 24, 24)
    return misure.explain(model, image, misure.predicted_target(model, image, 1), **{
        "preset": preset, "thresholds": (), **options
    })  # fmt: skip


@pytest.mark.parametrize("preset", ["smallest", "forward_only"])
def test_without_any_finding_the_map_is_flat_and_not_tried(preset):
    least = make_preset(preset, {"thresholds": ()}).least_passes
    found = _explain(preset, max_passes=least)
    assert not found.is_reduced
    assert found.stopped_by == "max_passes"
    assert found.tried.float().mean() < 0.2  # one block, at most
    assert found.saliency_map.min() == found.saliency_map.max()
    assert "not reduced within" in reduction_note(found.values)


def test_gradients_that_say_nothing_leave_no_rings_in_the_map(monkeypatch):
    monkeypatch.setattr(_Whole, "slope", 0)
    monkeypatch.setattr(misure.SegmentationModel, "examine", lambda model, images: None)
    found = _explain("smallest")
    assert not found.is_reduced
    assert not found.tried.any()
    assert found.saliency_map.min() == found.saliency_map.max()


def test_what_was_removed_by_itself_was_tried():
    found = _explain("forward_only", grain_px=6)
    assert not found.is_reduced
    assert found.tried.all()
    assert found.stopped_by == "end"


def test_a_region_that_was_not_searched_is_not_called_minimal():
    model = toys.model_of(toys.OwnBrightness())
    image = toys.square_image()
    target = misure.predicted_target(model, image, 1)
    found = misure.explain(model, image, target, preset="sufficient_region")
    assert (found.is_reduced, found.stopped_by) == (False, "no_search")
    assert torch.equal(found.tried, ~found.sufficient_region)
    assert reduction_note(found.values).startswith("not reduced: no smaller region was searched")
    minimal = misure.explain(
        model, image, target, preset="sufficient_region", one_minimal=True, minimality_cell_px=1,
        dice_threshold=1.0,
    )  # fmt: skip
    assert minimal.minimality.is_one_minimal
    assert minimal.tried.all()
    assert reduction_note(minimal.values) == ""


def test_a_model_that_needs_nothing_gets_a_flat_map_without_rings():
    model = toys.model_of(toys.Constant())
    image = toys.square_image()
    target = misure.predicted_target(model, image, 1)
    for preset in ("smallest", "forward_only"):
        found = misure.explain(model, image, target, preset=preset)
        inside = found.saliency_map[found.sufficient_region]
        assert inside.min() == inside.max()
        assert found.tried.all()
