"""What removal leaves of a region, asked by a made-up oracle instead of a network."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import toys
from misure.explanation.probe import Account
from misure.explanation.removal import measure_minimality, remove_blocks

SIZE = 40


def _needed(seed, num):
    needed = torch.zeros(SIZE, SIZE, dtype=torch.bool)
    generator = torch.Generator().manual_seed(seed)
    needed.view(-1)[torch.randperm(SIZE * SIZE, generator=generator)[:num]] = True
    return needed


def _blocks(region, cell_px):
    return region.view(SIZE // cell_px, cell_px, SIZE // cell_px, cell_px).any(3).any(1)


@settings(max_examples=20)
@given(st.integers(0, 1000), st.integers(0, 30), st.sampled_from([2, 4, 8]))
def test_exactly_the_needed_blocks_are_left(seed, num, cell_px):
    needed = _needed(seed, num)
    probe = toys.far_trial(size=SIZE)
    everything = torch.ones_like(needed)
    (region, num_blocks, is_one_minimal), _ = toys.drive(
        remove_blocks(probe, everything, everything.float(), cell_px),
        lambda region: not (needed & ~region).any(),
    )
    assert is_one_minimal
    assert num_blocks == _blocks(needed, cell_px).sum()
    assert torch.equal(_blocks(region, cell_px), _blocks(needed, cell_px))


@settings(max_examples=20)
@given(st.integers(0, 1000), st.floats(0, 1))
def test_whatever_the_oracle_says_no_single_block_can_be_removed(seed, share):
    """The oracle is a fixed function of the region, without any order in it."""
    probe = toys.far_trial(size=SIZE)
    everything = torch.ones(SIZE, SIZE, dtype=torch.bool)
    weights = torch.rand(SIZE, SIZE, generator=torch.Generator().manual_seed(seed))

    def suffices(region):
        return bool(region.all()) or float((weights * region).sum() * 1e4) % 1 < share

    (region, num_blocks, is_one_minimal), _ = toys.drive(
        remove_blocks(probe, everything, weights, 8), suffices
    )
    assert suffices(region)
    assert is_one_minimal
    blocks = _blocks(region, 8)
    assert num_blocks == blocks.sum()
    for row, column in blocks.nonzero().tolist():
        rest = region.clone()
        rest[8 * row : 8 * row + 8, 8 * column : 8 * column + 8] = False
        assert not suffices(rest)


class _Counted:
    """An oracle that counts what it is asked in an account, as showing would."""

    def __init__(self, account, suffices):
        self.account, self.suffices = account, suffices

    def __call__(self, region):
        self.account.cost.forward_passes += 1
        return self.suffices(region)


def test_the_budget_is_kept():
    probe, account = toys.far_trial(size=SIZE), Account(limit=50)
    needed = _needed(0, 20)
    everything = torch.ones_like(needed)
    (region, _, is_one_minimal), num_passes = toys.drive(
        remove_blocks(probe, everything, everything.float(), 2, account),
        _Counted(account, lambda region: not (needed & ~region).any()),
    )
    assert num_passes <= 50
    assert not is_one_minimal
    assert not (needed & ~region).any()


def test_how_far_a_region_can_be_reduced_is_measured_on_a_sample():
    probe = toys.far_trial(size=SIZE)
    needed = torch.zeros(SIZE, SIZE, dtype=torch.bool)
    needed[:10] = True
    everything = torch.ones_like(needed)

    def suffices(region):
        return not (needed & ~region).any()

    found, _ = toys.drive(measure_minimality(probe, everything, 10, 99), suffices)
    assert (found.cells_left, found.cells_tested, found.removable) == (16, 16, 12)
    assert not found.is_one_minimal
    found, num_passes = toys.drive(measure_minimality(probe, everything, 10, 5), suffices)
    assert found.cells_tested == found.passes == num_passes == 5
    found, _ = toys.drive(measure_minimality(probe, needed, 10, 99), suffices)
    assert (found.cells_tested, found.removable) == (4, 0)
    assert found.is_one_minimal
