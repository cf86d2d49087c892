import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn
from scipy.ndimage import distance_transform_edt
from skimage import measure as skimage_measure

import misure
from misure.images import regions as rg

SHAPES = st.sampled_from([(5, 7), (4, 3, 5)])
PAIRS = SHAPES.flatmap(lambda shape: st.tuples(stn.arrays(bool, shape), stn.arrays(bool, shape)))


@given(PAIRS)
def test_dice_is_what_a_plain_loop_counts(pair):
    a, b = pair
    both = sum(1 for x, y in zip(a.flat, b.flat, strict=True) if x and y)
    total = sum(map(bool, a.flat)) + sum(map(bool, b.flat))
    expected = 2 * both / total if total else 1.0
    assert rg.dice(torch.from_numpy(a), torch.from_numpy(b)) == expected


@given(PAIRS)
def test_soft_dice_of_hard_regions_is_dice(pair):
    a, b = map(torch.from_numpy, pair)
    everywhere = torch.ones_like(a)[None]
    soft = rg.soft_dice(a[None].float(), b[None], everywhere)
    assert float(soft[0]) == pytest.approx(rg.dice(a, b), abs=1e-5)


def test_soft_dice_leaves_out_what_is_not_considered():
    p = torch.tensor([[0.5, 0.25, 1.0]])
    region = torch.tensor([[True, False, False]])
    considered = torch.tensor([[True, True, False]])
    assert float(rg.soft_dice(p, region, considered)) == pytest.approx(2 * 0.5 / 1.75)


def test_dice_of_other_shapes_or_types_is_an_error():
    a = torch.ones(3, dtype=torch.bool)
    with pytest.raises(misure.InputError, match="expected two bool regions"):
        rg.dice(a, a[:2])
    with pytest.raises(misure.InputError, match="expected two bool regions"):
        rg.dice(a, a.float())


@given(SHAPES.flatmap(lambda shape: stn.arrays(bool, shape)), st.integers(0, 4))
def test_growth_takes_in_every_pixel_near_enough(array, growth_px):
    grown = (rg.distance_px(torch.from_numpy(array)) <= growth_px).numpy()
    inside = np.argwhere(array)
    for pixel in itertools.product(*map(range, array.shape)):
        squares = ((inside - pixel) ** 2).sum(1)
        assert grown[pixel] == (len(inside) > 0 and squares.min() <= growth_px**2)


@given(SHAPES.flatmap(lambda shape: stn.arrays(bool, shape)))
def test_the_bounding_box_is_the_smallest_that_holds_all(array):
    box = rg.bounding_box(torch.from_numpy(array))
    inside = np.argwhere(array)
    expected = [slice(0, 0)] * array.ndim
    if len(inside):
        expected = [slice(*ends) for ends in zip(inside.min(0), inside.max(0) + 1, strict=True)]
    assert list(box) == expected


def test_the_papers_dilation_is_a_7_by_7_ellipse():
    region = torch.zeros(9, 9, dtype=torch.bool)
    region[4, 4] = True
    assert rg.dilate(region).sum(1).tolist() == [0, 1, 5, 7, 7, 7, 5, 1, 0]
    volume = torch.zeros(9, 9, 9, dtype=torch.bool)
    volume[4, 4, 4] = True
    ball = rg.dilate(volume)
    assert torch.equal(ball, rg.distance_px(volume) <= 3)
    assert torch.equal(ball, ball.transpose(0, 2))


@given(SHAPES.flatmap(lambda shape: stn.arrays(bool, shape)))
def test_components_agree_with_scikit_image(array):
    numbers = rg.component_numbers(torch.from_numpy(array)).numpy()
    expected, count = skimage_measure.label(array, return_num=True, connectivity=array.ndim)
    assert numbers.max() == count
    sizes = [int((numbers == i + 1).sum()) for i in range(count)]
    assert sizes == sorted(sizes, reverse=True)
    assert ((numbers > 0) == array).all()
    for i in range(count):
        (number,) = np.unique(expected[numbers == i + 1])
        assert ((numbers == i + 1) == (expected == number)).all()


def test_boxes_and_polygons():
    box = rg.draw_box((4, 5), (1, 2, 3, 5))
    assert int(box.sum()) == 6
    assert bool(box[1, 2])
    assert int(rg.draw_box((4, 5, 6), (0, 0, 0, 1, 2, 3)).sum()) == 6
    for bad in [(0, 0, 9, 2), (2, 2, 2, 3), (0, 0, 1), (-1, 0, 2, 2)]:
        with pytest.raises(misure.InputError, match="expected 4 values"):
            rg.draw_box((4, 5), bad)
    square = rg.draw_polygon((6, 6), [(1, 1), (1, 4), (4, 4), (4, 1)])
    assert torch.equal(square, rg.draw_box((6, 6), (1, 1, 5, 5)))
    with pytest.raises(misure.InputError, match="expected at least three"):
        rg.draw_polygon((6, 6), [(1, 1), (2, 2)])
    with pytest.raises(misure.InputError, match="on shape .6, 6, 6.* In 3D use a box"):
        rg.draw_polygon((6, 6, 6), [(1, 1), (1, 4), (4, 4)])


@given(SHAPES.flatmap(lambda shape: stn.arrays(bool, shape)), st.integers(1, 40), st.booleans())
def test_distances_have_the_bytes_of_the_distance_transform(array, at_once, is_stretched):
    array.flat[0] = True
    sampling = (2.5, 1.0, 1.3)[: array.ndim] if is_stretched else None
    expected = distance_transform_edt(~array, sampling=sampling).astype(np.float32)
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(rg, "_AT_ONCE", at_once)
        found = rg.distance_px(torch.from_numpy(array), sampling)
    assert found.numpy().tobytes() == expected.tobytes()


def test_distance_to_an_empty_region_is_infinite():
    assert torch.isinf(rg.distance_px(torch.zeros(3, 3, dtype=torch.bool))).all()


@given(SHAPES.flatmap(lambda shape: stn.arrays(bool, shape)), st.integers(1, 9))
def test_distances_up_to_a_limit_agree_with_the_distance_transform(array, limit):
    region = torch.from_numpy(array)
    expected = rg.distance_px(region).clamp(max=limit)
    assert torch.allclose(rg.distance_px_up_to(region, limit), expected, atol=1e-5)
