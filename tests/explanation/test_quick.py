"""The search of a few forward passes: its growth, its cuts, and how it keeps to its passes."""

import pytest
import torch
from torch import nn

import misure
import toys
from misure.explanation.growth import GROWTHS
from misure.explanation.presentation import make_presentations
from misure.explanation.probe import Account, Probe
from misure.explanation.reductions.quick import _contrast, _Cut, _cuts
from misure.images.regions import bounding_box, dice, distance_px


class NeedsItsTop(nn.Module):
    """Draws the bright square while its upper 8 of 24 rows are seen, and nothing else matters."""

    def forward(self, x):
        seen = x[:, :1, 8:16, 20:44].mean((2, 3), keepdim=True)
        square = torch.zeros_like(x[:, :1])
        square[:, :, 8:32, 20:44] = 1.0
        return torch.cat([torch.zeros_like(square), square * (2 * seen - 1.9) - 1e-3], dim=1)


def bright_image():
    image = torch.full((1, 64, 64), 0.1)
    image[:, 8:32, 20:44] = 1.0
    return image


def test_it_takes_twenty_five_forward_passes_and_returns_what_was_shown():
    model = toys.model_of(toys.Beacon())
    image = toys.beacon_image(2)
    found = misure.explain(model, image, 1, preset="quick")
    assert (found.cost.forward_passes, found.cost.backward_passes) == (25, 0)
    assert found.values.minimality is None
    shown = torch.where(found.minimally_sufficient_region, image, 0.0)
    drawn = toys.Beacon()(shown[None])[0].argmax(0) == 1
    assert dice(drawn, found.target.region) == found.dice >= 0.9
    assert found.minimally_sufficient_region.sum() < found.sufficient_region.sum() / 4


def test_it_finds_beacons_in_3d():
    model = toys.model_of(toys.Beacon())
    found = misure.explain(model, toys.beacon_image(3), 1, preset="quick")
    assert found.dice == 1.0
    assert found.minimally_sufficient_region.sum() < found.sufficient_region.sum() / 10
    assert found.cost.pass_equivalents == 25


def test_cuts_leave_what_is_needed_and_more_passes_leave_less_else():
    model, image = toys.model_of(NeedsItsTop()), bright_image()
    areas = []
    for max_passes in (25, 60):
        found = misure.explain(model, image, 1, preset="quick", max_passes=max_passes)
        region = found.minimally_sufficient_region
        assert region[8:16, 20:44].float().mean() > 0.95
        assert found.cost.pass_equivalents <= max_passes
        areas.append(int(region.sum()))
    assert areas[0] < 0.65 * 24 * 24
    assert areas[1] < 1.1 * 8 * 24


def test_broad_parts_can_be_asked_for():
    model, image = toys.model_of(NeedsItsTop()), bright_image()
    found = misure.explain(model, image, 1, preset="quick", grain_px=4, max_parts=1)
    assert found.num_parts == 1
    assert found.values.minimally_sufficient_region.grain_px == 4
    for options in ({"max_parts": 0}, {"grain_px": -1}):
        with pytest.raises(misure.InputError, match=next(iter(options))):
            misure.explain(model, image, 1, preset="quick", **options)


def test_the_budget_is_one_hard_total_and_the_least_can_be_asked_for():
    model, image = toys.model_of(toys.Beacon()), toys.beacon_image(2)
    with pytest.raises(misure.InputError, match="max_passes of 15 or more"):
        misure.explain(model, image, 1, preset="quick", max_passes=14)
    found = misure.explain(model, image, 1, preset="quick", max_passes=15)
    assert found.cost.pass_equivalents <= 15
    assert found.dice >= 0.9


@pytest.mark.parametrize(("dice_of_target", "first"), [(0.1, 25), (0.8, 6)])
def test_jumps_begin_near_only_if_the_target_nearly_suffices(dice_of_target, first):
    probe, asked = toys.far_trial(), []
    distance = distance_px(probe.target.region)

    def reply(query):
        asked.append(float(distance[query.regions[0]].max()))
        return [dice_of_target if len(asked) == 1 else 0.95]

    (region, growth_px, found), num_passes = toys.drive(GROWTHS["jumps"](probe), reply=reply)
    assert asked[0] == 0
    assert asked[1] == pytest.approx(first, abs=1)
    assert growth_px == min(asked[1:]) or growth_px - min(asked[1:]) < 1
    assert torch.equal(region, distance <= growth_px)
    assert found == 0.95
    assert num_passes <= 4


def test_jumps_end_at_the_whole_image_in_five_passes_or_what_there_is():
    probe = toys.far_trial()
    (region, _, _), num_passes = toys.drive(
        GROWTHS["jumps"](probe), lambda region: bool(region.all())
    )
    assert bool(region.all())
    assert num_passes == 5
    account = Account(limit=3)
    search = GROWTHS["jumps"](probe, account)
    (region, _, _), num_passes = toys.drive(search, lambda region: bool(region.all()))
    assert bool(region.all())
    with pytest.raises(misure.InputError, match="the whole image to reach a Dice"):
        toys.drive(GROWTHS["jumps"](probe), lambda region: False)


def test_a_cut_removes_its_share_of_the_largest_values():
    order = torch.arange(100.0).view(10, 10)
    region = order >= 20
    kept = _Cut(lambda: order, 0.5).made(region, 0.25)
    assert torch.equal(kept, (order >= 20) & (order < 80))
    flat = _Cut(lambda: torch.zeros(10, 10), 0.5)
    assert not flat.made(region, 0.25).any()  # all are equal, so all go


def test_a_cut_is_as_long_as_the_dice_above_the_threshold_pays_for():
    cut = _Cut(lambda: torch.zeros(1), 0.5)
    assert cut.share(0.1) == pytest.approx(0.9 * 0.1 / 0.5)
    assert cut.share(1.0) == 0.35
    assert cut.share(-1.0) == 0.03
    cut.learn(0.2, fall=0.3, holds=False)
    assert cut.slope == pytest.approx(0.3 * 0.5 + 0.7 * 1.5)
    assert cut.share(1.0) == pytest.approx(0.7 * 0.2)
    assert cut.weight < 1
    cut.learn(0.1, fall=0.0, holds=True)
    assert cut.failed_at is None


def test_pixels_that_look_like_the_baseline_image_go_first():
    model, image = toys.model_of(toys.OwnBrightness()), torch.zeros(1, 32, 32)
    image[:, 8:24, 8:24] = 1.0
    target = misure.predicted_target(model, image, 1)
    probe = Probe(target, make_presentations(model, image))
    contrast = _contrast(probe, 32)
    assert contrast[0, 0] == pytest.approx(0.02)
    assert contrast[16, 16] > 1
    everything = torch.ones(32, 32, dtype=torch.bool)
    cuts = list(_cuts(probe, bounding_box(everything)))
    assert len(cuts) == 4 + 1 + 4
    for by_contrast in cuts[:4]:
        left = by_contrast.made(everything, 0.5)
        assert bool(left[8:24, 8:24].all())
    outer = cuts[4].made(everything, 0.75)
    assert int((outer ^ target.region).sum()) == 0
