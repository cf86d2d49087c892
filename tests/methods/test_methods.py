"""The registry of methods, and each method against an independent reference."""

import dataclasses
import statistics

import captum.attr
import numpy as np
import pytest
import torch
from skimage.filters import sobel_h, sobel_v
from torch import nn

import misure
import toys
from misure.images.maps import fill_unknown
from misure.methods import METHODS, as_captum_forward, method
from misure.methods.layers import as_feature_map, last_feature_layer
from misure.methods.rise import PUBLISHED, random_mask

SIGNED = ("occlusion", "integrated_gradients", "input_x_gradient", "guided_backprop")

FAST = {
    "rise": {"num_masks": 20, "grid_size": 3},
    "integrated_gradients": {"num_steps": 4},
    "misure": {"max_passes": 60},
    "misure_paper": {"num_iterations": 5},
}


def _case(num_dimensions=2, seed=0):
    model = toys.model_of(toys.random_network(seed, num_dimensions))
    image = toys.random_image(seed, num_dimensions, size=14 if num_dimensions == 2 else 10)
    found = misure.segment(model, image).found_classes()
    return model, image, misure.predicted_target(model, image, found[0].class_index)


@pytest.mark.parametrize("num_dimensions", [2, 3])
@pytest.mark.parametrize("name", METHODS)
def test_every_method_makes_a_map_of_the_image_and_says_what_it_cost(name, num_dimensions):
    model, image, target = _case(num_dimensions)
    before = {key: value.clone() for key, value in model.net.state_dict().items()}
    options = FAST.get(name, {})
    first = METHODS[name](model, image, target, seed=3, **options)
    again = METHODS[name](model, image, target, seed=3, **options)
    assert first.saliency_map.shape == target.region.shape
    assert first.saliency_map.dtype == torch.float32
    maps = [fill_unknown(result.saliency_map, 0) for result in (first, again)]
    assert torch.equal(*maps)
    assert maps[0].min() >= 0 or name in SIGNED
    assert first.method == name
    control = METHODS[name].kind == "control"
    assert (first.cost.pass_equivalents == 0) is control
    assert bool(first.layer) is (name.endswith("grad_cam") or name == "seg_xres_cam")
    assert model.net.training
    assert all(p.requires_grad for p in model.net.parameters())
    assert all(torch.equal(model.net.state_dict()[key], value) for key, value in before.items())


@pytest.mark.parametrize("name", METHODS)
def test_a_function_without_gradients_or_layers_is_explained_or_refused(name):
    net = toys.OwnBrightness()
    model = misure.SegmentationModel(net.forward, differentiable=False)
    image = toys.square_image()
    target = misure.predicted_target(model, image, 1)
    if METHODS[name].needs_gradients:
        with pytest.raises(misure.InputError, match="expected a network with gradients"):
            METHODS[name](model, image, target, **FAST.get(name, {}))
    else:
        assert METHODS[name](model, image, target, **FAST.get(name, {})).saliency_map.any() or (
            name == "misure"
        )


def test_our_own_methods_bring_their_explanation():
    model, image, target = _case()
    result = METHODS["misure_paper"](model, image, target, num_iterations=5)
    assert result.explanation.preset == "paper"
    assert result.explanation.settings["num_iterations"] == 5
    assert torch.equal(result.explanation.saliency_map, result.saliency_map)
    assert result.cost.pass_equivalents == result.explanation.cost.pass_equivalents


@pytest.mark.parametrize("name", ["misure", "sufficient_region"])
def test_a_method_that_finds_regions_explains_targets_together_and_knows_its_presets_options(name):
    model, image, _ = _case()
    found = misure.segment(model, image).found_classes()
    targets = [misure.predicted_target(model, image, each.class_index) for each in found]
    method = METHODS[name]
    explanations = method.explain_many(
        model, image, targets, seed=3, dice_threshold=0.8, **FAST.get(name, {})
    )
    assert method.finds_regions
    assert [each.target.class_index for each in explanations] == [t.class_index for t in targets]
    assert {each.dice_threshold for each in explanations} == {0.8}
    known = {option.name for option in method.describe_options()}
    own = {"dice_threshold", "preset", "other_image", "other_image_name", "spacing_mm"}
    assert known == {*own, *explanations[0].settings}
    with pytest.raises(misure.InputError, match="^expected an option of preset"):
        method.check(model, {"max_pases": 3})
    assert method.options_among({"baseline_image": "black", "seed": 1}) == {
        "baseline_image": "black"
    }


