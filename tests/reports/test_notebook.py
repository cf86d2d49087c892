"""What notebooks show of results: sentences, pictures and figures, in HTML that stands alone."""

import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from PIL import Image

import misure
from misure.reports.stills import addresses
from toys import Beacon, OwnBrightness, beacon_image, model_of

HOSTILE = '<script>alert("1")</script> & <b>ripe</b> \u202e'


class Page(HTMLParser):
    """The elements of a page, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def pictures(self):
        """The pictures of a page as arrays."""
        found = [one["src"] for one in self.all("img") if "jpeg" in one["src"]]
        files = (io.BytesIO(base64.b64decode(source.partition(",")[2])) for source in found)
        return [np.asarray(Image.open(file)) for file in files]


@pytest.fixture(scope="module")
def model():
    return model_of(Beacon(), class_names=["background", HOSTILE])


@pytest.fixture(scope="module")
def explanation(model):
    image = beacon_image(2)
    return misure.explain(model, image, misure.predicted_target(model, image, 1))


@pytest.fixture(scope="module")
def of_volume():
    model, image = (
        model_of(OwnBrightness(), class_names=["background", "block"]),
        OwnBrightness.image(3),
    )
    target = misure.predicted_target(model, image, 1)
    return misure.explain(model, image, target, spacing_mm=(1, 1, 2), preset="quick")


def test_an_explanation_shows_its_sentence_pictures_and_figures(explanation):
    page = Page(explanation._repr_html_())
    assert explanation.summary() in page.text.replace("\\u202e", "\u202e").replace("\xa0", " ") or (
        "Shown alone" in page.text
    )
    small = explanation.values.minimally_sufficient_region
    assert f"{100 * small.area_fraction:.1f} % · Dice {small.dice:.3f}" in page.text
    assert f"Dice {explanation.silhouette_dice:.3f}" in page.text
    assert "The object, grown until it suffices when it is shown alone." in page.text
    captions = [one["alt"].partition(":")[0] for one in page.all("img") if one["alt"]]
    assert captions[:4] == [
        "The image", "Minimally sufficient region", "Where it matters", "Sufficient region"
    ]  # fmt: skip


def test_the_slider_has_a_picture_of_each_nested_region_and_ends_at_the_last(explanation):
    page, curve = Page(explanation._repr_html_()), explanation.sufficiency_curve
    (slider,) = page.all("input")
    assert (slider["min"], slider["max"]) == ("0", str(len(curve) - 1))
    assert slider["value"] == slider["max"]
    of_curve = [f"Dice {point.dice:.2f} from" in page.text for point in curve]
    assert len(curve) > 1
    assert all(of_curve)
    assert len(page.pictures) == 4 + len(curve)


def test_the_region_is_bright_in_its_picture_and_all_else_is_dark(explanation):
    image = torch.full((3, 30, 30), 0.8)
    bright = replace(explanation, image=image)
    _, region, *_ = Page(bright._repr_html_()).pictures
    small = Image.fromarray(region).convert("L").resize((30, 30), Image.Resampling.BOX)
    brightness, inside = np.asarray(small) / 255, explanation.minimally_sufficient_region.numpy()
    far = ~np.asarray(torch.nn.functional.max_pool2d(
        torch.from_numpy(inside | explanation.target.region.numpy()).float()[None], 5, 1, 2
    )[0].bool())  # fmt: skip
    assert brightness[far].max() < 0.35
    core = (
        1 - torch.nn.functional.max_pool2d(1 - torch.from_numpy(inside).float()[None], 3, 1, 1)[0]
    )
    assert brightness[core.bool().numpy()].min() > 0.6


def test_names_are_text_and_nothing_comes_from_elsewhere(explanation, of_volume, model):
    segmentation = misure.segment(model, explanation.image)
    hidden = misure.necessary_region(model, explanation.image, explanation.target, max_passes=60)
    for shown in (explanation, of_volume, segmentation, explanation.target, hidden):
        html = shown._repr_html_()
        page = Page(html)
        tags = {tag for tag, _ in page.elements}
        assert not tags & {"script", "link", "style", "iframe", "b", "object"}
        for address in re.findall(r'(?:src|href)="([^"]*)"', html):
            assert address.startswith("data:image/")
        assert "http" not in html
        assert "\u202e" not in html
    assert HOSTILE.replace("\u202e", "\\u202e") in Page(segmentation._repr_html_()).text


def test_a_volume_shows_three_planes_and_a_slider_over_slices(of_volume):
    html = of_volume._repr_html_()
    page = Page(html)
    planes = re.findall(r"Slice \d+ of 0 to 29 across axis (\d)", page.text)
    assert planes == ["0", "1", "2"]
    slices = page.all("input")[0]
    rows = of_volume.minimally_sufficient_region | of_volume.target.region
    assert int(slices["max"]) + 1 == int(rows.flatten(1).any(1).sum())
    assert len(html) < 2_000_000


@pytest.mark.slow
def test_a_noisy_photograph_stays_below_a_megabyte(explanation):
    image = torch.rand(3, 30, 30).repeat_interleave(20, 1).repeat_interleave(20, 2)
    pictures = [
        Image.fromarray(np.random.default_rng(seed).integers(0, 256, (900, 900, 3), np.uint8))
        for seed in range(12)
    ]
    assert sum(map(len, addresses(pictures, 900_000))) <= 900_000
    assert len(replace(explanation, image=image[:, ::20, ::20])._repr_html_()) < 1_000_000


def test_without_an_image_one_sentence_says_so_and_figures_stay(explanation, tmp_path):
    explanation.save(tmp_path / "e.npz")
    loaded = misure.Explanation.load(tmp_path / "e.npz").with_values(image="gone.png")
    page = Page(loaded._repr_html_())
    assert not page.pictures
    said = "No pictures: the result keeps none, and gone.png is not"
    assert f"{said} there. Draw them with explanation.show(image=...)." in page.text
    assert f"Dice {loaded.dice:.3f}" in page.text


def test_channels_are_named_and_one_is_chosen():
    net = OwnBrightness()
    model = model_of(net, class_names=["background", "block"], channel_names="t1,t2,flair,pd")
    image = OwnBrightness.image(2).repeat(4, 1, 1)
    page = Page(misure.explain(model, image, 1, preset="quick")._repr_html_())
    assert "Drawn: t1, one of 4 channels (t1, t2, flair, pd)." in page.text


def test_a_segmentation_lists_its_classes_and_a_target_its_size(model, explanation):
    page = Page(misure.segment(model, explanation.image)._repr_html_())
    share = float(explanation.target.region.float().mean())
    assert f"{100 * share:.1f} %" in page.text
    of_target = Page(explanation.target._repr_html_())
    assert f"{int(explanation.target.region.sum())} px" in of_target.text
    (picture,) = of_target.pictures
    small = Image.fromarray(picture).convert("L").resize((30, 30), Image.Resampling.BOX)
    outside = ~explanation.target.region.numpy()
    assert np.asarray(small)[outside].mean() < 40


def test_a_run_its_records_and_a_comparison_show_themselves(model, explanation, tmp_path):
    samples = [misure.datasets.Sample(f"{i} {HOSTILE}", explanation.image) for i in range(2)]
    progress = misure.run(
        samples, model, tmp_path / "run", misure.RunPlan(method_options={"preset": "quick"})
    )
    assert "2 of 2" in Page(progress._repr_html_()).text
    records = misure.read_run(tmp_path / "run")
    page = Page(records._repr_html_())
    assert "2 objects explained, 0 failed." in page.text
    assert len(page.pictures) == 2
    assert "script" not in {tag for tag, _ in page.elements}
    comparison = misure.compare(
        model, samples, methods=["sufficient_region", "random"], metrics=["sufficient_area"]
    )
    page = Page(comparison._repr_html_())
    summary = comparison.summary()["random"]["sufficient_area"]["mean"]
    assert "sufficient area ↓" in page.text
    assert f"{summary:.3g}"[:4] in page.text
    assert len(page.pictures) == 1


def test_an_answer_says_everything_that_was_asked(model, explanation):
    answer = misure.answer(model, explanation.image, explanation.target)
    page = Page(answer._repr_html_())
    for sentence in answer.sentences():
        assert sentence.replace("\u202e", "\\u202e") in page.text
    assert f"{answer.cost.pass_equivalents} pass equivalents" in page.text
