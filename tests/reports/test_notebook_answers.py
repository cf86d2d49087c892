"""What notebooks show of single answers: title, sentences, picture and figures; and `plot`."""

import re
from html import escape

import pytest
import torch

import misure
from misure.reports.canvas import Figure
from prompt_toys import nearby, two_squares
from toys import Beacon, beacon_image, model_of

HOSTILE = '<script>alert("1")</script>'


@pytest.fixture(scope="module")
def results():
    model, image = model_of(Beacon(), class_names=["background", HOSTILE]), beacon_image(2)
    target = misure.predicted_target(model, image, 1)
    explanation = misure.explain(model, image, target, preset="quick")
    asked = (model, image, target)
    return {
        "leverage": misure.leverage(*asked, num_parts=4),
        "channels": misure.channel_effects(*asked),
        "regions": misure.channel_regions(*asked, explanation=explanation),
        "effects": misure.context_effects(*asked),
        "prompt": misure.prompt_sensitivity(nearby(), two_squares(), "point:10,10", num_prompts=3),
        "reasons": misure.find_reasons(model, image, explanation),
        "stability": misure.stability_of(
            *asked, explanation=explanation, changes=["seed", "jpeg"], preset="quick"
        ),
        "check": misure.check_region(*asked, explanation.sufficient_region),
        "robustness": misure.robustness(
            *asked, explanation.sufficient_region, num_images=4, kinds=["noise", "flat"]
        ),
        "answer": misure.answer(
            *asked, questions=["sufficient", "reasons", "effects", "channels"], max_passes=129
        ),
    }


PICTURED = ("leverage", "channels", "prompt", "reasons")
PLAIN = ("regions", "effects", "stability", "check", "robustness")


SAID = {
    "leverage": lambda found: found.sentence(),
    "channels": lambda found: found.sentences()[0],
    "prompt": lambda found: found.sentence(),
    "reasons": lambda found: found.sentence,
    "regions": lambda found: found.sentence(),
    "effects": lambda found: found.sentence(),
    "stability": lambda found: found.note,
    "check": lambda found: found.summary(),
    "robustness": lambda found: found.note,
}


@pytest.mark.parametrize("name", [*PICTURED, *PLAIN])
def test_a_page_has_title_sentences_and_figures(results, name):
    result = results[name]
    html = result._repr_html_()
    assert html.count("<strong>") >= 1
    assert "<script" not in html
    assert escape(SAID[name](result)) in html
    assert html.count("<tr>") >= 2
    assert ("data:image/jpeg" in html) == (name in PICTURED)
    assert len(html) < 960_000


@pytest.mark.parametrize("name", PICTURED)
def test_what_has_a_picture_draws_it_on_its_image_or_another(results, name):
    result = results[name]
    assert isinstance(result.plot(), Figure)
    shape = result.image.shape
    assert isinstance(result.plot(torch.zeros(shape)), Figure)
    with pytest.raises(misure.InputError, match=rf"^{type(result).__name__}\.plot: .*shape"):
        result.plot(torch.zeros(shape[0], 5, 5))
    with pytest.warns(misure.errors.MisureWarning, match="No window"):
        result.show()


def test_an_answer_draws_its_explanation_and_shows_the_other_answers(results):
    found = results["answer"]
    assert isinstance(found.plot("image,overlay"), Figure)
    html = found._repr_html_()
    for title in ("Other reasons", "Surroundings, part by part", "Channels"):
        assert title in html
    assert "Dice lost without it" in html
    with pytest.warns(misure.errors.MisureWarning, match="No window"):
        found.show()


def test_figures_are_those_of_the_result(results):
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", results["stability"]._repr_html_())
    (change, one), *_ = results["stability"].by_change.items()
    assert cells[:4] == [
        change, f"{one.iou:.2f}", f"{one.by_chance:.2f}", f"{one.dice_of_first:.2f}"
    ]  # fmt: skip
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", results["channels"]._repr_html_())
    first = results["channels"].effects[0]
    assert cells[:3] == [first.name, f"{first.effect:.2f}", f"{first.dice:.2f}"]
