"""The report, in a real browser where there is one."""

import json
import re
import time
from urllib.parse import quote

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import misure
import toys
from browsing import NAMES, QUICK, SeaAndShip, cards, choose, count, samples, until
from misure._util.words import share
from misure.cli.app import main
from misure.datasets import Sample, SampleList
from misure.errors import printable
from misure.reliability import Examples, fit_reliability, names_of, score_run
from misure.reliability.scoring import feature_settings
from misure.reports.page import write_report
from misure.reports.planes import object_pictures
from misure.reports.statistics import named_shares
from misure.runs.folder import RunFolder
from misure.runs.plan import RunPlan
from misure.runs.run import read_run, run


@pytest.fixture(scope="module")
def page(folder):
    write_report([folder / "first", folder / "second"], folder / "report.html")
    return folder / "report.html"


@pytest.fixture
def opened(browser, page):
    browser.get(page.as_uri())
    until(lambda: cards(browser))
    return browser


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
    assert "ship</script><b>" in opened.find_element("css selector", ".sortable tbody th").text
    assert not opened.execute_script("return document.querySelector('tbody b, .card b')")
    failed = opened.execute_script("return document.querySelector('.failed tbody').textContent")
    assert "<script>alert(1)</script>" in failed
    assert "<script>alert" not in page.read_text()


def test_cards_are_filtered_searched_and_sorted(opened, folder):
    num_objects = len(read_run(folder / "first"))
    assert len(cards(opened)) == num_objects
    assert cards(opened)[0].endswith("a 1.png#1.0")
    choose(opened, "class", "sea & co")
    assert all(name.startswith("sea & co") for name in cards(opened))
    choose(opened, "class", "")
    choose(opened, "search", "C 10")
    assert all("c 10.png" in name for name in cards(opened))
    choose(opened, "search", "alert no image")
    assert len(cards(opened)) == 1
    choose(opened, "search", "")
    records = {one.key: one for one in read_run(folder / "second") if one.status == "done"}
    choose(opened, "sort", "target_area")
    choose(opened, "of-run", "1")
    keys = [name.rpartition(" · ")[2] for name in cards(opened)]
    areas = [records[key].target.area_fraction for key in keys if key in records]
    assert len(areas) == len(records)
    assert areas == sorted(areas, reverse=True)
    assert "dark" in keys[-1]
    opened.find_element("id", "descending").click()
    keys = [name.rpartition(" · ")[2] for name in cards(opened)]
    areas = [records[key].target.area_fraction for key in keys if key in records]
    assert areas == sorted(areas)
    opened.find_element("id", "clear").click()
    assert cards(opened)[0].endswith("a 1.png#1.0")


@pytest.mark.parametrize("run_index", [0, 1])
def test_a_cell_of_the_matrix_shows_the_objects_that_it_counts(opened, folder, run_index):
    """Of its own run: with another threshold an object has another context."""
    button = opened.find_element("css selector", f".to-context[data-run='{run_index}']")
    num = int(button.find_element("css selector", "small").text)
    opened.execute_script("arguments[0].click()", button)
    records = [one for one in read_run(folder / NAMES[run_index]) if one.status == "done"]
    row, column = button.get_attribute("data-class"), button.get_attribute("data-context")
    names = opened.execute_script("return data.names")
    wanted = {
        one.key for one in records
        if one.class_name == names[int(row)]
        and named_shares(one).get(names[int(column)], 0) >= 0.01
    }  # fmt: skip
    assert {name.rpartition(" · ")[2] for name in cards(opened)} == wanted
    assert len(wanted) == num > 0


def test_a_row_of_the_classes_shows_the_objects_that_it_counts(opened):
    for button in opened.find_elements("css selector", ".to-class"):
        num = button.find_element("xpath", "../following-sibling::td").text
        opened.execute_script("arguments[0].click()", button)
        assert count(opened) == int(num)


