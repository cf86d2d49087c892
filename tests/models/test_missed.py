"""What a person marks for a model to draw: masks, boxes, polygons and points."""

import pytest
import torch

import misure
import toys


@pytest.fixture
def image():
    """A bright block of 5 x 5 pixels at (10, 10), and one of 3 x 6 at (20, 20)."""
    image = toys.square_image()
    image[0, 20:23, 20:26] = 1.0
    return image


def test_a_box_is_filled_and_what_is_drawn_elsewhere_is_ignored(model, image):
    target = misure.missed_target(model, image, class_name="bright", box=(8, 8, 14, 14))
    assert target.made_from == "the box 8,8,14,14"
    inside = torch.zeros(30, 30, dtype=torch.bool)
    inside[8:14, 8:14] = True
    drawn = image[0] > 0.5
    assert torch.equal(target.region, inside)
    assert torch.equal(target.ignored, drawn & ~inside)
    assert target.dice(inside) == 1
    assert target.dice(torch.ones_like(inside)) < 0.2  # a flood is no object in the box
    assert misure.missed_target(model, image, inside, 1).made_from == "the mask"


def test_a_polygon_is_an_outline(model, image):
    corners = [(2, 2), (2, 6), (6, 6), (6, 2)]
    target = misure.missed_target(model, image, class_index=1, polygon=corners)
    assert target.made_from == "the polygon"
    assert int(target.region.sum()) == 25  # its border included
    assert bool(target.region[2:7, 2:7].all())


@pytest.mark.parametrize(
    ("point", "options", "form", "num_pixels"),
    [
        ((4, 4), {}, "disc of radius 1 px", 5),
        ((4, 4), {"radius_px": 2}, "disc of radius 2 px", 13),
        ((0, 0), {"radius_px": 1.5}, "disc of radius 1.5 px", 4),
        ((4, 4, 4), {}, "ball of radius 1 px", 7),
        ((4, 4, 4), {"spacing_mm": (5, 1, 1), "radius_px": 1}, "ball of radius 1 px", 5),
    ],
)
def test_a_point_asks_for_a_disc_and_for_nothing_else(model, point, options, form, num_pixels):
    image = toys.square_image(len(point))
    target = misure.missed_target(model, image, class_index=1, point=point, **options)
    assert target.made_from == f"a {form} around the point {','.join(map(str, point))}"
    assert int(target.region.sum()) == num_pixels
    assert bool(target.region[point])
    assert torch.equal(target.ignored, ~target.region)
    assert target.dice(torch.ones_like(target.region)) == 1


def test_the_disc_grows_with_the_image(model):
    target = misure.missed_target(model, torch.zeros(1, 150, 400), class_index=1, point=(75, 9))
    assert target.made_from == "a disc of radius 3 px around the point 75,9"
    assert int(target.region.sum()) == 29


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "expected one of mask, box, polygon and point"),
        ({"box": (0, 0, 5, 5), "point": (1, 1)}, "expected one of mask, box, polygon and point"),
        ({"box": (0, 0, 50, 5)}, r"inside \(30, 30\), got \(0, 0, 50, 5\)"),
        ({"point": (1, 30)}, r"expected a point inside \(30, 30\), got \(1, 30\)"),
        ({"point": (1,)}, r"expected a point inside \(30, 30\), got \(1,\)"),
        ({"point": (1, 1), "radius_px": 0}, "expected a radius_px above 0, got 0"),
        ({"polygon": [(0, 0), (1, 1)]}, "at least three corners"),
    ],
)
def test_marks_that_do_not_fit_are_refused(model, image, options, message):
    with pytest.raises(misure.InputError, match=f"missed_target: .*{message}"):
        misure.missed_target(model, image, class_index=1, **options)
