import pytest
import torch
from torch import nn

import misure
from misure.errors import ModelError


class Skip(nn.Module):
    """A skip connection over one halving."""

    def forward(self, images):
        small = nn.functional.max_pool2d(images, 2)
        return 4 - 8 * torch.cat([images, nn.functional.interpolate(small, scale_factor=2.0)], 1)


def test_odd_sides_name_size_divisor():
    image = torch.rand(1, 15, 15)
    with pytest.raises(ModelError, match="size_divisor"):
        misure.segment(misure.SegmentationModel(Skip()), image)
    model = misure.SegmentationModel(Skip(), size_divisor=2)
    assert misure.predicted_target(model, image, 0).region.shape == (15, 15)
