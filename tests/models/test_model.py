import copy

import monai.networks.nets as monai_nets
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from transformers import SegformerConfig, SegformerForSemanticSegmentation

import misure
import toys
from misure.models.logits import class_region, look_like_probabilities, to_classes


class Returns(nn.Module):
    """A network that returns what a function makes of its logits."""

    def __init__(self, form):
        super().__init__()
        self.head = nn.Conv2d(3, 4, 1)
        self.form = form

    def forward(self, images):
        return self.form(self.head(images))


class _WithLogits:
    def __init__(self, logits):
        self.logits = logits


@pytest.mark.parametrize(
    ("form", "output"),
    [
        (lambda x: x, None),
        (lambda x: {"out": x, "aux": 0 * x}, None),
        (lambda x: {"logits": x, "loss": x.sum()}, None),
        (lambda x: {"features": x.mean((2, 3)), "masks": x}, None),
        (lambda x: {"a": 0 * x, "b": x}, "b"),
        (lambda x: (x, 0 * x), None),
        (lambda x: [0 * x, x], 1),
        (lambda x: [0 * x, x], -1),
        (lambda x: ({"out": x},), None),
        (_WithLogits, None),
    ],
)
def test_output_forms(form, output):
    net = Returns(form)
    images = torch.rand(2, 3, 8, 9)
    model = misure.SegmentationModel(net, output=output)
    assert torch.equal(model(images), net.head(images))


@pytest.mark.parametrize(
    ("form", "output", "said"),
    [
        (lambda x: x.mean((2, 3)), None, r"a float32 tensor \(1, 4\)"),
        (lambda x: {"a": x, "b": x}, None, r"dict\(a: a float32 tensor .*, b: "),
        (lambda x: {"out": x}, "c", "as entry 'c'"),
        (lambda x: [x], 3, "as entry 3"),
        (lambda x: (x, x), "b", "as entry 'b'"),
        (_WithLogits, "masks", "as entry 'masks'"),
        (lambda x: (), None, r"tuple\(\)"),
        (lambda x: "no", None, "an object of type str"),
        (lambda x: None, None, "an object of type NoneType"),
    ],
)
def test_other_outputs_are_shown_in_the_error(form, output, said):
    model = misure.SegmentationModel(Returns(form), output=output)
    with pytest.raises(misure.ModelError, match=f"expected logits .N, K, H, W.*{said}"):
        model(torch.rand(1, 3, 8, 8))


def test_a_transformers_network():
    config = SegformerConfig(
        num_labels=5,
        hidden_sizes=[8, 8, 16, 16],
        depths=[1] * 4,
        decoder_hidden_size=16,
        num_attention_heads=[1, 2, 4, 8],
    )
    net = SegformerForSemanticSegmentation(config)
    images = torch.rand(2, 3, 64, 96)
    logits = misure.SegmentationModel(net)(images)
    low = net.eval()(images).logits
    assert low.shape == (2, 5, 16, 24)
    # Without gradients some processors take other kernels, which differ in the last digit.
    torch.testing.assert_close(logits, F.interpolate(low, (64, 96), mode="bilinear"))


@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_monai_networks(num_dimensions):
    unet = monai_nets.UNet(num_dimensions, 2, 3, channels=(4, 8), strides=(2,))
    image = torch.rand(2, *[13] * num_dimensions)
    model = misure.SegmentationModel(unet, size_divisor=4)
    assert model(image[None]).shape == (1, 3, *[13] * num_dimensions)
    target = misure.segment(model, image).target(point=[6] * num_dimensions)
    found = misure.explain(model, image, target, preset="paper", num_iterations=2)
    assert found.dice >= 0.9
    deep = monai_nets.BasicUNetPlusPlus(
        num_dimensions, 2, 3, features=(4, 4, 8, 8, 16, 4), deep_supervision=True
    )
    heads = deep(torch.rand(1, 2, *[32] * num_dimensions))
    assert len(heads) == 4  # a list, in evaluation mode too
    model = misure.SegmentationModel(deep, size_divisor=32, output=-1)
    assert model(image[None]).shape == (1, 3, *[13] * num_dimensions)
    assert deep.training


