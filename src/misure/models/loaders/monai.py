"""`monai:FOLDER`: a bundle of MONAI, with its preprocessing, inferer and postprocessing.

A bundle is a folder with `configs/metadata.json`, `configs/inference.json` (or YAML) and
`models/model.pt`. Its configuration may name any Python; without `trust` it is read as data (see
`monai_config`), and only networks and transforms of MONAI that are listed here are built.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from misure._util.optional import require
from misure.errors import InputError
from misure.models.binding import Binder, Binding
from misure.models.loaders.file import existing_file, reading
from misure.models.loaders.monai_config import Resolver, monai_name, read_config
from misure.models.loaders.monai_result import Result, result_of
from misure.models.loaders.monai_steps import parts_of, transforms_of
from misure.models.loaders.monai_trusted import TrustingResolver
from misure.models.loaders.monai_windows import WINDOW_OPTIONS, SlidingWindows
from misure.models.loaders.registry import TRUST_IT, distinct_channel_names, loader
from misure.models.volumes.preprocessing import UnboundPreprocessing, bound_preprocessing, plain
from misure.models.volumes.step import Part

NETWORKS = (
    "AHNet",
    "AttentionUnet",
    "BasicUNet",
    "BasicUNetPlusPlus",
    "DynUNet",
    "FlexibleUNet",
    "HighResNet",
    "MedNeXt",
    "SegResNet",
    "SegResNetDS",
    "SegResNetVAE",
    "SwinUNETR",
    "UNETR",
    "UNet",
    "VNet",
)
"""Networks of MONAI that a bundle may name without `trust`."""

_OTHER_SPELLINGS = {
    "Unet": "UNet",
    "BasicUnet": "BasicUNet",
    "DynUnet": "DynUNet",
    "AHnet": "AHNet",
}

_KEYS_OF_WEIGHTS = ("model", "state_dict", "network", "net")


@loader("monai", usage="monai:BUNDLE_FOLDER", extra="monai")
def load(
    argument: str, _device: torch.device, *, trust: bool = False, without: str | Sequence[str] = ()
) -> tuple[nn.Module, dict[str, Any]]:
    """A bundle of MONAI: network, preprocessing, inferer, postprocessing and label names.

    Args:
        argument: its folder.
        trust: whether the configuration may run code: expressions, and networks that are not
            MONAI's.
        without: names of transforms that are left out, with commas between them.

    Raises:
        InputError: no such bundle, or one with a component that is not known or would run code.
        MissingDependencyError: MONAI is missing.
    """
    folder = Path(argument)
    if not folder.is_dir():
        raise InputError(f"expected the folder of a MONAI bundle, found none at {folder}.")
    left_out = [*without.split(",")] if isinstance(without, str) else [*map(str, without)]
    bundle = _Bundle(folder, [name.strip() for name in left_out if name], trust=trust)
    return bundle.network(), bundle.settings()


class _Bundle:
    def __init__(self, folder: Path, without: Sequence[str], *, trust: bool) -> None:
        self.folder, self.without, self.trust = folder, without, trust
        configs = folder / "configs"
        self.config = read_config(configs, "inference")
        self.metadata = read_config(configs, "metadata")
        kind = TrustingResolver if trust else Resolver
        self.resolver = kind(self.config, folder)

    def network(self) -> nn.Module:
        """The network with its weights."""
        net = self._network()
        path = self._weights()
        with reading(f"the weights of the bundle's network in {path}"):
            weights = torch.load(path, map_location="cpu", weights_only=True)
            for key in _KEYS_OF_WEIGHTS:
                if isinstance(weights, Mapping) and isinstance(weights.get(key), Mapping):
                    weights = weights[key]
                    break
            net.load_state_dict(weights)
        return net.eval()

    def _network(self) -> nn.Module:
        name = "network_def" if "network_def" in self.config else "network"
        raw: Any = self.config.get(name)
        if isinstance(raw, str) and raw[:1] in "@%":
            raw = self.resolver.named(raw[1:])
        known = monai_name(raw, ("monai.networks.nets",))
        known = _OTHER_SPELLINGS.get(known or "", known)
        if known not in NETWORKS:
            if isinstance(self.resolver, TrustingResolver):
                return self.resolver.network(name)
            raise InputError(
                f"expected a network of MONAI as {name} of the bundle ({', '.join(NETWORKS)}), got "
                f"{_target(raw)}. {TRUST_IT}"
            )
        arguments = {key: value for key, value in raw.items() if not _is_reserved(key)}
        arguments = self.resolver.value(arguments)
        if _holds_component(arguments) and not self.trust:
            raise InputError(
                f"expected plain values as arguments of {known} in the bundle, got a component. "
                f"{TRUST_IT}"
            )
        if "pretrained" in arguments:
            arguments["pretrained"] = False  # the bundle has the weights
        nets = require("monai.networks.nets", extra="monai", purpose="build the bundle's network")
        with reading(f"arguments of {known} in the bundle"), torch.random.fork_rng(devices=[]):
            net: nn.Module = getattr(nets, known)(**arguments)
        return net

    def _weights(self) -> Path:
        """The file that the bundle's checkpoint loader names, if it is in the bundle."""
        for raw in self.config.get("handlers", None) or []:
            if monai_name(raw, ("monai.handlers",)) == "CheckpointLoader":
                try:
                    path = Path(str(self.resolver.value(raw.get("load_path"))))
                except InputError:  # made by an expression
                    break
                if path.is_file() and path.resolve().is_relative_to(self.folder.resolve()):
                    return path
        path = self.folder / "models" / "model.pt"
        if not path.is_file() and (self.folder / "models" / "model.ts").is_file():
            raise InputError(
                f"expected weights in {path}, found a program, models/model.ts, which would run. "
                "If you trust it, load it with torchscript:."
            )
        return existing_file(str(path))

    def settings(self) -> dict[str, Any]:
        """The arguments of SegmentationModel that use the network as the bundle does."""
        parts = parts_of(self._transforms("preprocessing"), self.resolver, self.without)
        result = result_of(self._transforms("postprocessing"), self.resolver, self.without)
        num_outputs, names = self._classes()
        is_apart = result.are_classes_apart(num_outputs)
        if num_outputs == 1 and len(names) == 1:
            names = ("background", *names)
        if len(names) != (2 if num_outputs == 1 else num_outputs):
            names = ()
        words = ", ".join(type(part).__name__ for part in parts)
        return {
            "class_names": names,
            "num_classes": None if names or num_outputs < 1 else max(2, num_outputs),
            "num_channels": self._num_channels(),
            **self._channel_names(),
            "multilabel": is_apart,
            "probabilities": False,
            "preprocessing": UnboundPreprocessing(words=f"its preprocessing ({words})"),
            "binder": _binder(parts, _for_one(result, num_outputs), is_apart=is_apart),
            **self._inferer(),
        }

    def _transforms(self, name: str) -> list[Any]:
        return transforms_of(self.config[name], self.resolver) if name in self.config else []

    def _format(self, side: str, name: str) -> Mapping[str, Any]:
        data: Any = self.metadata
        for key in ("network_data_format", side):
            data = data.get(key) if isinstance(data, Mapping) else None
        data = data if isinstance(data, Mapping) else {}
        entry = data.get(name) or next(iter(data.values()), None)
        return entry if isinstance(entry, Mapping) else {}

    def _classes(self) -> tuple[int, tuple[str, ...]]:
        """The number of the network's output channels, and the names of its classes."""
        pred = self._format("outputs", "pred")
        names = _names_in_order(pred.get("channel_def"))
        num = pred.get("num_channels")
        return (num if type(num) is int else len(names)), names

    def _num_channels(self) -> int | None:
        num = self._format("inputs", "image").get("num_channels")
        return num if type(num) is int and num > 0 else None

    def _channel_names(self) -> dict[str, tuple[str, ...]]:
        """The names of the image's channels, if metadata.json tells all of them apart."""
        names = _names_in_order(self._format("inputs", "image").get("channel_def"))
        is_complete = len(names) == (self._num_channels() or len(names))
        return distinct_channel_names(names) if is_complete else {}

    def _inferer(self) -> dict[str, Any]:
        """The arguments of SegmentationModel that show the network images as the inferer does."""
        raw = self.config.get("inferer")
        if isinstance(raw, str):
            raw = self.resolver.value(raw)
        name = monai_name(raw, ("monai.inferers",))
        if raw is None or name == "SimpleInferer":
            return {}
        if name not in ("SlidingWindowInferer", "SlidingWindowInfererAdapt"):
            raise InputError(
                "expected SimpleInferer or SlidingWindowInferer as inferer of the bundle, got "
                f"{_target(raw)}. Load the network with python: and call it yourself."
            )
        arguments = self.resolver.value({k: v for k, v in raw.items() if not _is_reserved(k)})
        known = {key: value for key, value in arguments.items() if key in WINDOW_OPTIONS}
        with reading("arguments of the bundle's SlidingWindowInferer"):
            sliding = SlidingWindows(**known)
            windows = sliding.windows()
        return {"call": sliding} if windows is None else {"window": windows}


