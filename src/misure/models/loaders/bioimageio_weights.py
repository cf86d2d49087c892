"""The weights in a model folder of the BioImage Model Zoo, chosen and opened."""

from pathlib import Path
from typing import Any

import torch

from misure._util.optional import require
from misure.errors import InputError
from misure.models.loaders.bioimageio_description import inside
from misure.models.loaders.file import reading
from misure.models.loaders.onnx import OnnxNetwork, open_session
from misure.models.loaders.registry import TRUST_IT

_WITH_CODE = ("torchscript", "pytorch_state_dict")
_WEIGHTS = (*_WITH_CODE, "onnx")


def chosen_weights(described: Any, name: str | None, trust: bool, folder: Path) -> str:
    """The weights to open."""
    there = [
        each
        for each in (*_WEIGHTS, *type(described.weights).model_fields)
        if getattr(described.weights, each, None) is not None
    ]
    there = [*dict.fromkeys(there)]
    if name is not None and name not in there:
        raise InputError(
            f"expected weights among {', '.join(there)}, which {folder} has, got {name!r}."
        )
    usable = [each for each in there if each in _WEIGHTS] if name is None else [name]
    if not usable or usable[0] not in _WEIGHTS:
        raise InputError(
            f"expected weights as onnx, torchscript or pytorch_state_dict in {folder}, got "
            f"{', '.join(there)}. Export the network to ONNX, and load that with onnx:."
        )
    if trust or (allowed := [each for each in usable if each not in _WITH_CODE]) == usable:
        return usable[0]
    if allowed:
        return allowed[0]
    raise InputError(
        f"expected trust=True for the weights of {folder} ({', '.join(usable)}): opening them runs "
        f"code of the folder. {TRUST_IT} Weights as onnx need no trust."
    )


def open_weights(described: Any, kind: str, device: torch.device, folder: Path) -> Any:
    """The network with its weights."""
    entry = getattr(described.weights, kind)
    path = inside(entry.source, folder)
    with reading(f"the weights {path.name} of {folder}"):
        entry.validate_sha256(force_recompute=True)
    if kind == "onnx":
        return OnnxNetwork(open_session(path, device))
    if kind == "torchscript":
        with reading(f"a TorchScript archive in {path}"):
            return torch.jit.load(path, map_location=device)  # type: ignore[no-untyped-call]
    if hasattr(entry.architecture, "source"):
        inside(entry.architecture.source, folder)
    core = require(
        "bioimageio.core.backends.pytorch_backend",
        extra="bioimageio",
        purpose="load bioimageio: models",
    )
    with reading(f"the network and the weights of {folder}"):
        return core.load_torch_model(entry, load_state=True, devices=[device])
