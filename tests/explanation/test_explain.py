"""The exact replies of the toy models, and what must hold for any model."""

import copy
import functools

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

import misure
import toys
from misure.explanation.evidence import COMPARED_BASELINE_IMAGES
from misure.explanation.nested import NestedRegion, map_value, saliency_map_of
from misure.explanation.presentation import make_presentation
from misure.explanation.presets import make_preset

SEARCHES = ["smallest", "forward_only", "paper"]


def _explain_exactly(model, image, target, preset, **options):
    """Every pixel of the target wanted, and no single pixel left that can be removed."""
    return misure.explain(
        model, image, target, preset=preset, dice_threshold=1.0, one_minimal=True,
        minimality_cell_px=1, **options,
    )  # fmt: skip


@pytest.mark.parametrize("preset", SEARCHES)
@pytest.mark.parametrize(
    ("num_dimensions", "growth"),
    [
        (2, "dilation"),
        (2, "first"),
        (2, "bracket"),
        pytest.param(3, "bracket", marks=pytest.mark.slow),
    ],
)
def test_own_brightness_needs_nothing_but_the_target(num_dimensions, growth, preset):
    model = toys.model_of(toys.OwnBrightness())
    image = toys.square_image(num_dimensions)
    target = misure.predicted_target(model, image, 1)
    found = _explain_exactly(model, image, target, preset, growth=growth)
    assert found.growth_px == 0
    assert torch.equal(found.sufficient_region, target.region)
    assert torch.equal(found.minimally_sufficient_region, target.region)
    assert found.dice == found.sufficient_dice == found.relative_area == 1
    assert found.outside_target_fraction == 0


@pytest.mark.parametrize("preset", SEARCHES)
@pytest.mark.parametrize(
    ("num_dimensions", "growth", "growth_px"),
    [
        (2, "dilation", 13), (2, "first", 12), (2, "bracket", 10),
        pytest.param(3, "bracket", 10, marks=pytest.mark.slow),
    ],
)  # fmt: skip
def test_beacon_needs_the_target_and_the_beacon(num_dimensions, growth, growth_px, preset):
    model = toys.model_of(toys.Beacon())
    image = toys.beacon_image(num_dimensions)
    target = misure.predicted_target(model, image, 1)
    found = _explain_exactly(model, image, target, preset, growth=growth)
    assert growth_px - 1 <= found.growth_px <= growth_px  # an ellipse reaches less far on diagonals
    assert torch.equal(found.minimally_sufficient_region, toys.beacon_answer(num_dimensions))
    assert found.dice == 1
    assert found.silhouette_dice == 0  # the outline of target and beacon gives nothing away
    assert found.transfer_dice == 0
    assert found.minimality.is_one_minimal
    assert found.minimality.cells_tested == found.minimally_sufficient_region.sum()


@pytest.mark.parametrize("num_dimensions", [2, 3])
@pytest.mark.parametrize("preset", [*SEARCHES, "readable"])
def test_constant_needs_nothing(num_dimensions, preset):
    model = toys.model_of(toys.Constant())
    image = toys.square_image(num_dimensions)
    target = misure.predicted_target(model, image, 1)
    found = misure.explain(model, image, target, preset=preset)
    assert found.growth_px == 0
    assert not found.minimally_sufficient_region.any()
    assert found.dice == 1
    assert found.relative_area == found.outside_target_fraction == 0
    assert found.silhouette_dice == 1


def _shown_by_hand(net, image, region, class_index):
    """The model's class region when only a region is seen, without any code of misure."""
    shown = np.where(region.numpy(), image.numpy(), 0).astype(np.float32)
    with torch.no_grad():
        return net(torch.from_numpy(shown)[None])[0].argmax(0) == class_index


