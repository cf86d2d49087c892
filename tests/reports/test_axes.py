"""What is drawn, looked at pixel by pixel."""

import io

import numpy as np
import pytest
from matplotlib import colormaps
from PIL import Image

from misure.reports.axes import (
    REGION_COLOUR,
    TARGET_COLOUR,
    draw_outline,
    draw_outlines,
    draw_overlay,
    draw_scale,
    rgb,
    show_image,
)
from misure.reports.canvas import Drawing, write_figure

PX = 20  # of the drawn picture for each pixel


def picture(draw, shape):
    """Pixels (H * PX, W * PX, 3) in [0, 1] of what `draw` draws on axes that fill the figure."""
    figure = Drawing(figsize=(shape[1] * PX / 200, shape[0] * PX / 200))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    draw(axes)
    file = io.BytesIO()
    write_figure(figure, file, dpi=200)
    return np.asarray(Image.open(file).convert("RGB")) / 255


def is_colour(drawn, colour, tolerance=0.1):
    return np.abs(drawn - np.array(rgb(colour))).max(-1) <= tolerance


@pytest.mark.parametrize("grey", [0.0, 0.5, 1.0])
def test_an_outline_lies_on_the_border_of_its_region_and_is_seen_on_any_picture(grey):
    region = np.zeros((14, 16), bool)
    region[4:10, 5:13] = True

    def draw(axes):
        show_image(axes, np.full(region.shape, grey))
        draw_outline(axes, region, TARGET_COLOUR, "solid")

    drawn = picture(draw, region.shape)
    rows, columns = np.nonzero(is_colour(drawn, TARGET_COLOUR))
    assert rows.min() == pytest.approx(4 * PX, abs=2)
    assert rows.max() == pytest.approx(10 * PX, abs=2)
    assert columns.min() == pytest.approx(5 * PX, abs=2)
    assert columns.max() == pytest.approx(13 * PX, abs=2)
    across = drawn[7 * PX + PX // 2, 5 * PX - 7 : 5 * PX]  # from outside: dark, then light
    darkest, lightest = across.max(-1).argmin(), across.min(-1)[4:].argmax() + 4
    assert across[darkest].max() < 0.2
    assert across[lightest].min() > 0.8
    assert darkest < lightest


def test_an_outline_has_square_corners_and_closes_at_the_frame():
    region = np.zeros((10, 10), bool)
    region[0:3, 7:10] = region[6, 2] = True

    def draw(axes):
        show_image(axes, np.full(region.shape, 0.5))
        draw_outline(axes, region, TARGET_COLOUR, "solid")

    drawn = is_colour(picture(draw, region.shape), TARGET_COLOUR, 0.25)
    rows, columns = np.nonzero(drawn[5 * PX :, : 4 * PX])
    assert (rows.min() + 5 * PX, columns.min()) == pytest.approx((6 * PX, 2 * PX), abs=2)
    corner = drawn[6 * PX - 2 : 6 * PX + 3, 2 * PX - 2 : 2 * PX + 3]
    assert corner.any()  # no diamond around a single pixel
    assert drawn[0, 8 * PX : 9 * PX].any()


def test_of_two_outlines_that_coincide_both_are_seen():
    region = np.zeros((14, 16), bool)
    region[4:10, 5:13] = True

    def draw(axes):
        show_image(axes, np.full(region.shape, 0.5))
        lines = ((region, TARGET_COLOUR, "solid"), (region, REGION_COLOUR, "dashed"))
        draw_outlines(axes, *lines)

    drawn = picture(draw, region.shape)
    assert is_colour(drawn, TARGET_COLOUR, 0.15).sum() > 50
    assert is_colour(drawn, REGION_COLOUR, 0.15).sum() > 50


def test_a_map_is_blended_over_greys_and_what_is_not_known_stays_the_image():
    image = np.zeros((8, 8, 3))
    image[..., 1] = 0.5  # green, of luminance 0.2935
    values = np.full((8, 8), np.nan)
    values[:, :2], values[:, 2:4] = 2.0, 0.0
    drawn = picture(lambda axes: draw_overlay(axes, image, values, top=2.0), (8, 8))
    centres = drawn[PX // 2 :: PX, PX // 2 :: PX]
    assert np.allclose(centres[:, 5:], 0.587 * 0.5, atol=0.01)
    below = 0.15 + 0.6 * 0.587 * 0.5
    for column, value in ((0, 1.0), (2, 0.0)):
        wanted = 0.55 * np.array(colormaps["viridis"](value)[:3]) + 0.45 * below
        assert np.allclose(centres[:, column], wanted, atol=0.01)


@pytest.mark.parametrize(
    ("width", "mm", "length"), [(100, 1.0, 20), (35, 1.0, 10), (64, 0.01, 0.1)]
)
def test_the_scale_is_as_long_as_it_says(width, mm, length):
    axes = Drawing(figsize=(2, 2)).add_axes((0, 0, 1, 1))
    show_image(axes, np.zeros((10, width)))
    draw_scale(axes, (10, width), (5.0, mm))
    (x0, x1) = axes.lines[0].get_xdata()
    assert (x1 - x0) * mm == pytest.approx(length)
    assert axes.texts[0].get_text() == f"{length:g} mm"
