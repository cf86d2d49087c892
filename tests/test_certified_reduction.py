"""The certified search, driven by answers that are known."""

import pytest
import torch

import toys
from misure.certified_reduction import CertifiedReduction
from misure.region import distance_px
from misure.sufficient_region import SufficientRegion
from misure.trial import Answer


def _search(is_drawn):
    """What the search returns, and all that it showed, where `is_drawn` says what suffices."""
    trial = toys.far_trial(64)
    everything = SufficientRegion(torch.ones(64, 64, dtype=torch.bool), 80.0, 1.0, "first")
    search = CertifiedReduction(grain_px=2).search(trial, everything)
    shown = []
    wanted = trial.target.region.float()

    def answer(ask):
        shown.extend((one, ask) for one in ask.regions)
        trial.cost.forward_passes += len(ask.regions)
        trial.cost.backward_passes += ask.gradient * len(ask.regions)
        return [Answer(0.95 if is_drawn(one) else 0.1, 0.0, wanted) for one in ask.regions]

    found, _ = toys.drive(search, answer=answer)
    return found, [one for one, _ in shown], shown


def test_hidden_cells_leak_less_and_less_and_no_leaking_region_is_returned():
    found, shown, asks = _search(lambda one: bool(one.any()))
    leaks = [float(one[one < 1].max()) for one in shown if one.is_floating_point()]
    assert leaks[:2] == [0.5, 0.5]  # half seen, then half hidden
    assert leaks[1:] == sorted(leaks[1:], reverse=True)
    assert 0.05 < leaks[-1] < 0.1
    last = [i for i, one in enumerate(shown) if one.is_floating_point()][-1]
    assert last + 1 < len(shown)
    assert not any(one.is_floating_point() for one in shown[last + 1 :])
    assert found.region.dtype == torch.bool
    assert any(ask.alone and torch.equal(one, found.region) for one, ask in asks)


def test_while_the_object_is_lost_more_and_more_leaks():
    found, shown, _ = _search(lambda one: bool((one == 1).all()))
    leaks = [float(one[one < 1].max()) for one in shown if one.is_floating_point()]
    assert leaks[1:] == sorted(leaks[1:])
    assert leaks[-1] == pytest.approx(0.9)
    assert found.region.all()


def test_where_nothing_held_the_target_is_grown_in_smaller_steps_than_before():
    distance = distance_px(toys.far_trial(64).target.region)
    disc = distance <= 30.5
    found, shown, _ = _search(lambda one: bool((one[disc] == 1).all()))
    assert bool(found.region[disc].all())
    assert found.region.sum() < disc.sum() * 1.3
    assert len(shown) < 160


def test_the_last_eighth_of_the_budget_is_kept_while_nothing_holds():
    *_, asks = _search(lambda one: bool((one == 1).all()))
    spent = 3 * sum(ask.gradient for _, ask in asks)
    assert 0.8 * 160 < spent <= 0.875 * 160