def test_figures_are_searched_and_bounded(opened, folder):
    records = [one for one in read_run(folder / "first") if one.status == "done"]
    areas = sorted(one.minimally_sufficient_region.relative_area for one in records)
    middle = areas[len(areas) // 2] - 1e-4
    choose(opened, "of-run", "0")
    choose(opened, "search", f"relative_area>{middle:.6f}")
    assert count(opened) == sum(area > middle for area in areas) > 0
    choose(opened, "search", f"relative_area>{middle:.6f} 10")
    assert 0 < count(opened) < sum(area > middle for area in areas)
    choose(opened, "search", "")
    choose(opened, "sort", "relative_area")
    choose(opened, "to", f"{middle:.6f}")
    assert count(opened) == sum(area <= middle for area in areas) > 0
    choose(opened, "which", "failed")
    assert count(opened) == 0
    opened.find_element("id", "clear").click()
    assert count(opened) == len(read_run(folder / "first"))


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
    until(lambda: opened.find_element("id", "slider-value").text)
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
        choose(opened, "slider", str(step))
        seen.append((lit(), opened.find_element("id", "slider-value").text))
    assert len({text for _, text in seen}) == len(seen)
    assert [count for count, _ in seen] == sorted(count for count, _ in seen)
    assert seen[0][1].startswith("0.5: ")
    opened.execute_script("document.querySelector('#large form button').focus()")
    opened.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert opened.find_element("id", "large-title").text != title
    opened.switch_to.active_element.send_keys(Keys.ESCAPE)
    until(lambda: not opened.execute_script("return document.getElementById('large').open"))
    until(lambda: opened.execute_script("return document.activeElement.matches('.card')"))


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
    until(lambda: cards(browser))
    keys = [one.text for one in browser.find_elements("css selector", ".review tbody th")]
    assert keys == [row["key"] for row in wanted]
    assert wanted[0]["class_name"].startswith("ship")
    assert not browser.execute_script("return document.querySelector('.review b')")
    button = browser.find_elements("css selector", ".to-object")[1]
    choose(browser, "search", "nothing has this name")
    browser.execute_script("arguments[0].focus(); arguments[0].click()", button)
    assert browser.find_element("id", "large-title").text.endswith(keys[1])
    figures = browser.find_element("css selector", "#large .figures").text
    assert f"predicted Dice\n{wanted[1]['predicted_dice']:.2f} (" in figures
    browser.execute_script("document.getElementById('large').close()")
    until(lambda: browser.execute_script("return document.activeElement.textContent") == keys[1])
    choose(browser, "sort", "failure_probability")
    chances = [row["failure_probability"] for row in wanted]
    of_key = {row["key"]: row["failure_probability"] for row in wanted}
    shown = [name.rpartition(" · ")[2] for name in cards(browser)]
    assert [of_key[key] for key in shown if key in of_key] == pytest.approx(chances)
    assert not [one for one in browser.get_log("browser") if one["level"] == "SEVERE"]


def test_an_address_with_a_key_opens_that_object(browser, reviewed):
    page, wanted = reviewed
    key = wanted[2]["key"]
    browser.get("about:blank")
    browser.get(f"{page.as_uri()}#{quote(key, safe='')}")
    until(lambda: cards(browser))
    assert browser.find_element("id", "large-title").text.endswith(key)


def test_a_narrow_screen_does_not_scroll_sideways(opened):
    opened.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 360, "height": 700, "deviceScaleFactor": 1, "mobile": True},
    )
    try:
        for _ in range(20):  # the page is laid out anew some time after the width has changed
            width = opened.execute_script("return document.documentElement.scrollWidth")
            if width <= 360:
                break
            time.sleep(0.1)
        assert width <= 360
    finally:
        opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_planes_hold_the_regions_and_the_nested_ones(folder):
    import base64
    import io

    record = read_run(folder / "first")[0]
    encoded = object_pictures(RunFolder(folder / "first"), record, 100)["planes"]
    with Image.open(io.BytesIO(base64.b64decode(encoded))) as picture:
        planes = np.asarray(picture)
    explanation = misure.Explanation.load(folder / "first" / record.map)
    for bit, name in enumerate(("sufficient_region", "minimally_sufficient_region"), start=1):
        assert np.array_equal(planes[..., 1] >> bit & 1, getattr(explanation, name).numpy())
    assert np.array_equal(planes[..., 1] & 1, explanation.target.region.numpy())
    thresholds = [one.dice_threshold for one in explanation.sufficiency_curve]
    held = sum(explanation.nested_region(threshold).int() for threshold in thresholds)
    assert np.array_equal(planes[..., 2], held.numpy())