def _dice_by_hand(drawn, target, ignored):
    both = total = 0
    for a, b, left_out in zip(drawn.ravel(), target.ravel(), ignored.ravel(), strict=True):
        if not left_out:
            both += int(a and b)
            total += int(a)
        total += int(b)
    return 2 * both / total if total else 1.0


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 10_000),
    num_dimensions=st.sampled_from([2, 3]),
    threshold=st.sampled_from([0.5, 0.8, 0.9, 1.0]),
    growth=st.sampled_from(["dilation", "first", "bracket", "steps", "jumps"]),
    instance=st.sampled_from([None, 0]),
    preset=st.sampled_from([*SEARCHES, "readable", "quick"]),
    one_minimal=st.booleans(),
)
def test_invariants_for_any_model(
    seed, num_dimensions, threshold, growth, instance, preset, one_minimal
):
    net = toys.random_network(seed, num_dimensions)
    image = toys.random_image(seed, num_dimensions, size=14 if num_dimensions == 2 else 8)
    model = toys.model_of(net)
    class_index = misure.segment(model, image).found_classes()[0].class_index
    target = misure.predicted_target(model, image, class_index, instance=instance)
    options = {"num_iterations": 5} if preset == "paper" else {"max_passes": 60}
    found = misure.explain(
        model, image, target, dice_threshold=threshold, growth=growth, preset=preset,
        one_minimal=one_minimal, **options,
    )  # fmt: skip
    assert not (target.region & ~found.sufficient_region).any()
    if preset != "readable":
        assert not (found.minimally_sufficient_region & ~found.sufficient_region).any()
    assert found.dice >= threshold
    nested = [(torch.zeros_like(target.region), 0.0)]
    for point in found.sufficiency_curve:
        nested.append((found.nested_region(point.dice_threshold), point.dice))
        assert point.dice >= point.dice_threshold
        assert point.area_fraction == int(nested[-1][0].sum()) / target.region.numel()
        assert not (nested[-2][0] & ~nested[-1][0]).any()
        if point.dice_threshold == threshold:
            assert torch.equal(nested[-1][0], found.minimally_sufficient_region)
    assert found.sufficient_dice >= threshold
    evaluating = copy.deepcopy(net).eval()
    for region, dice in (
        (found.minimally_sufficient_region, found.dice),
        (found.sufficient_region, found.sufficient_dice),
        (torch.ones_like(target.region), 1.0),
        *nested[1:],
    ):
        drawn = _shown_by_hand(evaluating, image, region, class_index)
        again = _dice_by_hand(drawn.numpy(), target.region.numpy(), target.ignored.numpy())
        assert again == pytest.approx(dice, abs=1e-12)


def test_the_same_seed_gives_the_same_bytes():
    model = toys.model_of(toys.random_network(3))
    image = toys.random_image(3)
    target = misure.segment(model, image).target(0)

    def run():
        return misure.explain(
            model, image, target, baseline_image="noise", preset="paper", num_iterations=9, seed=5
        )

    first, second = run(), run()
    assert first.saliency_map.numpy().tobytes() == second.saliency_map.numpy().tobytes()
    assert first.with_values(cost=second.values.cost) == second
    assert first.cost.pass_equivalents == second.cost.pass_equivalents


@pytest.mark.parametrize(
    ("preset", "options"),
    [
        ("paper", {"num_iterations": 10}),
        ("smallest", {}),
        ("forward_only", {"max_passes": 90}),
        ("readable", {"max_passes": 60}),
        ("quick", {}),
    ],
)
def test_several_targets_and_images_are_explained_as_one_by_one(preset, options):
    model = toys.model_of(toys.random_network(1))
    images, targets = [], []
    for seed, size in ((1, 24), (2, 24), (3, 20)):
        image = toys.random_image(seed, size=size)
        segmentation = misure.segment(model, image)
        for one in segmentation.found_classes():
            images.append(image)
            targets.append(segmentation.target(one.class_index))
    assert len(targets) >= 6
    options |= {"preset": preset, "num_minimality_tests": 0}
    with model.counting() as cost:
        together = misure.explain_all(model, images, targets, **options)
    assert sum(one.cost.forward_passes for one in together) == cost.forward_passes
    assert sum(one.cost.backward_passes for one in together) == cost.backward_passes
    for image, target, found in zip(images, targets, together, strict=True):
        alone = misure.explain(model, image, target, **options)
        assert torch.equal(found.sufficient_region, alone.sufficient_region)
        assert torch.equal(found.minimally_sufficient_region, alone.minimally_sufficient_region)
        maps = found.saliency_map, alone.saliency_map
        assert torch.allclose(*maps, atol=1e-4, equal_nan=True)
        assert found.dice == alone.dice
        assert found.cost.pass_equivalents == alone.cost.pass_equivalents


