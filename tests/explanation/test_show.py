"""What the model makes of a view: the direction in which the loss falls, against autograd."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import misure
import toys
from misure.explanation.content_controls import make_content_controls
from misure.explanation.presentation import make_presentations
from misure.explanation.probe import Probe, Query
from misure.explanation.show import try_regions


class Affine(nn.Module):
    """Three classes whose logits are affine in the image, different at every pixel."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = torch.randn(1, 3, 12, 12, generator=generator)
        self.bias = torch.randn(1, 3, 12, 12, generator=generator)

    def forward(self, images):
        return self.weight * images.mean(1, keepdim=True) + self.bias


def _trial(**options):
    image = toys.random_image(1, size=12)
    region = torch.zeros(12, 12, dtype=torch.bool)
    region[2:6, 3:9] = True
    ignored = torch.zeros_like(region)
    ignored[8:] = True
    presentations = make_presentations(MODEL, image)
    contents = make_content_controls(image)
    return Probe(
        misure.Target(1, region, ignored), presentations, content_controls=contents, **options
    )


MODEL = toys.model_of(Affine())


def _softplus_loss(probe, visibility, image, is_control):
    logits = MODEL((visibility * image)[None])[0]
    margin = logits[1] - torch.maximum(logits[0], logits[2])
    z = margin / (0.3 * margin.detach().std(correction=0))
    region, ignored = probe.target.region, probe.target.ignored
    if is_control:
        return F.softplus(z[region]).sum() / region.sum()
    return (F.softplus(-z[region]).sum() + F.softplus(z[~region & ~ignored]).sum()) / region.sum()


def _gradient(probe, shown, image, is_control=False):
    visibility = shown.float().requires_grad_()
    return torch.autograd.grad(_softplus_loss(probe, visibility, image, is_control), visibility)[0]


def test_the_direction_is_the_fall_of_the_softplus_loss():
    probe = _trial()
    shown = torch.rand(12, 12, generator=torch.Generator().manual_seed(3)) > 0.5
    (reply,) = try_regions(MODEL, [(probe, shown)], Query([], gradient=True))
    wanted = -_gradient(probe, shown, probe.presentations[0].image)
    torch.testing.assert_close(reply.gradient, wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("max_content_dice", [0.0, 0.999])
def test_a_control_pulls_the_other_way_while_its_dice_is_too_large(max_content_dice):
    probe = _trial(excluded_contents=("other_image",), max_content_dice=max_content_dice)
    shown = torch.ones(12, 12, dtype=torch.bool)
    (reply,) = try_regions(MODEL, [(probe, shown)], Query([], gradient=True, content_controls=True))
    wanted = -_gradient(probe, shown, probe.presentations[0].image)
    if max_content_dice == 0:
        assert reply.excess_dice > 0
        wanted = wanted - _gradient(
            probe, shown, probe.content_controls.replace("other_image", shown), is_control=True
        )
    torch.testing.assert_close(reply.gradient, wanted, rtol=1e-4, atol=1e-6)
