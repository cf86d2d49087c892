"""What stands in the way of what a person marked, on networks whose answer is known."""

import pytest
import torch
from torch import nn

import misure
import toys
from misure.explanation.answers.classes_there import classes_sentence, classes_there
from misure.explanation.presentation import make_presentations

BOTH = pytest.mark.parametrize("num_dimensions", [2, 3])
OPTIONS = {"num_changes": 0, "baseline_image": "mean", "max_passes": 90}


class Flood(nn.Module):
    """Everything is foreground, unless a blue pixel is seen; then nothing is."""

    def forward(self, images):
        blue = images[:, 2].flatten(1).amax(1).view(-1, 1, *[1] * (images.ndim - 2))
        evidence = (0.5 - blue).expand_as(images[:, :1])
        return torch.cat([-evidence, evidence], 1)


def _blocking(net, image, **mark):
    model = toys.model_of(net, class_names=("ground", "lamp"))
    target = misure.missed_target(model, image, class_name="lamp", **mark)
    return misure.blocking_region(model, image, target, **OPTIONS)


@BOTH
def test_a_box_is_drawn_as_far_as_its_object_fills_it(num_dimensions, tmp_path):
    image = toys.Beacon.image(num_dimensions)
    start, end = [10] * num_dimensions, [15] * (num_dimensions - 1) + [16]
    hidden = _blocking(toys.Inhibitor(), image, box=(*start, *end))
    assert hidden.is_found
    assert not ((image[2] > 0.5) & ~hidden.region).any()  # the whole inhibitor is hidden
    share = 5 / 6  # of the box, by its object
    assert hidden.dice == pytest.approx(2 * share / (1 + share))
    assert hidden.values.classes_before == {"ground": 1.0}
    assert hidden.values.classes_after == pytest.approx({"lamp": share, "ground": 1 - share})
    assert f"draw the lamp in the box {','.join(map(str, (*start, *end)))}: Dice 0.91" in (
        hidden.sentence
    )
    assert hidden.sentence.endswith("(Dice 0.00 with nothing hidden; 0.70 was asked for).")
    assert hidden.classes_sentence == (
        "On its pixels the model draws ground (100 %); with the region hidden lamp (83 %), "
        "ground (17 %)."
    )
    hidden.save(tmp_path / "blocking.npz")
    again = misure.HiddenRegion.load(tmp_path / "blocking.npz")
    assert again.sentence == hidden.sentence
    assert again.target.made_from == hidden.target.made_from


@BOTH
def test_a_point_is_drawn_if_its_disc_is(num_dimensions):
    image = toys.Beacon.image(num_dimensions)
    hidden = _blocking(toys.Inhibitor(), image, point=(12,) * num_dimensions)
    form = "disc" if num_dimensions == 2 else "ball"
    assert hidden.dice == 1
    assert f"draw the lamp in a {form} of radius 1 px around the point 12,12" in hidden.sentence
    assert not ((image[2] > 0.5) & ~hidden.region).any()


def test_a_flood_is_the_class_at_a_point_but_no_object_in_a_box():
    """Around a box all has to be hidden, where what is drawn does not count."""
    image = toys.Beacon.image()
    box = _blocking(Flood(), image, box=(10, 10, 15, 15))
    assert int((~box.region).sum()) <= 25 + 21  # 21 pixels too many are a Dice of 0.7
    point = _blocking(Flood(), image, point=(12, 12))
    assert point.dice == 1
    assert int(point.region.sum()) < 90
    assert not ((image[2] > 0.5) & ~point.region).any()


def test_what_is_drawn_already_needs_nothing_hidden():
    image = toys.OwnBrightness.image()
    for mark in ({"box": (10, 10, 15, 15)}, {"point": (12, 12)}):
        with pytest.raises(misure.InputError, match="does not draw, it reaches a Dice of 1.000"):
            _blocking(toys.OwnBrightness(), image, **mark)


def test_every_pass_is_counted_those_of_the_classes_too():
    image = toys.Beacon.image()
    model = toys.model_of(toys.Inhibitor())
    target = misure.missed_target(model, image, class_index=1, point=(12, 12))
    with model.counting() as spent:
        hidden = misure.blocking_region(model, image, target, **OPTIONS)
    assert hidden.cost.pass_equivalents == spent.pass_equivalents <= 90


def test_with_multilabel_a_pixel_counts_for_each_of_its_classes():
    model, image = toys.Overlap.model(), torch.zeros(1, 12, 12)
    image[0, 2:4, 2:6], image[0, 4, 2:6] = 0.5, 0.9
    target = misure.missed_target(model, image, class_name="core", box=(1, 2, 5, 6))
    (way,) = make_presentations(model, image)
    hidden = torch.zeros(12, 12, dtype=torch.bool)
    shares = classes_there(model, target, way, hidden)
    assert shares == {"whole": 0.75, "no class": 0.25, "core": 0.25}
    hidden[4, 2:4] = True
    assert classes_there(model, target, way, hidden)["core"] == 0.125
    assert classes_sentence(shares, {"7": 1.0}) == (
        "On its pixels the model draws whole (75 %), no class (25 %), core (25 %); with the region "
        "hidden class 7 (100 %)."
    )
