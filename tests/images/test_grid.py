import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from misure.images.grid import Grid, default_grain_px, smooth, top_cells


@pytest.mark.parametrize("shape", [(7, 9), (5, 4, 6)])
def test_cells_against_plain_loops(shape):
    generator = torch.Generator().manual_seed(0)
    limit = torch.rand(shape, generator=generator) < 0.7
    values = torch.rand(shape, generator=generator)
    grid = Grid(limit, 3)
    sums = np.zeros(grid.shape)
    for place in np.ndindex(shape):
        if limit[place]:
            sums[tuple(i // 3 for i in place)] += float(values[place])
    assert np.allclose(grid.sums(values), sums, atol=1e-5)
    cells = torch.rand(grid.shape, generator=generator) < 0.5
    region = grid.region(cells)
    for place in np.ndindex(shape):
        assert region[place] == (limit[place] and cells[tuple(i // 3 for i in place)])
    assert torch.equal(grid.cells(region), cells & grid.inside)


def test_the_grain_is_a_128th_of_the_short_side():
    assert [default_grain_px(s) for s in ((30, 40), (257, 300), (96, 96, 512), (1024, 2048))] == [
        1, 2, 1, 8,
    ]  # fmt: skip


def test_the_best_cells_are_taken_and_of_equal_ones_no_particular_side():
    score = torch.tensor([[0.0, 2.0, 1.0], [1.0, 1.0, 2.0]])
    best = top_cells(score, 3)
    assert best.sum() == 3
    assert best[score == 2].all()
    assert not best[0, 0]
    assert not top_cells(score, 0).any()
    flat = torch.zeros(40, 40)
    half = top_cells(flat, 800)
    assert half.sum() == 800
    for part in (half[:20], half[20:], half[:, :20], half[:, 20:]):
        assert 350 < part.sum() < 450
    fewer = top_cells(flat, 300)
    assert fewer.sum() == 300
    assert not (fewer & ~half).any()  # the lot is always the same


def test_cells_of_voxels_that_are_no_cubes_are_about_cubes():
    grid = Grid(torch.ones(12, 12, 6, dtype=torch.bool), 6, (1.0, 1.0, 6.25))
    assert grid.sides == (6, 6, 1)
    assert grid.shape == (2, 2, 6)
    assert grid.sampling_of_cells == pytest.approx((1, 1, 6.25 / 6), abs=1e-5)
    cells = torch.zeros(grid.shape, dtype=torch.bool)
    cells[0, 1, 4] = True
    region = grid.region(cells)
    assert region.sum() == 36
    assert region[:6, 6:, 4].all()
    assert default_grain_px((512, 512, 40), (1.0, 1.0, 6.25)) == 2
    assert default_grain_px((512, 512, 40)) == 1


@pytest.mark.parametrize("shape", [(20, 30), (9, 10, 11)])
def test_smoothing_agrees_with_scipy(shape):
    values = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    expected = gaussian_filter(values.numpy(), 2.0, mode="constant", truncate=3.0)
    assert np.allclose(smooth(values, 2.0), expected, atol=1e-5)