def test_one_channel_is_a_sigmoid_against_the_background():
    net = nn.Identity()  # logits of both signs
    image = torch.linspace(-9, 9, 36).view(1, 1, 6, 6)
    model = misure.SegmentationModel(net)
    logits = model(image)
    p = net(image).sigmoid()
    assert logits.shape == (1, 2, 6, 6)
    assert torch.allclose(model.class_probability(logits, 1), p[:, 0], atol=1e-6)
    assert torch.allclose(model.class_probability(logits, 0), 1 - p[:, 0], atol=1e-6)
    assert torch.equal(model.class_region(logits, 1), p[:, 0] > 0.5)


@settings(deadline=None)
@given(st.integers(0, 1000), st.sampled_from([2, 3, 7]))
def test_class_regions_are_the_argmax_also_with_ties(seed, num_classes):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randint(0, 3, (2, num_classes, 4, 5), generator=generator).float()
    for k in range(num_classes):
        assert torch.equal(class_region(logits, k, multilabel=False), logits.argmax(1) == k)


@pytest.mark.parametrize("multilabel", [False, True])
@pytest.mark.parametrize("num_classes", [1, 3])
def test_probabilities_are_turned_back_into_logits(multilabel, num_classes):
    logits = torch.randn(1, num_classes, 5, 5)
    binary = num_classes == 1 and not multilabel
    p = logits.sigmoid() if multilabel or binary else logits.softmax(1)
    assert look_like_probabilities(p, multilabel)
    again = to_classes(p, multilabel=multilabel, probabilities=True)
    expected = to_classes(logits, multilabel=multilabel, probabilities=False)
    for k in range(again.shape[1]):
        assert torch.equal(
            class_region(again, k, multilabel), class_region(expected, k, multilabel)
        )


def test_probabilities_taken_for_logits_are_an_error_until_said():
    class Sigmoid(nn.Module):
        def forward(self, images):
            return images.sigmoid()

    images = torch.randn(1, 1, 5, 5)
    with pytest.raises(misure.ModelError, match="look like probabilities. Say probabilities=True"):
        misure.SegmentationModel(Sigmoid())(images)
    said = misure.SegmentationModel(Sigmoid(), probabilities=True)
    assert torch.equal(said.class_region(said(images), 1)[0], images[0, 0] > 0)
    assert misure.SegmentationModel(Sigmoid(), probabilities=False)(images).shape == (1, 2, 5, 5)


def test_normalisation_resizing_and_padding_are_undone():
    seen = []

    class Records(nn.Module):
        def forward(self, images):
            seen.append(images)
            return torch.cat([-images[:, :1], images[:, :1]], 1)

    image = torch.rand(1, 3, 20, 30)
    model = misure.SegmentationModel(
        Records(), mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7), size_divisor=16
    )
    logits = model(image)
    assert seen[-1].shape == (1, 3, 32, 32)
    by_hand = (image[0, 1] - 0.2) / 0.6
    assert torch.allclose(seen[-1][0, 1, :20, :30], by_hand)
    assert not seen[-1][:, :, 20:].any()
    assert not seen[-1][..., 30:].any()
    assert torch.allclose(logits[0, 1], (image[0, 0] - 0.1) / 0.5)

    misure.SegmentationModel(Records(), input_size=(10, 12))(image)
    expected = F.interpolate(image, (10, 12), mode="bilinear", antialias=True)
    assert torch.equal(seen[-1], expected)
    assert misure.SegmentationModel(Records(), input_size=10)(image).shape == (1, 2, 20, 30)
    assert seen[-1].shape == (1, 3, 10, 15)
    misure.SegmentationModel(Records(), input_size=(6, 7, 8))(torch.rand(1, 1, 3, 14, 9))
    assert seen[-1].shape == (1, 1, 6, 7, 8)
    with pytest.raises(misure.InputError, match="expected 3D images for input_size"):
        misure.SegmentationModel(Records(), input_size=(6, 7, 8))(image)


