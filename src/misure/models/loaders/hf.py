"""`hf:ID_OR_FOLDER`: semantic segmentation networks of the transformers library.

Nothing is downloaded: the files of the network are in a folder, or in the library's cache.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from misure._util.optional import require
from misure._util.suggestions import nearest
from misure.errors import InputError, MissingDataError
from misure.models.loaders.file import reading
from misure.models.loaders.hf_processor import NAME, NESTED_NAME, preprocessing_settings
from misure.models.loaders.registry import loader

_WITH_TEXT = ("oneformer",)


@loader("hf", usage="hf:ID_OR_FOLDER", extra="hf")
def load(
    argument: str,
    _device: torch.device,
    *,
    processor: Any = None,
    mean: Any = None,
    std: Any = None,
    input_size: Any = None,
    size_divisor: Any = None,
    class_names: Any = None,
) -> tuple[nn.Module, dict[str, Any]]:
    """A semantic segmentation network of transformers, with its preprocessing and class names.

    The argument is a folder, or a name on the hub whose files are in the cache.

    Args:
        argument: a folder, or a name.
        processor: None: images are prepared as the folder's image processor does, and if there is
            none as the defaults of its class, with a warning; `default`: as these; False: only as
            the other options say; a dictionary: as the folder's, but with these keys.
        mean, std, input_size, size_divisor, class_names: arguments of SegmentationModel; what they
            settle need not be understood from the folder.

    Raises:
        InputError: no such network in the folder, one without its weights, or one whose image
            processor cannot be followed.
        MissingDataError: there is no such folder, and no such network in the cache.
        MissingDependencyError: transformers is missing.
    """
    transformers = require("transformers", extra="hf", purpose="load hf: models")
    _check_present(argument, transformers)
    options = {"mean": mean, "std": std, "input_size": input_size, "size_divisor": size_divisor}
    with _quiet(transformers):
        with reading(f"a transformers folder with a semantic segmentation network in {argument}"):
            net, info = _kind(argument, transformers).from_pretrained(
                argument,
                trust_remote_code=False,
                local_files_only=True,
                weights_only=True,
                output_loading_info=True,
            )
        _check_weights(argument, info)
        settings = preprocessing_settings(
            argument,
            {name: _find(argument, name, transformers) for name in (NAME, NESTED_NAME)},
            net.config,
            transformers,
            processor=processor,
            given=[name for name, value in options.items() if value is not None],
        )
    names = {} if class_names is not None else {"class_names": _class_names(argument, net.config)}
    return net, settings | names | {"num_channels": getattr(net.config, "num_channels", None)}


@contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """A context in which the library neither logs nor shows progress."""
    logging = transformers.utils.logging
    showed_progress, verbosity = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if showed_progress:
            logging.enable_progress_bar()


def _kind(argument: str, transformers: Any) -> Any:
    """The class that opens the network: one for classes of pixels, or one for masks of queries."""
    config = transformers.AutoConfig.from_pretrained(
        argument, trust_remote_code=False, local_files_only=True
    )
    if config.model_type in _WITH_TEXT:
        raise InputError(
            f"expected a network that takes images alone, {config.model_type} in {argument} also "
            "takes a task as text. Wrap it in a function, and load that with python:."
        )
    universal = transformers.AutoModelForUniversalSegmentation
    is_universal = type(config) in universal._model_mapping
    return universal if is_universal else transformers.AutoModelForSemanticSegmentation


def _check_weights(argument: str, info: dict[str, Any]) -> None:
    if info["missing_keys"]:
        missing = sorted(info["missing_keys"])
        raise InputError(
            f"expected weights for the whole network in {argument}, {len(missing)} "
            f"are missing ({missing[0]} ...), they would be random. Use a network that was "
            "trained for segmentation."
        )


def _class_names(argument: str, config: Any) -> list[str]:
    """The names of classes 0 to K - 1."""
    names = {int(index): name for index, name in config.id2label.items()}
    if sorted(names) != [*range(len(names))]:
        missing = min(set(range(max(names) + 1)) - set(names))
        raise InputError(
            f"expected id2label in config.json of {argument} to name classes 0 to "
            f"{len(names) - 1}, the {len(names)} outputs of the network, got "
            f"{min(names)} to {max(names)} without {missing}. Say class_names=... in the order of "
            "the outputs."
        )
    return [names[index] for index in range(len(names))]


def _check_present(argument: str, transformers: Any) -> None:
    if _find(argument, "config.json", transformers) is not None:
        return
    parent = Path(argument).parent
    folders = [path.name for path in parent.glob("*/") if path.is_dir()] if parent.is_dir() else []
    near = nearest(Path(argument).name, folders)
    meant = f" Did you mean hf:{parent / near}?" if near not in (None, argument) else ""
    raise MissingDataError(
        f"expected a folder {argument} with config.json, model.safetensors and {NAME}, or the id "
        "of a network in the cache of Hugging Face, found neither; nothing is downloaded "
        "while misure runs. Correct the path, or download the files of the network and name their "
        f"folder.{meant}"
    )


def _find(argument: str, name: str, transformers: Any) -> Path | None:
    """A file of the network, in its folder or in the cache; None if it is not there."""
    if Path(argument).exists():
        path = Path(argument) / name
        return path if path.is_file() else None
    try:
        cached = transformers.utils.cached_file(
            argument,
            name,
            local_files_only=True,
            _raise_exceptions_for_missing_entries=False,
            _raise_exceptions_for_connection_errors=False,
        )
    except (OSError, ValueError):
        return None
    return None if cached is None else Path(cached)