def test_another_number_of_images_than_targets_is_an_error():
    model = toys.model_of(toys.OwnBrightness())
    image = toys.square_image()
    target = misure.predicted_target(model, image, 1)
    with pytest.raises(misure.InputError, match="one image for all targets or one for each of 1"):
        misure.explain_all(model, [image, image], [target])


def test_no_targets_give_no_explanations():
    model = toys.model_of(toys.OwnBrightness())
    assert misure.explain_all(model, toys.square_image(), []) == []


def test_the_cost_counts_every_pass():
    calls = []
    net = toys.OwnBrightness()
    net.register_forward_pre_hook(lambda _module, images: calls.append(len(images[0])))
    model = toys.model_of(net)
    image = toys.square_image()
    target = misure.predicted_target(model, image, 1)
    calls.clear()
    found = misure.explain(model, image, target, preset="paper", num_minimality_tests=0)
    assert found.cost.forward_passes == sum(calls)
    assert found.cost.backward_passes == 100
    assert found.cost.pass_equivalents == sum(calls) + 200


def test_explaining_works_under_no_grad_and_inference_mode():
    model = toys.model_of(toys.Beacon())
    image = toys.beacon_image()
    target = misure.predicted_target(model, image, 1)
    expected = toys.beacon_answer(2)
    with torch.no_grad():
        found = _explain_exactly(model, image, target, "smallest")
        assert torch.equal(found.minimally_sufficient_region, expected)
    with torch.inference_mode():
        image = toys.beacon_image()
        target = misure.predicted_target(model, image, 1)
        found = _explain_exactly(model, image, target, "smallest")
        assert torch.equal(found.minimally_sufficient_region, expected)


def test_a_drawn_target_that_the_model_does_not_draw_is_an_error():
    model = toys.model_of(toys.OwnBrightness())
    image = toys.square_image()
    drawn = torch.zeros(30, 30, dtype=torch.bool)
    drawn[:5] = True
    target = misure.Target(1, drawn, torch.zeros_like(drawn))
    for growth in ("dilation", "first", "bracket"):
        with pytest.raises(
            misure.InputError, match="expected the whole image to reach a Dice of 0"
        ):
            misure.explain(model, image, target, growth=growth)


def test_a_target_of_another_image_is_an_error():
    model = toys.model_of(toys.OwnBrightness())
    target = misure.predicted_target(model, toys.square_image(), 1)
    with pytest.raises(misure.InputError, match=r"a target of the image's shape \(8, 8\)"):
        misure.explain(model, torch.zeros(1, 8, 8), target)


@pytest.mark.parametrize("threshold", [0, -0.1, 1.1, float("nan")])
def test_a_threshold_out_of_range_is_an_error(threshold):
    model = toys.model_of(toys.OwnBrightness())
    image = toys.square_image()
    target = misure.predicted_target(model, image, 1)
    with pytest.raises(misure.InputError, match="expected a dice_threshold above 0"):
        misure.explain(model, image, target, dice_threshold=threshold)


def test_the_preset_sufficient_region_needs_no_gradients():
    model = toys.model_of(toys.Beacon(), differentiable=False)
    image = toys.beacon_image()
    target = misure.predicted_target(model, image, 1)
    found = misure.explain(model, image, target, preset="sufficient_region")
    assert found.growth_px == 12
    assert torch.equal(found.minimally_sufficient_region, found.sufficient_region)
    assert torch.equal(found.saliency_map >= map_value(0.9), found.sufficient_region)
    assert bool(found.saliency_map[~found.sufficient_region].isnan().all())
    assert found.cost.backward_passes == 0
    with pytest.raises(misure.InputError, match="expected a network with gradients"):
        misure.explain(model, image, target, preset="smallest")


