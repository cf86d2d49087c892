"""The files of weights that nnU-Net saves: read without running what they pickle."""

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from misure._util.quoted import quoted
from misure.errors import InputError
from misure.models.loaders.file import existing_file, reading
from misure.models.loaders.registry import TRUST_IT


@dataclass(frozen=True, kw_only=True, eq=False)
class Checkpoint:
    """What a file of weights says.

    Attributes:
        weights: of the network, by name.
        configuration: the name of the configuration that was trained.
        trainer: the name of the class that trained it.
        mirror_axes: spatial axes along which inputs may be mirrored.
    """

    weights: Mapping[str, Tensor]
    configuration: str
    trainer: str
    mirror_axes: tuple[int, ...]


def read_checkpoint(path: Path, *, trust: bool) -> Checkpoint:
    """A file of weights.

    Args:
        path: the file.
        trust: whether whatever it pickles may be loaded, which can run any code.

    Raises:
        InputError: a damaged file, one of something else, or one that pickles more than tensors,
            plain values and NumPy's numbers.
    """
    content = _load(existing_file(str(path)), trust)
    keys = ("network_weights", "init_args", "trainer_name")
    missing = [key for key in keys if not isinstance(content, dict) or key not in content]
    if missing:
        raise InputError(
            f"expected a checkpoint of nnU-Net v2 with {', '.join(keys)}, {', '.join(missing)} not "
            f"in {path}. Those of nnU-Net v1 cannot be opened."
        )
    weights, arguments = content["network_weights"], content["init_args"]
    trainer, configuration = content["trainer_name"], dict(arguments).get("configuration")
    axes = content.get("inference_allowed_mirroring_axes")
    is_plain = (
        isinstance(weights, dict)
        and all(isinstance(each, Tensor) for each in weights.values())
        and isinstance(trainer, str)
        and trainer.isidentifier()
        and isinstance(configuration, str)
    )
    if not is_plain:
        raise InputError(
            f"expected weights by name, and the names of a trainer and a configuration in {path}, "
            f"got {type(weights).__name__}, {quoted(trainer)!r} and {quoted(configuration)!r}."
        )
    return Checkpoint(
        weights=weights,
        configuration=str(configuration),
        trainer=trainer,
        mirror_axes=tuple(int(axis) for axis in axes or ()),
    )


def _load(path: Path, trust: bool) -> Any:
    with reading(f"a checkpoint of nnU-Net at {path}"), torch.serialization.safe_globals(_numpy()):
        try:
            return torch.load(path, map_location="cpu", weights_only=not trust)
        except pickle.UnpicklingError as error:
            raise InputError(
                f"expected tensors, plain values and NumPy's numbers in {path}, but it pickles "
                f"more ({_reason(error)}), and loading that can run any code. "
                f"{TRUST_IT}"
            ) from error


def _reason(error: Exception) -> str:
    """The name that torch refused, without its advice."""
    lines = [line for line in str(error).splitlines() if "GLOBAL" in line or "global" in line]
    return quoted(lines[0] if lines else error, 160)


def _numpy() -> list[Any]:
    """The names that nnU-Net's own checkpoints pickle: a NumPy number, and its type."""
    scalar = np.float64(0).__reduce__()[0]
    return [
        (scalar, "numpy._core.multiarray.scalar"),
        (scalar, "numpy.core.multiarray.scalar"),
        np.dtype,
        type(np.dtype(np.float64)),
        type(np.dtype(np.float32)),
    ]
