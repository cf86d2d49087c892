"""Small changes of what is shown: the draws, and regions that have to hold under them."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

import misure
import toys
from misure.explanation.changes import Noise, OtherPresentation, Shift, SmallChanges, SoftEdge
from misure.explanation.growth import SufficientRegion
from misure.explanation.presentation import make_presentations
from misure.explanation.presets import PRESETS, make_preset
from misure.explanation.probe import Account, Probe
from misure.explanation.reduction import hold_under_changes, smallest_that_holds
from misure.explanation.run_searches import run_searches


class EvenColumns(nn.Module):
    """A pixel is foreground if an even column is bright there or right beside.

    So the even columns of a bright thing suffice; moved by one column they show it nothing.
    """

    def forward(self, images: Tensor) -> Tensor:
        even = torch.arange(images.shape[-1]) % 2 == 0
        seen = nn.functional.pad(images.where(even, 0.0), (1, 1))
        return seen.unfold(-1, 3, 1).amax(-1) - 0.2


class LeftHalf(nn.Module):
    """Bright pixels of the first ten columns are foreground."""

    def forward(self, images: Tensor) -> Tensor:
        return images - 0.5 - (torch.arange(images.shape[-1]) > 10).float()


class HardEdges(nn.Module):
    """Bright pixels are foreground unless some pixel is far from 0, from 0.4 and from 1."""

    def forward(self, images: Tensor) -> Tensor:
        apart = torch.stack([(images - value).abs() for value in (0.0, 0.4, 1.0)]).amin(0)
        impure = apart > 0.05
        return images - 0.75 - impure.flatten(1).any(1).float().view(-1, 1, 1, 1)


def _probe(net: nn.Module, image: Tensor, **options) -> tuple[misure.SegmentationModel, Probe]:
    model = toys.model_of(net)
    target = misure.segment(model, image).target(1)
    presentations = make_presentations(model, image, baseline_image="black")
    return model, Probe(target, presentations, **options)


def _bright(num_dimensions: int) -> Tensor:
    image = torch.zeros(1, *[24] * num_dimensions)
    image[(..., *[slice(4, 20)] * num_dimensions)] = 1.0
    return image


def _even(num_dimensions: int) -> Tensor:
    region = _bright(num_dimensions)[0].bool()
    region[..., 1::2] = False
    return region


def _run(model, probe, search, account=None):
    account = account or Account()
    with model.counting() as spent:
        (found,) = run_searches(model, [probe], [search], doing="", accounts=[account])
    assert account.cost.pass_equivalents == spent.pass_equivalents
    return found, spent.forward_passes


@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_a_shift_moves_everything_by_one_pixel_and_repeats_the_edge(num_dimensions):
    image = toys.random_image(0, num_dimensions, size=6)
    for axis in range(-num_dimensions, 0):
        lines = image.unbind(axis)
        later = torch.stack([lines[0], *lines[:-1]], axis)
        sooner = torch.stack([*lines[1:], lines[-1]], axis)
        assert torch.equal(Shift(axis, 1).region(image), later)
        assert torch.equal(Shift(axis, -1).region(image), sooner)
    _, probe = _probe(toys.OwnBrightness(), _bright(num_dimensions))
    moved = probe.under(Shift(-1, 1))
    assert moved.target.region[..., 5:21].sum() == 16**num_dimensions
    assert torch.equal(moved.presentations[0].image[0] > 0.5, moved.target.region)


def test_noise_is_one_percent_of_the_range_and_the_edge_is_softer():
    image = 40 + 10 * torch.rand(3, 64, 64)
    model = toys.model_of(toys.Constant())
    (way,) = make_presentations(model, image, baseline_image="black", edge_px=1)
    noise = Noise(3).presentation(way).image - image
    assert noise.std().item() == pytest.approx(0.1, rel=0.05)
    assert torch.equal(Noise(3).presentation(way).image, image + noise)
    assert not torch.equal(Noise(4).presentation(way).image, image + noise)
    assert SoftEdge(2).presentation(way).edge_px == 3


@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_a_search_draws_anew_for_each_region_and_never_what_is_held_out(num_dimensions):
    model, probe = _probe(toys.OwnBrightness(), _bright(num_dimensions))
    image = _bright(num_dimensions)
    others = make_presentations(model, image, baseline_image="mean,blurred,noise")
    shifts = {Shift(-1 - axis, step) for axis in range(num_dimensions) for step in (1, -1)}
    for seed in range(3):
        changes = SmallChanges(probe.target, others, seed)
        again = SmallChanges(probe.target, others, seed)
        assert changes.held_out == again.held_out
        assert [*changes.held_out] == ["shift", "noise", "baseline_image", "soft_edge"]
        assert changes.held_out["soft_edge"] == SoftEdge(2)
        by_region = []
        for width in range(1, 12):
            region = torch.zeros_like(probe.target.region)
            region[..., :width] = True
            own = [changes.draw(region, i) for i in range(8)]
            assert own == [again.draw(region, i) for i in range(8)]
            for four in (own[:4], own[4:]):  # each kind once, then each again
                kinds = {type(one) for one in four}
                assert kinds == {Shift, Noise, SoftEdge, OtherPresentation}
            assert not set(own) & set(changes.held_out.values())
            by_region.append(own)
        assert len({tuple(own) for own in by_region}) == 11
        drawn = {one for own in by_region for one in own if isinstance(one, Shift)}
        assert drawn == shifts - {changes.held_out["shift"]}


def test_a_shift_leaves_something_of_the_target():
    line = torch.zeros(8, 8, dtype=torch.bool)
    line[-1] = True
    target = misure.Target(1, line, torch.zeros_like(line))
    for seed in range(8):
        changes = SmallChanges(target, (), seed)
        drawn = [changes.draw(line, i) for i in range(12)]
        assert Shift(-2, 1) not in [*drawn, *changes.held_out.values()]


@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_a_region_that_suffices_at_this_pixel_alone_does_not_hold(num_dimensions):
    """Even columns suffice; they hold under all but a shift by one column. The thing holds."""
    outcomes = []
    for seed in range(10):
        model, probe = _probe(EvenColumns(), _bright(num_dimensions), num_changes=3, seed=seed)
        thing, even = _bright(num_dimensions)[0].bool(), _even(num_dimensions)
        drawn = [probe.changes.draw(even, i) for i in range(3)]
        is_fatal = [isinstance(one, Shift) and one.axis == -1 for one in drawn]
        held, passes = _run(model, probe, hold_under_changes(probe, [even, thing]))
        assert held == [not any(is_fatal), True]
        shown = is_fatal.index(True) + 1 if any(is_fatal) else 3
        assert passes == shown + 3
        outcomes.append(held[0])
        fallback = SufficientRegion(torch.ones_like(thing), 9.0, 1.0, "first")
        (region, dice), passes = _run(
            model, probe, smallest_that_holds(probe, [even, thing], fallback)
        )
        assert torch.equal(region, even if held[0] else thing)
        assert (dice, passes) == (1.0, 1 if held[0] else 2)  # the rest is known
    assert {*outcomes} == {True, False}


@pytest.mark.parametrize("preset", ["readable", "smallest", "quick"])
def test_where_nothing_holds_under_changes_the_sufficient_region_is_returned(preset):
    """With a soft edge only the whole image is left as it is: no smaller region can hold."""
    image = 0.4 + 0.6 * _bright(2)
    explanation = misure.explain(
        toys.model_of(HardEdges()), image, 1, preset=preset, num_changes=4, baseline_image="black"
    )
    sufficient = explanation.sufficient_region
    assert torch.equal(explanation.minimally_sufficient_region, sufficient)
    assert not sufficient.all()
    assert explanation.dice == 1
    assert not explanation.is_reduced
    assert explanation.dice_under_small_changes["soft_edge"] == 0


def test_a_region_need_not_hold_better_than_the_whole_image():
    """The network loses a column of what moves: the whole image keeps a Dice of 0.8 with it."""
    image = torch.zeros(1, 16, 16)
    image[0, 4:12, 8:15] = 1.0
    for seed in range(60):
        model, probe = _probe(LeftHalf(), image, num_changes=2, seed=seed)
        thing = probe.target.region
        drawn = [probe.changes.draw(thing, i) for i in range(2)]
        if drawn[0] == Shift(-1, 1) and isinstance(drawn[1], Noise):
            break
    assert thing.sum() == thing[4:12, 8:11].sum() == 24
    held, passes = _run(model, probe, hold_under_changes(probe, [thing]))
    assert (held, passes) == ([True], 3)
    assert {round(dice, 6) for dice in probe.changes.known.values()} == {1.0, 0.8}
    fresh, account = replace(probe), Account(limit=1)
    held, passes = _run(model, fresh, hold_under_changes(fresh, [thing], account), account)
    assert (held, passes, account.was_short) == ([False], 1, True)


def test_no_changes_take_no_pass():
    model, probe = _probe(EvenColumns(), _bright(2))
    assert _run(model, probe, hold_under_changes(probe, [_even(2)])) == ([True], 0)


@pytest.mark.parametrize("preset", [*PRESETS])
def test_every_search_shows_its_result_under_changes_within_its_budget(preset):
    image = _bright(2)
    model = toys.model_of(EvenColumns())
    target = misure.segment(model, image).target(1)
    least, without = (
        make_preset(preset, {"baseline_image": "black", "num_changes": num}).least_passes
        for num in (2, 0)
    )
    assert least == without + 4
    for max_passes in (least, 3 * least):
        with model.counting() as spent:
            found = misure.explain(
                model, image, target, preset=preset, num_changes=2, max_passes=max_passes,
                baseline_image="black", seed=1,
            )  # fmt: skip
        assert found.cost.pass_equivalents == spent.pass_equivalents <= max_passes
        assert found.dice >= 0.9


@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_the_region_is_shown_under_the_changes_that_no_search_has_seen(num_dimensions):
    model = toys.model_of(toys.random_network(4, num_dimensions))
    image = toys.random_image(4, num_dimensions, size=12)
    segmentation = misure.segment(model, image)
    target = segmentation.target(segmentation.found_classes()[0].class_index)
    with model.counting() as spent:
        found = misure.explain(
            model, image, target, preset="sufficient_region", num_minimality_tests=0, seed=3
        )
    assert found.cost.pass_equivalents == spent.pass_equivalents
    held_out = SmallChanges(target, (), 3).held_out
    assert [*found.dice_under_small_changes] == ["shift", "noise", "soft_edge"]
    assert [*found.whole_image_under_small_changes] == ["shift", "noise"]
    (way,) = make_presentations(model, image)
    small, everything = found.minimally_sufficient_region, torch.ones_like(target.region)
    for region, dices in (
        (small, found.dice_under_small_changes),
        (everything, found.whole_image_under_small_changes),
    ):
        for kind, dice in dices.items():
            change = held_out[kind]
            with torch.no_grad():
                shown = change.presentation(way).show_regions([change.region(region)])
                assert change.target(target).dice_of_logits(model(shown))[0] == dice
