"""`torchscript:FILE`: a scripted or traced network. The file is a program, which is run.

TorchScript can read and write files, for example: load only files that you trust.
"""

import warnings
from typing import Any

import torch
from torch import nn

from misure.models.loaders.file import existing_file, reading
from misure.models.loaders.registry import loader


@loader("torchscript", usage="torchscript:FILE")
def load(argument: str, device: torch.device) -> tuple[nn.Module, dict[str, Any]]:
    """A scripted or traced network, without preprocessing or class names.

    This runs code of the file.

    Raises:
        InputError: the file is missing or damaged.
    """
    path = existing_file(argument)
    with reading(f"a TorchScript archive in {path}"), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        net: nn.Module = torch.jit.load(path, map_location=device)  # type: ignore[no-untyped-call]
    return net, {}
