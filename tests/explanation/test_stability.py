"""Whether an object explained again has the same region, on toys whose region is known."""

import pytest
import torch

import misure
import toys
from misure.explanation.answers.stability import compare_regions, stability_of
from misure.explanation.changes import Noise
from misure.explanation.presentation import Presentation

EXACT = {"preset": "smallest", "dice_threshold": 1.0}


def test_regions_are_compared_with_what_chance_gives():
    first, again = torch.zeros(2, 10, 10, dtype=torch.bool)
    first[:5], again[2:7] = True, True
    assert compare_regions(first, again) == pytest.approx((3 / 7, 1 / 3))
    assert compare_regions(first, first, 3)[0] == 1
    assert compare_regions(first & ~first, again & ~again) == (1, 1)
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.rand(500, 500, generator=generator) < share for share in (0.3, 0.1))
    iou, by_chance = compare_regions(a, b)
    assert iou == pytest.approx(by_chance, abs=2e-3)


@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_a_target_that_needs_all_of_itself_is_found_again(num_dimensions):
    toy = toys.OwnBrightness
    model, image = toys.model_of(toy()), toy.image(num_dimensions)
    target = misure.predicted_target(model, image, class_index=1)
    first = misure.explain(model, image, target, **EXACT)
    assert torch.equal(first.minimally_sufficient_region, target.region)
    with model.counting() as spent:
        found = stability_of(model, image, target, explanation=first, **EXACT)
    share = int(target.region.sum()) / target.region.numel()
    assert set(found.by_change) == {"shift", "noise", "seed"} | (
        {"jpeg"} if num_dimensions == 2 else set()
    )
    for one in found.by_change.values():
        assert (one.iou, one.dice_of_first, one.area_fraction) == (1, 1, pytest.approx(share))
        assert one.by_chance == pytest.approx(share / (2 - share))
    assert found.passes == spent.pass_equivalents
    assert "1.00 after a shift of one pixel (0.01 by chance)" in found.note or num_dimensions == 3
    if num_dimensions == 3:
        assert found.left_out["jpeg"].startswith("expected a picture of 1 or 3 channels")


def test_an_object_that_is_gone_is_said():
    """One pixel just bright enough to be found, which noise darkens."""
    model, image = toys.model_of(toys.OwnBrightness()), torch.zeros(1, 30, 30)
    image[0, 5, 9], image[0, 20, 5] = 0.501, 1.0
    dim = torch.zeros(30, 30, dtype=torch.bool)
    dim[5, 9] = True
    target = misure.Target(1, dim, ~dim & (image[0] > 0.5))
    options = {"changes": ["noise", "seed"], "preset": "quick"}
    found = stability_of(model, image, target, seed=_darkening_seed(image), **options)
    assert found.left_out == {
        "noise": "expected the object after the change, the model draws no pixel of it."
    }
    assert set(found.by_change) == {"seed"}


def _darkening_seed(image):
    way = Presentation(image, image)
    return next(s for s in range(20) if Noise(s).presentation(way).image[0, 5, 9] < 0.5)


def test_bad_changes():
    model, image = toys.model_of(toys.OwnBrightness()), toys.OwnBrightness.image()
    with pytest.raises(misure.InputError, match="expected changes among shift, noise, jpeg, seed"):
        stability_of(model, image, 1, changes=["turn"])
    with pytest.raises(misure.InputError, match="preset"):
        stability_of(model, image, 1, preset="nope")
