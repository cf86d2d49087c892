"""`smp:FOLDER`: folders that segmentation_models_pytorch writes with `save_pretrained`.

`config.json` names the class and its arguments, `model.safetensors` holds the weights. The folder
does not say how images are prepared: the library keeps that with the pretrained weights of the
encoder (mean, std, range of the numbers, order of the colours), from which training began. Nothing
is downloaded, and nothing is unpickled.
"""

import warnings
from collections.abc import Mapping
from inspect import Parameter, signature
from pathlib import Path
from typing import Any

import torch
from torch import nn

from misure._util.optional import require
from misure._util.quoted import quoted
from misure._util.records import read_json
from misure.errors import InputError, MissingDataError
from misure.models.loaders.file import existing_file, reading
from misure.models.loaders.registry import loader
from misure.models.preprocessing import Preprocessing

_LARGEST_CONFIG = 1_000_000  # bytes
_ACTIVATIONS: dict[str | None, dict[str, Any]] = {
    None: {},
    "identity": {},
    "sigmoid": {"probabilities": True},
    "softmax": {"probabilities": True},
    "softmax2d": {"probabilities": True},
    "logsoftmax": {"probabilities": False},
    "argmax": {},
    "argmax2d": {},
}


@loader("smp", usage="smp:FOLDER", extra="smp")
def load(
    argument: str,
    _device: torch.device,
    *,
    encoder_weights: str | None = None,
    mean: Any = None,
    std: Any = None,
    preprocessing: Any = None,
) -> tuple[nn.Module, dict[str, Any]]:
    """A network of segmentation_models_pytorch, as its `save_pretrained` writes it.

    Several classes without an activation exclude each other, unless `multilabel=True` says
    otherwise: the folder does not say with which loss the network was trained.

    Args:
        argument: the folder with config.json and model.safetensors.
        encoder_weights: the pretrained weights whose preprocessing holds, such as `imagenet`; None:
            those that config.json names.
        mean, std, preprocessing: arguments of SegmentationModel, in the units of the images, in
            place of the encoder's preprocessing.

    Raises:
        InputError: no such network, arguments or weights that do not fit, or a preprocessing that
            nothing says.
        MissingDataError: the preprocessing of the encoder is not in the cache of Hugging Face.
        MissingDependencyError: segmentation_models_pytorch is missing.
    """
    smp = require("segmentation_models_pytorch", extra="smp", purpose="load smp: models")
    folder = Path(argument)
    config = _read_config(folder)
    weights = existing_file(str(folder / "model.safetensors"))
    net = _build(config, smp, folder)
    with reading(f"the weights of its {type(net).__name__} in {weights}"):
        from safetensors.torch import load_model as load_weights

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # sizes that do not fit are an error here
            load_weights(net, weights)
    settings = _settings(config, net)
    if preprocessing is None and mean is None and std is None:
        settings["preprocessing"] = _preprocessing(config, encoder_weights, smp)
    return net, settings


def _read_config(folder: Path) -> dict[str, Any]:
    path = existing_file(str(folder / "config.json"))
    if path.stat().st_size > _LARGEST_CONFIG:
        raise InputError(f"expected at most {_LARGEST_CONFIG:,} bytes in {path}, got more.")
    with reading(f"the JSON of a network in {path}"):
        config = read_json(path.read_bytes())
    if not isinstance(config, dict) or not isinstance(config.get("_model_class"), str):
        raise InputError(
            f"expected _model_class in {path}, as segmentation_models_pytorch writes it, found "
            "none. Save the network with its save_pretrained, or say hf: for one of transformers."
        )
    return config


def _build(config: Mapping[str, Any], smp: Any, folder: Path) -> nn.Module:
    """The network that a configuration describes, with random weights."""
    kinds = {kind.__name__: kind for kind in smp.MODEL_ARCHITECTURES_MAPPING.values()}
    name = config["_model_class"]
    if name not in kinds:
        raise InputError(
            f"expected a network of segmentation_models_pytorch ({', '.join(kinds)}) in {folder}, "
            f"got {quoted(name)!r}."
        )
    given = {key: value for key, value in config.items() if not key.startswith("_")}
    known = [
        key
        for key, parameter in signature(kinds[name].__init__).parameters.items()
        if parameter.kind is not Parameter.VAR_KEYWORD
    ]
    other = [key for key in given if key not in known]
    if other:
        raise InputError(
            f"expected arguments of {name} ({', '.join(known[1:])}) in config.json of {folder}, "
            f"got {quoted(other[0])!r}. Build the network in a Python file, and load it with "
            "python:."
        )
    _check_encoder(str(given.get("encoder_name")), smp, folder)
    given["encoder_weights"] = None  # they would be downloaded, and then replaced
    with reading(f"a {name} that config.json of {folder} describes"), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        net: nn.Module = kinds[name](**given)
    return net


