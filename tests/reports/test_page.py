"""The report, in a real browser where there is one."""

import json
import re
import shutil
import time
from urllib.parse import quote

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import misure
import toys
from misure.cli.app import main
from misure.datasets import Sample, SampleList
from misure.reliability import Examples, fit_reliability, names_of, score_run
from misure.reliability.scoring import feature_settings
from misure.reports.page import write_report
from misure.reports.planes import encoded_planes
from misure.runs.folder import RunFolder
from misure.runs.plan import RunPlan
from misure.runs.run import read_run, run

CHROMIUM = shutil.which("chromium")
DRIVER = shutil.which("chromedriver")
QUICK = {"max_passes": 40, "num_minimality_tests": 0}


class SeaAndShip(torch.nn.Module):
    """Bright pixels are ships if a beacon is seen; a strip is sea whatever is seen."""

    def __init__(self):
        super().__init__()
        self.beacon = toys.Beacon()

    def forward(self, images):
        nothing, ship = self.beacon(images).split(1, dim=1)
        sky = torch.full_like(ship, -3.0)
        sky[:, :, :5] = 20.0
        return torch.cat([nothing, ship, sky], dim=1)


def _samples(*names):
    samples = []
    for number, name in enumerate(names):
        image = toys.beacon_image()
        image[0, 20:24, 4 : 8 + number] = 1.0
        samples.append(Sample(name, image))
    return SampleList([*samples, Sample("dark <b>&'\".png", torch.zeros(3, 30, 30) + 0.2)])