def test_resizing_agrees_with_pillow():
    """What transformers processors do to an image before the network."""
    from PIL import Image

    from misure.models.preprocessing import resize

    pixels = np.random.default_rng(0).integers(0, 256, (40, 60), dtype=np.uint8)
    by_pillow = np.asarray(Image.fromarray(pixels).resize((21, 17), Image.Resampling.BILINEAR))
    ours = resize(torch.from_numpy(pixels)[None, None].float(), (17, 21))[0, 0]
    assert np.abs(ours.numpy() - by_pillow).max() <= 1  # Pillow rounds after each axis


def test_wrong_channels_and_shapes():
    model = misure.SegmentationModel(nn.Conv2d(3, 2, 1), mean=(0.5,) * 3)
    with pytest.raises(misure.InputError, match="expected images with 3 channels, got 1: "):
        model(torch.rand(1, 1, 5, 5))
    uneven = misure.SegmentationModel(nn.Conv2d(3, 2, 1), std=(1.0, 2.0))
    with pytest.raises(misure.InputError, match="expected images with 2 channels .std has as many"):
        uneven(torch.rand(1, 3, 5, 5))
    with pytest.raises(misure.InputError, match="expected images .N, C, .D,. H, W. of floats"):
        model(torch.rand(3, 5, 5))
    with pytest.raises(misure.InputError, match="One image needs image"):
        model(torch.zeros(1, 3, 5, 5, dtype=torch.long))
    without = misure.SegmentationModel(nn.Conv2d(3, 2, 1))
    with pytest.raises(misure.ModelError, match=r"Conv2d raised RuntimeError on .*\(1, 1, 5, 5\)"):
        without(torch.rand(1, 1, 5, 5))


def test_bad_settings():
    with pytest.raises(misure.InputError, match="expected a network, got str"):
        misure.SegmentationModel("unet")
    with pytest.raises(misure.InputError, match="expected positive sizes"):
        misure.SegmentationModel(nn.Identity(), size_divisor=0)
    with pytest.raises(misure.InputError, match="expected a positive std"):
        misure.SegmentationModel(nn.Identity(), std=(0.0,))
    with pytest.raises(misure.InputError, match="expected batch_size of 1 or more, got 0"):
        misure.SegmentationModel(nn.Identity(), batch_size=0)
    for options in ({"mean": "a"}, {"input_size": 32.5}, {"input_size": (3.5, 2)}, {"std": [None]}):
        with pytest.raises(misure.InputError, match="expected numbers as mean and std, whole num"):
            misure.SegmentationModel(nn.Identity(), **options)
    with pytest.raises(misure.InputError, match="expected autocast among bfloat16, float16"):
        misure.SegmentationModel(nn.Identity(), autocast="int8")
    with pytest.raises(misure.InputError, match="expected the network on meta, its parameters"):
        misure.SegmentationModel(nn.Conv2d(1, 1, 1), device="meta")


class Raises(nn.Module):
    def forward(self, images):
        raise ValueError("no such luck")


def test_a_network_that_raises_or_gives_nan():
    with pytest.raises(
        misure.ModelError, match="Raises raised ValueError .* no such luck"
    ) as caught:
        misure.SegmentationModel(Raises())(torch.rand(1, 1, 4, 4))
    assert isinstance(caught.value.__cause__, ValueError)

    nan = Returns(lambda x: x * torch.nan)
    with pytest.raises(misure.ModelError, match="expected finite logits, Returns returned NaN"):
        misure.SegmentationModel(nan)(torch.rand(1, 3, 6, 6))
    doubled = Returns(lambda x: torch.cat([x, x]))
    with pytest.raises(misure.ModelError, match="expected one output for each of 1 image"):
        misure.SegmentationModel(doubled)(torch.rand(1, 3, 6, 6))


def _state_of(net):
    return (
        [module.training for module in net.modules()],
        [parameter.requires_grad for parameter in net.parameters()],
        [parameter.grad for parameter in net.parameters()],
        [len(module._forward_hooks) + len(module._backward_hooks) for module in net.modules()],
    )


