"""What a reader does with the report: charts, ranges, ticks, links, next and previous, paper."""

import csv
import io
import json
from base64 import b64decode

import pytest

from browsing import cards, choose, count, until
from misure.reports.page import write_report
from misure.runs.run import read_run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def page(folder):
    return write_report([folder / "first"], folder / "tools.html")[0]


@pytest.fixture
def opened(browser, page):
    browser.get("about:blank")
    browser.get(page.as_uri())
    until(lambda: cards(browser))
    yield browser
    browser.execute_script("try { localStorage.clear() } catch {}")
    assert not [one for one in browser.get_log("browser") if one["level"] == "SEVERE"]


@pytest.fixture(scope="module")
def areas(folder):
    """Key -> how much an object needs, relative to itself."""
    done = [one for one in read_run(folder / "first") if one.status == "done"]
    return {one.key: one.minimally_sufficient_region.relative_area for one in done}


def _keys(browser):
    return [name.rpartition(" · ")[2] for name in cards(browser)]


def _drag(browser, start, end):
    """Drags over the chart, between two places in pixels from its corner."""
    from selenium.webdriver.common.action_chains import ActionChains

    chart = browser.find_element("id", "chart")
    middle = (chart.size["width"] // 2, chart.size["height"] // 2)
    (x, y), (u, v) = ((int(at[0]) - middle[0], int(at[1]) - middle[1]) for at in (start, end))
    actions = ActionChains(browser, duration=0)
    actions.move_to_element_with_offset(chart, x, y).click_and_hold()
    actions.move_to_element_with_offset(chart, u, v).release().perform()


def _range(browser, name):
    """The bounds of a range as they stand in the page."""
    script = (
        "return [...document.querySelectorAll(`.range[data-name=${arguments[0]}] input`)]"
        ".map((one) => Number(one.value))"
    )
    return browser.execute_script(script, name)


def test_a_range_dragged_over_the_histogram_filters_the_cards(opened, areas):
    opened.execute_script("document.getElementById('charts').open = true")
    choose(opened, "chart-x", "relative_area")
    until(lambda: opened.execute_script("return chart && chart.counts"))
    bars = opened.execute_script("return chart.counts[0]")
    assert sum(bars) == len(areas)
    values = sorted(areas.values())
    middle = (values[0] + values[-1]) / 2
    at = [opened.execute_script("return chart.atX(arguments[0])", value) for value in (0, middle)]
    _drag(opened, (max(at[0], 53), 50), (at[1], 90))
    until(lambda: _range(opened, "relative_area"))
    low, high = _range(opened, "relative_area")
    assert high == pytest.approx(middle, abs=0.02 * (values[-1] - values[0]))
    assert sorted(_keys(opened)) == sorted(
        key for key, area in areas.items() if low <= area <= high
    )
    assert 0 < count(opened) < len(areas)
    opened.execute_script("document.querySelector('.range button').click()")
    assert _range(opened, "relative_area") == []
    assert count(opened) > len(areas)  # what failed is shown again


def test_a_rectangle_in_the_scatter_filters_by_both_figures(opened, folder, areas):
    done = [one for one in read_run(folder / "first") if one.status == "done"]
    sizes = {one.key: one.target.pixels for one in done}
    opened.execute_script("document.getElementById('charts').open = true")
    choose(opened, "chart-x", "target_pixels")
    choose(opened, "chart-y", "relative_area")
    until(lambda: opened.execute_script("return chart && chart.ys"))
    key = max(sizes, key=sizes.get)
    x, y = opened.execute_script(
        "return [chart.atX(arguments[0]), chart.atY(arguments[1])]", sizes[key], areas[key]
    )
    _drag(opened, (x - 6, y - 6), (x + 6, y + 6))
    until(lambda: _range(opened, "target_pixels"))
    (left, right), (low, high) = _range(opened, "target_pixels"), _range(opened, "relative_area")
    wanted = {k for k in areas if left <= sizes[k] <= right and low <= areas[k] <= high}
    assert set(_keys(opened)) == wanted
    assert key in wanted


def test_bounds_are_typed_as_numbers(opened, areas):
    choose(opened, "add-range", "relative_area")
    assert count(opened) == len(areas)  # those that have the figure
    bound = sorted(areas.values())[len(areas) // 2]
    opened.execute_script(
        "const e = document.querySelectorAll('.range input')[1]; e.value = arguments[0];"
        "e.dispatchEvent(new Event('input', {bubbles: true}))",
        bound,
    )
    assert count(opened) == sum(area <= bound for area in areas.values())


def test_ticked_objects_are_kept_and_saved(opened, page, tmp_path, folder):
    opened.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)}
    )
    keys = _keys(opened)
    opened.execute_script("document.querySelectorAll('.tick')[1].click()")
    opened.execute_script("document.querySelectorAll('.card')[2].click()")
    opened.find_element("id", "large-tick").click()
    opened.find_element("id", "large-note").send_keys('=look, "here"')
    opened.execute_script("document.getElementById('large').close()")
    until(lambda: opened.find_elements("css selector", ".own-note"))
    assert opened.find_element("css selector", ".own-note").text == '=look, "here"'
    until(lambda: "object=" not in opened.current_url)
    opened.refresh()
    until(lambda: cards(opened))
    assert opened.find_element("id", "ticked").text == "2 ticked"
    for button, name in (("save-ticked", "ticked.csv"), ("save-json", "ticked.json")):
        opened.find_element("id", button).click()
        until((tmp_path / name).exists)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "ticked.csv").read_text())))
    assert [(row["key"], row["note"]) for row in rows] == [
        (keys[1], ""),
        (keys[2], '\'=look, "here"'),  # no formula
    ]
    records = {one.key: one for one in read_run(folder / "first")}
    assert float(rows[0]["dice"]) == pytest.approx(
        records[keys[1]].minimally_sufficient_region.dice, abs=1e-6
    )
    saved = json.loads((tmp_path / "ticked.json").read_text())
    assert [row["note"] for row in saved] == ["", '=look, "here"']
    choose(opened, "which", "ticked")
    assert _keys(opened) == keys[1:3]
    opened.find_element("id", "save-shown").click()
    until((tmp_path / "objects.csv").exists)
    assert (tmp_path / "objects.csv").read_text() == (tmp_path / "ticked.csv").read_text()


