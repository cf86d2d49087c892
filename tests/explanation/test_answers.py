"""Further reasons, the summary, and the whole answer, on toys whose answer is known."""

from functools import cache, partial

import pytest
import torch
from msgspec.structs import replace

import misure
import toys
from misure.errors import InputError
from misure.explanation.answers.hidden import smaller_around
from misure.explanation.answers.reasons import find_reasons
from misure.explanation.answers.shares import SharedBudget, least_passes
from misure.explanation.answers.whole import answer
from misure.explanation.presets import make_preset
from misure.reports.explanation_panels import region_words

FEWEST = {"num_minimality_tests": 0, "one_minimal": True}
NAMES = ("background", "thing")


def _explained(net, image, **options):
    model = toys.model_of(net, class_names=NAMES)
    return model, misure.explain(model, image, 1, num_changes=0, **options)


@cache
def _two_beacons():
    image = toys.TwoBeacons.image()
    return _explained(toys.Beacon(), image, preset="forward_only", max_passes=300)


def test_two_beacons_are_two_reasons_that_share_the_target():
    image, (model, explanation) = toys.TwoBeacons.image(), _two_beacons()
    with model.counting() as spent:
        found = find_reasons(model, image, explanation)
    values = found.values
    assert values.cost.pass_equivalents == spent.pass_equivalents
    assert (len(found.regions), values.share_target, values.stopped_by) == (2, True, "rest")
    beacons, target = image[2] > 0.5, explanation.target.region
    lying_on = [region & beacons for region in found.regions]
    assert not (lying_on[0] & lying_on[1]).any()
    assert int((lying_on[0] | lying_on[1]).sum()) == 18
    for region, reason in zip(found.regions, values.reasons, strict=True):
        shown = image.where(region, image.flatten(1).mean(1).view(-1, 1, 1))
        drawn = misure.segment(model, shown).class_region(1)
        assert reason.dice == 2 * int((drawn & target).sum()) / int(drawn.sum() + target.sum())
        assert reason.dice >= 0.9
        assert reason.dice_without == 1
    assert values.dice_of_rest == 0
    assert found.sentence.startswith("There are at least 2 reasons: regions apart outside the")


def test_a_rest_that_cannot_be_reduced_is_no_second_reason():
    """By stage 1 alone: what is left of the budget shows the rest of the image, no more."""
    image, (model, explanation) = toys.TwoBeacons.image(), _two_beacons()
    found = find_reasons(model, image, explanation, max_passes=24)
    assert len(found.regions) == 2
    assert not found.values.reasons[1].is_reduced
    assert found.sentence.startswith(
        "With its part outside the target hidden, the rest of the image still suffices (Dice 1.00);"
    )
    assert "no smaller reason was found there within" in found.sentence


def test_one_beacon_is_one_reason():
    image = toys.Beacon.image()
    model, explanation = _explained(toys.Beacon(), image, preset="quick")
    found = find_reasons(model, image, explanation)
    assert len(found.regions) == 1
    assert torch.equal(found.regions[0], explanation.minimally_sufficient_region)
    assert found.values.stopped_by == "rest"
    assert found.values.cost.pass_equivalents == 2
    assert found.sentence == (
        "No other reason was searched for, because with its part outside the target hidden and all "
        "else shown, the Dice is 0.00."
    )


def test_reasons_keep_their_number_and_their_budget():
    image, (model, explanation) = toys.TwoBeacons.image(), _two_beacons()
    one = find_reasons(model, image, explanation, max_reasons=1)
    assert one.values.stopped_by == "max_reasons"
    assert "Other reasons are possible" in one.sentence
    few = find_reasons(model, image, explanation, max_passes=5)
    assert few.values.stopped_by == "max_passes"
    assert few.values.cost.pass_equivalents <= 5
    more = find_reasons(model, image, explanation, max_passes=30)
    assert more.values.cost.pass_equivalents <= 30
    with pytest.raises(InputError, match="max_reasons of 1 or more, got 0"):
        find_reasons(model, image, explanation, max_reasons=0)
    _, by_paper = _explained(toys.Beacon(), image, preset="sufficient_region")
    with pytest.raises(
        InputError, match="got sufficient_region, which finds sufficient regions only"
    ):
        find_reasons(model, image, by_paper)


