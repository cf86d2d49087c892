"""Runs to report, and a browser where there is one."""

import pytest

import toys
from browsing import NAMES, QUICK, Broken, SeaAndShip, samples, start_browser
from misure.runs.plan import RunPlan
from misure.runs.run import run


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Two runs over the same images, one of which cannot be read, with names that are markup."""
    folder = tmp_path_factory.mktemp("runs")
    names = ("sky", "ship</script><b>", "sea & co")
    model = toys.model_of(SeaAndShip(), class_names=names)
    for name, threshold in zip(NAMES, (0.9, 0.6), strict=True):
        run(
            Broken(samples("a 1.png", "b 2.png", "c 10.png")), model, folder / name,
            RunPlan(
                classes=["1", "2"], instances=True, dice_threshold=threshold, method_options=QUICK
            ),
        )  # fmt: skip
    return folder


@pytest.fixture(scope="session")
def browser():
    driver = start_browser(1300, 4000)
    yield driver
    driver.quit()