def test_ticks_work_where_the_browser_keeps_nothing(browser, page):
    refused = "Object.defineProperty(window, 'localStorage', {get() { throw new Error('no') }})"
    added = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": refused})
    try:
        browser.get("about:blank")
        browser.get(page.as_uri())
        until(lambda: cards(browser))
        browser.execute_script("document.querySelector('.tick').click()")
        said = browser.find_element("id", "ticked").text
        assert said.startswith("1 ticked (kept until this page is closed")
    finally:
        browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)


def test_the_address_keeps_filters_order_and_the_open_object(opened, page):
    choose(opened, "class", "sea & co")
    choose(opened, "sort", "relative_area")
    opened.find_element("id", "descending").click()
    choose(opened, "add-range", "dice")
    wanted = _keys(opened)
    opened.execute_script("document.querySelectorAll('.card')[1].click()")
    until(lambda: "object=" in opened.current_url)
    address = opened.current_url
    opened.get("about:blank")
    opened.get(address)
    until(lambda: opened.execute_script("return document.getElementById('large').open"))
    assert opened.find_element("id", "large-title").text.endswith(wanted[1])
    assert _keys(opened) == wanted
    assert opened.find_element("id", "class").get_attribute("value") == "sea & co"
    assert not opened.find_element("id", "descending").is_selected()
    assert len(opened.find_elements("css selector", ".range[data-name=dice]")) == 1
    opened.execute_script("document.getElementById('large').close()")
    opened.execute_script("document.getElementById('clear').click()")
    until(lambda: "#" not in opened.current_url)


def test_next_and_previous_stay_within_what_is_filtered(opened):
    choose(opened, "class", "sea & co")
    wanted = _keys(opened)
    opened.execute_script("document.querySelector('.card').click()")
    seen = []
    for _ in wanted:
        seen.append(opened.find_element("id", "large-title").text.rpartition(" · ")[2])
        is_last = not opened.find_element("id", "next").is_enabled()
        if not is_last:
            opened.find_element("id", "next").click()
    assert seen == wanted
    assert is_last
    assert opened.find_element("id", "large-place").text == f"{len(wanted)} of {len(wanted)}"
    opened.find_element("id", "previous").click()
    assert opened.find_element("id", "large-title").text.endswith(wanted[-2])


