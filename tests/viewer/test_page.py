"""The page of the viewer, in a real browser where there is one."""

from urllib.error import HTTPError
from urllib.request import urlopen

import numpy as np
import pytest
import torch
from PIL import Image
from selenium.webdriver.common.keys import Keys

import misure
import toys
from browsing import until
from misure.reports.density import density
from viewed import NAMES, Page, Served, write_picture

BEACON = (slice(11, 14), slice(22, 25))  # rows, columns: without it nothing is a ship
QUICK = "document.getElementById('preset').value = 'quick'"


@pytest.fixture
def served(tmp_path):
    image = toys.beacon_image()
    write_picture(tmp_path / "a <b>ship.png", image)
    write_picture(tmp_path / "b two.png", torch.maximum(image, image.roll(12, 1)))
    served = Served(tmp_path, toys.Beacon())
    yield served
    served.close()


@pytest.fixture
def page(browser, served):
    opened = Page(browser, served)
    browser.execute_script(QUICK)
    return opened


@pytest.fixture
def ship():
    """The pixels (H, W) of the object."""
    return np.asarray(toys.beacon_image()[0] > 0.5)


def middle(region):
    """A pixel of a region."""
    places = np.argwhere(region)
    return tuple(int(side) for side in places[len(places) // 2])


def test_hover_names_an_object_and_a_click_explains_it(page, ship):
    row, column = middle(ship)
    page.pointer((row, column))
    until(lambda: "ship" in page.text("hover"))
    assert page.text("hover") == f"ship · row {row}, column {column}"
    page.pointer("down", "up")
    until(lambda: page.browser.find_elements("css selector", "#figures dd"))
    (entry,) = page.served.entries
    explanation = page.served.viewer.searches.explanation(entry.id)
    assert (entry.asked.object, entry.asked.preset) == (0, "quick")
    assert page.text("sentence") == explanation.summary()
    region = explanation.minimally_sufficient_region.flatten().int().tolist()
    until(lambda: page.run(
        "const drawn = (await at('stage')).allViews()[0].regions?.get('minimally_sufficient_region');"
        "return [...drawn?.mask.pixels ?? []]"
    ) == region)  # fmt: skip
    assert not page.errors()


def test_what_is_painted_is_hidden_undone_and_shown_again(page):
    page.what_if()
    assert page.dice == "1.000"
    page.choose("brush", "0")
    row, column = 12, 23  # in the beacon
    page.pointer((row, column), "down", (row, column + 1), "up")
    until(lambda: page.text("outcome-dice") == "0.000")
    hidden = np.argwhere(~page.shown())
    assert hidden.tolist() == [[row, column], [row, column + 1]]
    drawn = page.run(
        "const {hidden} = (await at('stage')).allViews()[0];"
        "const {data} = hidden.getContext('2d').getImageData(0, 0, 30, 30);"
        "return [...data].flatMap((value, i) => i % 4 === 3 && value ? [(i - 3) / 4] : [])"
    )
    assert drawn == [30 * row + column, 30 * row + column + 1]
    shares = page.run("return [0, 1, 0.2443, 0.0095, 1e-5].map((await at('objects')).share)")
    assert shares == ["0.0 %", "100.0 %", "24.4 %", "0.9 %", "0.001 %"]
    assert page.text("outcome-area").startswith("99.8 % shown; the network draws 0.0 % as ship")
    page.click("#undo")
    until(lambda: page.text("outcome-dice") == "1.000")
    assert page.shown().all()
    page.click("#redo")
    until(lambda: page.text("outcome-dice") == "0.000")
    page.tool("show")
    page.pointer((row, column - 1), "down", (row, column + 2), "up")
    until(lambda: page.text("outcome-dice") == "1.000")
    assert page.shown().all()
    assert not page.errors()


@pytest.mark.slow
def test_the_page_asks_nobody_else_and_names_are_text(page):
    requests = page.requests()
    assert requests
    assert all(url.startswith((page.served.serving.address, "data:", "about:")) for url in requests)
    assert page.browser.title.startswith("a <b>ship.png")
    assert not page.browser.execute_script("return document.querySelector('body b:not([id])')")
    assert not page.errors()


@pytest.mark.slow
def test_the_region_is_shown_alone_and_checked(page):
    page.explained()
    entry = next(one for one in page.served.entries if one.status == "done")
    explanation = page.served.viewer.searches.explanation(entry.id)
    region = np.asarray(explanation.minimally_sufficient_region)
    page.what_if()
    page.click("#to-region")
    until(lambda: np.array_equal(page.shown(), region))
    assert page.dice == f"{explanation.dice:.3f}"
    until(lambda: page.browser.find_element("id", "check").is_enabled())
    page.click("#check")
    until(lambda: page.text("check-sentence"))
    assert f"Dice {explanation.dice:.2f}" in page.text("check-sentence")
    assert page.browser.find_elements("css selector", "#check-figures dd")
    page.click("#to-complement")
    until(lambda: page.text("outcome-dice") == "0.000")
    assert (page.shown() == ~region).all()
    assert not page.text("check-sentence")


@pytest.mark.slow
def test_objects_and_superpixels_are_hidden_by_a_click(page, ship):
    page.what_if()
    page.tool("objects")
    page.pointer(middle(ship), "down", "up")
    until(lambda: page.text("outcome-dice") == "0.000")
    assert (page.shown() == ~ship).all()
    page.pointer("down", "up")
    until(lambda: page.text("outcome-dice") == "1.000")
    page.tool("superpixels")
    place = (12, 23)
    until(lambda: page.run(
        "const {superpixelsOf} = await at('layers'); const {allViews} = await at('stage');"
        "return Boolean(superpixelsOf(allViews()[0]))"
    ))  # fmt: skip
    page.pointer(place, "down", "up")
    until(lambda: page.text("outcome-dice") == "0.000")
    hidden = ~page.shown()
    assert hidden[place]
    assert hidden.sum() < hidden.size / 2


@pytest.mark.slow
def test_another_image_and_a_soft_edge_are_what_the_network_is_shown(page):
    page.what_if()
    page.choose("brush", "0")
    page.pointer((2, 2), "down", (2, 9), "up")
    page.choose("baseline", "image:1")
    page.choose("edge", "2")
    until(lambda: (page.state("whatIf") or {}).get("baseline") == "image:1")
    until(lambda: page.state("whatIf")["edge_px"] == 2)
    made = page.served.viewer.what_ifs.get(page.state("whatIf")["id"])
    other = page.served.viewer.session.open(1).pixels
    assert torch.allclose(made.shown[:, 2, 2:10], other[:, 2, 2:10])
    options = page.browser.execute_script(
        "return [...document.getElementById('baseline').options].map((o) => o.value)"
    )
    assert {"mean", "blurred", "noise", "filled", "image:1"} <= set(options)
    assert "image:0" not in options


@pytest.mark.slow
def test_searches_queue_tell_how_far_they_are_and_are_cancelled(page):
    page.choose("images", "1")
    until(lambda: page.objects == ["ship 0", "ship 1"])
    page.served.network.delay_s = 0.3
    before = len(page.served.entries)
    for number in (0, 1):
        page.run(f"(await at('explain')).explain({number}); return null")
        until(lambda n=number: len(page.served.entries) == before + n + 1)
    first, second = page.served.entries[before:]
    until(lambda: "passes" in page.text("queue"))
    assert (first.status, second.status) == ("running", "queued")
    assert page.browser.find_elements("css selector", "#queue progress")
    page.click("#queue .running .start")
    until(lambda: first.status == "cancelled")
    page.served.network.delay_s = 0.0
    until(lambda: second.status == "done")
    until(lambda: page.browser.find_elements("css selector", "#queue .cancelled"))
    assert not page.notices


@pytest.mark.slow
def test_what_a_network_raises_is_said_and_stays_until_it_is_closed(page):
    page.choose("images", "1")
    until(lambda: len(page.objects) == 2)
    page.choose("seed", "7")
    page.served.network.is_broken = True
    page.run("(await at('explain')).explain(1); return null")
    until(lambda: page.notices)
    assert "the cable is <b>loose</b>" in page.notices[0]
    assert page.served.entries[-1].status == "failed"
    assert "cable" in page.text("sentence")
    page.served.network.is_broken = False
    page.choose("seed", "8")
    page.run("(await at('explain')).explain(1); return null")
    until(lambda: page.served.entries[-1].status == "done")
    assert page.notices
    page.click("#notices button")
    assert not page.notices


@pytest.mark.slow
def test_what_is_saved_and_the_command_are_those_of_explain(page):
    page.explained()
    page.click("#save")
    until(lambda: page.text("saved"))
    (folder,) = [path for path in page.served.out.iterdir() if str(path) in page.text("saved")]
    names = {path.name for path in folder.iterdir()}
    assert {"explanation.json", "explanation.npz", "overview.png"} <= names
    assert all(name in page.text("saved") for name in names if not name.startswith("."))
    command = page.text("command")
    assert command.startswith("misure explain ")
    assert "--preset quick" in command


@pytest.mark.slow
def test_the_keyboard_is_enough(page, ship):
    page.press("?")
    assert page.browser.find_element("id", "help").get_property("open")
    page.press(Keys.ESCAPE)
    until(lambda: not page.browser.find_element("id", "help").get_property("open"))
    page.press("n")
    until(lambda: page.state("object") == 0)
    is_drawn = page.state("overlays.segmentation")
    page.press("g")
    assert page.state("overlays.segmentation") is not is_drawn
    row, column = middle(ship)
    page.run("document.getElementById('view-image').focus(); return null")
    _, top, left = page.state("position")
    down, right = row - top, column - left
    page.press(*[Keys.ARROW_DOWN if down > 0 else Keys.ARROW_UP] * abs(down))
    page.press(*[Keys.ARROW_RIGHT if right > 0 else Keys.ARROW_LEFT] * abs(right))
    assert page.state("position")[1:] == [row, column]
    before = page.state("brushPx")
    page.press("w", "]")
    assert page.state("brushPx") > before
    page.press("[", "o", Keys.ENTER)  # at the cursor: hides the object
    until(lambda: page.text("outcome-dice") == "0.000")
    assert (page.shown() == ~ship).all()
    page.press("a")
    until(lambda: page.text("outcome-dice") == "1.000")
    page.press("e", "x")
    until(lambda: page.browser.find_elements("css selector", "#figures dd"))


@pytest.mark.slow
def test_zoom_keeps_the_place_and_tells_single_pixels_apart(page):
    fitted = page.place(12, 23)
    page.press(*["+"] * 4)
    page.pointer((12, 20))
    x, y = page.place(12, 20)
    page.run(
        "const canvas = document.getElementById('view-image');"
        f"canvas.dispatchEvent(new WheelEvent('wheel', {{deltaY: -100, clientX: {x}, clientY: {y},"
        "  bubbles: true, cancelable: true})); return null"
    )
    assert np.abs(np.subtract(page.place(12, 20), (x, y))).max() <= 1
    across = page.place(0, 20)[0] - page.place(0, 0)[0]  # of 20 pixels
    assert int(page.text("zoom").removesuffix(" %")) == pytest.approx(5 * across, abs=5)
    page.press("0")
    assert page.place(12, 23) == fitted


@pytest.mark.slow
def test_outlines_and_densities_are_those_of_the_region(page):
    generator = np.random.default_rng(0)
    height, width = 60, 90
    dust = generator.random((height, width)) < np.linspace(0, 0.5, width)
    region = np.zeros((height, width), bool)
    region[10:30, 20:50] = True
    region[15:20, 30:35] = False  # a hole, another that touches it at a corner, and one pixel more
    region[20:24, 35:38] = False
    region[30, 50] = True
    inside, loops, shares, most = page.run(
        "const [{outline}, {density}] = [await at('contours'), await at('density')];"
        f"const region = {region.astype(int).ravel().tolist()};"
        f"const {{path, loops}} = outline(region, {width}, {height}, 10);"
        "const context = document.createElement('canvas').getContext('2d');"
        "const inside = region.map((_, i) => context.isPointInPath("
        f"  path, i % {width} + 0.5, Math.floor(i / {width}) + 0.5, 'evenodd'));"
        f"const found = density({dust.astype(int).ravel().tolist()}, {width}, {height});"
        "return [inside, loops, [...found.shares], found.most]"
    )
    assert inside == region.ravel().tolist()
    assert loops in (3, 4)  # holes that touch at a corner are one or two
    expected = density(dust)
    assert np.abs(np.reshape(shares, (height, width)) - expected).max() < 0.08
    assert most == pytest.approx(float(expected.max()), abs=0.06)
    few = page.run(
        "const {outline} = await at('contours');"
        f"return outline({dust.astype(int).ravel().tolist()}, {width}, {height}).path"
    )
    assert few is None


@pytest.mark.slow
def test_on_a_phone_nothing_is_cut_off_and_a_finger_paints(page):
    emulate = page.browser.execute_cdp_cmd
    metrics = {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
    emulate("Emulation.setDeviceMetricsOverride", metrics)
    emulate("Emulation.setTouchEmulationEnabled", {"enabled": True})
    try:
        until(lambda: page.run("return innerWidth") == 360)
        assert page.run("return document.documentElement.scrollWidth") == 360
        page.what_if()
        assert page.run("return document.documentElement.scrollWidth") == 360
        page.choose("brush", "0")
        for kind, place in (("touchStart", (12, 22)), ("touchMove", (12, 24)), ("touchEnd", None)):
            x, y = page.place(*place) if place else (0, 0)
            points = [{"x": x, "y": y}] if place else []
            emulate("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        until(lambda: page.text("outcome-dice") == "0.000")
        assert np.argwhere(~page.shown()).tolist() == [[12, 22], [12, 23], [12, 24]]
    finally:
        emulate("Emulation.clearDeviceMetricsOverride", {})
        emulate("Emulation.setTouchEmulationEnabled", {"enabled": False})


@pytest.mark.slow
def test_a_volume_is_cut_and_painted_where_it_is_pointed_at(browser, tmp_path):
    nibabel = pytest.importorskip("nibabel")
    block = np.zeros((14, 12, 10), np.float32)  # left to right, back to front, feet to head
    block[2:5, 3:7, 6:9] = 1.0
    nibabel.save(nibabel.Nifti1Image(block, np.diag([1, 1, 2, 1])), tmp_path / "block.nii.gz")
    served = Served(tmp_path, toys.OwnBrightness())
    try:
        page = Page(browser, served)
        assert page.state("image.shape") == [10, 12, 14]
        # laid out: slices feet to head, rows front to back, columns from the right side
        [z, y, x] = page.state("position")
        assert block[13 - x, 11 - y, z] == 1
        page.pointer((3, 13 - 3, "coronal"), "down", "up")  # head up: row 3 is slice 6
        assert page.state("position") == [6, y, 10]
        page.run(
            "document.getElementById('view-axial').dispatchEvent("
            "new WheelEvent('wheel', {deltaY: 100, bubbles: true, cancelable: true})); return null"
        )
        assert page.state("position") == [7, y, 10]
        page.choose("low", "-1")
        page.choose("high", "3")
        until(lambda: page.state("window") == [-1, 3])
        page.what_if()
        assert page.dice == "1.000"
        page.choose("brush", "0")
        page.choose("depth", "all")
        page.pointer((11 - 4, 10, "axial"), "down", "up")
        until(lambda: page.text("outcome-dice") != "1.000")
        hidden = np.zeros_like(block, bool)
        hidden[3, 4, :] = True
        assert (page.shown() == ~hidden).all()
        left = 36 - 3
        assert page.dice == f"{2 * left / (36 + left):.3f}"
        assert not page.errors()
    finally:
        served.close()


@pytest.mark.slow
def test_a_large_photograph_is_drawn_scaled_first_and_in_full_when_zoomed(browser, tmp_path):
    pixels = np.zeros((900, 2100, 3), np.uint8)
    pixels[200:500, 700:1500] = 255
    Image.fromarray(pixels).save(tmp_path / "large.png")
    served = Served(tmp_path, toys.OwnBrightness())
    try:
        page = Page(browser, served)
        pictures = []

        def new_pictures():
            pictures[:] = [url for url in page.requests() if "/picture?" in url]
            return pictures

        until(new_pictures)
        assert all("max_side=1600" in url for url in pictures)
        page.run("(await at('stage')).pixelForPixel(); return null")
        until(new_pictures)
        assert all("max_side" not in url for url in pictures)
    finally:
        served.close()


@pytest.mark.slow
def test_a_server_that_ends_is_said_to_have_ended(browser, tmp_path):
    write_picture(tmp_path / "a.png", toys.beacon_image())
    served = Served(tmp_path, toys.Beacon())
    page = Page(browser, served)
    served.close()
    until(lambda: "has ended" in page.text("away"))
    assert page.browser.find_element("id", "away").is_displayed()


@pytest.mark.slow
def test_a_report_leads_to_the_images_in_the_viewer(browser, tmp_path):
    image = toys.beacon_image()
    (tmp_path / "images").mkdir()
    write_picture(tmp_path / "images" / "a.png", image)
    write_picture(tmp_path / "images" / "b.png", torch.maximum(image, image.roll(12, 1)))
    model = toys.model_of(toys.Beacon(), class_names=NAMES)
    plan = misure.RunPlan(method_options={"preset": "quick"}, thumbnail_px=16)
    misure.run(str(tmp_path / "images"), model, tmp_path / "run", plan, progress=False)
    served = Served(tmp_path / "images", toys.Beacon(), run=tmp_path / "run")
    try:
        page = Page(browser, served)
        assert page.state("image.name") == "a.png"
        browser.get(f"{served.serving.address}report/#b.png%231")
        until(lambda: browser.find_element("id", "large-title").text.endswith("b.png#1"))
        size = "Full resolution: 30 × 30 px."
        until(lambda: browser.find_element("css selector", "#large .size").text == size)
        address = f"{served.serving.address}report/index_files/full"
        with urlopen(f"{address}-1.js") as answer:
            assert answer.read().startswith(b'misurePictures("full-1"')
        with pytest.raises(HTTPError, match="404"):
            urlopen(f"{address}-2.js")
        browser.find_element("css selector", "#large-viewed a").click()
        until(lambda: page.objects)
        assert page.state("image.name") == "b.png"
        assert page.run("return location.hash") == "#image=1"
    finally:
        served.close()


@pytest.mark.slow
def test_a_volume_of_which_nobody_knows_how_it_lies_is_not_turned(browser, tmp_path):
    block = np.zeros((1, 10, 12, 14), np.float32)
    block[0, 1:4, 3:7, 2:5] = 1.0
    np.save(tmp_path / "block.npy", block)
    served = Served(tmp_path, toys.OwnBrightness())
    try:
        page = Page(browser, served)
        assert page.texts("#planes label span") == ["All", "axis 0", "axis 1", "axis 2"]
        _, y, _ = page.state("position")
        page.pointer((2, 3, "coronal"), "down", "up")  # row 2 is slice 2
        assert page.state("position") == [2, y, 3]
        page.what_if()
        page.choose("brush", "0")
        page.choose("depth", "slice")
        page.pointer((2, 3, "coronal"), "down", "up")
        until(lambda: page.text("outcome-dice") != "1.000")
        assert np.argwhere(~page.shown()).tolist() == [[2, y, 3]]
        assert not page.errors()
    finally:
        served.close()