def test_other_methods_explain_targets_one_by_one():
    model, image, target = _case()
    results = METHODS["saliency"].explain_many(model, image, [target, target])
    assert [result.method for result in results] == ["saliency"] * 2
    assert not METHODS["saliency"].finds_regions


def test_a_method_is_registered_with_a_known_kind_under_a_free_name():
    with pytest.raises(misure.InputError, match="expected a kind among regions"):
        method(kind="magic")
    with pytest.raises(misure.InputError, match="expected a new name for the method"):

        @method(kind="control")
        def random(_model, image, _target):
            return image[0]

    assert METHODS["random"].function.__module__ == "misure.methods.controls"


def _layer_case():
    model, image, target = _case(seed=1)
    name = last_feature_layer(model, image)
    return model, image, target, name


def test_the_layer_before_the_head_is_found_and_reported():
    model, image, target, name = _layer_case()
    layers = [key for key, one in model.net.named_modules() if key and not [*one.children()]]
    assert name in layers[:-1]
    head = layers[layers.index(name) + 1 :]
    assert any(isinstance(model.net.get_submodule(one), nn.Conv2d) for one in head)
    assert METHODS["seg_grad_cam"](model, image, target).layer == name


def _features_and_gradients(model, image, target, name):
    """The layer's output, and the gradients of the score, by hand."""
    kept = {}
    module = model.net.get_submodule(name)
    handle = module.register_forward_hook(lambda *parts: kept.update(out=parts[2]))
    with model.borrowed():
        logits = model(image[None].clone().requires_grad_())
        handle.remove()
        score = sum(logits[0, target.class_index, r, c] for r, c in target.region.nonzero())
        (gradients,) = torch.autograd.grad(score, kept["out"])
    return kept["out"][0].detach(), gradients[0]


def test_seg_grad_cam_is_what_loops_and_captum_say():
    model, image, target, name = _layer_case()
    features, gradients = _features_and_gradients(model, image, target, name)
    wanted = torch.zeros(features.shape[1:])
    for channel, gradient in zip(features, gradients, strict=True):
        wanted += gradient.mean() * channel
    wanted = wanted.clamp(min=0)
    result = METHODS["seg_grad_cam"](model, image, target)
    torch.testing.assert_close(result.saliency_map, wanted, rtol=1e-4, atol=1e-5)
    twin = METHODS["layer_grad_cam"](model, image, target, layer=name)
    torch.testing.assert_close(twin.saliency_map, wanted, rtol=1e-4, atol=1e-5)


def test_a_decision_in_the_other_classs_logit_is_seen_by_the_margin_alone():
    class Shift(nn.Module):  # the same softmax with the second class's logit taken from both
        def __init__(self, net):
            super().__init__()
            self.net = net

        def forward(self, images):
            logits = self.net(images)
            return logits - logits[:, 1:]

    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 2, 1))
    image = toys.random_image(0)
    plain, shifted = toys.model_of(net), toys.model_of(Shift(net))
    target = misure.predicted_target(plain, image, 1)
    margins = [
        METHODS["seg_grad_cam"](model, image, target, layer=layer, score="margin").saliency_map
        for model, layer in ((plain, "0"), (shifted, "net.0"))
    ]
    torch.testing.assert_close(*margins)
    assert margins[0].max() > 0
    blind = METHODS["seg_grad_cam"](shifted, image, target, layer="net.0").saliency_map
    assert blind.max() == 0


def test_seg_xres_cam_with_the_smallest_and_the_largest_window():
    model, image, target, name = _layer_case()
    features, gradients = _features_and_gradients(model, image, target, name)
    small = METHODS["seg_xres_cam"](model, image, target, window=1).saliency_map
    wanted = (gradients * features).sum(0).clamp(min=0)
    torch.testing.assert_close(small, wanted, rtol=1e-4, atol=1e-5)
    large = METHODS["seg_xres_cam"](model, image, target, window=1000).saliency_map
    same = METHODS["seg_grad_cam"](model, image, target).saliency_map
    torch.testing.assert_close(large, same, rtol=1e-4, atol=1e-5)


