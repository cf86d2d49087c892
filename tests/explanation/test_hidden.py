"""Necessary and blocking regions, on toys whose answer is known; each is hidden here once more."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import misure
import toys
from misure.errors import InputError
from misure.explanation.answers.hidden import HiddenRegion
from misure.explanation.answers.hide import blocking_region, find_hidden_regions, necessary_region
from misure.explanation.presentation import make_presentations
from misure.explanation.probe import Probe, Query
from misure.explanation.question import BLOCKING, NECESSARY
from misure.explanation.show import try_regions

BOTH = pytest.mark.parametrize("num_dimensions", [2, 3])


def _hidden_dice(model, image, target, region):
    """Dice with the target when a region is replaced by the mean colour of the image."""
    mean = image.flatten(1).mean(1).view(-1, *[1] * region.ndim)
    shown = image.where(~region, mean)
    drawn = misure.segment(model, shown).class_region(target.class_index)
    drawn &= ~region | target.region
    both = int((drawn & target.region).sum())
    return 2 * both / int((drawn & ~target.ignored).sum() + target.region.sum())


def _missed(image):
    region = image[0] > 0.5
    return misure.Target(1, region, torch.zeros_like(region), "thing")


@pytest.mark.parametrize(("preset", "max_passes"), [("readable", 70), ("smallest", 100)])
def test_of_own_brightness_the_least_that_loses_it_is_two_thirds_of_the_target(preset, max_passes):
    """Dice 2 x / (x + 25) is at most 1/2 from 8 of 25 pixels on."""
    model, image = toys.model_of(toys.OwnBrightness()), toys.OwnBrightness.image()
    target = misure.predicted_target(model, image, class_index=1)
    flat = {"num_changes": 0, "num_draws": 0, "baseline_image": "mean"}
    hidden = necessary_region(model, image, target, preset=preset, max_passes=max_passes, **flat)
    assert hidden.is_found
    assert int(hidden.region.sum()) == 17
    assert not (hidden.region & ~target.region).any()
    assert (
        hidden.dice == _hidden_dice(model, image, target, hidden.region) == pytest.approx(16 / 33)
    )


@BOTH
def test_a_piece_of_the_beacon_is_necessary_wherever_it_lies(num_dimensions):
    model, image = toys.model_of(toys.Beacon()), toys.Beacon.image(num_dimensions)
    target = misure.predicted_target(model, image, class_index=1)
    with model.counting() as spent:
        hidden = necessary_region(model, image, target, baseline_image="mean")
    beacon = torch.zeros_like(hidden.region)
    beacon[toys.beacon_window(num_dimensions)] = True
    assert bool((hidden.region & beacon).any())
    assert int(hidden.region.sum()) <= 2**num_dimensions  # what is left by halving
    assert hidden.dice == _hidden_dice(model, image, target, hidden.region) == 0
    assert hidden.cost.pass_equivalents == spent.pass_equivalents <= 176
    assert hidden.values.outside_target_fraction == 1
    assert hidden.values.dice_with_nothing_hidden == 1


def test_of_two_beacons_both_have_to_be_hidden_or_the_target_itself():
    model, image = toys.model_of(toys.Beacon()), toys.TwoBeacons.image()
    target = misure.predicted_target(model, image, class_index=1)
    flat = {"baseline_image": "mean", "num_draws": 0}
    anywhere = necessary_region(model, image, target, max_passes=80, **flat)
    assert int((anywhere.region & target.region).sum()) == 17
    outside = necessary_region(model, image, target, outside_target=True, baseline_image="mean")
    assert outside.values.outside_target
    assert not (outside.region & target.region).any()
    beacons = image[2] > 0.5
    assert outside.is_found
    assert outside.dice == 0
    assert bool((outside.region & beacons)[:10].any() and (outside.region & beacons)[10:].any())
    assert int(outside.region.sum()) <= 12


@BOTH
def test_what_cannot_be_lost_is_said(num_dimensions):
    model, image = toys.model_of(toys.Constant()), toys.Constant.image(num_dimensions)
    hidden = necessary_region(model, image, 1)
    assert not hidden.is_found
    assert hidden.dice is None
    assert not hidden.region.any()
    assert hidden.values.dice_with_all_hidden == 1
    assert hidden.sentence == (
        "Hiding the whole image does not lose class 1: the Dice is still 1.00."
    )
    assert hidden.cost.pass_equivalents == 2 + 4  # nothing, everything, and four growths
    own = toys.model_of(toys.OwnBrightness())
    outside = necessary_region(own, image, 1, outside_target=True)
    assert "all its surroundings does not lose" in outside.sentence


@pytest.mark.parametrize(
    ("num_dimensions", "preset"), [(2, "readable"), (3, "forward_only"), (2, "smallest")]
)
def test_the_inhibitor_is_what_stands_in_the_way(num_dimensions, preset):
    model, image = toys.model_of(toys.Inhibitor()), toys.Beacon.image(num_dimensions)
    target, beacon = _missed(image), image[2] > 0.5
    hidden = blocking_region(
        model, image, target, preset=preset, num_changes=0, baseline_image="mean"
    )
    assert hidden.is_found
    assert not (beacon & ~hidden.region).any()
    assert int(hidden.region.sum()) <= 5 * int(beacon.sum())
    assert hidden.dice == _hidden_dice(model, image, target, hidden.region) >= 0.9
    assert hidden.sentence.startswith("Hiding ")
    assert "makes the model draw the thing: Dice 1.00 (Dice 0.00 with nothing hidden)" in (
        hidden.sentence
    )


@BOTH
def test_what_is_hidden_is_filled_in_from_what_is_shown(num_dimensions):
    """And what the model draws on what was filled in does not count, outside the target."""
    model, image = toys.model_of(toys.OwnBrightness()), toys.OwnBrightness.image(num_dimensions)
    target = misure.predicted_target(model, image, class_index=1)
    hidden = necessary_region(model, image, target, max_passes=90)
    assert hidden.values.baseline_image == "filled"
    assert hidden.dice <= 0.5
    assert not (hidden.region & ~target.region).any()
    around = necessary_region(model, image, target, outside_target=True, max_passes=90)
    assert not around.is_found
    assert around.values.dice_with_all_hidden == 1


def test_nothing_in_the_way_is_an_answer_too():
    model, image = toys.model_of(toys.Constant()), toys.Beacon.image()
    hidden = blocking_region(model, image, _missed(image), max_passes=80)
    assert not hidden.is_found
    assert hidden.values.stopped_by == "max_passes"
    assert hidden.cost.pass_equivalents <= 80
    assert hidden.sentence == (
        f"No region was found within {hidden.cost.pass_equivalents} pass equivalents that makes the model "
        "draw the thing when it is hidden (Dice 0.00 with nothing hidden)."
    )


def test_bad_questions_are_refused():
    model, image = toys.model_of(toys.OwnBrightness()), toys.OwnBrightness.image()
    drawn = misure.predicted_target(model, image, class_index=1)
    with pytest.raises(InputError, match="does not draw, it reaches a Dice of 1.000"):
        blocking_region(model, image, drawn)
    for preset in ("paper", "sufficient_region"):
        with pytest.raises(InputError, match=f"can hide regions .* got {preset}"):
            necessary_region(model, image, drawn, preset=preset)
    with pytest.raises(InputError, match="max_passes of 3. or more"):
        necessary_region(model, image, drawn, max_passes=20, num_changes=0, thresholds=[])
    with pytest.raises(InputError, match="lost_dice of at least 0 and below 1, got 1"):
        necessary_region(model, image, drawn, lost_dice=1)


def test_what_means_nothing_for_a_hidden_region_is_refused():
    model, image = toys.model_of(toys.OwnBrightness()), toys.OwnBrightness.image()
    for options in ({"one_minimal": True}, {"compare_presentations": True}):
        (name,) = options
        with pytest.raises(InputError, match=f"got {name}: for sufficient regions only"):
            necessary_region(model, image, 1, **options)
    dark = torch.zeros(30, 30, dtype=torch.bool)
    dark[:3, :3] = True
    with pytest.raises(InputError, match="expected a target that the model draws, .* 0.000"):
        necessary_region(model, image, misure.Target(1, dark, torch.zeros_like(dark)))


def test_several_targets_share_batches_and_answers_do_not_change():
    model, image = toys.model_of(toys.OwnBrightness()), toys.square_image()
    image[0, 20:26, 3:9] = 1.0
    targets = [misure.predicted_target(model, image, class_index=1, instance=i) for i in (0, 1)]
    together = find_hidden_regions(model, image, targets, NECESSARY, threshold=0.5, max_passes=50)
    for target, hidden in zip(targets, together, strict=True):
        alone = necessary_region(model, image, target, max_passes=50)
        assert torch.equal(alone.region, hidden.region)
        assert alone.dice == hidden.dice
        assert hidden.cost.pass_equivalents <= 50


def test_a_soft_edge_of_what_is_hidden_lies_inside_it():
    image = toys.Beacon.image()
    model = toys.model_of(toys.OwnBrightness())
    (way,) = make_presentations(model, image, edge_px=2, baseline_image="black")
    target = _missed(image)
    region = torch.zeros(30, 30, dtype=torch.bool)
    region[4:20, 4:20] = True
    seen = []
    watched = toys.model_of(_Watched(seen))
    try_regions(watched, [(Probe(target, (way,), question=BLOCKING), region)])
    expected = image * (1 - way.visibility(region))
    assert torch.allclose(seen[-1][0], expected)
    assert torch.equal(seen[-1][0][:, ~region], image[:, ~region])


class _Watched(torch.nn.Module):
    """`OwnBrightness` that keeps what it is shown."""

    def __init__(self, seen):
        super().__init__()
        self.seen = seen

    def forward(self, images):
        self.seen.append(images.detach().clone())
        return toys.OwnBrightness()(images)


@pytest.mark.parametrize("question", [NECESSARY, BLOCKING])
def test_the_direction_is_that_of_joining_the_hidden_region(question):
    """The gradient against autograd, of the loss that the question asks for."""
    image = toys.random_image(3, size=12)
    weight = torch.randn(1, 2, 12, 12, generator=torch.Generator().manual_seed(1))

    class Net(torch.nn.Module):
        def forward(self, images):
            return weight * images.mean(1, keepdim=True)

    model = toys.model_of(Net())
    region = torch.zeros(12, 12, dtype=torch.bool)
    region[2:6, 3:9] = True
    (way,) = make_presentations(model, image, baseline_image="black")
    probe = Probe(
        misure.Target(1, region, torch.zeros_like(region)), (way,), 0.5, question=question
    )
    hidden = torch.rand(12, 12, generator=torch.Generator().manual_seed(2))
    (reply,) = try_regions(model, [(probe, hidden)], Query([], gradient=True))
    leaf = hidden.clone().requires_grad_()
    logits = (weight * ((1 - leaf) * image)[None].mean(1, keepdim=True))[0]
    margin = logits[1] - logits[0]
    z = margin / (0.3 * margin.detach().std(correction=0))
    loss = (
        F.softplus(z[region]).sum()
        if question == NECESSARY
        else F.softplus(-z[region]).sum() + F.softplus(z[~region]).sum()
    )
    expected = -torch.autograd.grad(loss / region.sum(), leaf)[0]
    assert torch.allclose(reply.gradient, expected, atol=1e-5)


def test_what_was_found_is_saved_and_loaded(tmp_path):
    model, image = toys.model_of(toys.Beacon()), toys.Beacon.image()
    hidden = necessary_region(model, image, 1, max_passes=60).with_values(image="a.png")
    hidden.save(tmp_path / "necessary.npz")
    again = HiddenRegion.load(tmp_path / "necessary.npz")
    assert again.values == hidden.values
    assert torch.equal(again.region, hidden.region)
    assert torch.equal(again.target.region, hidden.target.region)
    (tmp_path / "other.npz").write_bytes(b"no archive")
    with pytest.raises(InputError, match=r"HiddenRegion.save in .*other.npz"):
        HiddenRegion.load(tmp_path / "other.npz")
    np.savez(tmp_path / "mixed.npz", target=np.zeros(3, bool), ignored=np.zeros(3, bool))
    with pytest.raises(InputError, match="cannot be used"):
        HiddenRegion.load(tmp_path / "mixed.npz")


class Echo(torch.nn.Module):
    """Foreground is what is bright, and everything wherever the image is noisy."""

    def forward(self, images):
        noise = (images.diff(dim=-1).abs() > 0.02).float().mean((1, 2, 3)).view(-1, 1, 1, 1)
        evidence = toys.SHARPNESS * torch.maximum(images[:, :1] - 0.5, noise - 0.5)
        return torch.cat([-evidence, evidence], dim=1)


def test_what_is_lost_on_one_fill_alone_is_not_claimed():
    model, image = toys.model_of(Echo(), class_names=("background", "thing")), toys.square_image()
    hidden = necessary_region(model, image, 1, baseline_image="mean", max_passes=60)
    assert not hidden.is_found
    assert hidden.values.stopped_by == "other_fills"
    assert hidden.cost.pass_equivalents <= 5
    assert hidden.sentence == (
        "Hiding everything loses the thing on mean (Dice 0.00), but not on other fills, so "
        "nothing is claimed."
    )
    alone = necessary_region(
        model, image, 1, baseline_image="mean", num_draws=0, num_changes=0, max_passes=60
    )
    assert alone.is_found
    assert "On other fills it does not (" in alone.sentence
