"""`triangle`, the network shipped with misure, and `trained:PATH`, what `misure train` wrote."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from misure.errors import InputError
from misure.models.loaders.file import existing_file
from misure.models.loaders.registry import loader
from misure.models.networks.trained_network import load_trained


@loader("triangle", usage="triangle")
def load_shipped(argument: str, _device: torch.device) -> tuple[nn.Module, dict[str, Any]]:
    """The small network for Triangle that comes with misure."""
    if argument:
        raise InputError(
            f"expected triangle alone, got triangle:{argument}. For a network of "
            f"your own use trained:{argument}."
        )
    net, about = load_trained()
    return net, about.model_settings()


@loader("trained", usage="trained:FILE_OR_FOLDER", extra="train")
def load(argument: str, _device: torch.device) -> tuple[nn.Module, dict[str, Any]]:
    """A network that `misure train` wrote.

    The argument is its file, or the folder with its `model.safetensors`.
    """
    path = Path(argument)
    net, about = load_trained(
        existing_file(str(path / "model.safetensors" if path.is_dir() else path))
    )
    return net, about.model_settings()
