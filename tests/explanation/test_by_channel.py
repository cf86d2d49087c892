"""Regions by channel as a part of an explanation, on networks whose answer is known."""

import numpy as np
import pytest
import torch

import misure
from misure.explanation.explain import choose_preset
from misure.explanation.presentation import make_presentations
from toys import Beacon, ByChannel, Constant, left_and_right, model_of

EXACT = {"channels": "apart", "dice_threshold": 1, "minimality_cell_px": 1}


def crossed(channels):
    """A rule: channel 2 left of column 10, channel 0 from there on."""
    return left_and_right(torch.stack([channels[2], channels[0]]))


def either(channels):
    return torch.maximum(channels[1], channels[3])


def halves(num_dimensions=2):
    """The block's left half in channel 2 and its right half in channel 0, of four channels."""
    block = ByChannel.image(num_dimensions)[0] > 0
    is_left = torch.arange(20) < 10
    nothing = torch.zeros_like(block)
    return torch.stack([block & ~is_left, nothing, block & is_left, nothing])


@pytest.mark.parametrize(
    "preset", ["quick", *(pytest.param(p, marks=pytest.mark.slow) for p in ("smallest", "paper"))]
)
def test_each_half_is_shown_in_the_channel_that_is_read_there(preset):
    model, image = model_of(ByChannel(crossed)), ByChannel.image()
    found = misure.explain(model, image, 1, preset=preset, **EXACT)
    record = found.values.by_channel
    assert torch.equal(found.minimally_sufficient_region_by_channel, halves())
    block = ByChannel.image()[0] > 0
    wanted = torch.stack([block, block & False, block, block & False])
    assert torch.equal(found.sufficient_region_by_channel, wanted)
    assert [one.growth_px for one in record.channels] == [0, None, 0, None]
    assert (record.dice, record.sufficient_dice) == (1, 1)
    assert (record.is_one_minimal, record.num_blocks, record.stopped_by) == (True, 36, "end")
    assert record.area_fraction == 36 / 1600
    assert (
        "channel 0 in 4.5 %, channel 2 in 4.5 % of the image, channel 1 and channel 3 nowhere"
        in (found.summary())
    )


@pytest.mark.slow
def test_halves_of_a_volume():
    model, image = model_of(ByChannel(crossed)), ByChannel.image(3)
    found = misure.explain(model, image, 1, preset="quick", **EXACT | {"minimality_cell_px": 3})
    assert torch.equal(found.minimally_sufficient_region_by_channel.any(0), image[0] > 0)
    assert not found.minimally_sufficient_region_by_channel[[1, 3]].any()
    assert found.values.by_channel.dice == 1


def test_one_of_two_channels_is_shown_where_either_would_do():
    found = misure.explain(
        model_of(ByChannel(either)), ByChannel.image(), 1, preset="quick", **EXACT
    )
    used = found.minimally_sufficient_region_by_channel.flatten(1).any(1).nonzero().flatten()
    assert used.tolist() in ([1], [3])
    region = found.minimally_sufficient_region_by_channel[used[0]]
    assert torch.equal(region, ByChannel.image()[0] > 0)


@pytest.mark.slow
def test_far_places_of_another_channel_are_found():
    model, image = model_of(Beacon()), Beacon.image(2)
    found = misure.explain(model, image, 1, preset="smallest", channels="apart", dice_threshold=1)
    assert torch.equal(found.minimally_sufficient_region_by_channel, image > 0)
    assert [one.growth_px for one in found.values.by_channel.channels] == [0, None, 10]


def test_a_network_that_ignores_the_image_is_shown_nothing():
    found = misure.explain(
        model_of(Constant()), ByChannel.image(), 1, channels="apart", preset="quick"
    )
    assert not found.minimally_sufficient_region_by_channel.any()
    assert not found.sufficient_region_by_channel.any()
    assert "is drawn with every channel hidden" in found.summary()


def test_both_regions_were_shown_and_their_dice_comes_out_again_on_each_baseline_image():
    model, image = model_of(ByChannel(crossed)), ByChannel.image()
    image += 0.1 * torch.rand(image.shape, generator=torch.Generator().manual_seed(0))
    fills = "filled,noise"
    found = misure.explain(
        model, image, 1, preset="quick", channels="apart", baseline_image=fills, edge_px=1
    )
    record = found.values.by_channel
    regions = found.tensors_by_channel().values()
    dices = (record.sufficient_dice_by_baseline_image, record.dice_by_baseline_image)
    for region, by_name in zip(regions, dices, strict=True):
        assert set(by_name) == {"filled", "noise"}
        for way in make_presentations(model, image, baseline_image=fills, edge_px=1):
            drawn = model.class_region(model(way.show_regions([region])), 1)[0]
            assert found.target.dice(drawn) == pytest.approx(by_name[way.name])
    assert record.dice == pytest.approx(min(record.dice_by_baseline_image.values()))
    assert min(record.dice, record.sufficient_dice) >= 0.9


