"""Resizing is that of Pillow, with gradients."""

import numpy as np
import pytest
import torch
from PIL import Image

import misure
from misure.models.resampling import INTERPOLATIONS, resample

KERNELS = {
    "linear": Image.Resampling.BILINEAR,
    "nearest": Image.Resampling.NEAREST,
    "bicubic": Image.Resampling.BICUBIC,
    "box": Image.Resampling.BOX,
    "hamming": Image.Resampling.HAMMING,
    "lanczos": Image.Resampling.LANCZOS,
}


def picture(height, width):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def as_images(array):
    return torch.from_numpy(array).movedim(-1, 0)[None].float() / 255


@pytest.mark.parametrize("name", INTERPOLATIONS)
@pytest.mark.parametrize(
    "sizes", [((37, 53), (64, 48)), ((90, 41), (20, 60)), ((61, 70), (23, 29))]
)
def test_whole_levels_are_those_of_pillow(name, sizes):
    (height, width), new = sizes
    pixels = picture(height, width)
    theirs = np.asarray(Image.fromarray(pixels).resize(new[::-1], KERNELS[name])).astype(int)
    ours = resample(as_images(pixels), new, name, 255)[0].movedim(0, -1) * 255
    differs = (ours - torch.from_numpy(theirs)).abs()
    assert differs.max() < 1.01  # a tie between two levels
    assert differs.mean() < 0.01


@pytest.mark.parametrize("name", ["linear", "bicubic", "box"])
def test_gradients_pass_the_rounding(name):
    images = as_images(picture(12, 10)).mul(0.5).add(0.25).requires_grad_()
    (whole,) = torch.autograd.grad(resample(images, (7, 15), name, 255).sum(), images)
    (plain,) = torch.autograd.grad(resample(images, (7, 15), name).sum(), images)
    assert whole.abs().min() > 0
    assert torch.allclose(whole, plain, atol=1e-5)


def test_volumes_know_two_kernels():
    volumes = torch.rand(1, 2, 4, 6, 8)
    assert torch.equal(resample(volumes, (2, 3, 4), "nearest"), volumes[..., 1::2, 1::2, 1::2])
    assert resample(volumes, (2, 3, 4), "linear").shape == (1, 2, 2, 3, 4)
    with pytest.raises(misure.InputError, match="linear or nearest for volumes, got bicubic"):
        resample(volumes, (2, 3, 4), "bicubic")
