"""Which places are needed in which channel, on networks whose answer is known."""

import numpy as np
import pytest
import torch

import misure
from misure._util.records import decode, encode
from misure.explanation.answers.channel_regions import ChannelRegionsRecord
from misure.explanation.presentation import make_presentations
from toys import Beacon, ByChannel, Constant, left_and_right, model_of

FAST = {"preset": "sufficient_region"}
IN_2D_AND_3D = [2, pytest.param(3, marks=pytest.mark.slow)]


def block(num_dimensions):
    return ByChannel.image(num_dimensions)[0] > 0


@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_a_network_of_two_halves_needs_each_channel_in_its_half(num_dimensions):
    model = model_of(ByChannel(left_and_right))
    image = ByChannel.image(num_dimensions, 3)
    found = misure.channel_regions(
        model, image, 1, cell_px=1, dice_threshold=1, max_passes=2000, **FAST
    )
    left = block(num_dimensions).clone()
    left[..., 10:] = False
    wanted = torch.stack([left, block(num_dimensions) & ~left, torch.zeros_like(left)])
    assert torch.equal(found.region, wanted)
    assert found.dice == 1
    assert found.is_one_minimal
    assert [part.share for part in found.parts] == [0.5, 0.5, 0]
    assert (
        "channel 0 in 50.0 % of it, channel 1 in 50.0 % of it, channel 2 nowhere"
        in found.sentence()
    )


@pytest.mark.parametrize("num_dimensions", IN_2D_AND_3D)
def test_a_beacon_is_needed_in_its_channel_alone(num_dimensions):
    model, image = model_of(Beacon()), Beacon.image(num_dimensions)
    explanation = misure.explain(model, image, 1, dice_threshold=1, preset="smallest")
    found = misure.channel_regions(
        model, image, 1, explanation=explanation, cell_px=1, max_passes=2000
    )
    assert torch.equal(found.region.int().sum(0) > 0, Beacon.needed(num_dimensions))
    assert torch.equal(found.region, image > 0)
    assert found.is_one_minimal
    assert found.cost.pass_equivalents < 2000


@pytest.mark.slow
def test_the_region_was_shown_and_its_dice_comes_out_again():
    model, image = model_of(ByChannel(left_and_right)), ByChannel.image(2, 3)
    image += 0.1 * torch.rand(image.shape, generator=torch.Generator().manual_seed(0))
    found = misure.channel_regions(
        model, image, 1, dice_threshold=0.8, baseline_image="filled,noise", edge_px=1, **FAST
    )
    assert 0.8 <= found.dice < 1 or found.dice == 1
    ways = make_presentations(
        model, image, baseline_image="filled,noise", edge_px=1, seed=found.seed
    )
    dices = []
    for way in ways:
        logits = model(way.show_regions([found.region]))
        dices.append(found.target.dice(model.class_region(logits, 1)[0]))
    assert min(dices) == pytest.approx(found.dice)
    outside = found.region & ~found.minimally_sufficient_region
    assert not outside.any()
    assert found.region.sum() < 3 * found.minimally_sufficient_region.sum()


def test_hidden_places_are_filled_in_from_their_own_channel():
    image = torch.stack([torch.full((8, 8), float(level)) for level in (1, 5)])
    (way,) = make_presentations(model_of(Constant()), image, baseline_image="filled")
    region = torch.ones(2, 8, 8, dtype=torch.bool)
    region[0, :4], region[1] = False, False
    shown = way.show_regions([region])[0]
    assert torch.equal(shown[0], image[0])  # from the rest of channel 0
    assert torch.equal(shown[1], torch.zeros(8, 8))  # nothing of it is shown: the mean of the model
    both = region[0].expand(2, 8, 8)
    assert torch.equal(way.show_regions([both]), way.show_regions([region[0]]))


@pytest.mark.parametrize("edge_px", [0, 2])
def test_one_region_for_all_channels_is_shown_as_ever(edge_px):
    image = torch.rand(3, 12, 12, generator=torch.Generator().manual_seed(1))
    for kind in ("mean", "filled", "blurred"):
        (way,) = make_presentations(
            model_of(Constant()), image, baseline_image=kind, edge_px=edge_px
        )
        region = torch.zeros(12, 12, dtype=torch.bool)
        region[3:9, 2:7] = True
        by_channel = region.expand(3, 12, 12)
        assert torch.allclose(way.show_regions([by_channel]), way.show_regions([region]), atol=1e-6)


def test_a_network_that_ignores_the_image_needs_no_place():
    found = misure.channel_regions(model_of(Constant()), ByChannel.image(), 1)
    assert not found.region.any()
    assert found.sentence().startswith("The model draws class 1 with every channel hidden")


def test_a_budget_is_kept_and_an_unfinished_search_says_so():
    model, image = model_of(ByChannel(left_and_right)), ByChannel.image(2, 3)
    explanation = misure.explain(model, image, 1, preset="quick")
    for budget in (2, 5, 9, 20, 60):
        found = misure.channel_regions(
            model, image, 1, explanation=explanation, cell_px=1, max_passes=budget
        )
        assert found.cost.pass_equivalents <= budget
        assert found.dice >= 0.9
    assert not misure.channel_regions(
        model, image, 1, explanation=explanation, cell_px=1, max_passes=9
    ).is_one_minimal


def test_it_is_saved_and_its_record_survives_json(tmp_path):
    found = misure.channel_regions(
        model_of(ByChannel(left_and_right), channel_names="t1,t2"), ByChannel.image(2, 2), 1, **FAST
    )
    record = found.record("a.png")
    assert decode(encode(record), ChannelRegionsRecord, "regions") == record
    found.save(tmp_path / "channels.npz")
    with np.load(tmp_path / "channels.npz") as arrays:
        assert (arrays["region"] == found.region.numpy()).all()
        assert arrays["target"].shape == (20, 20)


def test_bad_arguments_are_refused():
    model, image = model_of(ByChannel(left_and_right)), ByChannel.image(2, 3)
    with pytest.raises(misure.InputError, match="channel_regions: expected an image of two chan"):
        misure.channel_regions(model_of(ByChannel(lambda c: c[0])), image[:1], 1)
    with pytest.raises(misure.InputError, match="cell_px of 0 or more, got -1"):
        misure.channel_regions(model, image, 1, cell_px=-1)
    explanation = misure.explain(model, image, 1, preset="quick")
    with pytest.raises(misure.InputError, match="max_passes of 2 or more, got 1"):
        misure.channel_regions(model, image, 1, explanation=explanation, max_passes=1)
    with pytest.raises(misure.InputError, match="whose region suffices for this target, got Dice"):
        misure.channel_regions(model, 0.6 * image[:, :10].repeat(1, 2, 1) + 0.2 * image, 1,
                               explanation=explanation)  # fmt: skip
