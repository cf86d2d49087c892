"""The preprocessing of model folders of the BioImage Model Zoo, without its library."""

import pytest
import torch

from misure.models.loaders.bioimageio_steps import Step, ZooPreprocessing

SCORED = Step(
    "zero_mean_unit_variance",
    lambda images, of: (images - of[0]) / (of[1] + 1e-6),
    (
        lambda image: image.mean((1, 2), keepdims=True),
        lambda image: image.std((1, 2), keepdims=True),
    ),
)


def test_the_mean_colour_is_what_becomes_0():
    image = torch.rand(3, 8, 9, generator=torch.Generator().manual_seed(0))
    whole = ZooPreprocessing(
        steps=(SCORED,), gain=255.0, halo=((0, 0),) * 2, least=(1, 1), every=(1, 1)
    )
    assert whole.mean_colour is None
    assert whole.bound(image).mean_colour == pytest.approx(image.mean((1, 2)).tolist(), abs=1e-6)
    assert ZooPreprocessing(least=(1, 1)).mean_colour == (0.0,)
