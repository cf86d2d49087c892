"""Each metric against plain loops or another library, and what it gives for nothing."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from skimage.metrics import structural_similarity
from sklearn.metrics import average_precision_score

import misure
import toys
from misure._util.memory import PeakMemory
from misure.explanation.content_controls import make_content_controls
from misure.explanation.presentation import make_presentations
from misure.explanation.probe import Probe
from misure.methods import METHODS
from misure.metrics import GROUPS, METRICS, MeasuredMap
from misure.metrics.sanity import NUM_STATIONS, make_randomised_maps
from misure.metrics.stability import NUM_NOISES, make_noisy_maps, rank_correlation
from misure.metrics.sufficiency import (
    FRACTIONS,
    area_under,
    deletion_curve,
    insertion_curve,
    necessity,
    sufficiency,
    sufficient_area,
    top_fraction,
)

OF_MAPS = ("energy_inside", "pointing_game", "average_precision")
OF_REGIONS = ("outside_target", "iou", "precision", "recall")
FINENESS_OF_MAPS = ("effective_area", "gini", "total_variation")

seeds = st.integers(0, 10_000)


def _random(seed, num_dimensions=2):
    generator = torch.Generator().manual_seed(seed)
    shape = (7, 9) if num_dimensions == 2 else (4, 5, 6)
    steps = (torch.rand(shape, generator=generator) * 6).floor() / 6  # with ties and zeros
    region = torch.rand(shape, generator=generator) < 0.4
    other = torch.rand(shape, generator=generator) < 0.4
    return steps, region, other


def _loop(name, saliency_map, region, other):
    """The same in plain Python."""
    pairs = list(zip(saliency_map.flatten().tolist(), region.flatten().tolist(), strict=True))
    if name == "energy_inside":
        return sum(v for v, r in pairs if r) / (sum(v for v, _ in pairs) or 1)
    if name == "pointing_game":
        top = max(v for v, _ in pairs)
        return sum(r for v, r in pairs if v == top) / sum(v == top for v, _ in pairs)
    a = {i for i, r in enumerate(region.flatten().tolist()) if r}
    b = {i for i, r in enumerate(other.flatten().tolist()) if r}
    return {
        "outside_target": len(a - b) / max(1, len(a)),
        "iou": len(a & b) / max(1, len(a | b)),
        "precision": len(a & b) / max(1, len(a)),
        "recall": len(a & b) / max(1, len(b)),
    }[name]


@given(seeds, st.sampled_from([2, 3]))
def test_localisation_is_what_loops_and_scikit_learn_say(seed, num_dimensions):
    saliency_map, region, other = _random(seed, num_dimensions)
    for name in ("energy_inside", "pointing_game"):
        found = METRICS[name].function(saliency_map, region)
        assert found == pytest.approx(_loop(name, saliency_map, region, other))
    for name in OF_REGIONS:
        found = METRICS[name].function(region, other)
        assert found == pytest.approx(_loop(name, saliency_map, region, other))
    if region.any():
        wanted = average_precision_score(region.flatten(), saliency_map.flatten())
        found = METRICS["average_precision"].function(saliency_map, region)
        assert found == pytest.approx(wanted)


@given(seeds, st.sampled_from([2, 3]))
def test_fineness_is_what_loops_say(seed, num_dimensions):
    saliency_map, region, _ = _random(seed, num_dimensions)
    values = saliency_map.flatten().tolist()
    n, total = len(values), sum(values)
    entropy = -sum(v / total * math.log(v / total) for v in values if v > 0)
    found = METRICS["effective_area"].function(saliency_map)
    assert found == pytest.approx(math.exp(entropy) / n)
    differences = sum(abs(a - b) for a in values for b in values)
    assert METRICS["gini"].function(saliency_map) == pytest.approx(differences / (2 * n * total))
    array = saliency_map.numpy().astype(float)
    steps = sum(np.abs(np.diff(array, axis=axis)).sum() for axis in range(array.ndim))
    assert METRICS["total_variation"].function(saliency_map) == pytest.approx(steps / total)
    parts = ndimage.label(region.numpy(), np.ones((3,) * num_dimensions))[1]
    assert METRICS["num_parts"].function(region) == parts


def test_a_map_that_is_constant_on_a_part_has_the_area_of_that_part():
    saliency_map = torch.zeros(10, 10)
    saliency_map[2:4, :5] = 3.0
    assert METRICS["effective_area"].function(saliency_map) == pytest.approx(0.1)
    assert METRICS["gini"].function(saliency_map) == pytest.approx(0.9)


@pytest.mark.parametrize("name", OF_MAPS + OF_REGIONS + FINENESS_OF_MAPS + ("num_parts",))
def test_what_nothing_gives_is_what_the_registry_says(name):
    nothing, region = torch.zeros(5, 6), torch.zeros(5, 6, dtype=torch.bool)
    if name == "average_precision":
        arguments = (nothing, region)
    elif name in OF_MAPS:
        arguments = (nothing, ~region)
    elif name in OF_REGIONS:
        arguments = (region, region)
    else:
        arguments = (region if name == "num_parts" else nothing,)
    assert METRICS[name].function(*arguments) == METRICS[name].when_empty


@given(seeds)
def test_every_figure_lies_in_its_range(seed):
    saliency_map, region, other = _random(seed)
    for name in OF_MAPS + OF_REGIONS + FINENESS_OF_MAPS + ("num_parts",):
        if name in OF_MAPS:
            found = METRICS[name].function(saliency_map, region)
        elif name in OF_REGIONS:
            found = METRICS[name].function(region, other)
        else:
            found = METRICS[name].function(region if name == "num_parts" else saliency_map)
        assert METRICS[name].smallest <= found <= METRICS[name].largest


@pytest.mark.parametrize("name", OF_MAPS + OF_REGIONS)
def test_two_shapes_are_an_error(name):
    region = torch.ones(5, 6, dtype=torch.bool)
    first = region if name in OF_REGIONS else region.float()
    with pytest.raises(misure.InputError, match="^expected two tensors of one shape"):
        METRICS[name].function(first, region[1:])


def _beacon():
    """The target needs the beacon too; known: target and beacon suffice, each alone does not."""
    model, image = toys.model_of(toys.Beacon()), toys.beacon_image()
    target = misure.predicted_target(model, image, 1)
    probe = Probe(
        target, make_presentations(model, image), content_controls=make_content_controls(image)
    )
    return model, probe, toys.beacon_answer(2)


def test_the_top_of_a_map_that_knows_the_answer_suffices_and_is_needed():
    model, probe, reply = _beacon()
    model_size = reply.numel()
    knows = reply.float()
    assert sufficiency(model, probe, knows, int(reply.sum()) / model_size) == 1.0
    assert sufficient_area(model, probe, knows) == pytest.approx(int(reply.sum()) / model_size)
    assert necessity(model, probe, reply) == 0.0
    assert necessity(model, probe, torch.zeros_like(reply)) == 1.0
    only_target = probe.target.region.float()
    assert sufficient_area(model, probe, only_target) == 1.0
    assert sufficiency(model, probe, only_target, int(only_target.sum()) / model_size) == 0.0


def test_curves_show_and_remove_the_top():
    model, probe, reply = _beacon()
    insertion = insertion_curve(model, probe, reply.float())
    deletion = deletion_curve(model, probe, reply.float())
    assert insertion[0] == 0.0
    assert insertion[-1] == 1.0
    assert deletion[0] == 1.0
    assert deletion[-1] == 0.0
    share = int(reply.sum()) / reply.numel()
    for fraction, dice in zip(FRACTIONS, insertion, strict=True):
        assert (dice == 1.0) is (fraction >= share)
    wanted = sum(
        (b - a) * (x + y) / 2
        for a, b, x, y in zip(FRACTIONS, FRACTIONS[1:], insertion, insertion[1:], strict=False)
    )
    assert METRICS["insertion"].function(model, probe, reply.float()) == pytest.approx(wanted)
    assert METRICS["deletion"].function(model, probe, reply.float()) == area_under(deletion)


def test_evidence_needs_contents_and_the_right_shape():
    model, probe, reply = _beacon()
    bare = Probe(probe.target, probe.presentations)
    for name in ("silhouette_dice", "transfer_dice"):
        with pytest.raises(misure.InputError, match="expected a probe with content controls"):
            METRICS[name].function(model, bare, reply)
        with pytest.raises(misure.InputError, match="expected two tensors of one shape"):
            METRICS[name].function(model, probe, reply[1:])


def test_maps_of_another_shape_are_errors_of_every_metric_that_shows_them():
    model, probe, reply = _beacon()
    other = reply.float()[1:]
    for name in ("sufficiency", "sufficient_area", "insertion", "deletion"):
        with pytest.raises(misure.InputError, match="^expected two tensors of one shape"):
            METRICS[name].function(model, probe, other)
    with pytest.raises(misure.InputError, match="^expected two tensors"):
        METRICS["necessity"].function(model, probe, other > 0)
    with pytest.raises(misure.InputError, match="^expected two tensors"):
        rank_correlation(reply.float(), other)
    with pytest.raises(misure.InputError, match="^expected two tensors"):
        METRICS["noise_sensitivity"].function(reply.float(), [other])
    with pytest.raises(misure.InputError, match="^expected two tensors"):
        METRICS["randomisation_ssim"].function(reply.float(), [other])


def test_a_map_of_the_worst_order_needs_nearly_everything():
    model, probe, reply = _beacon()
    worst = 1 + (~reply).float()
    assert sufficient_area(model, probe, worst) == 1.0
    assert METRICS["insertion"].function(model, probe, worst) < 0.1


@given(seeds, st.floats(0, 1))
def test_the_top_fraction_holds_the_largest_values(seed, fraction):
    saliency_map, _, _ = _random(seed)
    region = top_fraction(saliency_map, fraction, seed=seed)
    assert int(region.sum()) == round(fraction * saliency_map.numel())
    if region.any() and not region.all():
        assert saliency_map[region].min() >= saliency_map[~region].max()


def test_equal_values_are_taken_by_lot_not_from_the_first_corner():
    flat = torch.ones(40, 40)
    half = top_fraction(flat, 0.5)
    assert 300 < int(half[:20].sum()) < 500
    assert torch.equal(half, top_fraction(flat, 0.5))


def test_bad_fractions_are_errors():
    with pytest.raises(misure.InputError, match=r"expected a fraction in \[0, 1\]"):
        top_fraction(torch.ones(3, 3), 1.5)
    with pytest.raises(misure.InputError, match="expected a Dice for each fraction"):
        area_under([0.0, 1.0])


def test_the_ranking_goes_on_below_zero():
    model, probe, reply = _beacon()
    below = reply.float() - 2
    assert sufficient_area(model, probe, below) == pytest.approx(int(reply.sum()) / reply.numel())


def test_the_area_that_suffices_can_be_asked_for_without_a_probe():
    model, probe, reply = _beacon()
    image, target = probe.presentations[0].image, probe.target
    area = misure.sufficient_area(model, image, target, reply.float())
    assert area == pytest.approx(sufficient_area(model, probe, reply.float()))
    assert misure.sufficient_area(model, image, target, torch.ones(reply.shape)) == 1.0
    assert model.net.training
    with pytest.raises(misure.InputError, match="^sufficient_area: expected two tensors of one"):
        misure.sufficient_area(model, image, target, reply.float()[1:])
    with pytest.raises(misure.InputError, match="^sufficient_area: expected dice_threshold in"):
        misure.sufficient_area(model, image, target, reply.float(), dice_threshold=0.0)


def test_a_known_top_is_not_looked_for_again():
    model, probe, reply = _beacon()
    with model.counting() as cost:
        assert sufficient_area(model, probe, reply.float(), top=reply) < 0.1
    assert cost.forward_passes == 0


def test_sufficiency_shows_as_much_as_the_target_has_where_nothing_is_said():
    model, probe, reply = _beacon()
    size = probe.target.region.float().mean().item()
    assert sufficiency(model, probe, reply.float()) == sufficiency(
        model, probe, reply.float(), size
    )


def test_the_outline_of_the_answer_says_nothing_to_a_model_that_reads_the_content():
    model, probe, reply = _beacon()
    assert METRICS["silhouette_dice"].function(model, probe, reply) == 0.0
    assert METRICS["transfer_dice"].function(model, probe, reply) == 0.0
    blind = toys.model_of(toys.Constant())
    target = misure.predicted_target(blind, toys.square_image(), 1)
    image = toys.square_image()
    shown = Probe(
        target, make_presentations(blind, image), content_controls=make_content_controls(image)
    )
    assert METRICS["silhouette_dice"].function(blind, shown, target.region) == 1.0
    assert METRICS["transfer_dice"].function(blind, shown, target.region) == 1.0


@given(seeds)
def test_rank_correlation_is_pearson_of_mean_ranks(seed):
    a, _, _ = _random(seed)
    b, _, _ = _random(seed + 1)
    ranks = []
    for one in (a.flatten().tolist(), b.flatten().tolist()):
        ranks.append([sum(v < w for v in one) + (sum(v == w for v in one) + 1) / 2 for w in one])
    wanted = np.corrcoef(*ranks)[0, 1]
    assert rank_correlation(a, b) == pytest.approx(wanted)
    assert rank_correlation(a, torch.ones_like(a)) == 0.0


def test_noise_sensitivity_is_what_captum_measures():
    from captum.metrics import sensitivity_max

    model = toys.model_of(toys.random_network(1))
    image = toys.random_image(3)
    target = misure.predicted_target(model, image, int(model(image[None])[0, :, 7, 7].argmax()))
    made = []

    def remake(_model, one, _seed):
        made.append(one)
        return METHODS["saliency"](model, one, target).saliency_map

    noisy = make_noisy_maps(model, image, remake, 0)
    assert len(noisy) == NUM_NOISES
    size = 0.02 * float(image.max() - image.min())
    for one in made:
        assert float((one - image).abs().max()) <= size * 1.0001
        assert float((one - image).abs().max()) > 0.9 * size

    def explained(images):
        return torch.stack([remake(model, one, 0)[None] for one in images[0]])

    noises = iter([one - image for one in made])
    wanted = sensitivity_max(
        explained,
        image[None],
        perturb_func=lambda inputs, _radius: tuple((one + next(noises)[None]) for one in inputs),
        n_perturb_samples=NUM_NOISES,
        max_examples_per_batch=1,
        norm_ord="fro",
    )
    own = remake(model, image, 0)
    assert METRICS["noise_sensitivity"].function(own, noisy) == pytest.approx(wanted.item())
    assert METRICS["noise_sensitivity"].function(own, [own, own]) == 0.0
    nothing = torch.zeros_like(own)
    assert METRICS["noise_sensitivity"].function(nothing, [nothing]) == 0.0
    with pytest.raises(misure.InputError, match="expected a map with values to measure changes by"):
        METRICS["noise_sensitivity"].function(nothing, [own])


def test_a_method_that_finds_nothing_under_noise_has_changed_altogether():
    model, image = toys.model_of(toys.random_network(1)), toys.random_image(3)

    def refuses(_model, _image, _seed):
        raise misure.InputError("the model does not draw it")

    noisy = make_noisy_maps(model, image, refuses, 0)
    assert METRICS["noise_sensitivity"].function(torch.ones(14, 14), noisy) == pytest.approx(1)

    def breaks(_model, _image, _seed):
        raise misure.ModelError("not finite")

    with pytest.raises(misure.ModelError):
        make_noisy_maps(model, image, breaks, 0)


@given(seeds)
def test_an_offset_does_not_count(seed):
    saliency_map, region, _ = _random(seed)
    for name in FINENESS_OF_MAPS:
        assert METRICS[name].function(saliency_map + 3) == pytest.approx(
            METRICS[name].function(saliency_map - saliency_map.min())
        )
    inside = METRICS["energy_inside"].function
    assert inside(saliency_map + 3, region) == pytest.approx(
        inside(saliency_map - saliency_map.min(), region)
    )


def test_ssim_is_that_of_scikit_image_where_a_map_shows_anything():
    a, b = (torch.rand(20, 24, generator=torch.Generator().manual_seed(i)) for i in range(2))
    ssim = METRICS["randomisation_ssim"].function
    first, second = ((one - one.min()).double() for one in (a, b))
    pair = ((first / first.max()).numpy(), (second / second.max()).numpy())
    wanted = structural_similarity(*pair, data_range=1.0)
    # scikit-image leaves out a border of 3 pixels, which here counts
    _, full = structural_similarity(*pair, data_range=1.0, full=True)
    assert full[3:-3, 3:-3].mean() == pytest.approx(wanted)
    assert ssim(a, [b]) == pytest.approx(full.mean(), abs=1e-6)
    assert ssim(a, [a, b]) == pytest.approx((1 + full.mean()) / 2, abs=1e-6)
    spot, other = torch.zeros(40, 40), torch.zeros(40, 40)
    spot[5:8, 5:8] = 1
    other[30:33, 30:33] = 1
    assert ssim(spot, [other]) < 0.2
    thin = torch.rand(3, 20, 24)
    assert ssim(thin, [thin]) == pytest.approx(1)
    with pytest.raises(misure.InputError, match="expected maps of 3 pixels or more a side"):
        ssim(torch.rand(2, 20), [torch.rand(2, 20)])
    nothing = torch.zeros(20, 24)
    assert ssim(a, [nothing]) == ssim(nothing, [a]) == 0
    assert ssim(nothing, [nothing]) == METRICS["randomisation_ssim"].when_empty


@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_a_network_is_randomised_from_the_head_down_and_stays_as_it_is(num_dimensions):
    model = toys.model_of(toys.random_network(0, num_dimensions))
    before = {key: value.clone() for key, value in model.net.state_dict().items()}
    image = toys.random_image(0, num_dimensions, size=9)
    changed = []

    def remake(other, one, seed):
        now = other.net.state_dict()
        changed.append([key for key in before if not torch.equal(before[key], now[key])])
        return other(one[None])[0, 0].detach()

    maps = make_randomised_maps(model, image, remake, 5)
    assert len(maps) == NUM_STATIONS == len(changed)
    assert changed[0] == ["4.weight", "4.bias"]
    assert {"0.weight", "0.bias"} <= set(changed[-1])
    assert all(set(a) <= set(b) for a, b in pairwise(changed))
    for key, value in model.net.state_dict().items():
        assert torch.equal(value, before[key])
    again = make_randomised_maps(model, image, remake, 5)
    assert all(torch.equal(a, b) for a, b in zip(maps, again, strict=True))


def test_weights_that_are_worked_out_of_others_are_drawn_anew_too():
    net = torch.nn.Sequential(
        torch.nn.utils.spectral_norm(torch.nn.Conv2d(2, 4, 3, padding=1)),
        torch.nn.utils.spectral_norm(torch.nn.Conv2d(4, 3, 1)),
    )
    before = {name: one.detach().clone() for name, one in net.named_parameters()}
    seen = []

    def remake(other, _image, _seed):
        now = dict(other.net.named_parameters())
        seen.append({name for name in before if not torch.equal(now[name], before[name])})
        return torch.zeros(9, 9)

    make_randomised_maps(toys.model_of(net), toys.random_image(0, size=9), remake, 0)
    assert "1.weight_orig" in seen[0]
    assert {"0.weight_orig", "1.weight_orig"} <= seen[-1]


def test_parameters_without_a_layer_that_resets_them_are_drawn_anew_too():
    class Positions(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.positions = torch.nn.Parameter(torch.arange(81.0).view(1, 1, 9, 9))
            self.head = torch.nn.Conv2d(2, 2, 1)

        def forward(self, images):
            return self.head(images) + self.positions

    model = toys.model_of(Positions())
    seen = []

    def remake(other, _image, _seed):
        seen.append(other.net.positions.detach().clone())
        return torch.zeros(9, 9)

    make_randomised_maps(model, toys.random_image(0, size=9), remake, 0)
    assert not torch.equal(seen[-1], model.net.positions)
    assert float(seen[-1].mean()) == pytest.approx(40, abs=10)


@pytest.mark.filterwarnings("ignore:`torch.jit.*` is deprecated:DeprecationWarning")
def test_a_method_with_nothing_to_explain_any_more_gives_an_empty_map():
    model = toys.model_of(toys.random_network(0))

    def remake(_model, _image, _seed):
        raise misure.InputError("the model does not draw it")

    maps = make_randomised_maps(model, toys.random_image(0), remake, 0)
    assert all(not bool(one.any()) for one in maps)
    scripted = toys.model_of(torch.jit.script(toys.random_network(0).eval()))
    kept = scripted.net.state_dict()["4.weight"].clone()
    assert len(make_randomised_maps(scripted, toys.random_image(0), remake, 0)) == NUM_STATIONS
    assert torch.equal(scripted.net.state_dict()["4.weight"], kept)
    without_parameters = toys.model_of(toys.OwnBrightness())
    assert make_randomised_maps(without_parameters, toys.square_image(), remake, 0) is None
    without_layers = misure.SegmentationModel(lambda images: images)
    assert make_randomised_maps(without_layers, toys.random_image(0), remake, 0) is None


def _subject(name, **options):
    model = toys.model_of(toys.random_network(2))
    image = toys.random_image(1)
    target = misure.predicted_target(model, image, int(model(image[None])[0, :, 7, 7].argmax()))
    probe = Probe(
        target, make_presentations(model, image), content_controls=make_content_controls(image)
    )
    method = METHODS[name]

    def remake(other, one, seed):
        return method(other, one, target, seed=seed, **options).saliency_map

    result = method(model, image, target, **options)
    return MeasuredMap(model, probe, result, remake, relevance=target.region)


def test_every_metric_measures_every_subject_within_its_range():
    assert set(GROUPS) == {
        "sufficiency", "necessity", "localisation", "fineness", "evidence", "stability", "sanity",
        "computation",
    }  # fmt: skip
    for name, options in (
        ("rise", {"num_masks": 40}),
        ("saliency", {}),
        ("misure", {"max_passes": 60}),
    ):
        subject = _subject(name, **options)
        for metric in METRICS.values():
            figure = metric.measure(subject)
            if metric.name == "growth_px" and name != "misure":
                assert figure is None
            else:
                assert metric.smallest <= figure <= metric.largest, metric.name


def test_the_distance_of_what_matters_is_the_largest_to_the_target():
    target, relevance = torch.zeros(2, 9, 9, dtype=torch.bool)
    target[2:4, 2:4] = True
    relevance[2, 2] = True
    assert METRICS["relevance_distance_px"].function(relevance, target) == 0
    relevance[7, 6] = relevance[3, 5] = True
    assert METRICS["relevance_distance_px"].function(relevance, target) == 5


def test_the_controls_fail_the_sanity_check_and_a_metric_that_lacks_something_gives_none():
    subject = _subject("edges")
    assert METRICS["randomisation_rank_correlation"].measure(subject) == pytest.approx(1)
    assert METRICS["randomisation_ssim"].measure(subject) == pytest.approx(1)
    assert METRICS["seed_agreement"].measure(subject) == pytest.approx(1)
    nobody_knows = MeasuredMap(subject.model, subject.probe, subject.result, subject.remake)
    assert METRICS["iou"].measure(nobody_knows) is None
    assert METRICS["seed_agreement"].measure(_subject("random")) < 0.5


def test_the_peak_is_of_the_work_inside():
    with PeakMemory(torch.device("cpu")) as before:
        pass
    with PeakMemory(torch.device("cpu")) as memory:
        big = torch.ones(50_000_000)
    del big
    with PeakMemory(torch.device("cpu")) as after:
        pass
    assert memory.mb > before.mb + 150
    assert after.mb < memory.mb - 150


@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_pixels_that_nothing_is_known_about_rank_below_all_others(num_dimensions):
    saliency_map, region, other = _random(3, num_dimensions)
    partly = saliency_map.masked_fill(other, torch.nan)
    lowest = saliency_map.masked_fill(other, float(saliency_map.min()) - 1)
    for fraction in (0.1, 0.5, 0.9):
        assert torch.equal(top_fraction(partly, fraction), top_fraction(lowest, fraction))
    for name in ("average_precision", "pointing_game"):
        function = METRICS[name].function
        assert function(partly, region) == function(lowest, region)
    empty = saliency_map.clamp(min=0).masked_fill(other, 0)
    for name in ("effective_area", "gini", "total_variation"):
        assert METRICS[name].function(partly) == METRICS[name].function(empty)
    assert METRICS["energy_inside"].function(partly, region) == pytest.approx(
        METRICS["energy_inside"].function(empty, region)
    )
    assert METRICS["seed_agreement"].function(partly, lowest) == pytest.approx(1)
    assert METRICS["noise_sensitivity"].function(partly, [partly]) == 0
