"""Networks trained by `misure train`, each in one file: weights, how to build it, how good it is.

A safetensors file; `misure` in its metadata is the JSON of a `TrainedNetwork`. One such file, for
Triangle, is shipped.
"""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from misure._util.records import Record, decode, encode
from misure.errors import InputError
from misure.models.networks.registry import NETWORKS, build_network

SHIPPED = Path(__file__).with_name("triangle.safetensors")
"""A small U-Net for Triangle."""


class TrainedNetwork(Record, frozen=True, kw_only=True):
    """What the file of a trained network says besides the weights.

    Attributes:
        network: name in `NETWORKS`.
        spatial_dims: 2 or 3.
        input_size: (*spatial) that it was trained on.
        num_channels: C.
        class_names: K names.
        mean, std: one number a channel, or one for all; None: images are not normalised.
        intensity: the rule that scales volumes when they are read; empty: none.
        values: the rest of the model card: data, split, seed, date, and the Dice it reached.
    """

    network: str
    spatial_dims: int
    input_size: tuple[int, ...]
    num_channels: int
    class_names: tuple[str, ...]
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    intensity: str = ""
    values: dict[str, Any] = {}  # noqa: RUF012  msgspec copies it

    def build(self) -> nn.Module:
        """The network, untrained.

        Raises:
            InputError: an unknown network, or one that does not exist in 3D.
            MissingDependencyError: the network is one of MONAI's, and MONAI is missing.
        """
        return build_network(
            self.network,
            self.num_channels,
            len(self.class_names),
            self.spatial_dims,
            self.input_size,
        )

    def model_settings(self) -> dict[str, Any]:
        """The arguments of SegmentationModel that use the network as it was trained."""
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
    """Writes the weights of a network, and what else its file says."""
    weights = {name: tensor.contiguous() for name, tensor in net.state_dict().items()}
    path.write_bytes(save(weights, metadata={"misure": encode(about).decode()}))


def trained_on(folder: Path) -> str | None:
    """The spec of the data set that the network in a folder of `train` was trained on.

    None if the folder holds no finished network.

    Raises:
        InputError, MissingDependencyError: the network cannot be loaded, see `load_trained`.
    """
    finished = folder / "model.safetensors"
    return str(load_trained(finished)[1].values.get("dataset")) if finished.exists() else None


def load_trained(path: Path = SHIPPED) -> tuple[nn.Module, TrainedNetwork]:
    """The trained network, in evaluation mode, on the CPU, and what its file says.

    Raises:
        InputError: the file is missing, damaged, or was not written by `misure train` of this
            version.
        MissingDependencyError: the network is one of MONAI's, and MONAI is missing.
    """
    what = f"a file written by `misure train` in {path}"
    try:
        with safe_open(path, framework="pt") as file:
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            header = (file.metadata() or {}).get("misure", "")
    except (OSError, SafetensorError, RuntimeError, ValueError) as error:
        raise _unusable(path, error) from error
    if '"figures":' in header:
        raise InputError(
            f"expected {path} to be written by this version of misure, it was written by misure "
            "0.1.0. Train the network again."
        )
    about = decode(header, TrainedNetwork, what)
    try:
        with torch.random.fork_rng(devices=[]):
            net = about.build()
        net.load_state_dict(weights)
    except (RuntimeError, ValueError, KeyError, TypeError) as error:
        raise _unusable(path, error) from error
    return net.eval(), about


def _unusable(path: Path, error: Exception) -> InputError:
    reason = (str(error).splitlines() or [""])[0]
    return InputError(
        f"expected a file written by `misure train`, but {path} cannot be used: {reason}"
    )
