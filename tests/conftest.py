"""Every test begins with the same random state, and hypothesis with the same examples; none waits
for the network."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"  # read when transformers is imported

import pytest
import torch
from hypothesis import settings

settings.register_profile("same", derandomize=True, deadline=None)
settings.load_profile("same")


@pytest.fixture(autouse=True)
def _same_random_state():
    torch.manual_seed(0)