def test_zoom_shows_single_pixels_of_all_pictures(opened):
    opened.execute_script("document.querySelector('.card').click()")
    until(lambda: opened.find_elements("css selector", "#large canvas"))
    for _ in range(6):
        opened.find_element("id", "closer").click()
    until(lambda: opened.find_element("id", "zoomed").text)
    scale = 1.6**6
    assert opened.find_element("id", "zoomed").text == f"{scale:.1f} ×"
    left, wide = opened.execute_script("return [view.x, 1 / view.scale]")
    middle = opened.execute_script("return middleOfObject()[0]")
    assert left < middle < left + wide  # the object stays in sight
    assert 0 < left < 1 - wide
    said = opened.find_element("css selector", "#large .run .hint").text
    assert said == "Full resolution: 30 × 30 px."
    opened.find_element("id", "whole").click()
    until(lambda: not opened.find_element("id", "zoomed").text)


SHAPES = [  # rows of a mask, outlines, area within them: each corner takes an eighth of a pixel
    (["....", ".##.", ".##.", "...."], 1, 4 - 4 / 8),
    (["#...", "...#", "...#"], 2, 1 - 4 / 8 + 2 - 4 / 8),
    (["###", "#.#", "###"], 2, 9 - 4 / 8 - (1 - 4 / 8)),
    (["#.", ".#"], 2, 2 * (1 - 4 / 8)),
]


@pytest.mark.parametrize(("rows", "num", "area"), SHAPES)
def test_outlines_enclose_the_region(opened, rows, num, area):
    inside = [int(cell == "#") for row in rows for cell in row]
    outlines = opened.execute_script(
        "return outlinesOf(arguments[0], arguments[1], arguments[2])",
        inside, len(rows[0]), len(rows),
    )  # fmt: skip
    assert len(outlines) == num
    total = 0.0
    for points in outlines:
        xs, ys = points[::2], points[1::2]
        pairs = zip(xs, ys, [*xs[1:], xs[0]], [*ys[1:], ys[0]], strict=True)
        total += sum(x * v - u * y for x, y, u, v in pairs) / 2  # holes go round the other way
    assert total == pytest.approx(area)


def _colour(browser, element, name):
    text = browser.execute_script(
        "return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]", element, name
    )
    return [int(part) / 255 for part in text[text.index("(") + 1 : -1].split(",")[:3]]


def _luminance(colour):
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_are_read_in_light_and_dark(opened, scheme):
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    try:
        paper = _luminance(_colour(opened, "body", "backgroundColor"))
        assert (paper < 0.1) == (scheme == "dark")
        for element in ("body", ".caption", ".card .figures", ".card .failure", "tbody th button"):
            text = _luminance(_colour(opened, element, "color"))
            dark, bright = sorted((paper, text))
            assert (bright + 0.05) / (dark + 0.05) >= 4.5, element
    finally:
        opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_paper_has_whole_cards_and_no_controls(opened):
    num = count(opened)
    opened.execute_script("window.print = () => {}; printCards()")
    until(lambda: len(opened.find_elements("css selector", "#cards li")) == num)
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        boxes = opened.execute_script(
            "return [...document.querySelectorAll('#cards .card')].map((c) => [c.scrollHeight - "
            "c.clientHeight, getComputedStyle(c.parentElement).breakInside])"
        )
        assert boxes == [[0, "avoid"]] * num
        for control in ("filters", "print", "save-shown"):
            assert not opened.find_element("id", control).is_displayed()
        assert opened.find_element("id", "printed").text.startswith(f"{num} of the {num} objects")
        printed = b64decode(opened.execute_cdp_cmd("Page.printToPDF", {})["data"])
        assert printed.startswith(b"%PDF")
    finally:
        opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_on_a_phone_the_slider_is_under_the_picture_that_it_changes(opened):
    phone = {"width": 360, "height": 700, "deviceScaleFactor": 2, "mobile": True}
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    try:
        opened.execute_script("open(0)")  # the cards are below what is seen
        until(lambda: opened.find_element("id", "slider-value").text)
        first, slides, second = opened.execute_script(
            "return ['figure:nth-child(1)', '#slides', 'figure:nth-child(2)'].map((one) => {"
            "const b = document.querySelector(`#large .pictures ${one}`).getBoundingClientRect();"
            "return [b.top, b.bottom] })"
        )
        assert first[1] <= slides[0] < slides[1] <= second[0]
        canvas = opened.execute_script(
            "const c = document.querySelector('#large canvas');"
            "return [c.width, c.getBoundingClientRect().width]"
        )
        assert canvas[0] == pytest.approx(2 * canvas[1], abs=2)  # as sharp as the screen
        assert opened.execute_script("return document.documentElement.scrollWidth") <= 360
    finally:
        opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
