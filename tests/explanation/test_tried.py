"""What the passes told, and what a search only took for granted, are told apart."""

import pytest
import torch

import misure
import toys
from misure.explanation.nested import map_value
from misure.explanation.presets import make_preset
from misure.explanation.record import reduction_note


class _Whole(torch.nn.Module):
    """Everything is foreground, if every single pixel is seen: nothing can be left out."""

    def forward(self, images):
        seen = images.flatten(1).amin(1).view(-1, 1, 1, 1) > 0.5
        evidence = torch.where(seen, images, -torch.ones_like(images))
        return torch.cat([-evidence, evidence], dim=1)


def _explain(preset, **options):
    model = toys.model_of(_Whole())
    image = torch.ones(1, 24, 24)
    return misure.explain(model, image, misure.predicted_target(model, image, 1), **{
        "preset": preset, "thresholds": (), **options
    })  # fmt: skip


def _is_flat(values):
    return float(values.max() - values.min()) < 1e-4


@pytest.mark.parametrize("preset", ["smallest", "forward_only"])
def test_without_any_finding_the_map_is_flat_where_nothing_was_removed(preset):
    options = {"thresholds": (), "num_minimality_tests": 0}
    found = _explain(preset, **options, max_passes=make_preset(preset, options).least_passes)
    assert not found.is_reduced
    assert found.stopped_by == "max_passes"
    assert found.saliency_map.min() >= map_value(0.9)  # the region is the whole image
    differs = (found.saliency_map - found.saliency_map.median()).abs() > 0.01
    assert differs.float().mean() < 0.3  # around a block that was removed, at most
    assert "not reduced within" in reduction_note(found.values)


def test_a_region_that_was_not_searched_is_not_called_minimal():
    model = toys.model_of(toys.OwnBrightness())
    image = toys.square_image()
    target = misure.predicted_target(model, image, 1)
    found = misure.explain(model, image, target, preset="sufficient_region", num_minimality_tests=0)
    assert (found.is_reduced, found.stopped_by) == (False, "no_search")
    assert torch.equal(~found.saliency_map.isnan(), found.sufficient_region)
    assert _is_flat(found.saliency_map[found.sufficient_region])
    assert reduction_note(found.values).startswith("not reduced: no smaller region was searched")
    minimal = misure.explain(
        model, image, target, preset="sufficient_region", one_minimal=True, minimality_cell_px=1,
        dice_threshold=1.0,
    )  # fmt: skip
    assert minimal.minimality.is_one_minimal
    assert reduction_note(minimal.values) == ""


def test_a_model_that_needs_nothing_gets_a_flat_map_without_rings():
    model = toys.model_of(toys.Constant())
    image = toys.square_image()
    target = misure.predicted_target(model, image, 1)
    for preset in ("smallest", "forward_only"):
        found = misure.explain(model, image, target, preset=preset)
        known = found.saliency_map[~found.saliency_map.isnan()]
        assert len(known)
        assert known.min() == known.max()
