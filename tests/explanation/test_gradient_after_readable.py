"""The search by gradients inside a region that the readable search found."""

import pytest
import torch

import misure
import toys
from misure.explanation.growth import SufficientRegion
from misure.explanation.probe import Account, Reply
from misure.explanation.reductions import gradient
from misure.explanation.reductions.gradient import GradientReduction, _usual_grain_px


class Half(torch.nn.Module):
    """Draws the bright square as long as 3 in 10 of its pixels are seen."""

    def forward(self, x):
        seen = x[:, :1, 8:32, 8:32].mean((2, 3), keepdim=True)
        place = torch.zeros_like(x[:, :1])
        place[:, :, 8:32, 8:32] = 1
        own = 8 * (place * torch.sigmoid(10 * (seen - 0.3)) - 0.5)
        return torch.cat([torch.zeros_like(own), own], dim=1)


def _explained(preset, **options):
    image = torch.full((1, 64, 64), 0.2)
    image[:, 8:32, 8:32] = 1.0
    model = toys.model_of(Half())
    options = {"baseline_image": "black", "num_minimality_tests": 0} | options
    return misure.explain(model, image, 1, preset=preset, **options)


@pytest.mark.slow
def test_its_region_is_part_of_the_readable_one_within_one_budget():
    readable = _explained("readable", max_passes=95)
    found = _explained("smallest", max_passes=160, after_readable=True)
    assert found.cost.pass_equivalents <= 160
    assert found.dice >= 0.9
    needed = 0.3 * 24**2 / 64**2
    assert found.minimally_sufficient_region.float().mean() < 1.3 * needed
    assert found.minimally_sufficient_region.sum() <= readable.minimally_sufficient_region.sum()
    assert found.settings["after_readable"] is True


def _found(readable, is_drawn, limit):
    """What is found where the readable search finds a given region; the account; the queries."""
    probe, account = toys.far_trial(64), Account(limit=limit)
    everything = SufficientRegion(torch.ones(64, 64, dtype=torch.bool), 80.0, 1.0, "first")
    search = GradientReduction(grain_px=2, after_readable=True).search(probe, everything, account)
    shown, wanted = [], probe.target.region.float()

    def reply(query):
        shown.extend(query.regions)
        account.cost.forward_passes += len(query.regions)
        account.cost.backward_passes += query.gradient * len(query.regions)
        dices = [0.95 if is_drawn(one) else 0.1 for one in query.regions]
        margins = torch.zeros(len(probe.sample.indices))
        return [Reply(dice, 0.0, wanted, margins) for dice in dices]

    found, _ = toys.drive(search, reply=reply)
    return found, account, shown


@pytest.mark.parametrize("limit", [40, 160])
def test_where_nothing_smaller_suffices_the_readable_region_is_the_result(limit, monkeypatch):
    disc = torch.zeros(64, 64, dtype=torch.bool)
    disc[:20, :20] = True
    _given(monkeypatch, disc, passes=9)
    found, account, shown = _found(
        disc, lambda one: one.dtype == torch.bool and bool(one[disc].all()), limit
    )
    assert torch.equal(found.region, disc)
    assert found.dice == 0.95
    assert account.cost.pass_equivalents <= limit + 1  # the result, once more
    assert not any(bool(one[~disc].any()) for one in shown)


def test_a_readable_region_that_is_no_smaller_is_left(monkeypatch):
    everything = torch.ones(64, 64, dtype=torch.bool)
    _given(monkeypatch, everything, passes=9)
    found, _, shown = _found(everything, lambda one: bool(one[0, 0] == 1), 100)
    assert 0 < found.region.sum() < 64**2 // 4
    assert any(bool(one[40:, 40:].any()) for one in shown)


def _given(monkeypatch, region, passes):
    """Puts a search that shows a region a few times in place of the readable one."""

    def search(_self, _probe, _sufficient, account):
        assert account.passes_left(account.limit) >= passes
        for _ in range(passes):
            (reply,) = yield gradient.Query([region])
        return gradient.MinimallySufficientRegion(region, region.float(), reply.dice)

    monkeypatch.setattr(gradient.ReadableReduction, "search", search)


@pytest.mark.parametrize(
    ("side", "grain_px"), [(60, 1), (128, 1), (257, 2), (513, 2), (640, 2), (1024, 4), (2000, 8)]
)
def test_cells_are_two_pixels_in_images_of_the_usual_sizes(side, grain_px):
    assert _usual_grain_px((side, side + 7), None) == grain_px
