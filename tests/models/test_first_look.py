"""A network that gives no gradients, or two answers to one image, is told of and put right."""

import functools
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import misure
import toys
from misure.errors import MisureWarning
from misure.explanation.presentation import make_presentations
from misure.models.borrowed import modules_within


class Wrapped(nn.Module):
    """A Beacon whose gradients are lost in one of several ways."""

    def __init__(self, kind):
        super().__init__()
        self.inner, self.kind = toys.Beacon(), kind
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, images):
        if self.kind == "no_grad":
            with torch.no_grad():
                return self.inner(images)
        if self.kind == "inference_mode":
            with torch.inference_mode():
                return self.inner(images)
        if self.kind == "numpy":
            return torch.from_numpy(self.inner(images).detach().numpy())
        if self.kind == "round":
            return (self.inner(images) * 1e3).round() / 1e3
        if self.kind == "nan":
            return self.inner(images) + (images - images.detach()).abs().sqrt()[:, :1]
        return self.inner(images).detach()


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("no_grad", "do not record any"),
        ("inference_mode", "do not record any"),
        ("numpy", "do not record any"),
        ("detach", "do not record any"),
        ("round", "they are zero for every pixel"),
        ("nan", "they are NaN or infinite"),
    ],
)
def test_a_network_without_gradients_is_explained_without_them(kind, why):
    model, image = toys.model_of(Wrapped(kind)), toys.beacon_image()
    with pytest.warns(MisureWarning, match=f"Wrapped gives no gradients: .*{why}") as caught:
        target = misure.predicted_target(model, image, 1)
    assert len(caught) == 1
    assert not model.differentiable
    by_default = misure.explain(model, image, target, dice_threshold=1.0, max_passes=60)
    assert (by_default.preset, by_default.dice) == ("readable", 1.0)
    assert by_default.cost.backward_passes == 0
    found = misure.explain(model, image, target, dice_threshold=1.0, preset="forward_only")
    assert torch.equal(found.minimally_sufficient_region, toys.beacon_answer(2))
    for explain in (
        functools.partial(misure.explain, preset="smallest"),
        misure.METHODS["saliency"],
        functools.partial(misure.METHODS["seg_grad_cam"], layer="inner"),
    ):
        with pytest.raises(misure.InputError, match=f"Wrapped gives none: .*{why}"):
            explain(model, image, target)


def test_no_word_about_networks_that_are_as_they_should_be():
    for net in (toys.Beacon(), toys.Constant(), toys.random_network(0)):
        model = toys.model_of(net)
        model(torch.rand(1, 2, 20, 20))
        assert model.differentiable
        assert model.batch_size is None


class Noisy(nn.Module):
    def __init__(self, draw):
        super().__init__()
        self.draw = draw

    def forward(self, images):
        evidence = 10 * (self.draw(images[:, :1]) - 0.5)
        return torch.cat([-evidence, evidence], 1)


def _again(model, image, found):
    shown = make_presentations(model, image)[0].show_regions([found.minimally_sufficient_region])
    return found.target.dice_of_logits(model(torch.cat([shown, shown])))


@pytest.mark.parametrize(
    "draw",
    [
        lambda x: F.dropout(x, 0.2),
        lambda x: x + 0.3 * torch.randn_like(x),
        lambda x: x + torch.from_numpy(np.random.normal(0, 0.3, x.shape)).float(),
    ],
)
def test_random_numbers_of_a_network_are_fixed(draw):
    model, image = toys.model_of(Noisy(draw)), toys.square_image()
    states = torch.get_rng_state(), np.random.get_state()[1].tolist()
    with pytest.warns(MisureWarning, match="Noisy draws random numbers.* holds for one draw"):
        target = misure.predicted_target(model, image, 1)
    found = misure.explain(model, image, target, dice_threshold=0.8, max_passes=60)
    assert _again(model, image, found) == [found.dice] * 2
    assert torch.equal(torch.get_rng_state(), states[0])
    if "numpy" not in str(draw.__code__.co_names):
        assert np.random.get_state()[1].tolist() == states[1]


def test_random_numbers_that_cannot_be_fixed_are_told():
    own = np.random.default_rng(0)
    net = Noisy(lambda x: x + torch.from_numpy(own.normal(0, 0.3, x.shape)).float())
    with pytest.warns(MisureWarning, match="They cannot be fixed from outside"):
        toys.model_of(net)(toys.square_image()[None])


def test_statistics_of_the_batch_make_images_be_shown_one_by_one():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        net = nn.Sequential(
            nn.Conv2d(2, 8, 5, padding=2),
            nn.BatchNorm2d(8, track_running_stats=False),
            nn.ReLU(),
            nn.Conv2d(8, 3, 5, padding=2),
        )
    model, image = toys.model_of(net), toys.random_image(0, size=20)
    with pytest.warns(MisureWarning, match="other logits beside another image in the batch"):
        segmentation = misure.segment(model, image)
    assert model.batch_size == 1
    target = segmentation.target(segmentation.found_classes()[0].class_index)
    found = misure.explain(model, image, target, max_passes=60)
    assert _again(model, image, found) == [found.dice] * 2


