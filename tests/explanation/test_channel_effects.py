"""Which channels a target needs, on networks whose answer is known."""

from dataclasses import replace
from itertools import combinations

import pytest
import torch

import misure
from misure._util.records import decode, encode
from misure.explanation.answers.channel_effects import ChannelEffectsRecord
from toys import ByChannel, Constant, model_of


def two_only(channels):
    return channels[2]


def one_or_three(channels):
    return torch.maximum(channels[1], channels[3])


def one_and_three(channels):
    return torch.minimum(channels[1], channels[3])


RULES = {
    two_only: [(2,)],
    one_or_three: [(1,), (3,)],
    one_and_three: [(1, 3)],
    lambda channels: channels.amin(0): [(0, 1, 2, 3)],
}
FLAT = {"baseline_image": "mean,black"}


def ask(rule, num_dimensions=2, num_channels=4, **options):
    model = model_of(ByChannel(rule))
    image = ByChannel.image(num_dimensions, num_channels)
    return misure.channel_effects(model, image, 1, **(FLAT | options))


@pytest.mark.parametrize("num_dimensions", [2, 3])
@pytest.mark.parametrize(("rule", "sets"), RULES.items())
def test_the_smallest_sets_of_channels_are_found(rule, sets, num_dimensions):
    result = ask(rule, num_dimensions)
    assert [one.channels for one in result.sets] == sets
    assert {one.dice for one in result.sets} == {1.0}
    assert result.is_smallest
    assert result.are_all
    assert result.fills_agree
    needed = set.intersection(*map(set, sets))
    assert {effect.number: effect.effect for effect in result.effects} == {
        channel: float(channel in needed) for channel in range(4)
    }
    assert {effect.number for effect in result.effects if effect.dice_alone == 1} == {
        channels[0] for channels in sets if len(channels) == 1
    }
    assert result.effects[0].effect == max(result.values())


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (two_only, "Shown alone, t2 (Dice 1.00) suffices for class 1; no other channel does."),
        (one_or_three, "Shown alone, either t1 (Dice 1.00) or flair (Dice 1.00) suffices for"),
        (one_and_three, "Shown together, t1 and flair (Dice 1.00) suffice for class 1; no s"),
        (lambda channels: channels.amin(0), "Class 1 needs all 4 channels: no set of fewer suffi"),
    ],
)
def test_the_sentences_name_the_channels(rule, said):
    model = model_of(ByChannel(rule), channel_names="pd, t1,t2,flair")
    first, second = misure.channel_effects(model, ByChannel.image(), 1, **FLAT).sentences()
    assert first.startswith(said)
    if rule is two_only:
        assert second.startswith("With t2 hidden, 0 % of class 1 is left (Dice 0.00); the next, pd")
    if rule is one_or_three:
        assert second.startswith("Hidden one at a time, none of 4 channels took more than 0.00")


def test_each_set_that_is_named_was_shown_and_every_pass_is_counted():
    seen = []

    class Watched(ByChannel):
        def forward(self, images):
            seen.extend(images.flatten(2).amax(2) > 0)
            return super().forward(images)

    model, image = model_of(Watched(one_and_three)), ByChannel.image()
    target = misure.predicted_target(model, image, 1)
    seen.clear()
    with model.counting() as cost:
        result = misure.channel_effects(model, image, target, baseline_image="black")
    shown = [tuple(one.nonzero().flatten().tolist()) for one in seen]
    assert len(shown) == len(set(shown)) == result.num_sets_shown  # nothing is shown twice
    assert cost.forward_passes == result.cost.forward_passes == len(shown)
    smaller = [one for size in (0, 1, 2) for one in combinations(range(4), size)]
    larger = [*combinations(range(4), 3), (0, 1, 2, 3)]
    assert set(shown) == {*smaller, *larger}
    two = misure.channel_effects(model, image, target, **FLAT)
    assert two.cost.forward_passes == 1 + 2 * (len(shown) - 1)


def test_a_network_that_ignores_the_image_needs_no_channel():
    result = misure.channel_effects(model_of(Constant()), ByChannel.image(), 1)
    assert [one.channels for one in result.sets] == [()]
    assert result.sentences()[0].startswith("With every channel hidden, class 1 is drawn as before")
    assert result.num_sets_shown == 1 + 4 + 4 + 1


@pytest.mark.parametrize("wanted", [(2, 11, 17), (5,), (1, 6, 13, 18)])
def test_many_channels_are_searched_and_nothing_more_is_claimed(wanted):
    result = ask(lambda channels: channels[list(wanted)].amin(0), num_channels=20)
    assert [one.channels for one in result.sets] == [wanted]
    assert result.is_smallest == (len(wanted) < 4)  # all pairs are shown, not all triples
    assert result.are_all == (len(wanted) == 1)
    assert ("may be a smaller one" in result.sentences()[0]) == (len(wanted) == 4)


