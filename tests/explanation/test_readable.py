"""The search for few, broad parts, and what it is made of."""

from itertools import chain

import pytest
import torch
from torch import nn
from torch.nn.functional import softplus

import misure
import toys
from misure.explanation.response import Response
from misure.explanation.sample import sample_pixels
from misure.explanation.units import Units, compact_groups, scattered_groups
from misure.images.regions import broad_parts, component_numbers, dice, distance_px


class Scene(nn.Module):
    """Draws the bright square where it is bright itself, and only while a far block is seen."""

    def forward(self, x):
        block = x[:, :1, 48:60, 4:16].mean((2, 3), keepdim=True)
        own = x[:, :1] - 0.5
        return torch.cat([torch.zeros_like(own), own - 2 * (block < 0.3)], dim=1)


def scene_image():
    image = torch.full((1, 64, 64), 0.1)
    image[:, 8:32, 30:54] = 1.0
    image[:, 48:60, 4:16] = 0.8
    return image


def explained(preset="readable", **options):
    model = toys.model_of(Scene())
    return misure.explain(model, scene_image(), 1, preset=preset, **options)


def squares_of(region, side):
    """The union of all squares inside a region, by the definition."""
    found = torch.zeros_like(region)
    for row in range(region.shape[0] - side + 1):
        for column in range(region.shape[1] - side + 1):
            window = (slice(row, row + side), slice(column, column + side))
            if bool(region[window].all()):
                found[window] = True
    return found


def test_the_region_is_broad_has_few_parts_and_was_shown():
    found = explained(max_passes=90)
    region = found.minimally_sufficient_region
    assert torch.equal(squares_of(region, 2), region)  # 1/32 of 64 px
    assert found.num_parts <= 10
    assert found.values.minimally_sufficient_region.grain_px == 2
    shown = torch.where(region, scene_image(), 0.0)
    drawn = Scene()(shown[None])[0].argmax(0) == 1
    assert dice(drawn, found.target.region) == found.dice >= 0.9
    assert bool(region[48:60, 4:16].any())  # the block that the square needs
    assert found.cost.pass_equivalents <= 120


def test_the_search_leaves_out_what_the_target_does_not_need():
    found = explained(max_passes=200)
    needed = found.target.region.float().mean() + 144 / 64**2
    assert found.minimally_sufficient_region.float().mean() < 1.1 * needed
    assert not bool(found.minimally_sufficient_region[:, 54:].any())


def test_fewer_parts_and_a_coarser_grain_can_be_asked_for():
    found = explained(max_passes=90, max_parts=1, grain_px=6)
    region = found.minimally_sufficient_region
    assert found.num_parts == 1
    assert torch.equal(squares_of(region, 6), region)
    with pytest.raises(misure.InputError, match="max_parts"):
        explained(max_parts=0)


def test_forward_passes_are_enough():
    found = explained(max_passes=90)
    assert found.cost.backward_passes == 0
    assert found.values.minimally_sufficient_region.stopped_by == "max_passes"


def test_a_target_thinner_than_the_grain_is_shown_in_a_broader_region():
    model = toys.model_of(toys.OwnBrightness())
    image = torch.zeros(1, 64, 64)
    image[:, 20, 10:50] = 1.0
    found = misure.explain(model, image, 1, preset="readable", grain_px=4, max_passes=80)
    region = found.minimally_sufficient_region
    assert found.dice >= 0.9
    assert torch.equal(squares_of(region, 4), region)
    assert found.dice == dice(found.target.region & region, found.target.region)


def test_where_no_broad_region_suffices_the_sufficient_region_is_returned():
    found = explained(max_passes=260, max_content_dice=0.0)  # the outline alone is drawn
    assert found.dice >= 0.9
    assert torch.equal(found.minimally_sufficient_region, found.sufficient_region)
    assert not found.is_reduced


def test_broad_parts_by_the_definition():
    generator = torch.Generator().manual_seed(0)
    for side in (1, 2, 3, 5):
        region = torch.rand(20, 30, generator=generator) < 0.9
        opened = broad_parts(region, side, 1000)
        assert torch.equal(opened, squares_of(region, side))
        assert torch.equal(broad_parts(opened, side, 1000), opened)
    everything = torch.ones(7, 9, dtype=torch.bool)
    assert torch.equal(broad_parts(everything, 20, 1), everything)
    assert not broad_parts(~everything, 3, 4).any()


def test_broad_parts_keeps_the_largest_and_takes_voxels_as_they_are():
    region = torch.zeros(30, 30, dtype=torch.bool)
    region[:5, :5] = region[10:20, 10:20] = region[25:28, 25:28] = True
    kept = broad_parts(region, 3, 2)
    assert component_numbers(kept).max() == 2
    assert not kept[25:, 25:].any()
    volume = torch.zeros(6, 12, 12, dtype=torch.bool)
    volume[1:3, 2:6, 2:6] = True
    assert broad_parts(volume, 4, 5, (2.0, 1.0, 1.0)).sum() == 32
    assert not broad_parts(volume, 4, 5).any()


