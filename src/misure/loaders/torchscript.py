"""`torchscript:FILE`: a scripted or traced network, read by torch's own unpickler in C++."""

import warnings
from typing import Any

import torch
from torch import nn

from misure.loaders.file import existing_file, reading


def load(argument: str, device: torch.device) -> tuple[nn.Module, dict[str, Any]]:
    """The network; such a file tells nothing about preprocessing or class names."""
    path = existing_file(argument)
    with reading(f"a TorchScript archive in {path}"), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        net: nn.Module = torch.jit.load(path, map_location=device)  # type: ignore[no-untyped-call]
    return net, {}
