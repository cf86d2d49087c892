"""Networks trained by `misure train`, as one file: weights, how to build them, how good they are.

A safetensors file whose metadata (`misure`) are JSON: `network`, `spatial_dims`, `input_size`,
`settings` (arguments of SegmentationModel) and `figures`. One of them, for Triangle, is shipped.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from misure.errors import InputError, MissingDependencyError
from misure.models.networks.registry import NETWORKS, build_network

SHIPPED = Path(__file__).with_name("triangle.safetensors")
"""A small U-Net for Triangle."""


@dataclass(frozen=True)
class TrainedNetwork:
    """What there is to know of a trained network, but for its weights.

    Attributes:
        network: name in `NETWORKS`.
        spatial_dims: 2 or 3.
        input_size: (*spatial) it was trained on.
        num_channels: C.
        class_names: K names.
        mean, std: see SegmentationModel.
        intensity: how volumes are scaled when they are read (see `intensity`).
        figures: the model card: data, split, seed, date, and what it reached.
    """

    network: str
    spatial_dims: int
    input_size: tuple[int, ...]
    num_channels: int
    class_names: tuple[str, ...]
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    intensity: str = ""
    figures: dict[str, Any] = field(default_factory=dict)

    def build(self) -> nn.Module:
        """The network, untrained."""
        return build_network(
            self.network,
            self.num_channels,
            len(self.class_names),
            self.spatial_dims,
            self.input_size,
        )

    def model_settings(self) -> dict[str, Any]:
        """Arguments of SegmentationModel."""
        kind = NETWORKS[self.network]
        return {
            "mean": self.mean,
            "std": self.std,
            "class_names": self.class_names,
            "num_channels": self.num_channels,
            "intensity": self.intensity,
            "input_size": self.input_size if kind.fixed_size else None,
            "size_divisor": 1 if kind.fixed_size else kind.size_divisor,
            "probabilities": False,
        }


def save_trained(net: nn.Module, about: TrainedNetwork, path: Path) -> None:
    """Writes weights and what there is to know of them."""
    weights = {name: tensor.contiguous() for name, tensor in net.state_dict().items()}
    path.write_bytes(save(weights, metadata={"misure": json.dumps(asdict(about))}))


def trained_on(folder: Path) -> str | None:
    """The word of the data that the network in a folder of `train` was trained on; None without.

    Raises:
        InputError, MissingDependencyError: as `load_trained`.
    """
    finished = folder / "model.safetensors"
    return str(load_trained(finished)[1].figures.get("dataset")) if finished.exists() else None


def load_trained(path: Path = SHIPPED) -> tuple[nn.Module, TrainedNetwork]:
    """The trained network, in evaluation mode, on the CPU.

    Raises:
        InputError: the file is missing, damaged, or was not written by `misure train`.
        MissingDependencyError: the network is one of MONAI's, and MONAI is missing.
    """
    try:
        with safe_open(path, framework="pt") as file:
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            told = json.loads((file.metadata() or {})["misure"])
        for name in ("input_size", "class_names", "mean", "std"):
            told[name] = tuple(told[name]) if told[name] is not None else None
        about = TrainedNetwork(**told)
        with torch.random.fork_rng(devices=[]):
            net = about.build()
        net.load_state_dict(weights)
    except MissingDependencyError:
        raise
    except (OSError, SafetensorError, RuntimeError, ValueError, KeyError, TypeError) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise InputError(
            f"expected a file written by `misure train`, but {path} cannot be used: {reason}"
        ) from error
    return net.eval(), about
