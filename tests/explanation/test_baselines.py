import pytest
import torch
from skimage.filters import gaussian

import misure
from misure.explanation.baselines import BLUR_FRACTION, make_baseline_image

IMAGE = torch.rand(3, 20, 30, generator=torch.Generator().manual_seed(0))


def test_mean_is_the_models_mean_and_else_black():
    made = make_baseline_image("mean", IMAGE, mean=(0.1, 0.2, 0.3))
    assert torch.equal(made[:, 4, 5], torch.tensor([0.1, 0.2, 0.3]))
    assert not make_baseline_image("mean", IMAGE).any()
    assert not make_baseline_image("black", IMAGE, mean=(0.1, 0.2, 0.3)).any()


def test_blurred_is_a_gaussian():
    expected = gaussian(IMAGE.numpy(), BLUR_FRACTION * 20, mode="nearest", channel_axis=0)
    made = make_baseline_image("blurred", IMAGE)
    assert torch.allclose(made, torch.from_numpy(expected), atol=1e-4)


def test_noise_has_the_images_own_mean_and_spread_and_its_seed():
    made = make_baseline_image("noise", IMAGE, seed=1)
    assert torch.equal(made, make_baseline_image("noise", IMAGE, seed=1))
    assert not torch.equal(made, make_baseline_image("noise", IMAGE, seed=2))
    assert torch.allclose(made.mean((1, 2)), IMAGE.mean((1, 2)), atol=0.05)
    assert torch.allclose(made.std((1, 2)), IMAGE.std((1, 2)), atol=0.05)


@pytest.mark.parametrize("name", ["mean", "black", "blurred", "noise", "filled"])
def test_volumes_too(name):
    volume = torch.rand(1, 8, 9, 10)
    assert make_baseline_image(name, volume).shape == volume.shape


def test_bad_baseline_images():
    with pytest.raises(
        misure.InputError, match="expected one of mean, black, blurred, noise, filled"
    ):
        make_baseline_image("white", IMAGE)
    with pytest.raises(misure.InputError, match="expected a baseline image of shape"):
        make_baseline_image(torch.zeros(3, 5, 5), IMAGE)
    with pytest.raises(misure.InputError, match="expected finite numbers"):
        make_baseline_image(torch.full((3, 1, 1), torch.nan), IMAGE)