def _names_in_order(named: Any) -> tuple[str, ...]:
    """The names of `{"0": NAME, "1": NAME ...}`; none of anything else."""
    if not isinstance(named, Mapping) or not all(str(key).isdecimal() for key in named):
        return ()
    pairs = sorted((int(key), str(value)) for key, value in named.items())
    is_complete = [key for key, _ in pairs] == [*range(len(pairs))]
    return tuple(value for _, value in pairs) if is_complete else ()


def _binder(parts: Sequence[Part], result: Result, *, is_apart: bool) -> Binder:
    def bind(model: Any, image: Tensor, affine: Tensor | None) -> Binding:
        made = bound_preprocessing(
            parts,
            image,
            affine,
            plain(model.preprocessing),
            brings_back=result.brings_back,
            multilabel=is_apart,
            nearest=result.nearest,
            least_logit=result.least_logit,
        )
        return Binding(preprocessing=made)

    return bind


def _for_one(result: Result, num_outputs: int) -> Result:
    """The result in words of two classes, if one channel stands for both."""
    is_one = num_outputs == 1 and result.brings_back == "sigmoid"
    return replace(result, brings_back="softmax") if is_one else result


def _is_reserved(key: str) -> bool:
    return key.startswith("_") and key.endswith("_")


def _holds_component(value: Any) -> bool:
    if isinstance(value, Mapping):
        return "_target_" in value or any(map(_holds_component, value.values()))
    return isinstance(value, list) and any(map(_holds_component, value))


def _target(raw: Any) -> str:
    target = raw.get("_target_") if isinstance(raw, Mapping) else raw
    return str(target)[:200]
