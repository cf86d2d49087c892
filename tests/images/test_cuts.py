"""Which slices are drawn, which way up they are, and what their sides are called."""

import numpy as np
import pytest
import torch

from misure.errors import InputError
from misure.images.cuts import Cut, Lie, cuts_through, is_telling, montage_of
from misure.images.orientation import spacing_mm, viewing_order

AFFINES = {
    "RAS": np.diag([2.0, 3, 5, 1]),
    "LPS": np.diag([-2.0, -3, 5, 1]),
    "SRA": np.array([[0, 2.0, 0, 0], [0, 0, 3, 0], [5, 0, 0, 0], [0, 0, 0, 1]]),
    "IPL": np.array([[0, 0, -2.0, 0], [0, -3, 0, 0], [-5, 0, 0, 0], [0, 0, 0, 1]]),
}


def _marked(affine, direction):
    """A volume (6, 7, 8) whose outermost voxel in a direction of the body is set, in the middle."""
    shape = np.array([6, 7, 8])
    centre = shape // 2
    axis = int(np.abs(affine[:3, :3].T @ direction).argmax())
    along = affine[:3, axis] @ direction
    centre[axis] = shape[axis] - 1 if along > 0 else 0
    volume = torch.zeros(6, 7, 8)
    volume[tuple(centre)] = 1
    return volume, centre


@pytest.mark.parametrize("name", AFFINES)
@pytest.mark.parametrize(
    ("letter", "direction"),
    [("R", (1, 0, 0)), ("L", (-1, 0, 0)), ("A", (0, 1, 0)), ("P", (0, -1, 0)), ("S", (0, 0, 1)),
     ("I", (0, 0, -1))],
)  # fmt: skip
def test_a_letter_stands_where_that_side_of_the_body_is(name, letter, direction):
    affine = AFFINES[name]
    lie = Lie(viewing_order(affine, "a"), True, spacing_mm(affine))
    volume, _ = _marked(affine, np.array(direction))
    cuts = cuts_through(volume, volume > 0, lie)
    assert [cut.plane for cut in cuts] == ["axial", "coronal", "sagittal"]
    found = 0
    for cut in cuts:
        plane = cut.take(volume)
        row, column = np.argwhere(plane.numpy() == 1)[0]
        sides = {
            cut.letters[0]: column == 0,
            cut.letters[1]: column == plane.shape[1] - 1,
            cut.letters[2]: row == 0,
            cut.letters[3]: row == plane.shape[0] - 1,
        }
        if letter in sides:
            found += 1
            assert sides[letter], f"{letter} of {cut.plane}"
    assert found == 2


@pytest.mark.parametrize("name", AFFINES)
def test_pixels_are_as_high_and_wide_as_voxels(name):
    affine = AFFINES[name]
    lie = Lie(viewing_order(affine, "a"), True, spacing_mm(affine))
    region = torch.zeros(6, 7, 8, dtype=torch.bool)
    region[3, 3, 3] = True
    axial, coronal, sagittal = cuts_through(region, region, lie)
    assert axial.pixel_mm == (3.0, 2.0)  # back to front, left to right
    assert coronal.pixel_mm == (5.0, 2.0)
    assert sagittal.pixel_mm == (5.0, 3.0)
    assert axial.aspect == pytest.approx(1.5)


def test_the_slice_with_most_of_the_evidence_is_drawn():
    evidence = torch.zeros(9, 9, 9, dtype=torch.bool)
    evidence[2, 1:8, 3:5] = True
    target = torch.zeros_like(evidence)
    target[7, 5, 5] = True
    cuts = cuts_through(evidence, target, Lie())
    assert [cut.number for cut in cuts] == [2, 4, 4]  # the middle one of several
    assert cuts[0].words == "slice 2 of 0 to 8 across axis 0"
    assert {cut.letters for cut in cuts} == {""}
    for useless in (torch.zeros_like(evidence), torch.ones_like(evidence)):
        assert not is_telling(useless)
        assert [cut.number for cut in cuts_through(useless, target, Lie())] == [7, 5, 5]


def test_slices_are_named_or_refused():
    region = torch.zeros(4, 5, 6, dtype=torch.bool)
    region[1] = True
    assert [cut.number for cut in cuts_through(region, region, Lie(), slice_index=3)] == [3]
    assert [cut.number for cut in cuts_through(region, region, Lie(), slice_index=(0, 4, 5))] == [
        0, 4, 5,
    ]  # fmt: skip
    for wrong in (4, (0, 5, 5), (1, 2), -1):
        with pytest.raises(InputError, match="slice"):
            cuts_through(region, region, Lie(), slice_index=wrong)
    with pytest.raises(InputError, match="flat image"):
        cuts_through(region[0], region[0], Lie(), slice_index=1)
    assert cuts_through(region[0], region[0], Lie()) == [Cut()]


def test_a_montage_goes_through_all_of_the_evidence_and_the_target():
    evidence = torch.zeros(20, 4, 4, dtype=torch.bool)
    evidence[5:9] = True
    target = torch.zeros_like(evidence)
    target[15] = True
    assert [cut.number for cut in montage_of(evidence, target, Lie(), 3)] == [5, 10, 15]
    assert len(montage_of(evidence, target, Lie(), 100)) == 11
    with pytest.raises(InputError, match="volume"):
        montage_of(evidence[0], target[0], Lie(), 3)