@pytest.mark.parametrize("sampling", [None, (3.0, 1.0, 1.0)])
def test_units_are_a_partition_that_the_outline_cuts(sampling):
    target = torch.zeros(20, 32, 32, dtype=torch.bool)
    target[6:12, 10:19, 8:15] = True
    distance = distance_px(target, sampling)
    units = Units(target, distance, 16, sampling)
    assert units.numbers.min() == 0
    assert torch.equal(torch.bincount(units.numbers.flatten()).float(), units.num_px)
    shares = units.shares(target)
    assert bool(((shares == 0) | (shares == 1)).all())
    inside = (shares == 1).nonzero().flatten().tolist()
    assert torch.equal(units.region(inside, target), target)
    assert torch.all(units.distances[inside] == 0)
    near, far = units.distances < 0.1, units.distances > 0.4
    assert units.num_px[near & (shares == 0)].mean() < units.num_px[far].mean()


@pytest.mark.parametrize(
    ("shape", "side"), [((80, 120), 80), ((40, 250), 5000**0.5), ((100, 100, 5), 25000 ** (1 / 3))]
)
def test_a_long_or_flat_image_has_not_many_more_units_than_a_square(shape, side):
    target = torch.zeros(shape, dtype=torch.bool)
    target[(slice(2, 4),) * len(shape)] = True
    units = Units(target, distance_px(target), 16)
    assert units.side == pytest.approx(side)
    assert len(units.num_px) < 3 * 8 ** len(shape)


def test_groups_hold_every_unit_once_compact_or_scattered():
    target = torch.zeros(64, 64, dtype=torch.bool)
    target[20:44, 20:44] = True
    units = Units(target, distance_px(target), 16)
    chosen = list(range(0, len(units.num_px), 2))
    spreads = []
    for divide in (compact_groups, scattered_groups):
        groups = divide(units, chosen, 9, torch.Generator().manual_seed(0))
        assert sorted(chain.from_iterable(groups)) == chosen
        assert len(groups) <= 9
        several = [units.centres[group] for group in groups if len(group) > 1]
        spreads.append(torch.stack([torch.pdist(one).min() for one in several]).mean())
    assert spreads[1] > 2 * spreads[0]


def test_a_sample_of_all_pixels_gives_the_dice_itself():
    target = torch.zeros(12, 12, dtype=torch.bool)
    target[3:9, 2:8] = True
    ignored = torch.zeros_like(target)
    ignored[0] = True
    sample = sample_pixels(target, ignored)
    assert not bool((sample.indices < 12).any())
    assert bool(target.flatten()[sample.indices[sample.wanted > 0]].all())
    drawn = torch.zeros_like(target)
    drawn[3:9, 4:10] = True
    margins = torch.where(drawn.flatten()[sample.indices], 1.0, -1.0)
    sure = torch.full_like(margins, 1e-3)
    assert sample.expected_scores(margins[None], sure[None])[0] == pytest.approx(
        dice(drawn, target), abs=0.02
    )
    assert sample.deficit(margins) > sample.deficit(3 * sample.wanted) == 0
    right = sample.wanted.clone().requires_grad_()
    loss = (sample.weights * softplus(-sample.wanted * right / 0.5)).sum() / target.sum()
    (slope,) = torch.autograd.grad(loss, right)
    assert torch.allclose(slope, -sample.fall_of_loss(right.detach(), 0.5))


def test_the_response_learns_what_each_unit_does():
    target = torch.zeros(64, 64, dtype=torch.bool)
    target[16:48, 16:48] = True
    sample = sample_pixels(target, torch.zeros_like(target))
    units = Units(target, distance_px(target), 8)
    places = torch.stack(torch.unravel_index(sample.indices, target.shape), 1) / 64
    away = torch.cdist(units.centres, places)
    truth = torch.exp(-((away / 0.1) ** 2)) * torch.linspace(-1, 2, len(away))[:, None]
    response = Response(units, sample, places)
    whole = torch.ones_like(target)

    def margins_of(region):
        return (units.shares(region) @ truth) - 1

    response.add(whole, margins_of(whole))
    inside = (units.shares(target) == 1).nonzero().flatten().tolist()
    for unit in inside:
        region = ~units.region([unit], whole)
        response.add(region, margins_of(region))
    around = response.around(units.shares(whole), margins_of(whole))
    several = inside[::3]
    without = ~units.region(several, whole)
    change = units.shares(without) - units.shares(whole)
    expected = margins_of(whole) + change @ around.effects
    missed = (expected - margins_of(without)).std()
    assert missed < 0.35 * (margins_of(whole) - margins_of(without)).std()