def test_activations_that_work_in_place_do_not_change_the_feature_map():
    torch.manual_seed(0)

    def net(inplace):
        layers = [nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(inplace=inplace), nn.Conv2d(4, 3, 1)]
        torch.manual_seed(1)
        for layer in (layers[0], layers[2]):
            nn.init.normal_(layer.weight)
        return toys.model_of(nn.Sequential(*layers))

    image = toys.random_image(0)
    target = misure.predicted_target(net(False), image, 0)
    maps = [
        METHODS["seg_grad_cam"](net(inplace), image, target, layer="0").saliency_map
        for inplace in (False, True)
    ]
    assert torch.equal(*maps)


def test_tokens_are_laid_out_in_the_aspect_of_the_input():
    tokens = torch.arange(2 * 24 * 5).float().view(2, 24, 5)
    laid_out = as_feature_map(tokens, (64, 96))
    assert laid_out.shape == (2, 5, 4, 6)
    assert torch.equal(laid_out[1, :, 2, 3], tokens[1, 2 * 6 + 3])
    with_class_token = torch.cat([torch.zeros(2, 1, 5), tokens], dim=1)
    assert torch.equal(as_feature_map(with_class_token, (64, 96)), laid_out)
    with pytest.raises(misure.InputError, match="Choose another layer"):
        as_feature_map(torch.zeros(2, 5), (64, 96))


def test_a_feature_map_with_channels_last_is_known_by_the_aspect_of_the_input():
    last = torch.arange(2 * 4 * 6 * 5).float().view(2, 4, 6, 5)
    assert torch.equal(as_feature_map(last, (64, 96)), last.permute(0, 3, 1, 2))
    first = last.permute(0, 3, 1, 2)
    assert torch.equal(as_feature_map(first, (64, 96)), first)
    volume = torch.zeros(1, 3, 4, 5, 16)
    assert as_feature_map(volume, (30, 40, 50)).shape == (1, 16, 3, 4, 5)


@pytest.mark.parametrize(("channels", "sides", "input_shape"), [
    (96, (128, 171), (512, 683)), (192, (64, 86), (512, 683)), (24, (42, 63), (333, 500)),
    (48, (21, 32), (333, 500)), (24, (84, 125), (333, 500)),
])  # fmt: skip
def test_a_feature_map_of_rounded_sides_is_left_as_it_is(channels, sides, input_shape):
    features = torch.zeros(1, channels, *sides)
    assert as_feature_map(features, input_shape) is features


