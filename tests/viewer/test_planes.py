import itertools

import pytest
import torch

import misure
from misure.images.orientation import lay_out
from misure.viewer.planes import Planes

ORDERS = [
    tuple(zip(axes, turned, strict=True))
    for axes in itertools.permutations(range(3))
    for turned in itertools.product([False, True], repeat=3)
]


@pytest.mark.parametrize("order", ORDERS)
def test_planes_are_those_of_the_volume_as_laid_out(order):
    volume = torch.arange(2 * 3 * 4 * 5).view(2, 3, 4, 5)
    planes, laid_out = Planes((3, 4, 5), order), lay_out(volume, order)
    assert planes.shape == list(laid_out.shape[1:])
    for axis, name in enumerate(("axial", "coronal", "sagittal")):
        assert planes.num_slices(name) == laid_out.shape[1 + axis]
        for number in range(planes.num_slices(name)):
            expected = laid_out.select(1 + axis, number)
            assert planes.take(volume, name, number).equal(expected)
            assert planes.shape_of(name) == expected.shape[1:]


@pytest.mark.parametrize("order", ORDERS[::5])
def test_what_is_put_into_a_plane_is_taken_out_again(order):
    planes = Planes((3, 4, 5), order)
    for name in planes.names:
        last = planes.num_slices(name) - 1
        values = torch.rand(planes.shape_of(name)) > 0.5
        region = torch.zeros(3, 4, 5, dtype=torch.bool)
        planes.put(region, name, last, values)
        assert planes.take(region, name, last).equal(values)
        assert int(region.sum()) == int(values.sum())
        planes.put_all(region, name, values)
        assert all(planes.take(region, name, i).equal(values) for i in range(last + 1))


@pytest.mark.parametrize("order", ORDERS[::5])
def test_a_point_and_its_place_as_stored(order):
    planes = Planes((3, 4, 5), order)
    volume = torch.arange(60).view(3, 4, 5)
    laid_out = lay_out(volume, order)
    for point in itertools.product(*map(range, planes.shape)):
        stored = planes.point_stored(point)
        assert volume[stored] == laid_out[point]
        assert planes.point_laid_out(stored) == list(point)


def test_what_an_image_has_not():
    planes = Planes((4, 6), ((0, False), (1, False), (2, False)))
    image = torch.arange(24).view(1, 4, 6)
    assert planes.take(image, "image", 0).equal(image)
    for plane, number in (("axial", 0), ("image", 1), ("image", -1)):
        with pytest.raises(misure.InputError):
            planes.take(image, plane, number)
    for point in ((4, 0), (0, 6), (0,), (-1, 0)):
        with pytest.raises(misure.InputError, match="a point inside"):
            planes.point_stored(point)
