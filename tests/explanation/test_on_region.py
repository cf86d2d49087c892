"""Regions that a search tells as it finds them, and regions that no search has found."""

import pytest
import torch

import misure
import toys

PRESETS = ["readable", "quick", "smallest", "sufficient_region"]
PRESETS.append(pytest.param("paper", marks=pytest.mark.slow))


def _beacon():
    model, image = (
        toys.model_of(toys.Beacon(), class_names=("dark", "bright")),
        toys.beacon_image(2),
    )
    return model, image, misure.predicted_target(model, image, class_index=1)


@pytest.mark.parametrize("preset", PRESETS)
def test_told_regions_suffice_get_smaller_and_end_with_the_results(preset):
    model, image, target = _beacon()
    told, least = [], {"max_passes": 60} if preset in ("readable", "smallest") else {}
    options = least | ({"num_iterations": 5} if preset == "paper" else {})
    found = misure.explain(
        model, image, target, preset=preset, on_region=lambda *one: told.append(one), **options
    )
    assert found.cost.pass_equivalents == (
        misure.explain(model, image, target, preset=preset, **options).cost.pass_equivalents
    )
    for name in ("sufficient_region", "minimally_sufficient_region"):
        regions = [(region, dice) for told_name, region, dice in told if told_name == name]
        assert regions[-1][0].equal(getattr(found, name))
        sizes = [int(region.sum()) for region, _ in regions[:-1]]
        assert sizes == sorted(set(sizes), reverse=True)
        for region, dice in regions:
            shown = misure.check_region(model, image, target, region)
            assert shown.dice == pytest.approx(dice)
            assert dice >= 0.9
    names = [name for name, *_ in told]
    assert names == sorted(names, reverse=True)  # the first stage before the second


def test_regions_of_several_targets_are_told_by_number():
    model = toys.model_of(toys.OwnBrightness(), class_names=("dark", "bright"))
    image = torch.zeros(1, 20, 20)
    image[0, 2:6, 2:6], image[0, 10:17, 10:17] = 1, 1
    other = torch.zeros(1, 12, 12)
    other[0, 3:9, 3:9] = 1
    images, told = [image, other, image], {}
    targets = [
        misure.predicted_target(model, image, 1, instance=0),
        misure.predicted_target(model, other, 1),
        misure.predicted_target(model, image, 1, instance=1),
    ]

    def on_region(number, name, region, dice):
        told[number, name] = region

    found = misure.explain_all(model, images, targets, preset="quick", on_region=on_region)
    for number, explanation in enumerate(found):
        assert told[number, "sufficient_region"].equal(explanation.sufficient_region)
        small = explanation.minimally_sufficient_region
        assert told[number, "minimally_sufficient_region"].equal(small)


def test_what_the_callback_raises_ends_the_search_and_the_model_comes_back():
    model, image, target = _beacon()

    class EndedError(Exception):
        pass

    def on_region(*_):
        raise EndedError

    model.net.train()
    with pytest.raises(EndedError):
        misure.explain(model, image, target, preset="quick", on_region=on_region)
    assert model.net.training
    assert misure.explain(model, image, target, preset="quick").dice >= 0.9


def test_with_one_minimal_the_removal_is_told_too():
    model, image, target = _beacon()
    told = []
    found = misure.explain(
        model, image, target, preset="quick", one_minimal=True, max_passes=120,
        on_region=lambda name, region, _: told.append(int(region.sum())),
    )  # fmt: skip
    assert told[-1] == int(found.minimally_sufficient_region.sum())


@pytest.mark.parametrize(
    "options",
    [
        {"preset": "quick"},
        {"preset": "quick", "baseline_image": "mean,blurred", "edge_px": 2, "seed": 3},
        {"preset": "quick", "max_hidden_dice": 0.5, "spacing_mm": (1.0, 2.0)},
    ],
)
def test_a_region_that_was_found_has_the_same_figures_when_it_is_checked(options):
    model, image, target = _beacon()
    found = misure.explain(model, image, target, **options)
    checked = misure.check_region(
        model, image, target, found.minimally_sufficient_region, **options
    )
    ours, theirs = checked.record(), found.record()
    region, small = ours.pop("region"), theirs["minimally_sufficient_region"]
    of_search = {"stopped_by": "no_search", "is_reduced": False}
    assert region == small | of_search
    del ours["cost"]
    assert ours == {name: theirs[name] for name in ours}
    assert checked.suffices
    assert checked.dice == found.dice
    first = "Shown alone, "
    assert checked.summary().startswith(first)
    assert checked.summary().split(".")[0] == found.summary().split(".")[0]
    assert 10 <= checked.values.cost.forward_passes <= 30


def test_a_region_that_does_not_suffice_says_so():
    model, image, target = _beacon()
    checked = misure.check_region(model, image, target, target.region.numpy())
    assert not checked.suffices
    assert checked.dice == 0
    assert checked.summary().endswith("does not suffice for the bright: Dice 0.00, less than 0.9.")
    nothing = misure.check_region(model, image, target, torch.zeros_like(target.region))
    assert nothing.summary() == (
        "With everything hidden, the model does not draw the bright: Dice 0.00."
    )
    with pytest.raises(misure.InputError, match="check_region: expected a region of bool"):
        misure.check_region(model, image, target, target.region.float())
    with pytest.raises(misure.InputError, match="of the image's shape"):
        misure.check_region(model, image, target, target.region[1:])
