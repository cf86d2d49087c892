import pytest
import torch

from misure.explanation.presentation import Presentation
from misure.images.regions import distance_px


def test_a_hard_edge_shows_image_inside_and_baseline_image_outside():
    image, other = torch.rand(3, 6, 7), torch.rand(3, 6, 7)
    region = torch.rand(6, 7) > 0.5
    shown = Presentation(image, other).show_regions([region])[0]
    for row in range(6):
        for column in range(7):
            source = image if region[row, column] else other
            assert torch.equal(shown[:, row, column], source[:, row, column])


@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_a_soft_edge_fades_inside_the_region(num_dimensions):
    image = torch.ones(1, *[31] * num_dimensions)
    core = torch.zeros(*[31] * num_dimensions, dtype=torch.bool)
    core[..., 15] = True
    visibility = Presentation(image, 0 * image, edge_px=4).visibility(distance_px(core) <= 4 + 3)
    line = visibility[(15,) * (num_dimensions - 1)]
    assert line.tolist() == pytest.approx(
        [0.0] * 8 + [0.2, 0.4, 0.6, 0.8] + [1.0] * 7 + [0.8, 0.6, 0.4, 0.2] + [0.0] * 8
    )
    assert bool((visibility[core] == 1).all())


def test_the_frame_of_the_image_is_no_edge():
    image = torch.ones(1, 5, 5)
    presentation = Presentation(image, 0 * image, edge_px=3)
    assert bool((presentation.visibility(torch.ones(5, 5, dtype=torch.bool)) == 1).all())
    assert not presentation.visibility(torch.zeros(5, 5, dtype=torch.bool)).any()


def test_visibility_mixes_linearly():
    image, other = torch.ones(1, 2, 2), torch.zeros(1, 2, 2)
    shown = Presentation(image, other).show(torch.full((1, 2, 2), 0.25))
    assert torch.equal(shown, torch.full((1, 1, 2, 2), 0.25))
