"""The density of a region, and where it stands for the region."""

import base64
import io

import numpy as np
import pytest
import torch
from msgspec.structs import replace
from PIL import Image

from browsing import cards, until
from misure.reports import cards as cards_module
from misure.reports import planes as planes_module
from misure.reports.density import density
from misure.reports.page import write_report
from misure.reports.planes import encoded_densities
from misure.runs.folder import RunFolder
from misure.runs.run import read_run


def test_the_density_is_the_share_of_the_neighbourhood():
    assert density(np.ones((64, 96), bool)) == pytest.approx(1)  # at the frame, too
    assert not density(np.zeros((64, 96), bool)).any()
    dots = np.zeros((128, 128), bool)
    dots[::2, ::2] = True
    assert density(dots)[20:-20, 20:-20] == pytest.approx(0.25, abs=0.01)
    half = np.zeros((64, 64), bool)
    half[:, 32:] = True
    found = density(half)
    assert found[:, 31:33].mean() == pytest.approx(0.5, abs=1e-3)
    assert (found[:, 0].max(), found[:, -1].min()) == (0, 1)


def _done(folder):
    return next(one for one in read_run(folder / "first") if one.status == "done")


def test_the_report_has_the_density_of_each_nested_region(folder):
    record = _done(folder)
    arrays = RunFolder(folder / "first").read_map(record.map)
    picture = encoded_densities(arrays, record, 64)
    values = np.asarray(Image.open(io.BytesIO(base64.b64decode(picture))))
    num = len(record.sufficiency_curve)
    levels = values.reshape(num, -1, values.shape[1])
    assert num > 1
    assert (levels.max((1, 2)) == 255).all()
    assert values.shape[1] == 16
    bare = replace(record, sufficiency_curve=[])
    alone = encoded_densities(arrays, bare, 64)
    values = np.asarray(Image.open(io.BytesIO(base64.b64decode(alone))))
    assert values.shape == levels.shape[1:]


def test_dust_is_drawn_as_its_density_in_the_page(folder, browser, tmp_path, monkeypatch):
    monkeypatch.setattr(planes_module, "is_dust", lambda _record: True)
    monkeypatch.setattr(cards_module, "dust_note", lambda _record: "The region is dust.")
    (page,) = write_report([folder / "first"], tmp_path / "r.html")
    browser.get(page.as_uri())
    until(lambda: cards(browser))
    browser.execute_script("document.querySelector('.card').click()")
    until(lambda: len(browser.find_elements("css selector", "#large canvas")) == 4)
    captions = [one.text for one in browser.find_elements("css selector", "#large figcaption")]
    assert captions[0].endswith("density of the specks (each region was shown as it is)")
    assert browser.find_element("css selector", "#large .notes").text.endswith("is dust.")
    colours = browser.execute_script(
        "const c = document.querySelector('#large canvas[data-kind=outlines]');"
        "return [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]"
    )
    blue = torch.tensor(colours).view(-1, 4)[:, 2]
    assert len(blue.unique()) > 10  # a region would have a few
    assert not [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