def test_a_head_that_the_logits_do_not_depend_on_is_not_the_head():
    class TwoHeads(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = torch.nn.Conv2d(2, 7, 3, padding=1)
            self.head = torch.nn.Conv2d(7, 3, 1)
            self.auxiliary = torch.nn.Sequential(
                torch.nn.Conv2d(7, 5, 1), torch.nn.ReLU(), torch.nn.Conv2d(5, 3, 1)
            )

        def forward(self, images):
            features = self.stem(images)
            return {"out": self.head(features), "aux": self.auxiliary(features)}

    model = toys.model_of(TwoHeads(), output="out")
    assert last_feature_layer(model, toys.random_image(0)) == "stem"


def test_an_activation_that_is_called_again_and_again_is_not_taken():
    class Shared(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = torch.nn.Conv2d(2, 7, 3, padding=1)
            self.middle = torch.nn.Conv2d(7, 7, 3, padding=1)
            self.activation = torch.nn.LeakyReLU()
            self.head = torch.nn.Conv2d(7, 3, 1)

        def forward(self, images):
            features = self.activation(self.middle(self.activation(self.stem(images))))
            return self.head(features)

    model = toys.model_of(Shared())
    assert last_feature_layer(model, toys.random_image(0)) == "middle"


def test_a_layer_that_sees_parts_of_the_image_one_by_one_is_not_taken():
    class Halves(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = torch.nn.Conv2d(2, 7, 3, padding=1)
            self.part = torch.nn.Conv2d(7, 5, 1)
            self.head = torch.nn.Conv2d(5, 3, 1)

        def forward(self, images):
            halves = torch.cat(self.stem(images).split(images.shape[3] // 2, 3))
            return self.head(torch.cat(self.part(halves).split(len(images)), 3))

    assert last_feature_layer(toys.model_of(Halves()), toys.random_image(0)) == "stem"


@pytest.mark.filterwarnings("ignore:`torch.jit.*` is deprecated:DeprecationWarning")
def test_the_layers_of_torchscript_cannot_be_seen():
    model = toys.model_of(torch.jit.script(toys.random_network(0).eval()))
    image = toys.random_image(0)
    target = misure.predicted_target(
        model, image, misure.segment(model, image).found_classes()[0].class_index
    )
    with pytest.raises(misure.InputError, match="expected a network whose layers can be seen"):
        METHODS["seg_grad_cam"](model, image, target)


def test_a_cam_works_on_a_layer_with_channels_last():
    class ChannelsLast(torch.nn.Module):
        def __init__(self, last):
            super().__init__()
            self.stem = torch.nn.Conv2d(2, 7, 3, stride=2, padding=1)
            self.turn = torch.nn.Identity()
            self.head = torch.nn.Conv2d(7, 3, 1)
            self.last = last

        def forward(self, images):
            features = self.stem(images).tanh()
            if self.last:
                features = self.turn(features.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
            else:
                features = self.turn(features)
            return self.head(features)

    image = toys.random_image(0)[:, :, :10]
    maps = []
    for last in (False, True):
        torch.manual_seed(1)
        model = toys.model_of(ChannelsLast(last))
        target = misure.predicted_target(
            model, image, misure.segment(model, image).found_classes()[0].class_index
        )
        maps.append(METHODS["seg_grad_cam"](model, image, target, layer="turn").saliency_map)
    assert maps[0].any()
    torch.testing.assert_close(maps[0], maps[1])


def test_the_controls_know_the_prediction_only():
    model = toys.model_of(toys.OwnBrightness())
    image = toys.square_image()
    image[0, 20:22, 20:23] = 1.0
    target = misure.predicted_target(model, image, 1, instance=0)
    itself, whole = (
        METHODS[name](model, image, target).saliency_map
        for name in ("target_itself", "class_itself")
    )
    assert torch.equal(itself > 0, target.region)
    assert torch.equal(whole > 0, image[0] > 0.5)


@pytest.mark.parametrize("coverage", ["counted", "expected", "none"])
def test_rise_is_what_a_plain_loop_says(coverage):
    model, image, target = _case()
    result = METHODS["rise"](
        model, image, target, seed=5, num_masks=9, grid_size=3, coverage=coverage
    )
    assert result.cost.forward_passes == 9
    assert result.cost.backward_passes == 0
    generator = torch.Generator().manual_seed(5)
    total, shown = torch.zeros(14, 14), torch.zeros(14, 14)
    with torch.no_grad(), model.borrowed():
        for _ in range(9):
            mask = random_mask((14, 14), 3, 0.5, generator)
            drawn = model((mask * image)[None])[0].argmax(0) == target.class_index
            both = (drawn & target.region).sum()
            total += mask * 2 * both / (drawn.sum() + target.region.sum())
            shown += mask
    divisor = {"counted": shown.clamp(min=1e-30), "expected": 9 * 0.5, "none": 9.0}[coverage]
    torch.testing.assert_close(result.saliency_map, total / divisor, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_settings_of_rise_are_options(name):
    model, image, target = _case()
    settings = PUBLISHED[name] | {"num_masks": 4}
    result = METHODS["rise"](model, image, target, **settings)
    assert result.options == settings
    assert result.cost.forward_passes == 4


def test_the_keep_probability_of_published_code_is_that_of_a_normal_number_below_a_tenth():
    kept = statistics.NormalDist().cdf(0.1)
    assert PUBLISHED["hasany"]["keep_probability"] == pytest.approx(kept, abs=0.005)


def test_masks_of_rise_show_as_much_as_they_should():
    generator = torch.Generator().manual_seed(0)
    masks = torch.stack([random_mask((40, 56), 7, 0.3, generator) for _ in range(400)])
    assert masks.shape == (400, 40, 56)
    assert masks.min() >= 0
    assert masks.max() <= 1
    assert masks.mean().item() == pytest.approx(0.3, abs=0.02)


def test_any_method_of_captum_runs_on_a_target():
    model, image, target = _case()
    forward = as_captum_forward(model, target)
    with model.borrowed(), torch.no_grad():
        logits = model(image[None])
    wanted = sum(logits[0, target.class_index, r, c] for r, c in target.region.nonzero())
    torch.testing.assert_close(forward(image[None]).detach(), wanted[None])
    found = captum.attr.FeatureAblation(forward).attribute(image[None])
    assert found.shape == (1, *image.shape)
    same = captum.attr.Saliency(forward).attribute(image[None].clone().requires_grad_())
    ours = METHODS["saliency"](model, image, target).saliency_map
    assert torch.equal(same[0].amax(0), ours)


def test_edges_are_sobels():
    model, image, target = _case()
    wanted = np.max([np.hypot(sobel_h(one), sobel_v(one)) for one in image.numpy()], axis=0)
    found = METHODS["edges"](model, image, target).saliency_map.numpy()
    inside = (slice(2, -2), slice(2, -2))
    np.testing.assert_allclose(found[inside], 4 * wanted[inside], rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("rise", {"masks": 3}, "^rise: expected options of rise among num_masks"),
        ("random", {"layer": "0"}, "expected options of random among none"),
        ("rise", {"num_masks": 0}, "expected num_masks"),
        ("rise", {"coverage": "some"}, "expected coverage"),
        ("seg_grad_cam", {"layer": "nowhere"}, "expected the dotted name of a layer"),
        ("seg_grad_cam", {"score": "loss"}, "expected score logit or margin, got 'loss'"),
        ("layer_grad_cam", {"layer": "nowhere"}, "expected the dotted name of a layer"),
        ("seg_xres_cam", {"window": 0}, "expected a window"),
        ("seg_xres_cam", {"pooling": "median"}, "expected a window"),
        ("occlusion", {"window": 3, "stride": 5}, "expected 1 <= stride"),
        ("occlusion", {"window": 2.5}, "expected option window to be like 0, got 2.5"),
        (
            "occlusion",
            {"baseline_image": "mean,noise"},
            "expected one baseline image for this method",
        ),
        (
            "integrated_gradients",
            {"baseline_image": "filled"},
            "expected one baseline image for this method, the same whatever is shown, got filled",
        ),
        ("rise", {"num_masks": "abc"}, "expected option num_masks to be like 1000, got 'abc'"),
        ("rise", {"keep_probability": float("nan")}, "expected option keep_probability"),
        ("seg_grad_cam", {"layer": 0}, "got 0. Write layer="),
        ("misure", {"other_image": "x.png"}, "expected other_image to be a tensor"),
        ("integrated_gradients", {"num_steps": 0}, "expected num_steps of 1 or more"),
    ],
)
def test_options_that_make_no_sense_are_errors(name, options, message):
    model, image, target = _case()
    with pytest.raises(misure.InputError, match=message):
        METHODS[name](model, image, target, **options)


def test_a_target_of_a_class_that_the_model_lacks_is_an_error():
    model, image, target = _case()
    named = misure.SegmentationModel(model.net, class_names=("a", "b", "c"))
    with pytest.raises(
        misure.InputError, match="expected a target of one of 3 classes, got class 7"
    ):
        METHODS["saliency"](named, image, dataclasses.replace(target, class_index=7))


@pytest.mark.parametrize("name", ["saliency", "input_x_gradient", "integrated_gradients"])
def test_a_network_that_ignores_the_image_has_a_gradient_of_zero(name):
    model = toys.model_of(toys.Constant())
    image = toys.square_image()
    target = misure.predicted_target(model, image, 1)
    assert not METHODS[name](model, image, target, **FAST.get(name, {})).saliency_map.any()


@pytest.mark.filterwarnings("ignore:`torch.jit.*` is deprecated:DeprecationWarning")
def test_guided_backprop_says_where_there_is_nothing_to_guide():
    net = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU6(), nn.Conv2d(4, 3, 1))
    image = toys.random_image(0)
    for one in (net, torch.jit.script(nn.Sequential(net[0], nn.ReLU(), net[2]))):
        model = toys.model_of(one)
        found = misure.segment(model, image).found_classes()
        target = misure.predicted_target(model, image, found[0].class_index)
        with pytest.raises(misure.InputError, match=r"expected a network with layers of torch.nn"):
            METHODS["guided_backprop"](model, image, target)


class _Windows(nn.Module):
    """Works on quarters of the image as a batch, as Swin does."""

    def __init__(self):
        super().__init__()
        self.inside = nn.Conv2d(2, 5, 1)
        self.last = nn.LayerNorm(5)
        self.head = nn.Conv2d(5, 3, 1)

    def forward(self, images):
        quarters = images.unflatten(2, (2, 8)).unflatten(4, (2, 8)).permute(0, 2, 4, 1, 3, 5)
        inside = self.inside(quarters.flatten(0, 2))
        whole = inside.unflatten(0, (-1, 2, 2)).permute(0, 3, 1, 4, 2, 5).flatten(4, 5)
        return self.head(self.last(whole.flatten(2, 3).movedim(1, -1)).movedim(-1, 1))


@pytest.mark.parametrize(
    ("method", "layer", "message"),
    [
        ("seg_grad_cam", "inside", "expected a layer with one output for the image"),
        ("layer_grad_cam", "inside", "of windows"),
        ("layer_grad_cam", "last", "has its channels last"),
    ],
)
def test_a_layer_that_is_no_map_of_the_image_is_refused(method, layer, message):
    model = toys.model_of(_Windows())
    image = toys.random_image(0, size=16)
    found = misure.segment(model, image).found_classes()
    target = misure.predicted_target(model, image, found[0].class_index)
    assert METHODS["seg_grad_cam"](model, image, target, layer="last").saliency_map.shape == (
        16,
        16,
    )
    with pytest.raises(misure.InputError, match=message):
        METHODS[method](model, image, target, layer=layer)


@pytest.mark.parametrize("method", ["seg_grad_cam", "layer_grad_cam"])
def test_a_layer_without_a_tensor_is_no_fault_of_the_network(method):
    class Named(nn.Module):
        def forward(self, images):
            return {"features": images}

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.named, self.head = Named(), nn.Conv2d(2, 3, 1)

        def forward(self, images):
            return self.head(self.named(images)["features"])

    model, image = toys.model_of(Net()), toys.random_image(0)
    found = misure.segment(model, image).found_classes()
    target = misure.predicted_target(model, image, found[0].class_index)
    with pytest.raises(misure.InputError, match="expected a layer that returns a tensor, named"):
        METHODS[method](model, image, target, layer="named")


def test_features_of_as_many_channels_as_classes_are_found_before_the_head():
    net = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 3, 1))
    assert last_feature_layer(toys.model_of(net), toys.random_image(0)) == "1"


def test_cut_off_windows_are_laid_out_where_they_are():
    net = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.Conv2d(1, 1, 1))
    with torch.no_grad():
        net[0].weight.fill_(1.0)
        net[1].weight.fill_(1.0)
        net[1].bias.fill_(-0.5)
    image = torch.ones(1, 9, 9)
    image[0, 4:8, 4:8] = 2.0
    model = toys.model_of(net)
    region = torch.zeros(9, 9, dtype=torch.bool)
    region[4:8, 4:8] = True
    target = misure.Target(1, region, ~region)
    found = METHODS["seg_xres_cam"](model, image, target, layer="0", window=4, pooling="max")
    rows = (found.saliency_map.sum(1) * torch.arange(9)).sum() / found.saliency_map.sum()
    assert float(rows) == pytest.approx(5.5, abs=0.3)


def test_a_target_of_another_image_is_an_error():
    model, image, target = _case()
    with pytest.raises(misure.InputError, match="expected a target of the image's shape"):
        METHODS["random"](model, image[:, 1:], target)
