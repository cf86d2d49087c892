"""`export:FILE.pt2`: a program saved by torch.export.

torch falls back to plain pickle for parts of such archives, and archives may hold compiled
libraries; here the former is forced to `weights_only`, the latter refused.
"""

import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from misure.errors import InputError
from misure.loaders.file import existing_file, reading
from misure.loaders.fixed_shape import OneByOne, settings_for_shape

_FORCE = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"


def load(argument: str, _device: torch.device) -> tuple[nn.Module, dict[str, Any]]:
    """The network, and its input size where it was exported for one."""
    path = existing_file(argument)
    with reading(f"a program saved by torch.export in {path}"):
        _refuse_compiled_code(path)
        with _weights_only():
            program = torch.export.load(path)
        net = program.module()
    inputs = program.graph_signature.user_inputs
    nodes = [node for node in program.graph.nodes if node.name in inputs]
    if len(nodes) != 1 or not hasattr(nodes[0].meta.get("val"), "shape"):
        raise InputError(
            f"load_model: expected a program with one image batch as input, {path} takes "
            f"{len(nodes)} inputs."
        )
    shape = [side if isinstance(side, int) else None for side in nodes[0].meta["val"].shape]
    settings, takes_one = settings_for_shape(shape, path)
    return (OneByOne(net) if takes_one else net), settings


def _refuse_compiled_code(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        compiled = [name for name in archive.namelist() if name.endswith((".so", ".dll", ".dylib"))]
    if compiled:
        raise InputError(
            f"load_model: expected an exported graph without compiled code, {path} holds "
            f"{compiled[0]}. Save the program with torch.export.save."
        )


@contextmanager
def _weights_only() -> Iterator[None]:
    before = os.environ.get(_FORCE)
    os.environ[_FORCE] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_FORCE]
        else:
            os.environ[_FORCE] = before
