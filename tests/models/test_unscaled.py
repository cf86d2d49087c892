"""Volumes in other units than the network's, of which nothing is known."""

import re

import pytest
import torch

import misure
from misure.errors import MisureWarning
from misure.models.binding import Binding

HU = torch.linspace(-1000, 1500, 4 * 5 * 6).view(1, 4, 5, 6)


def net(images: torch.Tensor) -> torch.Tensor:
    return torch.cat([images, -images], 1)


@pytest.mark.parametrize(
    ("image", "options", "said"),
    [
        (HU, {}, "-1000 to 1500."),
        (255 * HU.clamp(0, 1), {}, "0 to 255."),
        (HU, {"mean": 0.45, "std": 0.22}, "-1000 to 1500, which mean and std make up to 6,816."),
        (HU, {"spacing": "1,1,1"}, "-1000 to 1500."),
    ],
)
def test_a_volume_in_other_units_is_named_once_with_the_option_that_settles_it(
    image, options, said
):
    model = misure.SegmentationModel(net, name="mine", num_classes=2, **options)
    bound = model.for_image(image, torch.eye(4, dtype=torch.float64))
    sentence = f"the network mine gets the numbers of the volume as they are, {said}"
    with pytest.warns(MisureWarning, match=re.escape(sentence)) as warned:
        bound(image[None])
    assert "intensity=none if that is what it takes." in str(warned[0].message)
    assert len(warned) == 1
    bound(image[None])  # a warning would be an error


@pytest.mark.parametrize(
    ("image", "options"),
    [
        (HU.clamp(0, 1), {}),
        (20 * torch.sin(HU), {}),  # of unit deviation, with outliers
        (HU[:, 0], {}),
        (HU, {"intensity": "none"}),
        (HU, {"intensity": "window:-125:275"}),
        (HU, {"intensity": "zscore"}),
        (HU, {"mean": 50, "std": 200}),
        (HU, {"binder": lambda *_: Binding()}),
    ],
)
def test_nothing_is_said_where_scaling_is_known_or_the_numbers_are_usual(image, options):
    model = misure.SegmentationModel(net, num_classes=2, **options)
    model.for_image(image)(image[None])  # a warning would be an error
