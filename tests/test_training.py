import pytest
import torch
from torch import nn

from misure.datasets.triangle import TriangleDataset
from misure.training import measure_triangle, train_triangle


class _Threshold(nn.Module):
    """Foreground is what is brighter than a grey level."""

    def __init__(self, grey):
        super().__init__()
        self.grey = grey

    def forward(self, images):
        return torch.cat([self.grey - images, images - self.grey], 1)


def test_what_is_measured():
    dataset = TriangleDataset(20)
    nothing = measure_triangle(_Threshold(2.0), dataset)
    assert nothing == {"foreground_dice": 0.0, "distractor_fraction": 0.0}
    bright = measure_triangle(_Threshold(0.3), dataset)
    assert bright["distractor_fraction"] == 1
    assert 0.4 < bright["foreground_dice"] < 0.7
    empty = TriangleDataset(5, empty_fraction=1.0)
    assert measure_triangle(_Threshold(2.0), empty)["foreground_dice"] == 1


def test_training_is_deterministic_told_of_and_leaves_the_random_state():
    state = torch.get_rng_state()
    told = []
    first, figures = train_triangle(num_steps=2, seed=4, on_step=lambda *step: told.append(step))
    second, again = train_triangle(num_steps=2, seed=4)
    assert told == [("training", 1, 2), ("training", 2, 2)]
    assert figures == again
    assert not first.training
    for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.slow
def test_the_shipped_network_is_as_good_as_its_file_says():
    from misure.networks.triangle import load_triangle_network

    net, figures = load_triangle_network()
    measured = measure_triangle(net, TriangleDataset(300, seed=figures["seed"]))
    assert measured == {key: pytest.approx(figures[key], abs=2e-3) for key in measured}
    assert measured["foreground_dice"] >= 0.95
