"""For which share of baseline images a region answers its question, on toys whose answer is known."""

import msgspec
import pytest
import torch
from torch import nn

import misure
import toys
from misure.explanation.presentation import make_presentations
from misure.explanation.probe import Probe
from misure.explanation.question import NECESSARY
from misure.explanation.robust.draws import MIXTURE, BaselineDraws, SearchDraws

BOTH = pytest.mark.parametrize("num_dimensions", [2, 3])


class LeansOnFlat(nn.Module):
    """A pixel is foreground if it is bright, and the corner of the image has one colour."""

    @staticmethod
    def image():
        """A bright block, and a faint line beside the corner."""
        image = toys.square_image()
        image[0, 19, 20:] = 0.4
        return image

    def forward(self, images):
        corner = images[:, :1, 20:, 20:].flatten(1)
        is_flat = (corner.amax(1) - corner.amin(1) < 0.01).float().view(-1, 1, 1, 1)
        evidence = toys.SHARPNESS * torch.minimum(images[:, :1] - 0.5, is_flat - 0.5)
        return torch.cat([-evidence, evidence], 1)


def _others(*shape, num=30, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [0.4 * torch.rand(*shape, generator=generator) for _ in range(num)]


def _target(toy, num_dimensions=2):
    model, image = toys.model_of(toy()), toy.image(num_dimensions)
    return model, image, misure.predicted_target(model, image, class_index=1)


@BOTH
def test_a_region_that_holds_on_all(num_dimensions):
    """Dark images alone, or the network of brightness would find foreground in them."""
    model, image, target = _target(toys.OwnBrightness, num_dimensions)
    with model.counting() as spent:
        found = misure.robustness(
            model,
            image,
            target,
            target.region,
            kinds=("other_image", "blurred", "flat"),
            other_images=_others(1, 9, *[25] * (num_dimensions - 1)),
            seed=1,
        )
    assert (found.held, found.drawn, found.share, found.answer) == (36, 36, 1, "yes")
    assert found.lower_bound == pytest.approx(0.05 ** (1 / 36))
    assert found.upper_bound == 1
    assert found.passes == spent.forward_passes
    assert sum(kind.drawn for kind in found.by_kind.values()) == 36
    assert found.note == (
        "The region suffices on 36 of 36 baseline images: at least 92 % with 95 % confidence."
    )


def test_all_of_59_in_a_single_look():
    model, image, target = _target(toys.OwnBrightness)
    found = misure.robustness(model, image, target, target.region, kinds=["blurred"], at_least=None)
    assert (found.held, found.drawn, found.looks, found.answer) == (59, 59, [59], "unclear")
    assert found.note.endswith("59 of 59 baseline images: at least 95 % with 95 % confidence.")


def test_a_region_that_leans_on_flat_colours_fails_on_all_others():
    model, image = toys.model_of(LeansOnFlat()), LeansOnFlat.image()
    target = misure.predicted_target(model, image, class_index=1)
    found = misure.robustness(
        model, image, target, target.region, other_images=_others(1, 30, 30), at_least=None
    )
    assert set(found.by_kind) == set(MIXTURE)
    holds_on = {kind for kind, one in found.by_kind.items() if one.held}
    assert holds_on == {"flat"}
    assert found.by_kind["flat"].held == found.by_kind["flat"].drawn
    assert set(found.fails_on) == set(MIXTURE) - holds_on
    num = found.by_kind["other_image"].drawn
    assert f" It fails on {num} of {num} (other images), " in found.note


def test_it_stops_early_where_the_answer_is_clear():
    """Nothing is shown, and nothing suffices: a single look of twelve tells."""
    model, image, target = _target(toys.OwnBrightness)
    nothing = torch.zeros_like(target.region)
    found = misure.robustness(model, image, target, nothing, kinds=("flat", "noise"))
    assert (found.held, found.drawn, found.answer) == (0, 12, "no")
    assert found.upper_bound == pytest.approx(1 - 0.05 ** (1 / 12))
    assert "on 0 of 12 baseline images: at most 23 % with 95 % confidence." in found.note


@BOTH
def test_hidden_regions(num_dimensions):
    model, image, target = _target(toys.Beacon, num_dimensions)
    beacon = torch.zeros_like(target.region)
    beacon[toys.beacon_window(num_dimensions)] = True
    options = {"question": "necessary", "kinds": ("noise", "flat"), "lost_dice": 0.2}
    found = misure.robustness(model, image, target, beacon, **options)
    assert (found.held, found.drawn, found.threshold) == (36, 36, 0.2)
    assert found.note.startswith("Hiding the region loses the target on 36 of 36 baseline images")
    elsewhere = torch.zeros_like(beacon)
    elsewhere[:5] = True
    assert misure.robustness(model, image, target, elsewhere, **options).held == 0


def test_a_blocking_region():
    """What the network misses as long as a bright spot is seen."""

    class Inhibited(nn.Module):
        def forward(self, images):
            spot = images[:, :, :4, :4].amax((1, 2, 3)).view(-1, 1, 1, 1)
            evidence = toys.SHARPNESS * torch.minimum(images - 0.5, 0.9 - spot)
            return torch.cat([-evidence, evidence], 1)

    image = toys.square_image()
    region = image[0] > 0.5
    image[0, 1, 1] = 1
    target = misure.Target(1, region, torch.zeros_like(region), "thing")
    spot = torch.zeros_like(region)
    spot[:4, :4] = True
    model, options = toys.model_of(Inhibited()), {"question": "blocking", "kinds": ("blurred",)}
    found = misure.robustness(model, image, target, spot, **options)
    assert found.note.startswith("Hiding the region makes the model draw the target on 36 of 36")
    assert misure.robustness(model, image, target, ~(spot | region), **options).held == 0


def test_other_images_do_not_show_the_class():
    """In two of ten it is filled in, two that are bright all over are passed over."""
    model, image, target = _target(toys.OwnBrightness)
    bright, some = [torch.ones(1, 30, 30)] * 2, _others(1, 30, 30, num=2, seed=1)
    for one in some:
        one[0, 3:9, 3:9] = 1
    options = {"kinds": ("other_image",), "at_least": None}
    found = misure.robustness(
        model,
        image,
        target,
        target.region,
        other_images=[*_others(1, 30, 30, num=6), *bright, *some],
        **options,
    )
    assert (found.held, found.drawn) == (59, 59)
    assert found.passes == 6 + 2 + 2 * 2 + 8  # tested, and the region shown on eight
    with pytest.raises(misure.InputError, match="other_image: none of the 2 tried fits"):
        misure.robustness(model, image, target, target.region, other_images=bright, **options)


def test_what_is_not_drawn_is_said():
    model, image, target = _target(toys.OwnBrightness)
    options = {"kinds": ("other_image", "flat", "blurred")}
    none = misure.robustness(model, image, target, target.region, **options)
    assert none.left_out == {"other_image": "no other images are given"}
    assert set(none.by_kind) == {"flat", "blurred"}
    bright = [torch.ones(1, 30, 30)] * 25
    found = misure.robustness(model, image, target, target.region, other_images=bright, **options)
    assert found.left_out["other_image"].startswith("none of the 19 tried fits")
    assert found.by_kind.keys() == none.by_kind.keys()


def test_a_budget_is_kept_and_the_seed_repeats_the_draws():
    model, image, target = _target(toys.OwnBrightness)
    others = _others(1, 30, 30)
    options = {"kinds": ("other_image", "noise"), "other_images": others, "seed": 5}
    with model.counting() as spent:
        found = misure.robustness(
            model, image, target, target.region, max_passes=30, at_least=None, **options
        )
    assert found.drawn == 10
    assert spent.forward_passes == found.passes <= 30
    again = misure.robustness(
        model, image, target, target.region, max_passes=30, at_least=None, **options
    )
    assert again == found
    with pytest.raises(misure.InputError, match="max_passes of 21 or more"):
        misure.robustness(model, image, target, target.region, max_passes=20, **options)


def test_it_is_written_to_json_and_read():
    model, image, target = _target(toys.OwnBrightness)
    found = misure.robustness(model, image, target, target.region, kinds=("flat",))
    assert msgspec.json.decode(msgspec.json.encode(found), type=misure.Robustness) == found


@pytest.mark.parametrize("preset", ["readable", "quick"])
def test_a_search_keeps_what_holds_on_other_baseline_images(preset):
    """On a flat one the square alone suffices; on any other the corner has to be seen, too."""
    model, image = toys.model_of(LeansOnFlat()), LeansOnFlat.image()
    target = misure.predicted_target(model, image, class_index=1)
    plain = misure.explain(model, image, target, preset=preset, num_changes=0)
    with model.counting() as spent:
        robust = misure.explain(
            model, image, target, preset=preset, num_changes=0, robust=0.8, max_passes=150
        )
    assert plain.values.robustness is None
    found = misure.robustness(model, image, target, plain.minimally_sufficient_region)
    assert found.answer == "no"
    assert robust.values.robustness.answer == "yes"
    assert robust.values.robustness.drawn == 20  # 0.8 ** 14 < 0.05, and 6 that no other image took
    assert robust.cost.pass_equivalents == spent.pass_equivalents <= 150
    assert "The region suffices on 20 of 20 baseline images" in robust.summary()


def test_a_search_shows_what_it_accepts_on_every_kind():
    model, image, target = _target(toys.OwnBrightness)
    probe = Probe(target, make_presentations(model, image))
    draws = BaselineDraws(model, probe, MIXTURE, _others(1, 30, 30))
    changes = SearchDraws(draws, 7).changes(target.region)
    assert {change.kind for change in changes[:6]} == set(MIXTURE)
    assert changes[6].kind in ("other_image", "blurred", "noise", "flat")
    again = SearchDraws(draws, 7).changes(target.region)
    assert changes == again
    for change, same in zip(changes, again, strict=True):
        shown, once_more = change.presentation(None), same.presentation(None)
        assert torch.equal(shown.baseline_image, once_more.baseline_image)
        assert shown.name == change.kind
    noises = [SearchDraws(draws, 1).presentation("noise", i).baseline_image for i in range(2)]
    assert not torch.equal(*noises)
    assert draws.num_tested == draws.account.cost.forward_passes <= 2


def test_presentations_are_compared_without_others():
    """What one baseline image takes is not what all that are drawn take."""
    model, image = toys.model_of(LeansOnFlat()), LeansOnFlat.image()
    plain, drawn = (
        misure.explain(
            model, image, 1, preset="sufficient_region", compare_presentations=True, num_draws=num
        )
        for num in (0, 5)
    )
    assert drawn.sufficient_region.sum() > plain.sufficient_region.sum()
    compared = [found.values.sufficiency_by_presentation for found in (plain, drawn)]
    assert compared[0] == compared[1]


def test_a_hidden_region_is_asked_the_same():
    model, image = toys.model_of(misure.testing.toys.Beacon()), misure.testing.toys.Beacon.image()
    target = misure.predicted_target(model, image, class_index=1)
    hidden = misure.necessary_region(model, image, target, robust=0.8, baseline_image="mean")
    assert hidden.is_found
    assert hidden.values.robustness.question == "necessary"
    assert hidden.values.robustness.answer == "yes"
    plain = misure.necessary_region(model, image, target, baseline_image="mean")
    assert plain.values.robustness is None


def test_the_draws_of_a_number_are_the_same_for_each_region():
    model, image, target = _target(toys.OwnBrightness)
    probe = Probe(target, make_presentations(model, image), question=NECESSARY, dice_threshold=0.5)
    draws = BaselineDraws(model, probe, MIXTURE, _others(1, 30, 30))
    first = [draws.draw(number).key for number in range(40)]
    assert [draws.draw(number).key for number in range(40)] == first
    assert {key[0] for key in first} == set(MIXTURE)


def test_bad_arguments():
    model, image, target = _target(toys.OwnBrightness)
    for options, message in [
        ({"question": "why"}, "expected a question among sufficient"),
        ({"kinds": ("blured",)}, "did you mean 'blurred'|Did you mean"),
        ({"kinds": ()}, "no kinds are named"),
        ({"num_images": 0}, "expected 1 or more draws"),
        ({"at_least": 1.0}, "expected at_least"),
    ]:
        with pytest.raises(misure.InputError, match=message):
            misure.robustness(model, image, target, target.region, **options)
    for region in (target.region[1:], target.region.float()):
        with pytest.raises(misure.InputError, match="expected a region of bool"):
            misure.robustness(model, image, target, region)
