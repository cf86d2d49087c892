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


def test_the_best_cells_of_equal_score_are_the_first():
    score = torch.tensor([[0.0, 2.0, 1.0], [1.0, 1.0, 2.0]])
    assert top_cells(score, 3).tolist() == [[False, True, True], [False, False, True]]
    assert not top_cells(score, 0).any()


@pytest.mark.parametrize("shape", [(20, 30), (9, 10, 11)])
def test_smoothing_agrees_with_scipy(shape):
    values = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    expected = gaussian_filter(values.numpy(), 2.0, mode="constant", truncate=3.0)
    assert np.allclose(smooth(values, 2.0), expected, atol=1e-5)
