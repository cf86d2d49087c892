"""Images lie by pixel in memory where that is faster, and the network stays as it was."""

import pytest
import torch
from torch import nn

import misure
import toys
from misure.models.memory_format import by_pixel, is_faster_by_pixel

CPU = torch.device("cpu")


def _block(norm, num_inputs=8):
    return nn.Sequential(nn.Conv2d(num_inputs, 8, 3, padding=1, bias=False), norm, nn.ReLU())


def _network(norm=nn.BatchNorm2d, num_channels=3):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        blocks = [_block(norm(8), width) for width in (num_channels, 8)]
        return nn.Sequential(*blocks, nn.Conv2d(8, 3, 1)).eval()


class Reshaping(nn.Module):
    """Asks for a view that only images by channel have."""

    def __init__(self, lenient=False):
        super().__init__()
        self.inner, self.lenient = _network(), lenient

    def forward(self, images):
        features = self.inner(images)
        if self.lenient:  # takes the numbers as they lie
            sizes = features.shape
            return (
                features.permute(0, 2, 3, 1).reshape(-1).view(sizes) if _lies(images) else features
            )
        return features.view(len(images), -1).view_as(features)


def _lies(images):
    return images.is_contiguous(memory_format=torch.channels_last) and images.stride(1) == 1


def _seen_by(net):
    seen = []
    net.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    return seen


@pytest.mark.parametrize("num_channels", [1, 3])
def test_networks_with_batch_norm_get_images_by_pixel(num_channels):
    net, images = _network(num_channels=num_channels), torch.rand(2, num_channels, 9, 12)
    images[0, 0, 0, 0] = 3
    weights = {name: (value.clone(), value.stride()) for name, value in net.state_dict().items()}
    expected = net(images).detach()
    seen, features = _seen_by(net), _seen_by(net[1])
    model = toys.model_of(net)
    shown = images.clone().requires_grad_()
    logits = model(shown)
    assert torch.allclose(logits, expected, atol=1e-5)
    assert torch.equal(seen[-1], images)
    assert _lies(seen[-1])
    assert _lies(features[-1])  # what is computed follows
    (gradient,) = torch.autograd.grad(logits.square().sum(), shown)
    (plain,) = torch.autograd.grad(net(shown).square().sum(), shown)
    assert torch.allclose(gradient, plain, atol=1e-4)
    for name, value in net.state_dict().items():
        assert torch.equal(value, weights[name][0])
        assert value.stride() == weights[name][1]


@pytest.mark.parametrize("lenient", [False, True])
def test_networks_that_cannot_take_images_by_pixel_get_them_by_channel(lenient):
    net, images = Reshaping(lenient), torch.rand(1, 3, 9, 12)
    expected = net(images).detach()
    seen = _seen_by(net)
    model = toys.model_of(net)  # and no warning
    assert torch.equal(model(images), expected)
    assert [_lies(each) for each in seen].count(True) == 1  # tried once
    assert torch.equal(model(images), expected)
    assert not _lies(seen[-1])


def test_the_rule_looks_at_the_layers_alone():
    assert is_faster_by_pixel([_network()], CPU)
    assert not is_faster_by_pixel([_network(nn.InstanceNorm2d)], CPU)
    assert not is_faster_by_pixel([nn.Conv2d(3, 2, 1)], CPU)
    assert not is_faster_by_pixel([nn.Sequential(_network(), nn.GroupNorm(1, 3))], CPU)
    assert not is_faster_by_pixel([toys.random_network(0, num_dimensions=3)], CPU)
    assert not is_faster_by_pixel([], CPU)
    assert not is_faster_by_pixel([_network()], torch.device("cuda"))


def test_an_image_of_one_channel_lies_by_pixel_too():
    image = torch.rand(2, 1, 4, 5)
    assert by_pixel(image).stride() == (20, 1, 5, 1)
    assert torch.equal(by_pixel(image), image)


@pytest.mark.parametrize(("side", "size"), [(513, 1), (257, 4), (64, 16)])
def test_batches_on_a_cpu_are_small(side, size):
    sizes = []
    model = misure.SegmentationModel(lambda images: torch.cat([0.5 - images, images - 0.5], 1))
    model.in_batches(lambda part: sizes.append(part.stop - part.start), 16, (side, side))
    assert sizes == [size] * (16 // size)
