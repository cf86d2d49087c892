"""Drawing takes longer than all else that most commands do, so only some tests of them draw."""

import pytest


@pytest.fixture
def real_pictures():
    """Pictures of explanations are drawn as for a user."""


@pytest.fixture(autouse=True)
def _pictures(request):
    if "real_pictures" not in request.fixturenames:
        request.getfixturevalue("blank_pictures")