def test_the_whole_answer_keeps_one_budget_and_says_what_it_found():
    image = toys.Beacon.image()
    model = toys.model_of(toys.Beacon(), class_names=NAMES)
    with model.counting() as spent:
        found = answer(model, image, 1)
    passes = found.passes
    # taking the class as a target shows the whole image once
    assert sum(passes.values()) == spent.pass_equivalents - 1 <= 250
    assert found.cost.pass_equivalents == sum(passes.values())
    sentences = found.sentences()
    assert sentences[0] == found.explanation.summary().split(". ")[0].removesuffix(".") + "."
    assert sentences[0].startswith("Shown alone, ")
    assert sentences[1] == found.necessary.sentence
    assert sentences[2] == found.reasons.sentence
    assert sentences[3] == found.surroundings.sentence
    assert sentences[4] == found.effects.sentence()
    assert found.surroundings.values.outside_target
    assert not found.necessary.values.outside_target
    record = found.record()
    assert record["summary"] == sentences
    assert record["passes"] == passes
    assert " ".join(sentences) == found.summary()


def test_what_needs_nothing_is_said_to():
    model = toys.model_of(toys.Constant(), class_names=NAMES)
    found = answer(model, toys.Constant.image(), 1)
    nothing = "with everything hidden, the Dice is 1.00"
    assert found.sentences() == [
        f"The model draws the thing whatever the image shows: {nothing}.",
        "Hiding the whole image does not lose the thing: the Dice is still 1.00.",
        "The target is drawn from nothing, so there is no reason in the image.",
        "Hiding all its surroundings does not lose the thing: the Dice is still 1.00.",
        found.effects.sentence(),
    ]
    assert "took more than 0.00 of the Dice" in found.effects.sentence()


def test_the_summary_says_what_was_not_searched_for_or_not_found():
    image = toys.OwnBrightness.image()
    _, grown = _explained(toys.OwnBrightness(), image, preset="sufficient_region")
    assert grown.summary().startswith(
        "Shown alone, 2.8 % of the image (1.00 × the target, in one part, 0 % of it outside) "
        "suffices for the thing: Dice 1.00. No smaller region was searched for. 1 of 4 tested "
        "blocks can still be removed from it, one at a time. Its outline alone, with other content in it, suffices too (Dice 1.00): weak evidence. The region does not "
        "hold under small changes (a soft edge 0.5"
    )
    _, found = _explained(toys.OwnBrightness(), image)
    assert found.is_reduced
    assert "in one part, 0 % of it outside) suffices for the thing: Dice 0.9" in found.summary()
    assert "No smaller region" not in found.summary()
    small = found.values.minimally_sufficient_region
    wide = found.with_values(
        minimally_sufficient_region=replace(small, area_fraction=0.4, is_reduced=False),
        minimality=None,
    )
    assert "No smaller region that the preset accepts was found within" in wide.summary()
    assert "though 2.8 % of the image suffices, too (Dice 1.00)." in wide.summary()
    assert region_words(wide) == "accepted by the preset"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"lost_dice": 1.0}, "lost_dice of at least 0 and below 1, got 1.0"),
        (
            {"max_passes": 175, "robust": 0.9},
            "max_passes of 176 or more for sufficient, .*, effects with robust=0.9, got 175",
        ),
        ({"max_passes": 47, "questions": ()}, "max_passes of 48 or more for sufficient, got 47"),
        ({"questions": ["neccessary"]}, "questions among .* got 'neccessary'. Did you mean"),
        ({"max_reasons": 0}, "max_reasons of 1 or more, got 0"),
        ({"preset": "quick", "patience": 3}, "option of preset quick .*, got 'patience'"),
        (
            {"max_passes": 130, "compare_presentations": True, "max_content_dice": 0.5},
            "a larger max_passes for these options: what suffices needs 63 passes, .* share of 130 may be 54",
        ),
        ({"robust": 1.5}, "robust above 0 and below 1, got 1.5"),
    ],
)
def test_what_cannot_be_answered_is_said_before_any_pass(options, said):
    model = toys.model_of(toys.Constant())
    with model.counting() as spent, pytest.raises(InputError, match=said):
        answer(model, toys.Constant.image(), 1, **options)
    assert spent.forward_passes == 0


def test_the_least_budget_is_enough():
    image = toys.Beacon.image()
    found = answer(toys.model_of(toys.Beacon()), image, 1, max_passes=150, one_minimal=True)
    assert sum(found.passes.values()) <= 150
    assert found.explanation.settings["one_minimal"]


