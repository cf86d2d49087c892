"""Pictures at full size beside a report, and what the page says where there are none."""

import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import toys
from browsing import QUICK, cards, until
from misure.cli.app import main
from misure.reports.page import write_report
from misure.runs.plan import RunPlan
from misure.runs.run import run


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A run over one photograph of 30 x 30 pixels of which it keeps 16 x 16."""
    folder = tmp_path_factory.mktemp("my runs")
    pixels = (toys.beacon_image().movedim(0, -1) * 255).byte()
    pixels[4, 5] = torch.tensor([255, 0, 0])
    (folder / "images").mkdir()
    Image.fromarray(pixels.numpy()).save(folder / "images" / "a.png")
    plan = RunPlan(method_options=QUICK, thumbnail_px=16)
    run(str(folder / "images"), toys.model_of(toys.Beacon()), folder / "run", plan, progress=False)
    return folder


def _open(browser, page):
    browser.get("about:blank")
    browser.get(page.as_uri())
    until(lambda: cards(browser))
    browser.execute_script("document.querySelector('.card').click()")
    until(lambda: browser.find_elements("css selector", "#large .size"))


def _size(browser):
    return browser.find_element("css selector", "#large .size").text


def _pixel(browser, row, column):
    """The colour of a pixel of the image in the large view, of as many as the regions have."""
    return browser.execute_script(
        "const { image, width, height } = document.querySelector('#large .run').misure.pictures;"
        "const i = 4 * (arguments[0] * width + arguments[1]);"
        "return [...pixelsOf(image, width, height).slice(i, i + 3)]",
        row,
        column,
    )


def test_an_opened_object_is_shown_in_all_pixels_of_its_image(browser, small):
    done = CliRunner().invoke(
        main, ["report", str(small / "run"), "--full-size", "--out", str(small / "full.html")]
    )
    assert done.exit_code == 0, done.output
    assert [file.name for file in (small / "full_files").iterdir()] == ["full-0.js"]
    _open(browser, small / "full.html")
    until(lambda: _size(browser) == "Full resolution: 30 × 30 px.")
    red, green, blue = _pixel(browser, 4, 5)
    assert red > 180
    assert max(green, blue) < 80
    before = browser.execute_script("return view.scale")
    browser.find_element("id", "closer").click()
    assert browser.execute_script("return view.scale") > before
    browser.find_element("id", "single").click()  # the canvas is larger than the image
    assert browser.execute_script("return view.scale") == 1
    assert not [one for one in browser.get_log("browser") if one["level"] == "SEVERE"]


def test_a_page_without_them_names_the_commands_that_show_them(browser, small):
    page, *files = write_report([small / "run"], small / "plain.html")
    assert not files
    _open(browser, page)
    commands = [one.text for one in browser.find_elements("css selector", "#large .command code")]
    assert commands == [
        f"misure report '{small / 'run'}' --full-size", f"misure view '{small / 'run'}'",
    ]  # fmt: skip
    assert _size(browser).startswith("Of 30 × 30 px, the picture here has 16 × 16 px (53.3 %)")


def test_a_file_that_is_missing_is_said_and_the_small_picture_stays(browser, small):
    page, file = write_report([small / "run"], small / "lost.html", full_size=True)
    file.unlink()
    _open(browser, page)
    until(lambda: "are missing, or of another report" in _size(browser))
    assert browser.find_elements("css selector", "#large canvas")
    browser.get_log("browser")


def test_an_image_that_has_changed_is_not_shown_for_the_one_that_was_explained(browser, small):
    image = small / "images" / "a.png"
    before = image.read_bytes()
    try:
        Image.new("RGB", (30, 30), "white").save(image)
        page = write_report([small / "run"], small / "changed.html", full_size=True)[0]
    finally:
        image.write_bytes(before)
    _open(browser, page)
    until(lambda: "has changed" in _size(browser))
    assert "the picture here has 16 × 16 px" in _size(browser)
    assert max(_pixel(browser, 28, 2)) < 200


def test_a_report_without_them_takes_those_of_an_earlier_one_away(small):
    page, file = write_report([small / "run"], small / "again.html", full_size=True)
    assert file.exists()
    assert write_report([small / "run"], page) == [page]
    assert not file.parent.exists()