def test_what_is_not_the_smallest_is_not_called_so():
    def pair_or_rest(channels):  # leaving out the first half first leads to the larger set
        return torch.maximum(channels[:2].amin(0), channels[4:].amin(0))

    exact = ask(pair_or_rest, num_channels=8, baseline_image="black")
    assert [one.channels for one in exact.sets] == [(0, 1)]
    assert exact.is_smallest
    least = 1 + 8 + 8
    for budget in range(least, exact.cost.forward_passes + 1, 7):
        some = ask(pair_or_rest, num_channels=8, baseline_image="black", max_passes=budget)
        assert some.cost.forward_passes <= budget
        assert some.is_smallest == (len(some.sets[0].channels) == 2 and some.num_sets_shown >= 25)
    with pytest.raises(misure.InputError, match="max_passes of at least 17, got 16: each of 8"):
        ask(pair_or_rest, num_channels=8, baseline_image="black", max_passes=least - 1)


def test_fills_that_disagree_are_named():
    result = ask(lambda channels: torch.minimum(channels[0], channels[1] + 0.7), num_channels=2,
                 baseline_image="black,mean,noise")  # fmt: skip
    assert result.fills_agree  # a black channel 1 is bright enough
    mixed = ask(lambda channels: torch.minimum(channels[1], channels[3] + 0.51),
                baseline_image="black,noise")  # fmt: skip
    assert mixed.sets_by_baseline_image["black"] == ((1,),)
    assert mixed.sets_by_baseline_image["noise"] != ((1,),)
    assert "with black alone, channel 1 would suffice" in mixed.sentences()[-1]


def test_a_fill_that_needs_no_channel_says_so():
    free = ask(lambda channels: channels[0] - 1e-3, baseline_image="black,noise")
    said = replace(
        free, sets_by_baseline_image={"black": free.sets_by_baseline_image["black"], "noise": ((),)}
    ).sentences()[-1]
    assert said == (
        "What stands in hidden channels matters: with noise alone, all channels can be hidden."
    )


def test_noise_may_be_drawn_several_times():
    result = ask(two_only, baseline_image="mean,noise", num_draws=3)
    assert result.baseline_image == "mean,noise,noise 2,noise 3"
    dices = result.effects[0].dice_by_baseline_image
    assert len(set(dices.values())) > 2
    again = ask(two_only, baseline_image="mean,noise", num_draws=3)
    assert again.effects == result.effects


def test_a_target_that_the_whole_image_does_not_give_has_no_sets():
    region = torch.zeros(20, 20, dtype=torch.bool)
    region[:4, :4] = True
    missed = misure.Target(1, region, torch.zeros_like(region))
    result = misure.channel_effects(model_of(ByChannel(two_only)), ByChannel.image(), missed)
    assert result.sets == ()
    assert not result.is_smallest
    assert "Not even the whole image reaches Dice 0.9" in result.sentences()[0]


def test_the_record_survives_json():
    record = ask(one_or_three).record("a.png")
    assert decode(encode(record), ChannelEffectsRecord, "channels") == record


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_channels": 1}, "channel_effects: expected an image of two channels or more, got 1"),
        ({"dice_threshold": 0}, "dice_threshold above 0 and at most 1, got 0"),
        ({"num_draws": 0}, "num_draws of 1 or more, got 0"),
        ({"baseline_image": "grey"}, "expected one of mean, black"),
    ],
)
def test_bad_arguments_are_refused(options, message):
    with pytest.raises(misure.InputError, match=message):
        ask(lambda channels: channels[0], **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channel_names": "t1,t2", "num_channels": 3}, "expected 3 channel_names, one for each"),
        ({"channel_names": "t1,t1"}, "expected channel_names that differ"),
        ({"channel_names": "t1,"}, "none empty"),
        ({"channel_names": [1, 2]}, "expected channel_names as texts"),
    ],
)
def test_channel_names_are_checked(options, message):
    with pytest.raises(misure.InputError, match=message):
        model_of(Constant(), **options)


def test_channel_names_tell_the_number_of_channels():
    model = model_of(Constant(), channel_names="red, green")
    assert model.num_channels == 2
    assert model.channel_name(1) == "green"
    assert model.settings()["channel_names"] == ["red", "green"]
    assert model_of(Constant()).channel_name(1) == "channel 1"
    with pytest.raises(misure.InputError, match="expected images with 2 channels, got 3"):
        model(torch.zeros(1, 3, 8, 8))
