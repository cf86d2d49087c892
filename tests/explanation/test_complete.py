"""Regions that suffice and without which the target is lost, on toys whose answer is known."""

import pytest
import torch
from torch import nn

import misure
import toys
from misure.errors import InputError
from misure.testing.toys import SHARPNESS, Beacon, square_image

HALF = {"max_hidden_dice": 0.5, "hidden_baseline_image": "mean", "num_changes": 0}


class TwoLamps(nn.Module):
    """The square of the toys is foreground if one of two lamps, wherever it is bright, is seen."""

    LAMPS = ((slice(2, 6), slice(2, 6)), (slice(24, 28), slice(24, 28)))

    def forward(self, images):
        seen = torch.stack([images[:, 2][:, *lamp].mean((1, 2)) for lamp in self.LAMPS]).amax(0)
        square = square_image(num_channels=3)[0].to(images)
        evidence = SHARPNESS * torch.minimum(seen.view(-1, 1, 1) - 0.5, square - 0.5)[:, None]
        return torch.cat([-evidence, evidence], 1)

    @classmethod
    def image(cls):
        image = square_image(num_channels=3)
        for lamp in cls.LAMPS:
            image[2][lamp] = 1
        return image


@pytest.mark.parametrize("preset", ["readable", "smallest", "forward_only"])
def test_of_two_lamps_one_suffices_and_both_are_the_whole_evidence(preset):
    model, image = toys.model_of(TwoLamps()), TwoLamps.image()
    target = misure.predicted_target(model, image, class_index=1)
    few = {"max_passes": 130, "num_minimality_tests": 0, "thresholds": []}
    one = misure.explain(model, image, target, preset=preset, num_changes=0, **few)
    with model.counting() as spent:
        both = misure.explain(model, image, target, preset=preset, **HALF, **few)
    lit = [
        [float(found.minimally_sufficient_region[lamp].float().mean()) for lamp in TwoLamps.LAMPS]
        for found in (one, both)
    ]
    assert min(lit[0]) < 0.5 <= max(lit[0])  # half of a lamp is enough
    assert min(lit[1]) >= 0.5  # less than half of each is left when both are hidden
    small = both.values.minimally_sufficient_region
    assert small.dice >= 0.9
    assert small.hidden_dice == 0
    assert both.cost.pass_equivalents == spent.pass_equivalents
    assert "hidden and all else shown" in both.summary()
    assert one.values.minimally_sufficient_region.hidden_dice is None


def test_another_reason_has_to_suffice_but_need_not_be_necessary():
    """One that is apart from the first cannot be necessary, for the first suffices without it."""
    model, image = toys.model_of(toys.TwoBeacons()), toys.TwoBeacons.image()
    first = misure.explain(model, image, 1, max_passes=150, max_hidden_dice=0.5)
    found = misure.find_reasons(model, image, first, max_passes=60)
    assert len(found.regions) >= 2
    assert found.values.reasons[1].is_reduced


def test_an_answer_asks_it_of_the_explanation_alone():
    model, image = toys.model_of(toys.Beacon()), toys.Beacon.image()
    found = misure.answer(model, image, 1, questions=["necessary"], max_passes=120, **HALF)
    assert found.explanation.values.minimally_sufficient_region.hidden_dice == 0
    assert found.necessary.values.settings["max_hidden_dice"] == 1


@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_own_brightness_and_a_beacon_are_complete_as_they_suffice(num_dimensions):
    model, image = toys.model_of(Beacon()), Beacon.image(num_dimensions)
    target = misure.predicted_target(model, image, class_index=1)
    found = misure.explain(model, image, target, preset="smallest", **HALF)
    small = found.values.minimally_sufficient_region
    shown = image.where(
        ~found.minimally_sufficient_region, image.flatten(1).mean(1).view(-1, *[1] * num_dimensions)
    )
    assert small.hidden_dice == 0
    assert not misure.segment(model, shown).class_region(1).any()


def test_the_gradient_pulls_pixels_into_a_region_whose_hiding_loses_too_little():
    from misure.explanation.presentation import make_presentations
    from misure.explanation.probe import Probe, Query
    from misure.explanation.show import try_regions

    model, image = toys.model_of(TwoLamps()), TwoLamps.image()
    target = misure.predicted_target(model, image, class_index=1)
    (way,) = make_presentations(model, image)
    probe = Probe(target, (way,), hidden_presentation=way, max_hidden_dice=0.5)
    region = target.region.clone()
    region[TwoLamps.LAMPS[0]] = True
    query = Query([], gradient=True, content_controls=True)
    (with_hiding,) = try_regions(model, [(probe, region)], query)
    (without,) = try_regions(model, [(probe, region)], Query([], gradient=True))
    assert with_hiding.excess_dice == 0.5
    assert not probe.suffices(with_hiding)
    assert probe.suffices(without)
    other = TwoLamps.LAMPS[1]
    assert (
        float(without.gradient[other].abs().sum()) == 0
    )  # the other lamp is seen: nothing to gain
    assert float(with_hiding.gradient[other].min()) > 0
    assert (with_hiding.num_forwards, with_hiding.num_backwards) == (2, 2)


def test_what_is_drawn_from_nothing_can_never_be_complete():
    model, image = toys.model_of(misure.testing.toys.Constant()), square_image()
    target = misure.predicted_target(model, image, class_index=1)
    with pytest.raises(InputError, match="to be lost when the whole image is hidden, its Dice is"):
        misure.explain(model, image, target, max_hidden_dice=0.5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_hidden_dice": 2.0}, r"max_hidden_dice in \[0, 1\], got 2.0"),
        ({"max_hidden_dice": 0.5, "hidden_baseline_image": "men"}, "got 'men'"),
    ],
)
def test_bad_options_are_said(options, message):
    model, image = toys.model_of(Beacon()), Beacon.image()
    with pytest.raises(InputError, match=message):
        misure.explain(
            model, image, misure.predicted_target(model, image, class_index=1), **options
        )