def test_other_methods_and_volumes_have_a_report_too(tmp_path):
    model = toys.model_of(toys.Beacon())
    volumes = SampleList([Sample("v", toys.beacon_image(3))])
    run(volumes, model, tmp_path / "volume", RunPlan(method_options={"max_passes": 51}))
    run(volumes, model, tmp_path / "edges", RunPlan(method="edges"))
    (page,) = write_report([tmp_path / "volume", tmp_path / "edges"], tmp_path / "r.html")
    assert "edges: Maps alone. The method edges finds no regions" in words_of(page)
    assert "Each was shown to the network by itself" in words_of(page)


def words_of(page):
    """The text of a page, without its tags and scripts."""
    text = re.sub(r"<(script|style).*?</\1>", " ", page.read_text(), flags=re.DOTALL)
    return " ".join(re.sub("<[^>]*>", " ", text).split())


def test_a_report_of_maps_claims_no_regions(tmp_path):
    model = toys.model_of(toys.Beacon())
    run(samples("a"), model, tmp_path / "edges", RunPlan(method="edges"))
    (page,) = write_report([tmp_path / "edges"], tmp_path / "r.html")
    words = words_of(page)
    assert "The method edges finds no regions, so none was shown to the network by itself" in words
    for claim in ("sufficient region", "minimally", "threshold Dice 0", "needs to see", "Each was"):
        assert claim not in words


def test_numbers_and_controls_are_written_as_in_the_other_outputs(opened):
    shares = [0, 1, 0.2443, 0.0095, 0.0012, 1e-5, 1 / 512**3]
    texts = ["a\u200db\u202ec\x1b\n\t\x85", "\U000e0001", "\u2028\ue000"]
    assert opened.execute_script("return arguments[0].map(percent)", shares) == [
        *map(share, shares)
    ]
    assert opened.execute_script("return arguments[0].map(printable)", texts) == [
        *map(printable, texts)
    ]


HOSTILE = "<img src=x onerror=alert(1)>\"'&\n\t\x1b[31m\u202egnp.exe " + "\u00e4" * 140


def test_names_command_no_page_and_turn_no_text_around(browser, tmp_path):
    """Of images, classes and networks: as a page, as HTML of a notebook, and in a terminal."""
    model = toys.model_of(SeaAndShip(), class_names=("sky", HOSTILE, "</script><script>x"))
    model.name = HOSTILE
    plan = RunPlan(classes=["1", "2"], method_options=QUICK)
    run(SampleList([Sample(HOSTILE, toys.beacon_image())]), model, tmp_path / "run", plan)
    page = write_report([tmp_path / "run"], tmp_path / "r.html")[0]
    browser.get(page.as_uri())
    until(lambda: cards(browser))
    browser.execute_script("document.querySelectorAll('.card')[1].click()")
    until(lambda: browser.find_elements("css selector", "#large dl"))
    shown = browser.execute_script("return document.body.innerText")
    status = CliRunner().invoke(main, ["status", str(tmp_path / "run")])
    assert status.exit_code == 0
    for text in (shown, read_run(tmp_path / "run")._repr_html_(), status.output):
        assert "\\u202egnp.exe" in text
        assert not {"\u202e", "\x1b"} & set(text)
    assert not browser.execute_script("return document.querySelector('img, body script[src]')")
    assert browser.execute_script("return data.keys[0]").startswith(HOSTILE)  # for CSV and links
    assert not [one for one in browser.get_log("browser") if one["level"] == "SEVERE"]


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