def test_options_of_presets():
    preset = make_preset("paper", {"num_iterations": 3, "edge_px": 2, "learning_rate": 1})
    assert preset.settings()["num_iterations"] == 3
    assert preset.settings()["edge_px"] == 2
    with pytest.raises(
        misure.InputError, match="expected a preset among readable, quick, smallest"
    ):
        make_preset("fast", {})
    with pytest.raises(misure.InputError, match="expected an option of preset paper .*'speed'"):
        make_preset("paper", {"speed": 1})
    with pytest.raises(misure.InputError, match="option num_iterations .* like 100, got 1.5"):
        make_preset("paper", {"num_iterations": 1.5})
    with pytest.raises(misure.InputError, match="expected a growth among dilation"):
        _explain_square(growth="leap")
    with pytest.raises(misure.InputError, match="expected edge_px of 0 or more, got -1"):
        _explain_square(edge_px=-1)
    with pytest.raises(misure.InputError, match="expected grid_size of 1 or more"):
        _explain_square(preset="paper", learning_rate=-1.0)
    with pytest.raises(misure.InputError, match="expected tv_exponent of 1 or more"):
        _explain_square(preset="paper", tv_exponent=0.5)
    with pytest.raises(misure.InputError, match="option edge_px .* got tensor"):
        _explain_square(edge_px=torch.zeros(1))


def _explain_square(**options):
    model = toys.model_of(toys.OwnBrightness())
    image = toys.square_image()
    return misure.explain(model, image, misure.predicted_target(model, image, 1), **options)


def test_a_given_baseline_image_and_a_soft_edge_are_used_and_named():
    found = _explain_square(baseline_image=torch.full((1, 1, 1), 0.2), edge_px=2, max_passes=60)
    assert found.settings["baseline_image"] == "tensor"
    assert found.growth_px == 2  # the edge counts as shown
    assert int(found.sufficient_region.sum()) > 25


class _Stochastic(nn.Module):
    def forward(self, images):
        noise = 0.01 * torch.randn_like(images)
        return torch.cat([images * 0, images - 0.5 + noise], dim=1)


def test_a_network_that_draws_random_numbers_leaves_the_random_state():
    model = toys.model_of(_Stochastic())
    image = toys.square_image()
    state = torch.get_rng_state()
    with pytest.warns(misure.errors.MisureWarning, match="draws random numbers"):
        target = misure.predicted_target(model, image, 1)
    misure.explain(model, image, target)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("batch_size", [1, 2, 7])
def test_the_size_of_the_batch_changes_nothing(batch_size):
    image = toys.random_image(2, size=24)
    found = []
    for size in (None, batch_size):
        model = toys.model_of(toys.random_network(2), batch_size=size)
        segmentation = misure.segment(model, image)
        targets = [segmentation.target(one.class_index) for one in segmentation.found_classes()]
        found += [
            misure.explain_all(
                model, image, targets, growth="first", preset="paper", num_iterations=5
            )
        ]
    for a, b in zip(*found, strict=True):
        assert torch.equal(a.sufficient_region, b.sufficient_region)
        assert torch.equal(a.minimally_sufficient_region, b.minimally_sufficient_region)
        assert a.dice == b.dice


def test_passes_without_gradients_are_not_counted_as_backward_passes():
    model = toys.model_of(toys.Constant())
    image = toys.square_image()
    target = misure.predicted_target(model, image, 1)
    for options in ({}, {"l1_weight": 0.0}):
        with model.counting() as cost:
            found = misure.explain(
                model, image, target, preset="paper", num_iterations=3, **options
            )
        assert found.cost.backward_passes == cost.backward_passes == 0
        assert found.cost.forward_passes == cost.forward_passes


