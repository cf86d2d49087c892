"""`triangle`: the network shipped with misure, or one that `misure train triangle` wrote."""

from typing import Any

import torch
from torch import nn

from misure.loaders.file import existing_file
from misure.networks.triangle import MODEL_SETTINGS, SHIPPED, load_triangle_network


def load(argument: str, _device: torch.device) -> tuple[nn.Module, dict[str, Any]]:
    """The network and how it wants to be used."""
    net, _ = load_triangle_network(existing_file(argument) if argument else SHIPPED)
    return net, dict(MODEL_SETTINGS)
