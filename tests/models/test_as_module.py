"""A SegmentationModel as a torch module: the same numbers, gradients, layers, and other libraries."""

import copy

import captum.attr
import monai.inferers
import monai.visualize
import pytest
import torch
from torch import nn

import misure
import toys

MEAN, STD = (0.4, 0.5), (0.25, 0.5)


class Net(nn.Module):
    """Features at half the resolution, and a head; in training mode, as networks are at first."""

    def __init__(self):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            self.features = nn.Conv2d(2, 5, 3, stride=2, padding=1)
            self.norm = nn.BatchNorm2d(5)
            self.head = nn.Conv2d(5, 3, 1)

    def forward(self, images):
        return self.head(torch.tanh(self.norm(self.features(images))))


def _model(**options):
    options = {"mean": MEAN, "std": STD} | options
    return misure.SegmentationModel(Net(), **options)


IMAGE = toys.random_image(1, size=20)[None]


def test_it_gives_the_logits_or_the_probabilities_of_the_model():
    model = _model()
    logits = model(IMAGE)
    assert torch.equal(model.as_module()(IMAGE), logits)
    assert torch.equal(model.as_module(probabilities=True)(IMAGE), logits.softmax(1))
    model = _model(multilabel=True)
    assert torch.equal(model.as_module(probabilities=True)(IMAGE), model(IMAGE).sigmoid())


def test_with_a_target_it_classifies_the_targets_pixels():
    model = _model()
    target = misure.predicted_target(model, IMAGE[0], 1)
    scores = model.as_module(target=target)(IMAGE)
    assert torch.allclose(scores[0], model(IMAGE)[0][:, target.region].mean(1), atol=1e-6)
    assert torch.allclose(scores[0, 1] * target.region.sum(), target(model(IMAGE)[0]), rtol=1e-5)
    shares = model.as_module(target=target, probabilities=True)(IMAGE)
    assert torch.allclose(shares.sum(1), torch.ones(1), atol=1e-5)
    with pytest.raises(misure.InputError, match="images of the target's shape"):
        model.as_module(target=target)(IMAGE[..., :10])


def test_a_layer_is_that_of_the_network_and_hooks_see_no_first_look():
    model = _model()
    module, seen = model.as_module(), []
    assert dict(module.named_modules())["net.features"] is model.net.features
    model.net.features.register_forward_hook(lambda _m, _i, output: seen.append(output))
    module(IMAGE)
    module(IMAGE)
    assert len(seen) == 2
    assert all(output.requires_grad for output in seen)
    assert model.net.training
    assert model.net.norm.num_batches_tracked == 0


def test_gradients_are_those_of_the_network_at_the_images_own_pixels():
    model = _model()
    images = IMAGE.clone().requires_grad_()
    model.as_module()(images)[0, 1].sum().backward()
    net, same = copy.deepcopy(model.net).eval(), IMAGE.clone().requires_grad_()
    normed = (same - torch.tensor(MEAN).view(2, 1, 1)) / torch.tensor(STD).view(2, 1, 1)
    enlarged = nn.functional.interpolate(net(normed), (20, 20), mode="bilinear")
    enlarged[0, 1].sum().backward()
    assert torch.allclose(images.grad, same.grad, atol=1e-6)
    assert images.grad.abs().max() > 0


def test_functions_without_gradients_have_a_module_too():
    def brightness(images):
        return torch.cat([0.5 - images[:, :1], images[:, :1] - 0.5], 1).detach()

    model = misure.SegmentationModel(brightness, differentiable=False, device="cpu")
    module = model.as_module()
    assert torch.equal(module(IMAGE), brightness(IMAGE))
    assert not [*module.parameters()]
    with pytest.raises(misure.InputError, match="expected images"):
        module(IMAGE.numpy())


def test_a_copy_has_a_network_of_its_own():
    module = _model().as_module()
    before = module(IMAGE)
    other = copy.deepcopy(module)
    with torch.no_grad():
        other.net.head.weight.zero_()
        other.net.head.bias.zero_()
    assert not other(IMAGE).any()
    assert torch.equal(module(IMAGE), before)


def test_captum_takes_it():
    model = _model()
    module = model.as_module()
    target = misure.predicted_target(model, IMAGE[0], 1)
    ours = captum.attr.IntegratedGradients(misure.as_captum_forward(model, target))
    theirs = captum.attr.IntegratedGradients(lambda x: target(module(x)[0])[None])
    found, same = (
        each.attribute(IMAGE, n_steps=8, internal_batch_size=1) for each in (ours, theirs)
    )
    assert torch.allclose(found, same, atol=1e-5)
    assert found.abs().max() > 0
    by_layer = captum.attr.LayerGradCam(module, module.net.features)
    assert by_layer.attribute(IMAGE, target=(1, 4, 4)).shape == (1, 1, 10, 10)


def test_monai_takes_it():
    model = _model(size_divisor=4)
    module = model.as_module()
    with torch.no_grad():
        whole = monai.inferers.sliding_window_inference(IMAGE, (20, 20), 1, module)
        windows = monai.inferers.sliding_window_inference(IMAGE, (10, 20), 1, module, overlap=0)
    assert torch.equal(whole, model(IMAGE))
    assert torch.equal(windows[:, :, :10], model(IMAGE[:, :, :10]))
    cam = monai.visualize.GradCAM(nn_module=module, target_layers="net.features")
    found = cam.compute_map(IMAGE, class_idx=1, layer_idx=-1)
    features = model.net.features
    kept = []
    handle = features.register_forward_hook(lambda _m, _i, output: kept.append(output))
    (gradient,) = torch.autograd.grad(module(IMAGE)[:, 1].sum(), kept[0])
    handle.remove()
    weights = gradient.mean((2, 3), keepdim=True)
    assert torch.allclose(found, (weights * kept[0]).sum(1, keepdim=True).relu(), rtol=1e-4)
    assert found.max() > 0