def test_a_network_that_takes_one_image_only_is_given_one():
    class One(toys.OwnBrightness):
        def forward(self, images):
            if len(images) != 1:
                raise ValueError("one image only")
            return super().forward(images)

    model, image = toys.model_of(One()), toys.square_image()
    found = misure.explain(model, image, 1, max_passes=60)
    assert found.dice >= 0.9
    assert model(torch.stack([image] * 3)).shape == (3, 2, 30, 30)


def test_the_first_look_is_not_counted_and_made_once():
    net, calls = toys.OwnBrightness(), []
    net.register_forward_hook(lambda *_: calls.append(1))
    model, image = toys.model_of(net), toys.square_image()
    with model.counting() as cost:
        model(image[None])
        assert len(calls) == 5
        model(image[None])
    assert len(calls) == 6
    assert cost.forward_passes == 2
    assert model.with_network(net)(image[None]).shape == (1, 2, 30, 30)
    assert len(calls) == 7


def _function_with_module(kind, net):
    class Holder:
        def __init__(self):
            self.parts = {"net": net}

        def predict(self, images):
            return self.parts["net"](images)

        def __call__(self, images):
            return self.predict(images)

    def two(part, images):
        return part(images)

    return {
        "closure": lambda images: net(1 * images),
        "default": lambda images, part=net: part(images),
        "method": Holder().predict,
        "object": Holder(),
        "partial": functools.partial(two, net),
        "inner": lambda images: next(part(images) for part in [net]),
    }[kind]


@pytest.mark.parametrize("kind", ["closure", "default", "method", "object", "partial", "inner"])
def test_modules_inside_functions_are_borrowed_too(kind):
    net, image = toys.random_network(0), toys.random_image(0)
    function = _function_with_module(kind, net)
    assert modules_within(function) == [net]
    before = {name: value.clone() for name, value in net.state_dict().items()}
    model = misure.SegmentationModel(function)
    logits = model(image[None])
    assert torch.equal(logits, misure.SegmentationModel(net)(image[None]))
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(module.training for module in net.modules())


GLOBAL_NET = toys.random_network(1)


def _global_function(images):
    return GLOBAL_NET(images)


def test_modules_that_a_function_finds_among_its_globals():
    assert modules_within(_global_function) == [GLOBAL_NET]
    assert modules_within(lambda images: _global_function(2 * images)) == [GLOBAL_NET]
    assert modules_within(torch.relu) == []
    outer = nn.Sequential(nn.ReLU())
    assert modules_within([outer, outer[0]]) == [outer]


def test_call_says_how_the_network_is_used():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = toys.random_network(0)

        def forward(self, images, scale):
            return self.inner(images.movedim(-1, 1) * scale).movedim(1, -1)

    net, image = Two(), toys.random_image(0)
    model = misure.SegmentationModel(net, call=lambda net, x: net(x.movedim(1, -1), 2.0))
    expected = misure.SegmentationModel(net.inner)(2 * image[None])
    assert torch.equal(model(image[None]), expected)
    assert "<lambda>" in model.settings()["call"]
    with pytest.raises(misure.InputError, match="expected call as a function .net, images., got"):
        misure.SegmentationModel(net, call="forward")


def test_buffers_come_back_as_they_were():
    class Counts(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("calls", torch.zeros(1))
            self.register_buffer("last", torch.zeros(2))

        def forward(self, images):
            self.calls += 1
            self.last = torch.ones(2)
            return torch.cat([0.5 - images[:, :1], images[:, :1] - 0.5], 1)

    net = Counts()
    calls, last = net.calls, net.last
    misure.explain(toys.model_of(net), toys.square_image(), 1, max_passes=60)
    assert net.calls is calls
    assert net.last is last
    assert not calls.any()
    assert not last.any()


def test_batch_norm_in_training_mode_baked_into_a_program_moves_nothing(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1))
        traced = torch.jit.trace(net.train(), torch.rand(2, 1, 30, 30), check_trace=False)
        traced.save(tmp_path / "net.pt")
    model = misure.load_model(f"torchscript:{tmp_path}/net.pt", device="cpu")
    before = {name: value.clone() for name, value in model.net.state_dict().items()}
    with pytest.warns(MisureWarning, match="beside another image in the batch"):
        misure.segment(model, toys.square_image())
    after = model.net.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_two_threads_with_one_network_explain_as_one_after_the_other():
    net = toys.random_network(0)
    images = [toys.random_image(0, size=12), toys.random_image(1, size=24)]

    def explained(model, image):
        segmentation = misure.segment(model, image)
        target = segmentation.target(segmentation.found_classes()[0].class_index)
        with model.counting() as cost:
            found = misure.explain(model, image, target, max_passes=60)
        return found, cost.pass_equivalents

    expected = [explained(toys.model_of(net), image) for image in images]
    one = toys.model_of(net)
    for models in ((one, one), (toys.model_of(net), toys.model_of(lambda x: net(1 * x)))):
        with ThreadPoolExecutor(2) as threads:
            got = list(threads.map(explained, models, images))
        for n, (found, num_passes) in enumerate(expected):
            same = found.minimally_sufficient_region
            assert torch.equal(got[n][0].minimally_sufficient_region, same)
            assert got[n][1] == num_passes
        assert all(module.training for module in net.modules())
        assert all(parameter.requires_grad for parameter in net.parameters())
