"""A browser for the pages of the viewer, where there is one."""

import pytest

from browsing import start_browser


@pytest.fixture(scope="session")
def browser():
    driver = start_browser(1280, 860)
    yield driver
    driver.quit()
