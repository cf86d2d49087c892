"""What hiding the surroundings of a target does, on networks whose answer is known."""

import pytest
import torch
from torch import nn

import misure
from misure._util.records import decode, encode
from misure.explanation.answers.effects import ContextEffectsRecord
from misure.explanation.answers.elsewhere import elsewhere
from misure.explanation.answers.pieces import Piece, divide
from misure.images.regions import distance_px
from toys import (
    Beacon,
    Constant,
    Overlap,
    OwnBrightness,
    Pair,
    beacon_window,
    model_of,
    square_image,
)


@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_hiding_the_beacon_loses_everything_and_a_control_nothing(num_dimensions):
    model, image = model_of(Beacon()), Beacon.image(num_dimensions)
    result = misure.context_effects(model, image, 1, num_superpixels=12, num_controls=2)
    beacon = torch.zeros(image.shape[1:], dtype=torch.bool)
    beacon[beacon_window(num_dimensions)] = True
    for effect in result.effects:
        hides_beacon = bool((result.region(effect) & beacon).any())
        assert effect.effect == (1.0 if hides_beacon else 0.0)
        assert not (result.region(effect) & result.target.region).any()
    strongest = result.strongest
    assert strongest.kind == "superpixel"
    assert strongest.dice == 0
    assert (result.map()[beacon] == 1).all()
    assert torch.isnan(result.map()[result.target.region]).all()
    passes = 1 + sum(1 + len(effect.control_dices) for effect in result.effects)
    assert result.cost.forward_passes == passes


@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_hiding_the_class_that_a_class_needs(num_dimensions):
    model = model_of(Pair(), class_names=("background", "rider", "horse"))
    image = Pair.image(num_dimensions)
    result = misure.context_effects(model, image, "rider", num_superpixels=0, spacing_mm=None)
    horse = result.strongest
    assert (horse.kind, horse.name, horse.class_index) == ("class", "the horse", 2)
    assert (horse.dice, horse.effect, horse.share_left, horse.added) == (0, 1, 0, 0)
    assert horse.control_dices == (1.0, 1.0, 1.0)
    assert horse.beyond_chance == 1
    where = (22,) * num_dimensions
    distances = (torch.nonzero(result.target.region) - torch.tensor(where)).float().norm(dim=1)
    assert horse.distance_px == pytest.approx(float(distances.min()))
    assert result.sentence().startswith("With the horse hidden (")
    assert "0 % of the rider is left (Dice 0.00); as large a region elsewhere leaves 1.00" in (
        result.sentence()
    )
    of_horse = misure.context_effects(model, image, "horse", num_superpixels=4)
    assert {effect.effect for effect in of_horse.effects} == {0.0}
    assert of_horse.sentence().startswith("Hidden one at a time, none of 5 parts")
    assert "more than 0.00 of the Dice of the horse" in of_horse.sentence()


@pytest.mark.parametrize("toy", [OwnBrightness, Constant])
@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_no_effect_where_nothing_around_is_needed(toy, num_dimensions):
    result = misure.context_effects(model_of(toy()), toy.image(num_dimensions), 1)
    assert {effect.effect for effect in result.effects} == {0.0}
    assert {dice for effect in result.effects for dice in effect.control_dices} == {1.0}
    covered = sum(
        result.region(effect).int() for effect in result.effects if effect.kind == "superpixel"
    )
    assert (covered + result.target.region.int() == 1).all()


def test_spacing_turns_distances_into_millimetres():
    image = Pair.image(3)
    model = model_of(Pair())
    far = misure.context_effects(model, image, 1, num_superpixels=0, spacing_mm=(3, 1, 1)).strongest
    # from voxel 14 to voxel 22 on each axis, the first of them three times as long
    assert far.distance_mm == pytest.approx((24**2 + 8**2 + 8**2) ** 0.5, rel=1e-5)


def test_only_the_part_outside_an_overlapping_target_is_hidden():
    model, image = Overlap.model(), Overlap.image(12)
    core = misure.context_effects(model, image, "core", num_superpixels=0)
    (whole,) = [effect for effect in core.effects if effect.kind == "class"]
    assert whole.name == "the whole"
    assert whole.area_fraction == (64 - 9) / 144
    assert whole.effect == 0
    (background,) = [effect for effect in core.effects if effect.kind == "background"]
    assert background.area_fraction == (144 - 64) / 144
    of_whole = misure.context_effects(model, image, "whole", num_superpixels=0)
    assert [effect.kind for effect in of_whole.effects] == ["background"]
    assert of_whole.strongest is None
    assert of_whole.sentence().startswith("Nothing was hidden")


def test_other_objects_of_the_class_are_parts_and_in_no_dice():
    image = torch.zeros(1, 30, 30)
    image[0, 2:8, 2:8], image[0, 20:24, 20:24] = 1, 1
    model = model_of(OwnBrightness(), class_names=("background", "cell"))
    target = misure.predicted_target(model, image, 1, instance=0)
    result = misure.context_effects(model, image, target, num_superpixels=0)
    (rest,) = [effect for effect in result.effects if effect.kind == "class"]
    assert (rest.name, rest.dice, rest.added) == ("the rest of the cell", 1.0, 0.0)


def test_a_network_of_one_channel_has_a_background():
    class OneChannel(nn.Module):
        def forward(self, images):
            return images[:, :1] - 0.5

    result = misure.context_effects(model_of(OneChannel()), square_image(), 1, num_superpixels=4)
    assert {effect.kind for effect in result.effects} == {"background", "superpixel"}
    assert {effect.effect for effect in result.effects} == {0.0}


