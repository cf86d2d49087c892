"""`triangle`, the network shipped with misure, and `trained:PATH`, what `misure train` wrote."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from misure.errors import InputError
from misure.models.loaders.file import existing_file
from misure.models.networks.trained_network import load_trained


def load(argument: str, _device: torch.device) -> tuple[nn.Module, dict[str, Any]]:
    """The network of a file, or of the `model.safetensors` in a folder."""
    path = Path(argument)
    net, about = load_trained(
        existing_file(str(path / "model.safetensors" if path.is_dir() else path))
    )
    return net, about.model_settings()


def load_shipped(argument: str, _device: torch.device) -> tuple[nn.Module, dict[str, Any]]:
    """The network for Triangle."""
    if argument:
        raise InputError(
            f"expected triangle alone, got triangle:{argument}. For a network of "
            f"your own use trained:{argument}."
        )
    net, about = load_trained()
    return net, about.model_settings()
