"""`hf:ID_OR_FOLDER`: semantic segmentation networks of the transformers library.

The preprocessing is read from the folder's `preprocessor_config.json` directly, since the image
processors of the library may need torchvision. There is no centre crop, since every pixel of the
image is segmented, and resizing is always bilinear.
"""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from misure._util.optional import require
from misure.errors import InputError, MissingDataError
from misure.models.loaders.file import reading
from misure.models.loaders.registry import loader

_CONFIG_NAME = "preprocessor_config.json"


@loader("hf", usage="hf:ID_OR_FOLDER", extra="hf")
def load(argument: str, _device: torch.device) -> tuple[nn.Module, dict[str, Any]]:
    """A semantic segmentation network of transformers, with its preprocessing and class names.

    The argument is a folder, or a name on the hub whose files are in the cache.

    Raises:
        InputError: no such network in the folder, or one without its weights.
        MissingDataError: there is no such folder, and the network cannot be downloaded.
        MissingDependencyError: transformers is missing.
    """
    transformers = require("transformers", extra="hf", purpose="load hf: models")
    _check_present(argument, transformers)
    logging = transformers.utils.logging
    showed_progress = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        with reading(f"a transformers folder with a semantic segmentation network in {argument}"):
            net, info = _kind(argument, transformers).from_pretrained(
                argument, trust_remote_code=False, weights_only=True, output_loading_info=True
            )
            config = _read_processor_config(argument, transformers)
            preprocessing = preprocessing_settings(config)
    finally:
        if showed_progress:
            logging.enable_progress_bar()
    if info["missing_keys"]:
        missing = sorted(info["missing_keys"])
        raise InputError(
            f"expected weights for the whole network in {argument}, {len(missing)} "
            f"are missing ({missing[0]} ...), they would be random. Use a network that was "
            "trained for segmentation."
        )
    names = net.config.id2label
    settings = preprocessing | {
        "class_names": [names[i] for i in sorted(names)],
        "num_channels": getattr(net.config, "num_channels", None),
    }
    return (FlipChannels(net) if config.get("do_flip_channel_order") else net), settings


class FlipChannels(nn.Module):
    """A network whose channels are blue, green, red, adapted to images in red, green, blue."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: Tensor) -> Any:
        return self.net(images.flip(1))


def _kind(argument: str, transformers: Any) -> Any:
    """The class that opens the network: one for classes of pixels, or one for masks of queries."""
    config = transformers.AutoConfig.from_pretrained(argument, trust_remote_code=False)
    universal = transformers.AutoModelForUniversalSegmentation
    is_universal = type(config) in universal._model_mapping
    return universal if is_universal else transformers.AutoModelForSemanticSegmentation


def _check_present(argument: str, transformers: Any) -> None:
    if (Path(argument) / "config.json").is_file():
        return
    config = None
    if not Path(argument).exists():
        try:
            config = transformers.utils.cached_file(argument, "config.json")
        except (OSError, ValueError):
            config = None
    if config is None:
        raise MissingDataError(
            f"expected a folder {argument} with config.json, model.safetensors and "
            f"{_CONFIG_NAME}, or the id of a network on the Hugging Face hub. Neither can be "
            "reached: download the files of the network and name their folder."
        )


def _read_processor_config(argument: str, transformers: Any) -> dict[str, Any]:
    path = Path(argument) / _CONFIG_NAME
    if not Path(argument).is_dir():
        cached = transformers.utils.cached_file(
            argument, _CONFIG_NAME, _raise_exceptions_for_missing_entries=False
        )
        if cached is None:
            return {}
        path = Path(cached)
    if not path.is_file():
        return {}
    config = json.loads(path.read_text())
    if not isinstance(config, dict):
        raise InputError(f"expected an object in {path}, got {type(config).__name__}.")
    return config


def preprocessing_settings(config: dict[str, Any]) -> dict[str, Any]:
    """Arguments of SegmentationModel that do what a transformers image processor does.

    The processor takes pixels from 0 to 255, misure from 0 to 1, so mean and std are scaled.

    Args:
        config: the content of `preprocessor_config.json`; empty if there is none.

    Raises:
        InputError: a size in an unknown form.
    """
    settings: dict[str, Any] = {}
    scale = 255 * config.get("rescale_factor", 1 / 255) if config.get("do_rescale", True) else 255
    if config.get("do_normalize", False):
        settings["mean"] = [number / scale for number in config["image_mean"]]
        settings["std"] = [number / scale for number in config["image_std"]]
    elif config and abs(scale - 1) > 1e-6:
        settings["std"] = [1 / scale]
    if config.get("do_resize", False):
        settings["input_size"] = _input_size(config.get("size"))
    divisor = config.get("size_divisor") or config.get("size_divisibility")
    if divisor:
        settings["size_divisor"] = divisor
    return settings


def _input_size(size: Any) -> int | tuple[int, int]:
    if isinstance(size, int):
        return size, size
    if isinstance(size, dict) and "height" in size and "width" in size:
        return size["height"], size["width"]
    if isinstance(size, dict) and "shortest_edge" in size:
        return int(size["shortest_edge"])
    raise InputError(
        f"expected a size with height and width, or shortest_edge, in {_CONFIG_NAME}, "
        f"got {size!r}. Pass input_size yourself."
    )
