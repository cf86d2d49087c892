"""A budget is kept, whatever is asked for; below what is possible the least is named."""

import functools

import pytest
import torch

import misure
import toys
from misure.explanation.presets import PRESETS, make_preset

ASKED = {
    "nothing more": {},
    "one_minimal": {"one_minimal": True},
    "presentations": {"compare_presentations": True},
    "baselines and contents": {"baseline_image": "mean,noise", "max_content_dice": 0.6},
    "bare": {"thresholds": (), "num_minimality_tests": 0},
}


def _beacon(num_dimensions=2):
    model, image = toys.model_of(toys.Beacon()), toys.beacon_image(num_dimensions)
    return model, image, misure.predicted_target(model, image, 1)


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("preset", PRESETS.shipped)
def test_no_more_passes_are_spent_than_allowed(preset, asked):
    model, image, target = _beacon()
    least = make_preset(preset, ASKED[asked]).least_passes
    for max_passes in (least, least + 7, least + 60):
        with model.counting() as spent:
            found = misure.explain(
                model, image, target, preset=preset, max_passes=max_passes, **ASKED[asked]
            )
        assert found.cost.pass_equivalents == spent.pass_equivalents <= max_passes
        assert found.dice >= 0.9
        assert found.sufficient_dice >= 0.9
    with pytest.raises(misure.InputError, match=f"expected max_passes of {least} or more"):
        misure.explain(model, image, target, preset=preset, max_passes=least - 1, **ASKED[asked])


@pytest.mark.parametrize("growth", ["dilation", "first", "bracket"])
def test_a_budget_that_ends_the_growth_gives_a_larger_region_and_says_so(growth):
    model, image, target = _beacon(3)
    options = {"preset": "sufficient_region", "growth": growth, "num_minimality_tests": 0}
    whole = misure.explain(model, image, target, max_passes=15, **options)
    assert whole.sufficient_region.all()
    assert whole.values.sufficient_region.stopped_by == "max_passes"
    free = misure.explain(model, image, target, **options)
    assert not free.sufficient_region.all()
    assert free.values.sufficient_region.stopped_by == "end"


def test_without_a_budget_minimality_takes_nothing_from_the_search():
    model = toys.model_of(toys.random_network(1))
    image = toys.random_image(1, size=24)
    target = misure.segment(model, image).target(0)
    search = functools.partial(misure.explain, model, image, target, preset="smallest")
    tested, untested = search(), search(num_minimality_tests=0)
    assert torch.equal(tested.minimally_sufficient_region, untested.minimally_sufficient_region)
    spent = tested.minimality.passes
    assert tested.cost.pass_equivalents == untested.cost.pass_equivalents + spent


def test_an_unfinished_removal_is_not_called_one_minimal():
    model, image, target = _beacon()
    options = {"one_minimal": True, "minimality_cell_px": 1}
    least = make_preset("forward_only", options).least_passes
    found = misure.explain(model, image, target, preset="forward_only", max_passes=least, **options)
    assert not found.minimality.is_one_minimal
    assert found.stopped_by == "max_passes"
