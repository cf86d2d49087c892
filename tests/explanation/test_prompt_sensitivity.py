"""Prompted masks are explained, and how far they depend on the prompt, on a network that is known."""

from statistics import median

import numpy as np
import pytest
import torch

import misure
from misure._util.records import decode, encode
from misure.errors import EmptyTargetError, InputError
from misure.explanation.answers.prompt_sensitivity import PromptSensitivityRecord
from misure.images.regions import dice
from misure.models.prompts import parse_prompt
from prompt_toys import Nearby, nearby, two_squares


def mask_of(prompt):
    """The first mask that the network draws for a prompt."""
    return Nearby._near(10 * (two_squares() - 0.5), prompt)[0] > 0


def test_the_sufficient_region_of_a_prompt_lies_about_its_own_object():
    model, image = nearby().with_prompts(["point:10,10", "point:12,35"]), two_squares()
    for number, (rows, columns) in enumerate([((6, 14), (6, 14)), ((8, 18), (30, 40))]):
        target = misure.predicted_target(model, image, number)
        assert int(target.region.sum()) == int(
            mask_of(parse_prompt(model.binder.prompts[number].spec)).sum()
        )
        found = misure.explain(model, image, target, preset="quick")
        region = found.minimally_sufficient_region.nonzero()
        low, high = region.min(0).values.tolist(), region.max(0).values.tolist()
        assert rows[0] - 3 <= low[0]
        assert high[0] < rows[1] + 3
        assert columns[0] - 3 <= low[1]
        assert high[1] < columns[1] + 3
        assert found.values.minimally_sufficient_region.dice >= 0.9
        assert found.values.model_settings["prompts"] == ["point:10,10", "point:12,35"]
        assert found.values.model_settings["mask_places"] == [0, 0]


@pytest.mark.filterwarnings("ignore:.*does not hold its own point")
def test_a_mask_that_the_network_scores_best_is_explained_by_all_that_it_needs():
    model, image = nearby().with_prompts("point:0,10"), two_squares()
    target = misure.predicted_target(model, image, 0)
    assert target.bound(model).settings()["mask_places"] == [1]
    assert torch.equal(target.region, image[0] > 0.5)
    fixed = misure.predicted_target(model.with_prompts("point:6,10", 1), image, 0)
    assert torch.equal(fixed.region, target.region)
    assert (
        misure.predicted_target(nearby().with_prompts("point:6,10", "single"), image, 0).dice(
            mask_of(parse_prompt("point:6,10"))
        )
        == 1
    )


@pytest.mark.parametrize("spec", ["point:12,35", "point:9,7;-20,20", "box:7,29,19,41"])
def test_every_dice_is_that_of_the_masks(spec):
    model, image = nearby(), two_squares()
    found = misure.prompt_sensitivity(model, image, spec, num_prompts=9, seed=3)
    original = mask_of(parse_prompt(spec))
    assert torch.equal(found.region, original)
    assert model.net.num_embedded == 1
    assert found.cost.forward_passes == 1
    every = []
    for change in found.changes:
        dices = []
        for outcome in change.outcomes:
            prompt = parse_prompt(outcome.prompt)
            expected = mask_of(prompt)
            every.append(expected)
            dices.append(dice(expected, original))
            assert outcome.dice == pytest.approx(dices[-1])
            assert (outcome.score, outcome.other_mask) == (pytest.approx(0.9), False)
            assert prompt.outside == parse_prompt(spec).outside
        assert len(dices) == 9
        assert change.least == pytest.approx(min(dices))
        assert change.median == pytest.approx(median(dices))
    assert torch.allclose(found.agreement, torch.stack(every).float().mean(0))
    assert found.changes[-1].least < 1
    record = decode(encode(found.record("a.png")), PromptSensitivityRecord, "a record")
    assert record.sentence == found.sentence()
    assert (
        f"{found.changes[0].median:.2f} (median; least {found.changes[0].least:.2f})"
        in record.sentence
    )
    again = misure.prompt_sensitivity(model, image, spec, num_prompts=9, seed=3)
    assert again.changes == found.changes


def test_points_move_within_the_mask_and_by_a_few_pixels():
    found = misure.prompt_sensitivity(
        nearby(), two_squares(), "point:12,35", num_prompts=30, shift_px=2
    )
    elsewhere, moved = found.changes
    for outcome in elsewhere.outcomes:
        ((row, column),) = parse_prompt(outcome.prompt).points
        assert found.region[int(row), int(column)]
    distances = [
        np.hypot(*np.subtract(parse_prompt(outcome.prompt).points[0], (12, 35)))
        for outcome in moved.outcomes
    ]
    assert min(distances) > 0
    assert max(distances) <= 2
    assert len({outcome.prompt for outcome in elsewhere.outcomes}) > 10
    assert elsewhere.change == "points elsewhere in the mask"
    assert moved.change == "points moved by up to 2 px"


def test_sides_of_a_box_move_by_a_share_of_it_and_stay_in_the_image():
    found = misure.prompt_sensitivity(
        nearby(), two_squares(), "box:8,30,18,44", num_prompts=40, spreads=(0.1, 0.3)
    )
    for change, spread in zip(found.changes, (0.1, 0.3), strict=True):
        boxes = np.array([parse_prompt(outcome.prompt).box for outcome in change.outcomes])
        far = np.abs(boxes - (8, 30, 18, 44)) / (10, 14, 10, 14)
        assert far.max() <= spread + 1e-3
        assert far[:, :3].max(0).min() > 0.8 * spread
        assert boxes[:, 3].max() == 44


def test_another_mask_is_told():
    found = misure.prompt_sensitivity(nearby(), two_squares(), "point:0,10", num_prompts=12)
    others = [outcome for change in found.changes for outcome in change.outcomes]
    assert found.mask_place == 1
    assert all(outcome.other_mask == (outcome.score > 0.8) for outcome in others)
    num = sum(outcome.other_mask for outcome in others)
    assert f"{num} of 24 prompts got another one of the network's masks." in found.sentence()


@pytest.mark.parametrize(
    ("prompt", "options", "error", "says"),
    [
        ("text:horse", {}, InputError, "got a text"),
        (None, {}, InputError, "expected a prompt, got none with a model of 0 prompts"),
        ("point:25,20", {}, EmptyTargetError, "draws nothing for 'point:25,20'"),
        ("point:30,20", {}, InputError, "inside the image of 30 rows"),
        ("point:10,10", {"num_prompts": 0}, InputError, "num_prompts from 1"),
        ("point:10,10", {"shift_px": 0}, InputError, "shift_px above 0"),
        ("box:1,2,9,9", {"spreads": (0.5,)}, InputError, "spreads between 0 and 0.5"),
    ],
)
def test_what_cannot_be_asked_is_refused(prompt, options, error, says):
    with pytest.raises(error, match=says):
        misure.prompt_sensitivity(nearby(), two_squares(), prompt, **options)


def test_prompts_and_windows_contradict_each_other():
    model = misure.SegmentationModel(Nearby(), window=16).with_prompts("point:10,10")
    with pytest.raises(InputError, match="to see the whole image at once"):
        misure.segment(model, two_squares())


def test_a_network_that_takes_no_prompts_is_refused(model):
    with pytest.raises(InputError, match="takes images alone"):
        misure.prompt_sensitivity(model, torch.rand(1, 9, 9), "point:1,2")
