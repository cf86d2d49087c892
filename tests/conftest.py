"""Every test begins with the same random state, and hypothesis with the same examples."""

import pytest
import torch
from hypothesis import settings

settings.register_profile("same", derandomize=True, deadline=None)
settings.load_profile("same")


@pytest.fixture(autouse=True)
def _same_random_state():
    torch.manual_seed(0)
