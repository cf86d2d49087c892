"""`torchscript:FILE`: a scripted or traced network, read by torch's own unpickler in C++.

TorchScript runs no Python, but can write and map files: archives that do are refused.
"""

import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import nn

from misure.models.loaders.file import existing_file, reading
from misure.models.loaders.registry import loader


@loader("torchscript", usage="torchscript:FILE")
def load(argument: str, device: torch.device) -> tuple[nn.Module, dict[str, Any]]:
    """A scripted or traced network, without preprocessing or class names."""
    path = existing_file(argument)
    with reading(f"a TorchScript archive in {path}"), warnings.catch_warnings():
        _refuse_file_access(path)
        warnings.simplefilter("ignore", DeprecationWarning)
        net: nn.Module = torch.jit.load(path, map_location=device)  # type: ignore[no-untyped-call]
    return net, {}


_FILE_ACCESS = re.compile(rb"\b(save|from_file|load)\s*\(")


def _refuse_file_access(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            if "/code/" in entry.filename and entry.filename.endswith(".py"):
                if entry.file_size > 100_000_000:
                    raise ValueError(f"{entry.filename} is too large")
                if found := _FILE_ACCESS.search(archive.read(entry)):
                    raise ValueError(f"its code reads or writes files ({found[0].decode()}...)")