def test_gradients_that_are_not_finite_are_an_error():
    class NoGradient(nn.Module):
        def forward(self, images):
            root = (images - images.detach()).abs().sqrt()  # 0, with an infinite slope
            root = 0 if images.sum().item() == 25 else root  # but not for the whole image
            return torch.cat([0.5 - images, images - 0.5 + root], 1)

    model = toys.model_of(NoGradient())
    image = toys.square_image()
    target = misure.predicted_target(model, image, 1)
    with pytest.raises(misure.ModelError, match="expected finite gradients, NoGradient gave NaN"):
        misure.explain(model, image, target, preset="smallest")


def test_memory_that_runs_out_in_the_backward_pass_halves_the_batch():
    class Hungry(torch.autograd.Function):
        @staticmethod
        def forward(ctx, images):
            return images.clone()

        @staticmethod
        def backward(ctx, gradient):
            if len(gradient) > 2:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return gradient

    class Net(toys.OwnBrightness):
        def forward(self, images):
            return super().forward(Hungry.apply(images))

    image = toys.square_image()
    model = toys.model_of(Net())
    target = misure.predicted_target(model, image, 1)
    for found in misure.explain_all(model, image, [target] * 5, preset="paper", num_iterations=3):
        assert torch.equal(found.minimally_sufficient_region, target.region)
        assert found.cost.backward_passes == 3


def test_the_background_can_be_explained_too():
    model = toys.model_of(toys.OwnBrightness())
    target = misure.predicted_target(model, toys.square_image(), 0)
    found = misure.explain(model, toys.square_image(), target)
    assert not found.minimally_sufficient_region.any()  # dark pixels are dark unseen


@pytest.mark.gpu
def test_the_image_may_be_elsewhere_than_the_model():
    model = toys.model_of(toys.Beacon(), device="cuda")
    image = toys.beacon_image()
    before = torch.cuda.get_rng_state()
    found = misure.explain(model, image, misure.predicted_target(model, image, 1))
    assert torch.equal(found.minimally_sufficient_region, toys.beacon_answer(2))
    assert torch.equal(torch.cuda.get_rng_state(), before)


def test_the_budget_is_kept_and_said():
    model = toys.model_of(toys.Beacon())
    image = toys.beacon_image()
    target = misure.predicted_target(model, image, 1)
    for preset, patience in (("smallest", {"patience": 1000}), ("readable", {})):
        search = functools.partial(misure.explain, model, image, target, preset=preset, **patience)
        areas = []
        for max_passes in (50, 120, 300) if preset == "smallest" else (50, 90):
            found = search(max_passes=max_passes)
            assert found.cost.pass_equivalents <= max_passes
            assert found.stopped_by == "max_passes"
            areas.append(int(found.minimally_sufficient_region.sum()))
        assert areas == sorted(areas, reverse=True)
    found = misure.explain(model, image, target, preset="smallest", max_passes=1000, patience=5)
    assert found.stopped_by == "patience"


def test_a_region_consists_of_grains():
    model = toys.model_of(toys.OwnBrightness())
    image = torch.ones(1, 32, 32)
    image[:, 20:] = 0
    target = misure.predicted_target(model, image, 1)
    region = misure.explain(model, image, target, preset="smallest", grain_px=4)
    region = region.minimally_sufficient_region
    cells = region.view(8, 4, 8, 4).sum((1, 3))
    assert set(cells.unique().tolist()) == {0, 16}
    assert 0 < region.sum() < target.region.sum()


def test_one_region_suffices_with_several_baseline_images():
    model = toys.model_of(toys.random_network(4))
    image = toys.random_image(4, size=24)
    target = misure.segment(model, image).target(
        misure.segment(model, image).found_classes()[0].class_index
    )
    for preset in ("smallest", "forward_only", "paper"):
        options = {"num_iterations": 5} if preset == "paper" else {"max_passes": 90}
        found = misure.explain(
            model, image, target, preset=preset, baseline_image="mean,blurred,filled",
            thresholds=(), num_minimality_tests=0, **options,
        )  # fmt: skip
        assert list(found.dice_by_baseline_image) == ["mean", "blurred", "filled"]
        assert min(found.dice_by_baseline_image.values()) == found.dice >= 0.9


