"""The smallest top part of a map, asked by a made-up oracle instead of a network."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import toys
from misure.explanation.growth import SufficientRegion
from misure.explanation.reduction import top_region

SIZE = 60


def _search(saliency_map, suffices):
    everything = torch.ones(SIZE, SIZE, dtype=torch.bool)
    sufficient = SufficientRegion(everything, 9, 0.93, "first")
    return toys.drive(top_region(toys.far_trial(size=SIZE), saliency_map, sufficient), suffices)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.floats(0.001, 1))
def test_where_the_dice_rises_the_smallest_is_found_within_1_percent(seed, share):
    saliency_map = torch.rand(SIZE, SIZE, generator=torch.Generator().manual_seed(seed)) + 1e-3
    needed = max(1, int(share * SIZE * SIZE))
    found, num_passes = _search(saliency_map, lambda region: int(region.sum()) >= needed)
    area = int(found.region.sum())
    assert needed <= area <= needed * 1.02 + 1
    outside = saliency_map[~found.region]
    assert not len(outside) or float(saliency_map[found.region].min()) > float(outside.max())
    assert num_passes <= 30


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 12), st.integers(0, 11))
def test_of_a_map_of_few_values_the_smallest_top_is_found_exactly(seed, num_values, level):
    generator = torch.Generator().manual_seed(seed)
    saliency_map = (num_values * torch.rand(SIZE, SIZE, generator=generator) ** 6).ceil()
    areas = [int((saliency_map >= value).sum()) for value in saliency_map.unique()]
    needed = areas[level % len(areas)]
    found, num_passes = _search(saliency_map, lambda region: int(region.sum()) >= needed)
    assert int(found.region.sum()) == needed
    assert num_passes <= 30


def test_the_empty_region_is_tried_first():
    found, _ = _search(torch.rand(SIZE, SIZE), lambda region: True)
    assert not found.region.any()


def test_pixels_of_one_value_stay_together_and_zeros_stay_out():
    saliency_map = torch.zeros(SIZE, SIZE)
    saliency_map[:10] = 0.5
    saliency_map[:5] = 1.0
    found, num_passes = _search(saliency_map, lambda region: int(region.sum()) >= 7)
    assert torch.equal(found.region, saliency_map == 1)
    assert num_passes <= 5
    found, _ = _search(saliency_map, lambda region: int(region.sum()) > 10 * SIZE)
    assert found.region.all()  # no top part suffices: the sufficient region itself
    assert found.dice == 0.93


def test_a_map_of_zeros_falls_back_too():
    found, num_passes = _search(torch.zeros(SIZE, SIZE), lambda region: bool(region.any()))
    assert found.region.all()
    assert num_passes == 1


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.floats(0, 1))
def test_whatever_the_oracle_says_the_result_suffices(seed, share):
    generator = torch.Generator().manual_seed(seed)
    saliency_map = torch.rand(SIZE, SIZE, generator=generator)
    replies = {}

    def suffices(region):
        area = int(region.sum())
        return replies.setdefault(area, bool(torch.rand(1, generator=generator) < share))

    found, _ = _search(saliency_map, suffices)
    if found.dice == 0.93:  # the fallback, only where nothing that was tried suffices
        assert not any(replies.values())
    else:
        assert suffices(found.region)
