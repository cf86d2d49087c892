"""The searches of stage 1, asked by a made-up oracle instead of a network."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import misure
import toys
from misure.explanation.growth import GROWTHS, find_sufficient_regions
from misure.explanation.presentation import make_presentations
from misure.explanation.probe import Probe
from misure.images.regions import distance_px


def _reaches(probe, region):
    """How far a region reaches beyond the target, in pixels."""
    return float(distance_px(probe.target.region)[region].max())


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 200))
def test_where_the_dice_rises_the_bracket_finds_the_growth_exactly(needed_px):
    probe = toys.far_trial()
    (region, growth_px, dice), num_passes = toys.drive(
        GROWTHS["bracket"](probe), lambda region: _reaches(probe, region) >= needed_px
    )
    distance = distance_px(probe.target.region)
    assert torch.equal(region, distance <= growth_px)
    assert _reaches(probe, region) >= needed_px
    assert growth_px == 0 or _reaches(probe, distance <= growth_px - 1) < needed_px
    assert dice == 0.95
    assert num_passes <= 22


def test_growing_100_px_takes_the_bracket_a_third_of_the_passes():
    probe = toys.far_trial()
    passes = {
        name: toys.drive(search(probe), lambda region: _reaches(probe, region) >= 100)[1]
        for name, search in GROWTHS.items()
    }
    assert passes["bracket"] <= 16
    assert passes["first"] >= 34
    assert passes["dilation"] >= 34


@settings(max_examples=25, deadline=None)
@given(st.lists(st.booleans(), min_size=210, max_size=210), st.sampled_from(sorted(GROWTHS)))
def test_where_it_rises_and_falls_the_result_still_suffices(windows, name):
    probe = toys.far_trial(size=150)

    def suffices(region):
        return bool(region.all()) or windows[int(_reaches(probe, region))]

    (region, _, _), _ = toys.drive(GROWTHS[name](probe), suffices)
    assert suffices(region)


def test_first_stops_at_the_first_step_that_suffices():
    probe = toys.far_trial()

    def suffices(region):
        return 41 <= _reaches(probe, region) < 44 or _reaches(probe, region) > 80

    (_, growth_px, _), _ = toys.drive(GROWTHS["first"](probe), suffices)
    assert growth_px == 42
    (_, growth_px, _), _ = toys.drive(GROWTHS["bracket"](probe), suffices)
    assert growth_px > 80


@pytest.mark.parametrize("name", GROWTHS)
def test_the_edge_is_grown_first(name):
    probe = toys.far_trial(edge_px=4)
    (region, growth_px, _), num_passes = toys.drive(GROWTHS[name](probe), lambda region: True)
    assert growth_px == 4
    assert torch.equal(region, distance_px(probe.target.region) <= 4)
    assert num_passes == (1 if name == "jumps" else 2)  # once to search, once alone


@pytest.mark.parametrize("name", [name for name in GROWTHS if name != "jumps"])  # all alone
def test_an_answer_that_does_not_hold_alone_is_not_returned(name):
    probe = toys.far_trial()
    asked_alone = []

    def reply(query):
        asked_alone.append(query.alone)
        unlucky = query.alone and asked_alone.count(True) == 1
        return [0.1 if unlucky else 0.95 for _ in query.regions]

    (region, growth_px, _), _ = toys.drive(GROWTHS[name](probe), reply=reply)
    assert growth_px > 0
    assert asked_alone.count(True) == 2
    assert bool(region[probe.target.region].all())


@pytest.mark.parametrize(
    ("growth", "growth_px"), [("dilation", 12), ("first", 12), ("bracket", 10)]
)
def test_regions_are_found_in_3d_and_for_several_trials_at_once(growth, growth_px):
    model = toys.model_of(toys.Beacon())
    image = toys.beacon_image(3)
    target = misure.predicted_target(model, image, 1)
    probes = [Probe(target, make_presentations(model, image), t) for t in (0.9, 1.0)]
    for found in find_sufficient_regions(model, probes, growth=growth):
        assert (found.growth_px, found.dice, found.growth) == (growth_px, 1.0, growth)