@pytest.mark.parametrize("fills", ["mean", "mean,noise"])
def test_a_budget_is_kept_and_every_pass_is_counted(fills):
    model, image = model_of(ByChannel(crossed)), ByChannel.image()
    options = {"channels": "apart", "baseline_image": fills}
    least = choose_preset(model, "quick", options).least_passes
    options |= {"preset": "quick"}
    for budget in (least, least + 7, least + 40, 150):
        with model.counting() as spent:
            found = misure.explain(model, image, 1, max_passes=budget, **options)
        assert found.cost.pass_equivalents == spent.pass_equivalents - 1 <= budget  # the target's
        assert found.values.by_channel.dice >= 0.9
    with pytest.raises(misure.InputError, match=f"max_passes of {least} or more"):
        misure.explain(model, image, 1, max_passes=least - 1, **options)


def test_targets_of_one_image_do_not_change_each_other():
    model, image = model_of(ByChannel(crossed)), ByChannel.image()
    target = misure.predicted_target(model, image, 1)
    options = {"preset": "quick", "channels": "apart", "num_changes": 2}
    alone = misure.explain(model, image, target, **options)
    half = misure.explain_all(model, image, [target, target], **options)
    for one in half:
        assert torch.equal(
            one.minimally_sufficient_region_by_channel,
            alone.minimally_sufficient_region_by_channel,
        )
        assert one.cost.pass_equivalents == alone.cost.pass_equivalents


def test_it_is_saved_and_loaded(tmp_path):
    model = model_of(ByChannel(crossed), channel_names="t1,t2,flair,dwi")
    found = misure.explain(model, ByChannel.image(), 1, preset="quick", channels="apart")
    found.save(tmp_path / "explanation.npz")
    assert misure.Explanation.load(tmp_path / "explanation.npz") == found
    assert [one.name for one in found.values.by_channel.channels] == ["t1", "t2", "flair", "dwi"]
    with np.load(tmp_path / "explanation.npz") as stored:
        arrays = dict(stored)
    assert arrays["minimally_sufficient_region_by_channel"].shape == (4, 20, 20)
    del arrays["sufficient_region_by_channel"]
    np.savez(tmp_path / "half.npz", **arrays)
    with pytest.raises(misure.InputError, match="region_by_channel stands alone"):
        misure.Explanation.load(tmp_path / "half.npz")


def test_without_them_an_explanation_is_as_ever():
    model, image = model_of(ByChannel(crossed)), ByChannel.image()
    apart = misure.explain(model, image, 1, preset="quick", channels="apart")
    together = misure.explain(model, image, 1, preset="quick")
    assert torch.equal(apart.minimally_sufficient_region, together.minimally_sufficient_region)
    assert torch.equal(apart.sufficient_region, together.sufficient_region)
    assert together.values.by_channel is None
    assert together.tensors_by_channel() == {}
    passes = apart.values.by_channel.passes
    assert apart.cost.pass_equivalents == together.cost.pass_equivalents + passes


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": "alone"}, "expected channels of together or apart, got 'alone'"),
        ({"max_hidden_dice": 0.5}, "expected channels=together with max_hidden_dice"),
        ({"robust": 0.9}, "expected channels=together with max_hidden_dice"),
        ({"num_draws": 2}, "expected channels=together with max_hidden_dice"),
    ],
)
def test_what_means_nothing_by_channel_is_refused(options, message):
    model, image = model_of(ByChannel(crossed)), ByChannel.image()
    with pytest.raises(misure.InputError, match=message):
        misure.explain(model, image, 1, **{"channels": "apart"} | options)


def test_one_channel_or_a_hidden_region_is_refused():
    model, image = model_of(ByChannel(lambda channels: channels[0])), ByChannel.image(2, 1)
    with pytest.raises(misure.InputError, match="two channels or more with channels=apart, got on"):
        misure.explain(model, image, 1, channels="apart")
    with pytest.raises(misure.InputError, match="region that is hidden, got 'apart'"):
        misure.necessary_region(model, ByChannel.image(), 1, channels="apart")
