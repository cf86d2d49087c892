"""The order of a map comes from what was shown and what came out, and from nothing else."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

import misure
import toys
from misure.explanation import outcome_map
from misure.explanation.nested import map_value
from misure.explanation.outcome_map import outcome_scores
from misure.explanation.presets import make_preset
from misure.explanation.shown import Shown, block_counts, visible_shares
from misure.metrics import METRICS

SIZE = 12


def _random_regions(num, spatial, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(spatial, generator=generator) < 0.5 for _ in range(num)]


def _shown(regions, dices, *, suffices=False):
    shown = Shown()
    for region, dice in zip(regions, dices, strict=True):
        shown.add(region, dice, suffices)
    return shown


@pytest.mark.parametrize("spatial", [(SIZE, SIZE), (6, 6, 6)])
def test_effects_that_add_up_are_found(spatial):
    places = torch.meshgrid(*[torch.arange(n).float() for n in spatial], indexing="ij")
    centres = [[place.max() * share for place in places] for share in (0.2, 0.9)]
    effects = sum(
        (-0.5 * sum((p - c) ** 2 for p, c in zip(places, centre, strict=True))).exp()
        for centre in centres
    )
    regions = _random_regions(300, spatial)
    dices = [float(torch.sigmoid((effects * (region.float() - 0.5)).sum())) for region in regions]
    scores, is_known = outcome_scores(_shown(regions, dices), spatial)
    assert is_known.all()
    assert 0 <= scores.min() < scores.max() == 1
    assert np.corrcoef(scores.flatten(), effects.flatten())[0, 1] > 0.95
    assert scores[effects > 0.5].min() > scores[effects < 0.1].max()


def test_the_regression_is_that_of_a_gaussian_posterior():
    regions = _random_regions(20, (4, 4), seed=1)
    generator = np.random.default_rng(0)
    outcomes = generator.normal(size=20)
    shares = np.stack([region.double().numpy() for region in regions])
    sides = np.ones(2)
    effects, told = outcome_map._regression(shares, outcomes, sides)
    x = (shares - shares.mean(0)).reshape(20, -1)
    y = outcomes - outcomes.mean()
    axis = np.array(
        [
            [sum(np.exp(-0.5 * (i - image) ** 2) for image in (j, -1 - j, 7 - j)) for j in range(4)]
            for i in range(4)
        ]
    )
    prior = np.kron(axis, axis)
    of_outcomes = x @ prior @ x.T
    fits = []
    for noise in outcome_map._NOISES * np.trace(of_outcomes) / 20:
        covariance = of_outcomes + noise * np.eye(20)
        factor = y @ np.linalg.solve(covariance, y) / 20
        fits.append((multivariate_normal(np.zeros(20), factor * covariance).logpdf(y), noise))
    noise = max(fits)[1]
    posterior = np.linalg.inv(np.linalg.inv(prior) + x.T @ x / noise)
    assert np.allclose(effects.flatten(), posterior @ x.T @ y / noise)
    assert np.allclose(told.flatten(), 1 - posterior.diagonal() / prior.diagonal())


def test_what_was_never_shown_is_not_known():
    regions = _random_regions(30, (SIZE, SIZE))
    for region in regions:
        region[:, 8:] = False
    _, is_known = outcome_scores(_shown(regions, np.linspace(0, 1, 30)), (SIZE, SIZE))
    assert is_known[:, :8].all()
    assert not is_known[:, 8:].any()


def test_the_whole_image_beside_nothing_says_nothing_of_any_pixel():
    everything = torch.ones(64, 64, dtype=torch.bool)
    scores, is_known = outcome_scores(_shown([everything, ~everything], [1.0, 0.0]), (64, 64))
    assert scores.min() == scores.max() == 1
    assert not is_known.any()


def test_what_the_smallest_sufficient_regions_hold_comes_first():
    regions = [torch.zeros(SIZE, SIZE, dtype=torch.bool) for _ in range(3)]
    for region, size in zip(regions, (9, 6, 3), strict=True):
        region[:size] = True
    shown = _shown(regions, [0.95, 0.95, 0.95], suffices=True)
    scores, _ = outcome_scores(shown, (SIZE, SIZE))
    rows = scores[:, 0]
    assert rows[:3].min() > rows[3:6].max()
    assert rows[3:6].min() > rows[6:9].max()
    assert rows[6:9].min() > rows[9:].max()


def test_a_region_is_kept_as_the_shares_of_its_blocks():
    assert block_counts((257, 300)) == [32, 37]
    assert block_counts((10, 20), (6.0, 1.0)) == [10, 20]
    assert block_counts((40, 256), (6.0, 1.0)) == [32, 34]
    region = torch.zeros(64, 64, dtype=torch.bool)
    region[:2, :1] = region[2:4, 2:4] = True
    shares = visible_shares(region)
    assert shares.shape == (32, 32)
    assert (shares[0, 0], shares[1, 1], shares.sum()) == (0.5, 1, 1.5)


@pytest.mark.parametrize("preset", ["smallest", "forward_only"])
def test_a_map_ranks_what_is_needed_first_and_keeps_its_nested_regions(preset, tmp_path):
    model, image = toys.model_of(toys.Beacon()), toys.beacon_image()
    target = misure.predicted_target(model, image, 1)
    found = misure.explain(model, image, target, preset=preset)
    precision = METRICS["average_precision"].function(found.saliency_map, toys.beacon_answer())
    assert precision > 0.95
    nested = [found.nested_region(point.dice_threshold) for point in found.sufficiency_curve]
    assert all((small & ~large).sum() == 0 for small, large in pairwise(nested))
    assert torch.equal(found.saliency_map >= map_value(0.9), found.minimally_sufficient_region)
    assert not found.saliency_map[nested[-1]].isnan().any()
    found.save(tmp_path / "explanation.npz")
    assert misure.Explanation.load(tmp_path / "explanation.npz") == found


def test_every_pass_of_the_search_and_of_the_removal_is_kept(monkeypatch):
    kept = []
    scores_of = outcome_map.outcome_scores

    def keep(shown, *arguments):
        kept.append(shown)
        return scores_of(shown, *arguments)

    monkeypatch.setattr("misure.explanation.pipeline.outcome_scores", keep)
    model, image = toys.model_of(toys.Beacon()), toys.beacon_image()
    target = misure.predicted_target(model, image, 1)
    found = misure.explain(model, image, target, max_passes=80, num_changes=0)
    (shown,) = kept
    # contents replaced, other baseline images, small changes: not what the search asked for
    of_evidence = make_preset("readable", {}).passes_of_evidence
    assert len(shown.dices) == len(shown.shares) == found.cost.forward_passes - of_evidence


def test_gradients_order_what_the_outcomes_leave_equal_each_in_its_own_unit():
    everything = torch.ones(SIZE, SIZE, dtype=torch.bool)
    rising, falling = torch.arange(SIZE).expand(SIZE, SIZE).float(), torch.zeros(SIZE, SIZE)
    falling[0] = 1000.0
    shown = _shown([~everything], [1.0])
    for gradient in (rising, rising, rising, 1e-3 * rising, falling):
        shown.add(everything, 1.0, False, gradient=gradient)
    scores, _ = outcome_scores(shown, (SIZE, SIZE))
    assert torch.allclose(shown.gradients[1:], 4 * rising[1:] / rising.square().mean().sqrt())
    assert scores.max() == 1
    assert (scores[1:].diff(dim=1)[:, 1:-1] > 0).all()