def test_only_what_is_asked_is_answered_and_has_the_whole_budget():
    model, image = toys.model_of(toys.Beacon(), class_names=NAMES), toys.Beacon.image()
    target = misure.predicted_target(model, image, 1)
    with model.counting() as spent:
        found = answer(model, image, target, questions=["necessary"], max_passes=100)
    assert found.questions == ("sufficient", "necessary")
    assert list(found.passes) == ["sufficient", "necessary"]
    assert (found.surroundings, found.reasons, found.effects) == (None, None, None)
    assert sum(found.passes.values()) == spent.pass_equivalents == found.cost.pass_equivalents
    assert found.explanation.settings["max_passes"] == 74  # 9 of 11 shares leave too few
    assert found.necessary.values.settings["max_passes"] == 100 - found.passes["sufficient"]
    alone = misure.necessary_region(model, image, target, num_minimality_tests=0, max_passes=100)
    assert torch.equal(found.necessary.region & toys.beacon_answer(), found.necessary.region)
    assert torch.equal(alone.region & toys.beacon_answer(), alone.region)
    assert found.sentences()[1] == found.necessary.sentence
    assert found.record()["effects"] is None


@pytest.mark.parametrize(
    ("questions", "robust", "shares"),
    [
        # 250 - 30 of effects - 47 of robust = 173: 103 + 47, 35 (half), 10, and the least
        (("sufficient", "necessary", "surroundings", "reasons", "effects"), 0.9,
         {"sufficient": 150, "surroundings": 35, "reasons": 9, "necessary": 26}),
        (("sufficient", "effects"), None, {"sufficient": 220}),
        (("sufficient", "necessary", "surroundings"), None,
         {"sufficient": 160, "surroundings": 54, "necessary": 36}),
        (("sufficient",), 0.9, {"sufficient": 250}),
    ],
)  # fmt: skip
def test_a_budget_is_divided_among_what_is_asked(questions, robust, shares):
    budget = SharedBudget(250, questions, robust)
    if "effects" in questions:
        budget.spend(budget.share("effects"))
    for part, share in shares.items():
        assert budget.share(part) == share, part
        budget.spend(share)


@pytest.mark.parametrize("robust", [None, 0.9])
def test_every_part_has_enough_with_the_least_budget(robust):
    questions = ("sufficient", "necessary", "surroundings", "reasons", "effects")
    least = least_passes(questions, robust)
    assert least == (129 if robust is None else 176)
    hiding = make_preset("readable", {"num_minimality_tests": 0, "num_draws": 3, "thresholds": []})
    # nothing hidden, everything, and some regions; the evidence, and accepting one
    assert least_passes(["necessary"]) >= 8 + 6 + hiding.passes_of_accepting
    showing = make_preset("readable", FEWEST | {"robust": robust or 0.0})
    assert least_passes(["sufficient"], robust) >= showing.least_passes
    budget = SharedBudget(least, questions, robust)
    budget.spend(budget.share("effects"))
    for part in ("sufficient", "surroundings", "reasons", "necessary"):
        share = budget.share(part)
        assert share >= least_passes([part], robust if part == "sufficient" else None), part
        budget.spend(share)


def test_a_necessary_region_around_the_target_answers_for_the_surroundings_too():
    model, image = toys.model_of(toys.Beacon()), toys.Beacon.image()
    hiding = partial(misure.necessary_region, model, image, 1, num_minimality_tests=0)
    needed, around = hiding(max_passes=80), hiding(outside_target=True, max_passes=26)
    assert not (needed.region & needed.target.region).any()
    assert int(needed.region.sum()) < int(around.region.sum())
    found = smaller_around(around, needed)
    assert torch.equal(found.region, needed.region)
    assert found.values.outside_target
    assert found.dice == needed.dice
    assert found.cost == around.cost
    assert smaller_around(needed, around) is needed
    on_target = needed.target.region.clone()
    inside = type(needed)(target=needed.target, region=on_target, values=needed.values)
    assert smaller_around(around, inside) is around


def test_each_part_of_the_surroundings_has_a_control_if_the_budget_allows_it():
    model = toys.model_of(toys.Pair(), class_names=("background", "rider", "horse"))
    found = answer(
        model, toys.Pair.image(), "rider", questions=["effects"], preset="quick", max_passes=120
    )
    # 12 % of 120 less a segmentation: 13 regions, 6 parts and their controls
    assert found.effects.num_controls == 1
    assert len(found.effects.effects) == 6
    assert found.effects.cost.pass_equivalents <= 14
    horse = next(effect for effect in found.effects.effects if effect.name == "the horse")
    assert horse.control_dice == 1