class Broken(SampleList):
    def __getitem__(self, index):
        if index == len(self) - 1:
            raise misure.InputError("read_image: <script>alert(1)</script> is no image.")
        return super().__getitem__(index)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two runs over the same images, one of which cannot be read, with names that are markup."""
    folder = tmp_path_factory.mktemp("runs")
    names = ("sky", "ship</script><b>", "sea & co")
    model = toys.model_of(SeaAndShip(), class_names=names)
    for name, threshold in (("first", 0.9), ("second", 0.6)):
        run(
            Broken(_samples("a 1.png", "b 2.png", "c 10.png")), model, folder / name,
            RunPlan(
                classes=["1", "2"], instances=True, dice_threshold=threshold, method_options=QUICK
            ),
        )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def browser():
    if not (CHROMIUM and DRIVER):
        pytest.skip("needs Debian's chromium and chromium-driver")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--window-size=1300,1000",
    ):  # fmt: skip
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def page(folder):
    write_report([folder / "first", folder / "second"], folder / "report.html")
    return folder / "report.html"


@pytest.fixture
def opened(browser, page):
    browser.get(page.as_uri())
    _until(lambda: _cards(browser))
    return browser


def _until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _cards(browser):
    script = "return [...document.querySelectorAll('.card .name')].map((one) => one.textContent)"
    return browser.execute_script(script)


def _choose(browser, element, value):
    browser.execute_script(
        "const e = document.getElementById(arguments[0]); e.value = arguments[1];"
        "e.dispatchEvent(new Event('input', {bubbles: true}))",
        element, value,
    )  # fmt: skip


def test_the_page_asks_the_network_for_nothing_and_has_no_error(opened, page):
    assert not [one for one in opened.get_log("browser") if one["level"] == "SEVERE"]
    messages = [json.loads(one["message"])["message"] for one in opened.get_log("performance")]
    sent = [one["params"] for one in messages if one["method"] == "Network.requestWillBeSent"]
    addresses = {one["request"]["url"] for one in sent}
    assert {address.partition(":")[0] for address in addresses} <= {"file", "data"}
    text = page.read_text()
    assert "http://" not in text.replace("http://www.w3.org", "")
    assert "https://" not in text


def test_names_are_text_and_never_markup(opened, page):
    assert "ship</script><b>" in opened.find_element("css selector", "tbody th").text
    assert not opened.execute_script("return document.querySelector('tbody b, .card b')")
    failed = opened.execute_script("return document.querySelector('.failed tbody').textContent")
    assert "<script>alert(1)</script>" in failed
    assert "<script>alert" not in page.read_text()


def test_cards_are_filtered_searched_and_sorted(opened, folder):
    num_objects = len(read_run(folder / "first"))
    assert len(_cards(opened)) == num_objects
    assert _cards(opened)[0].endswith("a 1.png#1.0")
    _choose(opened, "class", "sea & co")
    assert all(name.startswith("sea & co") for name in _cards(opened))
    _choose(opened, "class", "")
    _choose(opened, "search", "C 10")
    assert all("c 10.png" in name for name in _cards(opened))
    _choose(opened, "search", "alert no image")
    assert len(_cards(opened)) == 1
    _choose(opened, "search", "")
    records = {one.key: one for one in read_run(folder / "second") if one.status == "done"}
    _choose(opened, "sort", "target_area")
    _choose(opened, "of-run", "1")
    keys = [name.rpartition(" · ")[2] for name in _cards(opened)]
    areas = [records[key].target.area_fraction for key in keys if key in records]
    assert len(areas) == len(records)
    assert areas == sorted(areas, reverse=True)
    assert "dark" in keys[-1]
    opened.find_element("id", "descending").click()
    keys = [name.rpartition(" · ")[2] for name in _cards(opened)]
    areas = [records[key].target.area_fraction for key in keys if key in records]
    assert areas == sorted(areas)
    opened.find_element("css selector", "#filters button[type=reset]").click()
    _until(lambda: _cards(opened)[0].endswith("a 1.png#1.0"))


def test_a_cell_of_the_matrix_shows_its_objects(opened, folder):
    button = opened.find_element("css selector", ".to-context")
    num = int(button.find_element("css selector", "small").text)
    wanted = (button.get_attribute("data-class"), button.get_attribute("data-context"))
    opened.execute_script("arguments[0].click()", button)
    assert opened.find_element("id", "class").get_attribute("value") == wanted[0]
    shown = _cards(opened)
    assert len(shown) >= num > 0
    records = read_run(folder / "first")
    shares = [
        one for one in records
        if one.status == "done" and one.class_name == wanted[0]
        and any(c.class_name == wanted[1] and c.pixels for c in one.context)
    ]  # fmt: skip
    assert len(shares) >= num


def test_the_table_of_classes_is_sorted_by_its_headings(opened):
    headings = opened.find_elements("css selector", ".sortable")[0].find_elements(
        "css selector", "thead button"
    )

    def column(number):
        script = (
            "return [...document.querySelector('.sortable').tBodies[0].rows]"
            ".map((row) => Number(row.cells[arguments[0]].dataset.value))"
        )
        return opened.execute_script(script, number)

    headings[1].click()
    assert column(1) == sorted(column(1), reverse=True)
    headings[1].click()
    assert column(1) == sorted(column(1))


def test_the_large_view_is_driven_by_keys_and_its_slider_goes_through_the_nested_regions(opened):
    from selenium.webdriver.common.keys import Keys

    body = opened.switch_to.active_element
    body.send_keys("/")
    assert opened.switch_to.active_element.get_attribute("id") == "search"
    opened.execute_script("document.querySelector('.card').focus()")
    opened.switch_to.active_element.send_keys(Keys.ENTER)
    _until(lambda: opened.find_element("id", "slider-value").text)
    title = opened.find_element("id", "large-title").text
    assert title.endswith("a 1.png#1.0")

    def lit():
        """How many pixels of the picture `nested region alone` are not dark."""
        return opened.execute_script(
            "const c = document.querySelector('#large canvas[data-kind=seen]');"
            "const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
            "let n = 0; for (let i = 0; i < d.length; i += 4) n += d[i] > 120 || d[i + 2] > 120;"
            "return n"
        )

    seen = []
    for step in range(int(opened.find_element("id", "slider").get_attribute("max")) + 1):
        _choose(opened, "slider", str(step))
        seen.append((lit(), opened.find_element("id", "slider-value").text))
    assert len({text for _, text in seen}) == len(seen)
    assert [count for count, _ in seen] == sorted(count for count, _ in seen)
    assert seen[0][1].startswith("0.5: ")
    opened.execute_script("document.querySelector('#large form button').focus()")
    opened.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert opened.find_element("id", "large-title").text != title
    opened.switch_to.active_element.send_keys(Keys.ESCAPE)
    _until(lambda: not opened.execute_script("return document.getElementById('large').open"))
    assert "card" in opened.switch_to.active_element.get_attribute("class")


@pytest.fixture(scope="module")
def reviewed(folder):
    """The page of one run with its list for review; what is learnt are made-up Dices."""
    records = [one for one in read_run(folder / "first") if one.status == "done"]
    many = [records[i % len(records)] for i in range(40)]
    dices = np.array([0.3 if one.class_name.startswith("ship") else 0.9 for one in many])
    settings = feature_settings(folder / "first")
    examples = Examples(records=many, dices=dices, groups=np.arange(40), settings=settings)
    model = fit_reliability(examples, names_of(["all"]))
    write_report([folder / "first"], folder / "reviewed.html", reliability=model)
    return folder / "reviewed.html", score_run(folder / "first", model)


def test_the_list_for_review_opens_its_objects(browser, reviewed):
    page, wanted = reviewed
    browser.get(page.as_uri())
    _until(lambda: _cards(browser))
    keys = [one.text for one in browser.find_elements("css selector", ".review tbody th")]
    assert keys == [row["key"] for row in wanted]
    assert wanted[0]["class_name"].startswith("ship")
    assert not browser.execute_script("return document.querySelector('.review b')")
    button = browser.find_elements("css selector", ".to-object")[1]
    _choose(browser, "search", "nothing has this name")
    browser.execute_script("arguments[0].focus(); arguments[0].click()", button)
    assert browser.find_element("id", "large-title").text.endswith(keys[1])
    figures = browser.find_element("css selector", "#large .figures").text
    assert f"predicted Dice {wanted[1]['predicted_dice']:.2f}" in figures
    browser.execute_script("document.getElementById('large').close()")
    _until(lambda: browser.switch_to.active_element.text == keys[1])
    _choose(browser, "sort", "failure_probability")
    chances = [row["failure_probability"] for row in wanted]
    of_key = {row["key"]: row["failure_probability"] for row in wanted}
    shown = [name.rpartition(" · ")[2] for name in _cards(browser)]
    assert [of_key[key] for key in shown if key in of_key] == pytest.approx(chances)
    assert not [one for one in browser.get_log("browser") if one["level"] == "SEVERE"]


def test_an_address_with_a_key_opens_that_object(browser, reviewed):
    page, wanted = reviewed
    key = wanted[2]["key"]
    browser.get("about:blank")
    browser.get(f"{page.as_uri()}#{quote(key, safe='')}")
    _until(lambda: _cards(browser))
    assert browser.find_element("id", "large-title").text.endswith(key)


def test_a_narrow_screen_does_not_scroll_sideways(opened):
    opened.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 360, "height": 700, "deviceScaleFactor": 1, "mobile": True},
    )
    try:
        width = opened.execute_script("return document.documentElement.scrollWidth")
        assert width <= 360
    finally:
        opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_planes_hold_the_regions_and_the_nested_ones(folder):
    import base64
    import io

    record = read_run(folder / "first")[0]
    encoded = encoded_planes(RunFolder(folder / "first"), record, 100)
    with Image.open(io.BytesIO(base64.b64decode(encoded))) as picture:
        planes = np.asarray(picture)
    explanation = misure.Explanation.load(folder / "first" / record.map)
    for bit, name in enumerate(("sufficient_region", "minimally_sufficient_region"), start=1):
        assert np.array_equal(planes[..., 1] >> bit & 1, getattr(explanation, name).numpy())
    assert np.array_equal(planes[..., 1] & 1, explanation.target.region.numpy())
    thresholds = [one.dice_threshold for one in explanation.sufficiency_curve]
    held = sum(explanation.nested_region(threshold).int() for threshold in thresholds)
    assert np.array_equal(planes[..., 2], held.numpy())


def test_many_objects_make_several_pages(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("misure.reports.page.OBJECTS_OF_A_PAGE", 3)
    pages = write_report([folder / "first"], tmp_path / "r.html")
    num_objects = len(read_run(folder / "first"))
    assert len(pages) == -(-num_objects // 3)
    assert [page.name for page in pages[:2]] == ["r.html", "r-2.html"]
    for page in pages:
        assert 'href="r-2.html"' in page.read_text()


def test_other_methods_and_volumes_have_a_report_too(tmp_path):
    model = toys.model_of(toys.Beacon())
    volumes = SampleList([Sample("v", toys.beacon_image(3))])
    run(volumes, model, tmp_path / "volume", RunPlan(method_options={"max_passes": 46}))
    run(volumes, model, tmp_path / "edges", RunPlan(method="edges"))
    (page,) = write_report([tmp_path / "volume", tmp_path / "edges"], tmp_path / "r.html")
    assert "edges" in page.read_text()


@pytest.mark.parametrize("damage", ["missing", "garbage", "outside"])
def test_damaged_runs_are_one_sentence(folder, tmp_path, damage):
    import shutil as files

    copied = tmp_path / "run"
    files.copytree(folder / "first", copied)
    record = read_run(copied)[0]
    if damage == "missing":
        (copied / record.map).unlink()
    elif damage == "garbage":
        (copied / record.thumbnail).write_bytes(b"garbage")
    else:
        for file in copied.glob("records-*"):
            file.write_text(file.read_text().replace(record.map, "../../x.npz"))
    done = CliRunner().invoke(main, ["report", str(copied), "--out", str(tmp_path / "r.html")])
    assert done.exit_code == 2
    assert re.search("(report|read_run): expected", done.output)
    assert not (tmp_path / "r.html").exists()


def test_bad_input_of_the_report(folder, tmp_path):
    for arguments, words in (
        ([tmp_path], "expected the folder of a run"),
        ([folder / "first", "--out", tmp_path / "no" / "r.html"], "in an existing folder"),
    ):
        done = CliRunner().invoke(main, ["report", *map(str, arguments)])
        assert done.exit_code == 2
        assert words in " ".join(done.output.split())
    with pytest.raises(misure.InputError, match="at least one run folder"):
        write_report([], tmp_path / "r.html")
    RunFolder(tmp_path / "empty").begin(RunFolder(folder / "first").settings())
    with pytest.raises(misure.RunFolderError, match="has none yet"):
        write_report([tmp_path / "empty"], tmp_path / "r.html")
