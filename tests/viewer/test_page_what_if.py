"""What is painted in the page: fingers, several images, checks and what is saved."""

import numpy as np
import pytest

import toys
from browsing import until
from viewed import Page, Served, write_picture

pytestmark = pytest.mark.slow
NAMES = "abcdef"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("viewed")
    for name in NAMES:
        write_picture(folder / f"{name}.png", toys.beacon_image())
    served = Served(folder, toys.Beacon())
    yield served
    served.close()


@pytest.fixture
def page(browser, served):
    served.network.delay_s = 0.0
    return Page(browser, served)


def _hide(page, row, column):
    """Hides one pixel that nothing depends on."""
    page.choose("brush", "0")
    before = page.state("whatIf.id")
    page.pointer((row, column), "down", "up")
    until(lambda: page.state("whatIf.id") != before)


def test_what_is_painted_in_each_of_many_images_is_kept(page):
    page.what_if()
    for number in (1, 2, 3, 4, 5, 0):
        page.choose("images", str(number))
        until(lambda n=number: page.state("image.number") == n and page.state("whatIf"))
        _hide(page, 2, 3 + number)
    for number in (1, 2, 3, 4, 5, 0):
        page.choose("images", str(number))
        until(lambda n=number: (page.state("whatIf") or {}).get("image") == n)
        assert np.argwhere(~page.shown()).tolist() == [[2, 3 + number]]
    page.click("#undo")
    until(lambda: page.shown().all())
    assert not page.errors()


def test_a_check_is_told_and_cancelled_and_what_is_visible_is_saved(page):
    page.what_if()
    _hide(page, 2, 3)
    until(lambda: page.browser.find_element("id", "check").is_enabled())
    page.served.network.delay_s = 0.3
    page.click("#check")
    until(lambda: " passes" in page.text("check-doing"))
    assert page.browser.find_element("id", "check-bar").is_displayed()
    page.click("#check-cancel")
    until(lambda: page.text("check-sentence") == "The check was cancelled.")
    assert not page.browser.find_element("id", "check-bar").is_displayed()
    page.click("#check")
    until(lambda: page.browser.find_element("id", "check-bar").is_displayed())
    _hide(page, 2, 4)  # the check is of what was visible before
    until(lambda: any("The check was cancelled" in said for said in page.notices))
    page.served.network.delay_s = 0.0
    until(lambda: page.browser.find_element("id", "check").is_enabled())
    page.click("#check")
    until(lambda: page.browser.find_elements("css selector", "#check-figures dd"))
    assert " % of the image" in page.text("check-sentence")
    page.click("#save-painted")
    until(lambda: page.text("painted-saved"))
    (folder,) = page.served.out.iterdir()
    assert page.text("painted-saved").startswith(f"Saved in {folder}: check.py, ")
    assert (np.load(folder / "painted_region.npy") == page.shown()).all()
    assert not page.errors()


def test_two_fingers_zoom_and_move_and_one_paints(page):
    emulate = page.browser.execute_cdp_cmd
    emulate("Emulation.setTouchEmulationEnabled", {"enabled": True, "maxTouchPoints": 2})

    def touch(kind, *places):
        points = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(places)]
        emulate("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    def view():
        return page.run(
            "const v = (await at('stage')).allViews()[0]; return [v.zoom, v.left, v.top]"
        )

    try:
        page.what_if()
        page.choose("brush", "0")
        fitted = view()[0]
        (x, y), before = page.place(15, 15), page.state("whatIf.id")
        touch("touchStart", (x - 40, y))  # begins as a stroke
        touch("touchStart", (x - 40, y), (x + 40, y))
        touch("touchMove", (x - 80, y), (x + 80, y))
        until(lambda: view()[0] > 1.5 * fitted)  # a touch is told with the next picture
        zoom, left, top = view()
        assert zoom == pytest.approx(2 * fitted, rel=0.03)
        assert np.abs(np.subtract(page.place(15, 15), (x, y))).max() <= 2
        touch("touchMove", (x - 50, y + 20), (x + 110, y + 20))
        until(lambda: abs(view()[2] - top - 20) < 3)
        moved = view()
        assert moved[0] == pytest.approx(zoom, rel=0.03)
        assert np.subtract(moved[1:], (left, top)) == pytest.approx([30, 20], abs=3)
        touch("touchEnd", (x - 50, y + 20))
        touch("touchMove", (x - 20, y + 40))  # the finger that is left paints nothing
        touch("touchEnd")
        assert page.run("return (await at('whatif')).visibility().shown.every((one) => one === 1)")
        assert page.run("return (await at('whatif')).visibility().done.length") == 0
        touch("touchStart", page.place(12, 14))
        touch("touchMove", page.place(12, 16))
        touch("touchEnd")
        until(lambda: page.state("whatIf.id") != before and not page.shown().all())
        assert np.argwhere(~page.shown()).tolist() == [[12, 14], [12, 15], [12, 16]]
    finally:
        emulate("Emulation.setTouchEmulationEnabled", {"enabled": False})


def test_a_volume_names_the_point_as_the_command_line_takes_it(browser, tmp_path):
    nibabel = pytest.importorskip("nibabel")
    block = np.zeros((14, 12, 10), np.float32)
    block[2:5, 3:7, 6:9] = 1.0
    nibabel.save(nibabel.Nifti1Image(block, np.diag([1, 1, 2, 1])), tmp_path / "block.nii.gz")
    served = Served(tmp_path, toys.OwnBrightness())
    try:
        page = Page(browser, served)
        page.run("(await at('state')).set({position: [7, 11 - 4, 13 - 3]}); return null")
        assert page.text("hover") == "--point 3,4,7"  # of the cross-hair: it can be copied
        assert block[3, 4, 7] == 1
        page.pointer((11 - 5, 13 - 2, "axial"))
        until(lambda: page.text("hover") == "ship · --point 2,5,7")
    finally:
        served.close()


def test_a_preset_without_nested_regions_says_why_there_is_no_slider(page):
    page.choose("preset", "quick")
    page.explained()
    assert page.text("no-nested").startswith("The preset quick looks for no regions of a lower")
    assert page.browser.find_element("id", "no-nested").is_displayed()
    assert page.text("figures").count(" passes in ") == 1
