"""Bounds of a share by draws that may end early: against Clopper and Pearson, and their coverage."""

import numpy as np
import pytest
from scipy import stats

import misure
from misure.explanation.robust.sequential import plan_looks


@pytest.mark.parametrize(("held", "num"), [(59, 59), (57, 59), (3, 12), (0, 7), (7, 7), (1, 1)])
def test_a_single_look_gives_the_bounds_of_clopper_and_pearson(held, num):
    exact = stats.binomtest(held, num).proportion_ci(0.9, "exact")  # 5 % on each side
    assert plan_looks(num).bounds(0, held) == pytest.approx((exact.low, exact.high), abs=1e-9)


def test_all_of_59_say_at_least_95_percent():
    lower, upper = plan_looks(59).bounds(0, 59)
    assert lower == pytest.approx(0.05 ** (1 / 59))
    assert lower > 0.95
    assert upper == 1
    assert plan_looks(58).bounds(0, 58)[0] < 0.95


def _outcomes(looks, share):
    """(look, held) -> probability, by adding up all that can happen."""
    going_on, outcomes = {0: 1.0}, {}
    for look, num in enumerate(looks.nums):
        step = num - (looks.nums[look - 1] if look else 0)
        pmf = stats.binom.pmf(np.arange(step + 1), step, share)
        after = {}
        for held, probability in going_on.items():
            for more, p in enumerate(pmf):
                after[held + more] = after.get(held + more, 0) + probability * p
        ended = {held for held in after if looks.is_clear(look, held)}
        outcomes |= {(look, held): after[held] for held in ended}
        going_on = {held: p for held, p in after.items() if held not in ended}
    return outcomes


@pytest.mark.parametrize(("num", "at_least"), [(59, 0.9), (30, 0.6), (25, None)])
def test_each_bound_covers_the_share_with_the_confidence_whatever_it_is(num, at_least):
    looks = plan_looks(num, at_least)
    bounds = {outcome: looks.bounds(*outcome) for outcome in _outcomes(looks, 0.5)}
    for share in (0.02, 0.5, 0.6, 0.88, 0.9, 0.93, 0.99):
        outcomes = _outcomes(looks, share)
        assert sum(outcomes.values()) == pytest.approx(1)
        too_high = sum(p for outcome, p in outcomes.items() if bounds[outcome][0] > share)
        too_low = sum(p for outcome, p in outcomes.items() if bounds[outcome][1] < share)
        assert max(too_high, too_low) <= 0.05 + 1e-9


def test_the_coverage_by_simulation_and_that_looking_naively_would_not_keep_it():
    looks, share, rng = plan_looks(59, 0.6), 0.6, np.random.default_rng(0)
    wrong, naively_wrong, num_runs = 0, 0, 4000
    naive = {
        (num, held): stats.beta.ppf(0.05, held, num - held + 1) > share
        for num in looks.nums
        for held in range(1, num + 1)
    }
    drawn = np.cumsum(rng.random((num_runs, 59)) < share, axis=1)
    known = {}
    for held_after in drawn:
        naively_wrong += any(naive.get((num, held_after[num - 1]), False) for num in looks.nums)
        for look, num in enumerate(looks.nums):
            outcome = (look, int(held_after[num - 1]))
            if looks.is_clear(*outcome):
                break
        if outcome not in known:
            known[outcome] = looks.bounds(*outcome)[0] > share
        wrong += known[outcome]
    assert wrong / num_runs <= 0.05 + 3 * (0.05 * 0.95 / num_runs) ** 0.5
    assert naively_wrong / num_runs > 0.05 + 3 * (0.05 * 0.95 / num_runs) ** 0.5


def test_what_ends_early_says_what_is_asked():
    looks = plan_looks(59, 0.9)
    for look, num in enumerate(looks.nums[:-1]):
        if looks.yes_from[look] <= num:
            assert looks.bounds(look, looks.yes_from[look])[0] >= 0.9
        if looks.no_up_to[look] >= 0:
            assert looks.bounds(look, looks.no_up_to[look])[1] <= 0.9
    assert looks.is_clear(0, 6)
    assert not looks.is_clear(0, 12)
    assert looks.is_clear(2, 36)


def test_better_outcomes_have_higher_bounds():
    looks = plan_looks(30, 0.8)
    bounds = [looks.bounds(*outcome) for outcome in _outcomes(looks, 0.5)]
    ordered = sorted(bounds)
    assert [high for _, high in ordered] == sorted(high for _, high in bounds)


def test_numbers_out_of_range():
    for arguments in [(0,), (9, 0.0), (9, 1.0), (9, 0.9, 1.0)]:
        with pytest.raises(misure.InputError, match="expected"):
            plan_looks(*arguments)