@pytest.mark.parametrize("preset", SEARCHES)
@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_a_region_that_is_filled_in_suffices_whatever_it_hides(preset, num_dimensions):
    model = toys.model_of(toys.random_network(3, num_dimensions))
    image = toys.random_image(3, num_dimensions)
    segmentation = misure.segment(model, image)
    target = segmentation.target(segmentation.found_classes()[0].class_index)
    options = {"num_iterations": 10} if preset == "paper" else {"max_passes": 60}
    found = misure.explain(
        model, image, target, preset=preset, baseline_image="filled", thresholds=(),
        num_minimality_tests=0, **options,
    )  # fmt: skip
    region = found.minimally_sufficient_region
    assert 0 < int(region.sum()) < region.numel()
    other = torch.where(region, image, torch.rand_like(image))
    shown = make_presentation(model, other, baseline_image="filled").show_regions([region])
    with torch.no_grad():
        assert target.dice_of_logits(model(shown)) == [found.dice]
    assert found.dice >= 0.9


@pytest.mark.parametrize(
    ("baseline_image", "others"),
    [
        ("mean", ["blurred", "noise", "filled"]),
        ("filled", ["mean", "blurred", "noise"]),
        ("mean,noise", ["blurred", "filled"]),
        ("mean,filled,noise,blurred", []),
        (torch.zeros(1, 24, 24), ["mean", "blurred", "noise", "filled"]),
    ],
)
def test_the_region_is_shown_on_the_other_baseline_images_too(baseline_image, others):
    model, image = toys.model_of(toys.random_network(4)), toys.random_image(4, size=24)
    segmentation = misure.segment(model, image)
    target = segmentation.target(segmentation.found_classes()[0].class_index)
    with model.counting() as spent:
        found = misure.explain(
            model, image, target, preset="sufficient_region", num_minimality_tests=0,
            baseline_image=baseline_image, edge_px=1, seed=3,
        )  # fmt: skip
    assert found.cost.pass_equivalents == spent.pass_equivalents
    assert list(found.dice_on_other_baseline_images) == others
    for kind, dice in found.dice_on_other_baseline_images.items():
        way = make_presentation(model, image, baseline_image=kind, edge_px=1, seed=3)
        with torch.no_grad():
            logits = model(way.show_regions([found.minimally_sufficient_region]))
        assert target.dice_of_logits(logits)[0] == dice


def test_controls_are_kept_low_or_the_sufficient_region_is_returned():
    kept = 0
    for seed in range(6):
        model = toys.model_of(toys.random_network(seed))
        image = toys.random_image(seed, size=24)
        segmentation = misure.segment(model, image)
        target = segmentation.target(segmentation.found_classes()[-1].class_index)
        found = misure.explain(
            model, image, target, preset="smallest", max_content_dice=0.6, max_passes=300
        )
        highest = max(found.silhouette_dice, found.transfer_dice)
        small = not torch.equal(found.minimally_sufficient_region, found.sufficient_region)
        assert not small or highest <= 0.6
        kept += small
    assert kept > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"grain_px": -1}, "expected grain_px of 0"),
        ({"max_passes": 0}, "max_passes of 49 or more for these settings, got 0"),
        ({"preset": "forward_only", "grain_px": -1}, "expected grain_px"),
        ({"preset": "smallest", "patience": 0}, "expected patience of 1 or more"),
        ({"thresholds": (0.5, 1.5)}, "expected thresholds above 0"),
        ({"max_content_dice": 2.0}, r"max_content_dice in \[0, 1\], got 2.0"),
        ({"num_changes": -1}, "expected num_changes and num_draws of 0 or more, got -1"),
        ({"minimality_cell_px": -1}, "expected minimality_cell_px and num_minimality_tests"),
        ({"baseline_image": "mean,grey"}, "expected one of mean, black"),
        ({"other_image": torch.zeros(2, 2, 2)}, "expected another image of 1 channel and 2 axes"),
        ({"spacing_mm": (1.0, 2.0, 3.0)}, "expected spacing_mm of 2 positive numbers"),
        ({"spacing_mm": (1.0, 0.0)}, "expected spacing_mm of 2 positive numbers"),
        ({"thresholds": ["a"]}, "option thresholds of preset readable to be like"),
    ],
)
def test_options_that_make_no_sense_are_errors(options, message):
    with pytest.raises(misure.InputError, match=message):
        _explain_square(**options)


