"""The certified search, driven by answers that are known."""

import torch

import toys
from misure.certified_reduction import CertifiedReduction
from misure.sufficient_region import SufficientRegion
from misure.trial import Answer


def _search(is_drawn):
    """What the search returns, and all that it showed, where `is_drawn` says what suffices."""
    trial = toys.far_trial(64)
    everything = SufficientRegion(torch.ones(64, 64, dtype=torch.bool), 64.0, 1.0, "first")
    search = CertifiedReduction(grain_px=2).search(trial, everything)
    shown = []
    wanted = trial.target.region.float()

    def answer(ask):
        shown.extend((one, ask) for one in ask.regions)
        trial.cost.forward_passes += 3 * len(ask.regions)
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


def test_while_the_object_is_lost_the_leak_stays_and_the_sufficient_region_is_returned():
    found, shown, _ = _search(lambda one: bool((one == 1).all()))
    leaks = {float(one[one < 1].max()) for one in shown if one.is_floating_point()}
    assert leaks == {0.5}
    assert found.region.all()
    assert found.dice == 1.0