@pytest.mark.parametrize("fails_at", [None, 1, 5, 40])
def test_the_network_comes_back_as_it_was(fails_at):
    net = toys.random_network(0)
    net[1].eval()
    net[0].weight.requires_grad_(False)
    calls = []

    def maybe_fail(*_):
        calls.append(1)
        if len(calls) == fails_at:
            raise KeyboardInterrupt

    net.register_forward_hook(maybe_fail)
    weights = copy.deepcopy(net.state_dict())
    before, random_state = _state_of(net), torch.get_rng_state()
    model = misure.SegmentationModel(net)
    image = toys.random_image(0)
    try:
        target = misure.segment(model, image).target(point=(3, 3))
        misure.explain(model, image, target, preset="paper", num_iterations=30)
    except KeyboardInterrupt:
        assert fails_at
    else:
        assert fails_at is None
    assert _state_of(net) == before
    assert torch.equal(torch.get_rng_state(), random_state)
    for key, value in net.state_dict().items():
        assert torch.equal(value, weights[key])


class OutOfMemory(nn.Module):
    """Takes at most `limit` images at a time."""

    def __init__(self, limit):
        super().__init__()
        self.limit, self.sizes = limit, []

    def forward(self, images):
        if len(images) > self.limit:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        self.sizes.append(len(images))
        return torch.cat([0.5 - images[:, :1], images[:, :1] - 0.5], 1)


def test_a_batch_that_does_not_fit_is_halved():
    limited, free = OutOfMemory(2), OutOfMemory(99)
    image = toys.square_image()
    results = []
    for net in (limited, free):
        model = misure.SegmentationModel(net)
        target = misure.segment(model, image).target(1)
        results.append(
            misure.explain_all(model, image, [target] * 5, preset="paper", num_iterations=3)
        )
    for a, b in zip(*results, strict=True):
        assert torch.equal(a.minimally_sufficient_region, b.minimally_sufficient_region)
        assert a.cost.pass_equivalents == b.cost.pass_equivalents
    assert max(limited.sizes) <= 2 < max(free.sizes)
    model = misure.SegmentationModel(OutOfMemory(1))
    target = misure.segment(model, image).target(1)
    model.net.limit = 0
    with pytest.raises(misure.ModelError, match="a single image does not fit into memory"):
        misure.explain(model, image, target)


def test_passes_are_counted_for_each_image():
    model = misure.SegmentationModel(nn.Conv2d(1, 2, 1))
    images = torch.rand(3, 1, 4, 4, requires_grad=True)
    with model.counting() as outer:
        logits = model(images)
        with model.counting() as inner:
            logits.sum().backward()
            model(images)
    assert (outer.forward_passes, outer.backward_passes, outer.pass_equivalents) == (6, 3, 12)
    assert (inner.forward_passes, inner.backward_passes) == (3, 3)
    assert outer.seconds >= inner.seconds > 0
    model(images)
    assert outer.forward_passes == 6


def test_autocast_and_half_precision_networks():
    net = nn.Conv2d(1, 2, 3, padding=1)
    images = torch.rand(1, 1, 8, 8)
    plain = misure.SegmentationModel(net)(images)
    cast = misure.SegmentationModel(net, autocast="bfloat16")(images)
    assert plain.dtype == cast.dtype == torch.float32
    assert 0 < float((plain - cast).abs().max()) < 0.05
    half = misure.SegmentationModel(copy.deepcopy(net).bfloat16())(images)
    assert half.dtype == torch.float32


def test_a_plain_function_is_a_model_too():
    model = misure.SegmentationModel(lambda images: torch.cat([0.5 - images, images - 0.5], 1))
    assert int(misure.segment(model, toys.square_image()).target(1).region.sum()) == 25


def test_class_names():
    model = misure.SegmentationModel(nn.Identity(), class_names=["sky", "sea"])
    assert [model.class_name(k) for k in (0, 1, 2)] == ["sky", "sea", "2"]
    assert [model.find_class(k) for k in ("sea", "7", 3)] == [1, 7, 3]


@pytest.mark.gpu
def test_on_a_gpu():
    net = toys.Beacon().cuda()
    model = misure.SegmentationModel(net, device="cuda")
    image = toys.beacon_image().cuda()
    found = misure.explain(model, image, misure.predicted_target(model, image, 1))
    assert torch.equal(found.minimally_sufficient_region.cpu(), toys.beacon_answer(2))