def test_a_threshold_without_a_nested_region_is_an_error():
    with pytest.raises(misure.InputError, match="expected one of the thresholds"):
        _explain_square(max_passes=60).nested_region(0.33)


class LitRoom(nn.Module):
    """Bright pixels are foreground, if the whole image is bright enough in the mean."""

    def forward(self, images):
        lit = images.flatten(1).mean(1).view(-1, 1, 1, 1) >= 0.25
        evidence = torch.where(lit, images - 0.5, -torch.ones_like(images))
        return torch.cat([-evidence, evidence], dim=1)


def test_growth_that_only_repairs_the_baseline_image_is_shown_as_such(tmp_path):
    image = toys.square_image()
    image[image < 0.5] = 0.3
    model = toys.model_of(LitRoom())
    target = misure.predicted_target(model, image, 1)
    plain = misure.explain(model, image, target)
    found = misure.explain(model, image, target, compare_presentations=True)
    ways = {(w.baseline_image, w.edge_px): w for w in found.sufficiency_by_presentation}
    assert set(ways) == {(kind, px) for kind in COMPARED_BASELINE_IMAGES for px in (0, 1)}
    assert len(found.sufficiency_by_presentation) == 8
    assert ways["mean", 0].growth_px == found.growth_px > 3
    assert ways["mean", 0].area_fraction > 0.25 / 0.3 - 0.1
    assert ways["blurred", 0].growth_px == 0
    assert all(way.dice >= 0.9 and way.passes > 0 for way in ways.values())
    assert plain.sufficiency_by_presentation == []
    spent = sum(way.passes for way in found.sufficiency_by_presentation)
    assert found.cost.pass_equivalents == plain.cost.pass_equivalents + spent
    found.save(tmp_path / "e.npz")
    assert misure.Explanation.load(tmp_path / "e.npz") == found


def test_between_two_thresholds_pixels_keep_the_order_of_the_scores():
    region, wider = (torch.zeros(6, 6, dtype=torch.bool) for _ in range(2))
    region[:2], wider[:4] = True, True
    scores = torch.rand(6, 6, generator=torch.Generator().manual_seed(0))
    is_known = torch.ones(6, 6, dtype=torch.bool)
    is_known[0, 0] = is_known[5] = False
    family = [NestedRegion(0.5, region, 0.6), NestedRegion(0.9, wider, 0.91)]
    found = saliency_map_of(family, scores, is_known)
    assert torch.equal(found >= map_value(0.5), region)
    assert torch.equal(found >= map_value(0.9), wider)
    assert float(found.nan_to_num().max()) < 1
    assert bool(found[5].isnan().all())
    for ring in (region, wider & ~region, ~wider & is_known):
        assert torch.equal(found[ring].argsort(), scores[ring].argsort())


def test_without_gradients_the_map_holds_the_nested_regions_too():
    model = toys.model_of(toys.OwnBrightness(), differentiable=False)
    image = torch.zeros(1, 30, 30)
    image[0, 5:21, 5:21] = 1.0
    target = misure.predicted_target(model, image, 1)
    found = misure.explain(model, image, target, preset="forward_only", thresholds=(0.5, 0.7, 0.8))
    areas = [point.area_fraction * 900 for point in found.sufficiency_curve]
    assert len(set(areas)) > 2
    for point, area in zip(found.sufficiency_curve, areas, strict=True):
        assert int(found.nested_region(point.dice_threshold).sum()) == round(area)
    assert float(found.saliency_map.nan_to_num().max()) < 1
