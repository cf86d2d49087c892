"""A browser, two runs to report, and what tests of a page do in a real browser."""

import shutil
import time

import pytest
import torch

import misure
import toys
from misure.datasets import Sample, SampleList

CHROMIUM = shutil.which("chromium")
DRIVER = shutil.which("chromedriver")
NAMES = ("first", "second")
QUICK = {"max_passes": 40, "num_minimality_tests": 0}


def start_browser(width, height):
    """Debian's chromium, without a window; the test is skipped where it is not."""
    if not (CHROMIUM and DRIVER):
        pytest.skip("needs Debian's chromium and chromium-driver")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        f"--window-size={width},{height}",
    ):  # fmt: skip
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options=options, service=Service(DRIVER))


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


def samples(*names):
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


def until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def cards(browser):
    script = "return [...document.querySelectorAll('.card .name')].map((one) => one.textContent)"
    return browser.execute_script(script)


def choose(browser, element, value):
    browser.execute_script(
        "const e = document.getElementById(arguments[0]); e.value = arguments[1];"
        "e.dispatchEvent(new Event('input', {bubbles: true}))",
        element, value,
    )  # fmt: skip


def count(browser):
    """How many objects are shown, as the page says."""
    return int(browser.find_element("id", "count").text.partition(" of ")[0].replace(",", ""))
