"""The search by gradients, driven by replies that are known."""

import pytest
import torch

import toys
from misure.explanation.growth import SufficientRegion
from misure.explanation.probe import Account, Reply
from misure.explanation.reductions.gradient import GradientReduction
from misure.images.regions import distance_px


def _search(is_drawn, *, edge_px=0, limit=None, **options):
    """What the search returns, and all that it showed, where `is_drawn` says what suffices."""
    probe, account = toys.far_trial(64, edge_px), Account(limit=limit)
    everything = SufficientRegion(torch.ones(64, 64, dtype=torch.bool), 80.0, 1.0, "first")
    search = GradientReduction(**({"grain_px": 2} | options)).search(probe, everything, account)
    shown = []
    wanted = probe.target.region.float()

    def reply(query):
        shown.extend((one, query) for one in query.regions)
        account.cost.forward_passes += len(query.regions)
        account.cost.backward_passes += query.gradient * len(query.regions)
        return [Reply(0.95 if is_drawn(one) else 0.1, 0.0, wanted) for one in query.regions]

    found, _ = toys.drive(search, reply=reply)
    return found, [one for one, _ in shown], shown


def test_hidden_cells_leak_less_and_less_and_no_leaking_region_is_returned():
    found, shown, queries = _search(lambda one: bool(one.any()))
    leaks = [float(one[one < 1].max()) for one in shown if one.is_floating_point()]
    assert leaks[:2] == [0.5, 0.5]  # half seen, then half hidden
    assert leaks[1:] == sorted(leaks[1:], reverse=True)
    assert 0.05 < leaks[-1] < 0.1
    last = [i for i, one in enumerate(shown) if one.is_floating_point()][-1]
    assert last + 1 < len(shown)
    assert not any(one.is_floating_point() for one in shown[last + 1 :])
    assert found.region.dtype == torch.bool
    assert any(query.alone and torch.equal(one, found.region) for one, query in queries)


def test_while_the_object_is_lost_more_and_more_leaks():
    found, shown, _ = _search(lambda one: bool((one == 1).all()))
    leaks = [float(one[one < 1].max()) for one in shown if one.is_floating_point()]
    assert leaks[1:] == sorted(leaks[1:])
    assert leaks[-1] == pytest.approx(0.9)
    assert found.region.all()


def test_where_nothing_held_the_target_is_grown_again_in_whole_cells():
    distance = distance_px(toys.far_trial(64).target.region)

    def is_drawn(one):  # a disc of about this size, and not a pixel far outside
        fits = bool((one[distance <= 31] == 1).all()) and not bool(one[distance > 46].any())
        return one.dtype == torch.bool and fits

    found, _, queries = _search(is_drawn, grain_px=8)
    grown = [one for one, query in queries if query.content_controls and not query.gradient][1:]
    assert any(torch.equal(one, found.region) for one in grown)
    assert is_drawn(found.region)
    cells = torch.nn.functional.max_pool2d(found.region[None].float(), 8)
    assert torch.equal(cells[0].repeat_interleave(8, 0).repeat_interleave(8, 1) > 0, found.region)


def test_what_leaks_is_shown_through_the_soft_edge_too():
    _, shown, _ = _search(lambda one: bool((one == 1).any()), edge_px=3, grain_px=8)
    leaking = [one for one in shown if one.is_floating_point()][1:]
    assert leaking
    for one in leaking:
        leak = one.min()
        assert ((one > leak) & (one < 1)).any()


def test_with_few_passes_nothing_leaks_so_that_regions_are_tried_indeed():
    _, shown, queries = _search(lambda one: bool((one == 1).any()), limit=36)
    leaking = [one for one in shown if one.is_floating_point()]
    assert len(leaking) == 1  # half seen
    assert sum(query.gradient for _, query in queries) > 5


def test_the_last_eighth_of_the_budget_is_kept_while_nothing_holds():
    *_, queries = _search(lambda one: bool((one == 1).all()))
    spent = 3 * sum(query.gradient for _, query in queries)
    assert 0.8 * 160 < spent <= 0.875 * 160
