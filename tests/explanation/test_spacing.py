"""Voxels that are no cubes: distances are measured in space."""

import pytest
import torch

import misure
import toys
from misure.explanation.presentation import Presentation
from misure.images.regions import dilate, distance_px, distance_px_up_to

THICK = (0.8, 0.8, 4.8)


def _far_beacon():
    """A beacon 2 slices of 4.8 mm above the target: 9.6 mm, or 12 px of 0.8 mm."""
    model = toys.model_of(_Above())
    image = torch.zeros(1, 30, 30, 9)
    image[0, 12:18, 12:18, 2:4] = 1.0
    image[0, 14, 14, 5] = 0.4
    return model, image, misure.predicted_target(model, image, 1)


class _Above(torch.nn.Module):
    """Bright voxels are foreground, if the voxel at (14, 14, 5) is seen."""

    def forward(self, images):
        beacon = images[:, :, 14:15, 14:15, 5:6] - 0.2
        evidence = torch.minimum(images - 0.5, beacon.expand_as(images))
        return torch.cat([-evidence, evidence], dim=1)


def test_growth_is_measured_in_millimetres():
    model, image, target = _far_beacon()
    found = misure.explain(model, image, target, max_passes=60, growth="bracket", spacing_mm=THICK)
    assert found.growth_mm == pytest.approx(9.6)
    assert found.growth_px == 12
    grown = found.sufficient_region & ~target.region
    rows, _, slices = grown.nonzero().amin(0).tolist(), 0, grown.any(0).any(0)
    assert rows[0] == 0  # 12 voxels of 0.8 mm to the side
    assert slices.tolist() == [True] * 6 + [False] * 3  # 2 slices of 4.8 mm up and down
    voxel = 0.8 * 0.8 * 4.8
    assert found.values.target.volume_mm3 == pytest.approx(6 * 6 * 2 * voxel)
    assert found.values.target.area_mm2 is None
    region = found.values.sufficient_region
    assert region.volume_mm3 == pytest.approx(int(found.sufficient_region.sum()) * voxel)
    cubes = misure.explain(model, image, target, max_passes=60, growth="bracket")
    assert (cubes.growth_px, cubes.growth_mm) == (2, None)


def test_cubes_of_any_size_change_nothing():
    model, image, target = _far_beacon()
    plain = misure.explain(model, image, target, max_passes=80)
    found = misure.explain(model, image, target, max_passes=80, spacing_mm=(2.0, 2.0, 2.0))
    assert torch.equal(found.sufficient_region, plain.sufficient_region)
    assert torch.equal(found.minimally_sufficient_region, plain.minimally_sufficient_region)
    torch.testing.assert_close(
        found.saliency_map, plain.saliency_map, rtol=0, atol=0, equal_nan=True
    )
    assert found.growth_mm == 2 * found.growth_px


def test_a_picture_has_an_area_in_square_millimetres():
    model = toys.model_of(toys.OwnBrightness())
    image = toys.square_image()
    target = misure.predicted_target(model, image, 1)
    found = misure.explain(model, image, target, max_passes=60, spacing_mm=(0.5, 0.5))
    assert found.values.target.area_mm2 == int(target.region.sum()) * 0.25
    assert found.values.target.volume_mm3 is None


def test_distances_near_and_far_and_edges_agree():
    region = torch.zeros(12, 12, 7, dtype=torch.bool)
    region[5, 5, 3] = True
    sampling = (1.0, 1.0, 6.0)
    exact = distance_px(region, sampling)
    assert exact[5, 8, 3] == 3
    assert exact[5, 5, 4] == 6
    assert torch.allclose(distance_px_up_to(region, 8, sampling), exact.clamp(max=8), atol=1e-4)
    grown = dilate(region, sampling)
    assert grown[8, 5, 3]
    assert grown[5, 5, 4]  # it must be able to grow along each axis
    assert not grown[5, 5, 5]
    image = torch.zeros(1, 12, 12, 7)
    shown = Presentation(image, image, edge_px=2, sampling=sampling)
    block = torch.zeros_like(region)
    block[2:10, 2:10, 2:5] = True
    visibility = shown.visibility(block)
    assert visibility[2, 6, 3] == pytest.approx(1 / 3)  # the first voxel from the side
    assert visibility[6, 6, 2] == 1  # 6 units deep already