def test_a_control_that_fits_nowhere_is_none():
    image = torch.zeros(2, 30, 30)
    image[0, 10:15, 10:15] = 1
    image[1, 20:] = 1
    model = model_of(Pair(), class_names=("background", "rider", "horse"))
    result = misure.context_effects(model, image, "rider", num_superpixels=0)
    assert result.strongest.control_dice is None
    assert "fits nowhere else" in result.sentence()


def test_what_chance_does_as_well_is_said_to_be_chance():
    class Fragile(nn.Module):  # any dark pixel of the second channel loses the target
        def forward(self, images):
            lit = images[:, 1:2].flatten(1).amin(1).view(-1, 1, 1, 1) - 0.5
            own = torch.minimum(images[:, :1] - 0.5, lit)
            return torch.cat([torch.zeros_like(own), own], 1)

    image = square_image(2, num_channels=2)
    image[1] = 1
    result = misure.context_effects(model_of(Fragile()), image, 1, num_superpixels=6)
    assert result.strongest.effect == 1
    assert result.strongest.beyond_chance == 0
    assert "so this may be chance" in result.sentence()


def test_without_controls_it_is_not_said_that_none_fits():
    result = misure.context_effects(model_of(Beacon()), Beacon.image(), 1, num_controls=0)
    assert result.strongest.effect == 1
    assert "as large a region elsewhere was not tried" in result.sentence()


def test_the_same_seed_gives_the_same_and_it_survives_json():
    model, image = model_of(Beacon()), Beacon.image()
    first, again = (misure.context_effects(model, image, 1, seed=3) for _ in range(2))
    assert first.effects == again.effects
    record = first.record()
    assert decode(encode(record), ContextEffectsRecord, "effects") == record


def test_several_baseline_images_are_averaged():
    model, image = model_of(OwnBrightness()), OwnBrightness.image()
    white = torch.ones(1, 1, 1)  # makes whatever is hidden foreground, which does not count
    result = misure.context_effects(model, image, 1, num_superpixels=0, baseline_image=white)
    (all_else,) = result.effects
    assert (all_else.dice, all_else.share_left, all_else.added) == (1, 1, 0)
    both = misure.context_effects(model, image, 1, num_superpixels=0, baseline_image="mean,black")
    assert both.cost.forward_passes == 3
    assert both.effects[0].dice == 1


@pytest.mark.parametrize("max_passes", [2, 3, 10, 40, 200])
def test_max_passes_is_a_hard_total(max_passes):
    model, image = model_of(Pair(), class_names=("background", "rider", "horse")), Pair.image()
    result = misure.context_effects(model, image, "rider", max_passes=max_passes)
    assert result.cost.forward_passes <= max_passes
    assert result.strongest.name == "the horse"
    num_superpixels = sum(effect.kind == "superpixel" for effect in result.effects)
    assert num_superpixels == {2: 0, 3: 0, 10: 7, 40: 24, 200: 24}[max_passes]
    with pytest.raises(misure.InputError, match="expected max_passes of at least 2, got 1"):
        misure.context_effects(model, image, "rider", max_passes=1)


def test_bad_arguments_are_named():
    model, image = model_of(OwnBrightness()), OwnBrightness.image()
    with pytest.raises(misure.InputError, match="context_effects: expected num_controls"):
        misure.context_effects(model, image, 1, num_controls=-1)
    target = misure.predicted_target(model, image, 1)
    with pytest.raises(misure.InputError, match="Take it from this image"):
        misure.context_effects(model, image[:, 1:], target)


@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_a_division_covers_a_region_with_connected_pieces_of_one_colour(num_dimensions):
    region = torch.ones([24] * num_dimensions, dtype=torch.bool)
    region[0] = False
    image = torch.zeros(1, *region.shape)
    image[..., 12:] = 1
    pieces = divide(region, 8, image=image, seed=1)
    assert 4 <= len(pieces) <= 8
    assert (sum(piece.region(region.shape).int() for piece in pieces) == region.int()).all()
    for piece in pieces:
        colours = image[0][piece.region(region.shape)]
        assert colours.min() == colours.max()
    assert divide(torch.zeros_like(region), 8) == []


def test_places_elsewhere_touch_nothing_forbidden():
    forbidden = torch.zeros(7, 7, dtype=torch.bool)
    forbidden[:, 3] = True
    piece = Piece.of(forbidden.new_ones(2, 2))
    places = piece.places_elsewhere(forbidden.numpy()).tolist()
    assert places == [[row, column] for row in range(6) for column in (0, 5)]


@pytest.mark.parametrize("large_px", [0, 10**6])  # places drawn and looked at, or all counted
def test_the_form_elsewhere_touches_nothing_and_lies_as_far_as_it_can(large_px, monkeypatch):
    monkeypatch.setattr("misure.explanation.answers.elsewhere._LARGE_PX", large_px)
    target = torch.zeros(36, 36, 36, dtype=torch.bool)
    target[10:20, 10:20, 10:20] = True
    own = torch.zeros_like(target)
    own[10:16, 10:16, 20:24] = True  # a neighbour
    distance = distance_px(target).numpy()
    near = elsewhere(Piece.of(own), target.numpy(), distance, 2, [0])
    assert len(near) == 2
    for piece in near:
        assert piece.num_px == int(own.sum())
        assert piece.least(distance) > 1
        assert piece.least(distance_px(own).numpy()) > 1
    everywhere = elsewhere(Piece.of(own), target.numpy(), distance, 16, [0])
    least = sorted(piece.least(distance) for piece in everywhere)
    assert [piece.least(distance) for piece in near] == least[:2]
    fits_nowhere = torch.zeros_like(target)
    fits_nowhere[20:] = True
    assert elsewhere(Piece.of(fits_nowhere), target.numpy(), distance, 2, [0]) == []
