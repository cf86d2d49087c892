"""One page over any number of objects: pictures in files beside it, cards made as one scrolls."""

import pytest
from msgspec.structs import replace

import misure
from browsing import cards, choose, count, until
from misure.reports.page import write_report
from misure.runs.folder import RunFolder, RunWriter
from misure.runs.run import read_run

NUM_MANY = 600


@pytest.fixture
def apart(folder, tmp_path, monkeypatch):
    """A page whose pictures are in files beside it, two objects in each."""
    monkeypatch.setattr("misure.reports.page.OBJECTS_IN_ONE_FILE", 3)
    monkeypatch.setattr("misure.reports.page._OBJECTS_OF_A_PART", 2)
    return write_report([folder / "first"], tmp_path / "r.html")


def _num_painted(browser):
    """How many of the cards have a picture with more than one colour."""
    return browser.execute_script(
        "return [...document.querySelectorAll('.card canvas')].filter((c) => {"
        "const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
        "return d.some((value, i) => i % 4 < 3 && value !== d[i % 4]) }).length"
    )


def test_pictures_of_many_objects_are_in_files_beside_the_page(browser, apart, folder):
    page, *files = apart
    records = read_run(folder / "first")
    num_parts = -(-len(records) // 2)
    assert [file.name for file in files] == [f"pictures-{number}.js" for number in range(num_parts)]
    assert set((page.parent / "r_files").iterdir()) == set(files)
    browser.get(page.as_uri())
    until(lambda: _num_painted(browser) == sum(one.status == "done" for one in records))
    assert not [one for one in browser.get_log("browser") if one["level"] == "SEVERE"]


def test_pictures_of_another_report_are_not_shown(browser, apart, folder):
    page, *files = apart
    for file in files:
        file.write_text(file.read_text().replace(',"', ',"x', 1))
    browser.get(page.as_uri())
    until(lambda: browser.find_element("id", "missing").text)
    assert "of another report" in browser.find_element("id", "missing").text
    assert _num_painted(browser) == 0
    assert count(browser) == len(read_run(folder / "first"))
    browser.get_log("browser")


def test_a_smaller_report_leaves_no_pictures_of_a_larger_one(apart, folder, monkeypatch):
    page, *files = apart
    monkeypatch.setattr("misure.reports.page.OBJECTS_IN_ONE_FILE", 100)
    assert write_report([folder / "first"], page) == [page]
    assert not files[0].parent.exists()


def test_a_folder_of_others_is_left_alone(apart, folder):
    page, *files = apart
    (files[0].parent / "mine.txt").write_text("mine")
    with pytest.raises(misure.InputError, match=r"holds 'mine.txt', which no report wrote"):
        write_report([folder / "first"], page)
    assert all(file.exists() for file in files)


@pytest.fixture(scope="module")
def many(folder, tmp_path_factory):
    """A run of many objects: one object under other names, needing n / 7 of its area."""
    path = tmp_path_factory.mktemp("many")
    record = next(one for one in read_run(folder / "first") if one.status == "done")
    run_folder = RunFolder(path / "many")
    run_folder.begin(RunFolder(folder / "first").settings())
    for name in (record.map, record.thumbnail):
        run_folder.storage.write(name, RunFolder(folder / "first").storage.read(name))
    region = record.minimally_sufficient_region
    records = [
        replace(
            record, key=f"s{number}#1", sample=f"s{number}",
            minimally_sufficient_region=replace(region, relative_area=number / 7),
        )
        for number in range(NUM_MANY)
    ]  # fmt: skip
    RunWriter(run_folder).append(records)
    return write_report([path / "many"], path / "many.html")[0]


def _ends(browser):
    shown = [name.rpartition(" · s")[2].partition("#")[0] for name in cards(browser)]
    return int(shown[0]), int(shown[-1])


@pytest.mark.slow
@pytest.mark.parametrize("most", [20000, 400])
def test_only_the_cards_in_sight_are_made_and_all_are_reached(browser, many, most, tmp_path):
    page = many.with_stem(f"many-{most}")
    page.write_text(many.read_text().replace("IN_WINDOW = 20000", f"IN_WINDOW = {most}"))
    browser.get(page.as_uri())
    until(lambda: cards(browser))
    assert len(cards(browser)) < 200
    assert _ends(browser)[0] == 0
    browser.execute_script("scrollTo(0, document.body.scrollHeight)")
    until(lambda: _ends(browser)[1] == min(most, NUM_MANY) - 1)
    assert len(cards(browser)) < 200
    if most < NUM_MANY:
        browser.execute_script("document.getElementById('later').click()")
        until(lambda: _ends(browser)[1] == NUM_MANY - 1 or _ends(browser)[0] == most)
        assert not browser.find_element("id", "later").is_enabled()
    choose(browser, "sort", "relative_area")
    browser.execute_script("scrollTo(0, 0)")
    until(lambda: _ends(browser)[0] == NUM_MANY - 1)
    choose(browser, "search", "relative_area<1 s")
    assert count(browser) == 7
    browser.execute_script("document.querySelector('.card').click()")
    title = browser.find_element("id", "large-title").text
    assert title.endswith("s6#1")