def _check_encoder(name: str, smp: Any, folder: Path) -> None:
    """Refuses names that timm would take for a repository or a path."""
    is_of_timm = name.startswith("tu-") and not {":", "/", "\\"} & set(name)
    if name not in smp.encoders.encoders and not is_of_timm and not name.startswith("timm-"):
        raise InputError(
            f"expected an encoder of segmentation_models_pytorch or timm in {folder}, got "
            f"{quoted(name)!r}. Build the network in a Python file, and load it with python:."
        )
    if name.startswith("timm-") and {":", "/", "\\"} & set(name):
        raise InputError(f"expected the name of an encoder in {folder}, got {quoted(name)!r}.")


def _settings(config: Mapping[str, Any], net: Any) -> dict[str, Any]:
    activation, classes = config.get("activation"), config.get("classes", 1)
    if activation not in _ACTIVATIONS:
        names = ", ".join(map(str, _ACTIVATIONS))
        raise InputError(
            f"expected an activation among {names}, got {quoted(activation)!r}, whose numbers are "
            "no scores. Save the network with activation=None."
        )
    settings = dict(_ACTIVATIONS[activation])
    if activation == "sigmoid" and classes > 1:
        settings["multilabel"] = True
    if classes > 1:
        settings["num_classes"] = classes
    if config.get("aux_params"):
        settings["output"] = 0  # beside the classes of the whole image
    if getattr(net, "requires_divisible_input_shape", True):
        settings["size_divisor"] = int(net.encoder.output_stride)
    patches: Any = getattr(getattr(net.encoder, "model", None), "patch_embed", None)
    if getattr(patches, "strict_img_size", False):  # a transformer for one size of images
        settings["input_size"] = [*patches.img_size]
    return settings | {"num_channels": config.get("in_channels", 3)}


def _preprocessing(
    config: Mapping[str, Any], encoder_weights: str | None, smp: Any
) -> Preprocessing:
    """What the library's `preprocess_input` does for the encoder, for images in [0, 1]."""
    name, weights = config["encoder_name"], encoder_weights or config.get("encoder_weights")
    num = config.get("in_channels", 3)
    cure = "Say mean=... and std=..., or mean=0 and std=1 for images as they are"
    if not weights:
        raise InputError(
            f"expected to know how images are prepared, config.json names no pretrained weights "
            f"of its encoder. {cure}; or encoder_weights=imagenet for the encoder's own."
        )
    numbers = _numbers(name, weights, smp)
    if len(numbers["mean"]) != num:
        raise InputError(
            f"expected a mean for each of {num} channels, the preprocessing of {name} has "
            f"{len(numbers['mean'])}. {cure}."
        )
    white = float(numbers["input_range"][1])
    mean, std = ([each / white for each in numbers[key]] for key in ("mean", "std"))
    if numbers["input_space"] != "BGR":
        return Preprocessing(mean=tuple(mean), std=tuple(std))
    return Preprocessing(mean=tuple(mean[::-1]), std=tuple(std[::-1]), channels=(2, 1, 0))


def _numbers(encoder: str, weights: str, smp: Any) -> dict[str, Any]:
    """mean, std, input_range and input_space of an encoder's weights; nothing is downloaded."""
    if encoder.startswith("tu-"):
        with reading(f"the preprocessing of {encoder} in timm"):
            return dict(smp.encoders.get_preprocessing_params(encoder))
    known = smp.encoders.encoders.get(encoder, {}).get("pretrained_settings") or {}
    if weights not in known:
        raise InputError(
            f"expected pretrained weights of {encoder} ({', '.join(known) or 'none'}), got "
            f"{quoted(weights)!r}. Say encoder_weights=..., or mean=... and std=...."
        )
    settings = known[weights]
    if "repo_id" in settings:
        settings = _from_cache(encoder, settings)
    with reading(f"mean and std in the preprocessing of {encoder}"):
        return {
            "input_space": settings.get("input_space", "RGB"),
            "input_range": [*settings.get("input_range", [0, 1])],
            "mean": [float(each) for each in settings["mean"]],
            "std": [float(each) for each in settings["std"]],
        }


def _from_cache(encoder: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    from huggingface_hub import try_to_load_from_cache

    repo, revision = settings["repo_id"], settings["revision"]
    path = try_to_load_from_cache(repo, "config.json", revision=revision)
    if not isinstance(path, str):
        raise MissingDataError(
            f"expected the preprocessing of {encoder} in the cache of Hugging Face ({repo}, "
            f"config.json), found none; nothing is downloaded while misure runs. Run "
            f"segmentation_models_pytorch.encoders.get_preprocessing_params({encoder!r}) once, or "
            "say mean=... and std=..., for imagenet mostly mean=0.485,0.456,0.406 and "
            "std=0.229,0.224,0.225."
        )
    with reading(f"the preprocessing of {encoder} in {path}"):
        found: dict[str, Any] = read_json(Path(path).read_bytes())
    return found
