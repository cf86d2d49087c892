"""Each metric against plain loops or another library, and what it gives for nothing."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from sklearn.metrics import average_precision_score

import misure
import toys
from misure.metrics import METRICS
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
from misure.presentation import make_presentations
from misure.trial import Trial

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
    with pytest.raises(misure.InputError, match=f"{name}: expected two tensors of one shape"):
        METRICS[name].function(first, region[1:])


def _beacon():
    """The target needs the beacon too; known: target and beacon suffice, each alone does not."""
    model, image = toys.model_of(toys.Beacon()), toys.beacon_image()
    target = misure.predicted_target(model, image, 1)
    return model, Trial(target, make_presentations(model, image)), toys.beacon_answer(2)


def test_the_top_of_a_map_that_knows_the_answer_suffices_and_is_needed():
    model, trial, answer = _beacon()
    model_size = answer.numel()
    knows = answer.float()
    assert sufficiency(model, trial, knows, int(answer.sum()) / model_size) == 1.0
    assert sufficient_area(model, trial, knows) == pytest.approx(int(answer.sum()) / model_size)
    assert necessity(model, trial, answer) == 0.0
    assert necessity(model, trial, torch.zeros_like(answer)) == 1.0
    only_target = trial.target.region.float()
    assert sufficient_area(model, trial, only_target) == 1.0
    assert sufficiency(model, trial, only_target, int(only_target.sum()) / model_size) == 0.0


def test_curves_show_and_remove_the_top():
    model, trial, answer = _beacon()
    insertion = insertion_curve(model, trial, answer.float())
    deletion = deletion_curve(model, trial, answer.float())
    assert insertion[0] == 0.0
    assert insertion[-1] == 1.0
    assert deletion[0] == 1.0
    assert deletion[-1] == 0.0
    share = int(answer.sum()) / answer.numel()
    for fraction, dice in zip(FRACTIONS, insertion, strict=True):
        assert (dice == 1.0) is (fraction >= share)
    wanted = sum(
        (b - a) * (x + y) / 2
        for a, b, x, y in zip(FRACTIONS, FRACTIONS[1:], insertion, insertion[1:], strict=False)
    )
    assert METRICS["insertion"].function(model, trial, answer.float()) == pytest.approx(wanted)
    assert METRICS["deletion"].function(model, trial, answer.float()) == area_under(deletion)


def test_a_map_of_the_worst_order_needs_nearly_everything():
    model, trial, answer = _beacon()
    worst = 1 + (~answer).float()
    assert sufficient_area(model, trial, worst) == 1.0
    assert METRICS["insertion"].function(model, trial, worst) < 0.1


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
