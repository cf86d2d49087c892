"""`hf:ID_OR_FOLDER`: segmentation networks of the transformers library.

Nothing is downloaded: the files of the network are in a folder, or in the library's cache.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from misure._util.optional import require
from misure._util.suggestions import did_you_mean, nearest
from misure.errors import InputError, MissingDataError
from misure.models.instances import instance_settings
from misure.models.loaders.file import reading
from misure.models.loaders.hf_instances import (
    INSTANCE,
    OBJECTS,
    PANOPTIC,
    SEMANTIC,
    QueryReader,
    default_score,
)
from misure.models.loaders.hf_processor import (
    NAME,
    NESTED_NAME,
    open_processor,
    preprocessing_settings,
    read_keys,
)
from misure.models.loaders.hf_prompts import PROMPTABLE, load_promptable
from misure.models.loaders.registry import loader

_BY_ARCHITECTURE = ("ConditionalDetrForSegmentation", "RfDetrForInstanceSegmentation")
"""Classes that no automatic class of transformers opens as networks of masks."""

_OBJECTS_OF = {"detr": PANOPTIC, "conditional_detr": PANOPTIC, "rf_detr": INSTANCE}
"""What networks list that have no semantic form."""

_QUERIES = ("maskformer", "mask2former", "oneformer", "eomt", "eomt_dinov3")

_LEAST_VERSION = 5  # of transformers, for instances and prompts

_TOLD_PADDING = ("detr", "conditional_detr")
"""Networks that take a mask of the pixels that are no padding."""

_BOXES_ALONE = ("deformable_detr", "rt_detr", "rt_detr_v2", "dab_detr", "lw_detr", "yolos")


class WithTask(nn.Module):
    """A network that takes images and a task in words (OneFormer), as one of images alone.

    Args:
        net: of transformers.
        tokens: (1, length) of the task.
    """

    def __init__(self, net: nn.Module, tokens: Tensor) -> None:
        super().__init__()
        self.net = net
        self.tokens = nn.Buffer(tokens)

    def forward(self, images: Tensor) -> Any:
        """What the network returns for images (N, C, H, W)."""
        return self.net(images, task_inputs=self.tokens.expand(len(images), -1))


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
    objects: Any = None,
    min_score: Any = None,
    stuff: Any = None,
    prompts: Any = None,
    mask: Any = None,
) -> tuple[nn.Module, dict[str, Any]]:
    """A segmentation network of transformers, with its preprocessing and class names.

    Networks that draw what prompts name (SAM, CLIPSeg) are opened, too; see `hf_prompts`.

    The argument is a folder, or a name on the hub whose files are in the cache.

    Args:
        argument: a folder, or a name.
        processor: None: images are prepared as the folder's image processor does, and if there is
            none as the defaults of its class, with a warning; `default`: as these; False: only as
            the other options say; a dictionary: as the folder's, but with these keys.
        mean, std, input_size, size_divisor, class_names: arguments of SegmentationModel; what they
            settle need not be understood from the folder.
        objects: what networks of queries list: `semantic` (classes), `instance` or `panoptic`
            (objects, each with a score), as the library's post-processing does. None: classes, and
            if the network has none (DETR, RF-DETR) objects.
        min_score: least score of what is listed; None: that of the library.
        stuff: names of classes whose panoptic segments are one; text with commas, or a list.
        prompts, mask: what a promptable network shall draw, and by which of its masks; see
            `SegmentationModel.with_prompts`.

    Raises:
        InputError: no such network in the folder, one without its weights, or one whose image
            processor cannot be followed.
        MissingDataError: there is no such folder, and no such network in the cache.
        MissingDependencyError: transformers is missing.
    """
    transformers = require("transformers", extra="hf", purpose="load hf: models")
    _check_present(argument, transformers)
    options = {"mean": mean, "std": std, "input_size": input_size, "size_divisor": size_divisor}
    kind = _model_type(argument, transformers)
    listed = {"objects": objects, "min_score": min_score, "stuff": stuff}
    if kind in PROMPTABLE:
        _check_version(transformers, "networks that take prompts")
        _refuse_listing(argument, kind, listed)
        with _quiet(transformers):
            return load_promptable(
                argument,
                kind,
                {name: _find(argument, name, transformers) for name in (NAME, NESTED_NAME)},
                transformers,
                check_weights=_check_weights,
                prompts=prompts,
                mask=mask,
                processor=processor,
                given=[name for name, value in options.items() if value is not None],
            )
    if prompts is not None or mask is not None:
        raise InputError(
            f"expected prompts with a promptable network ({', '.join(PROMPTABLE)}), {kind} in "
            f"{argument} takes images alone. Leave the prompts out."
        )
    files = {name: _find(argument, name, transformers) for name in (NAME, NESTED_NAME)}
    with _quiet(transformers):
        with reading(f"a transformers folder with a segmentation network in {argument}"):
            config = transformers.AutoConfig.from_pretrained(
                argument, trust_remote_code=False, local_files_only=True
            )
        mode = _objects(argument, config, objects, {"min_score": min_score, "stuff": stuff})
        if mode != SEMANTIC:
            _check_version(transformers, "networks that list objects")
        _check_one_size(argument, config, files)
        with reading(f"a transformers folder with a segmentation network in {argument}"):
            net, info = _kind(argument, config, transformers).from_pretrained(
                argument,
                trust_remote_code=False,
                local_files_only=True,
                weights_only=True,
                output_loading_info=True,
            )
        _check_weights(argument, info)
        is_told = config.model_type == "oneformer"
        settings = preprocessing_settings(
            argument,
            files,
            net.config,
            transformers,
            processor=processor,
            given=[name for name, value in options.items() if value is not None],
            task=mode if is_told else "",
        )
        if mode != SEMANTIC:
            if is_told:  # its post-processing fails without, in older releases as in new ones
                require(
                    "torchvision",
                    extra="torchvision",
                    purpose="list the objects of OneFormer (objects=semantic needs it not)",
                )
            opened = open_processor(
                argument, files, net.config, transformers, processor=processor or None
            )
            labels = _given_names(class_names) or _class_names(argument, net.config)
            settings |= instance_settings(
                _reader(opened, mode, labels, config, min_score, stuff), f"hf:{argument}"
            )
        if is_told:
            net = WithTask(net, _task_tokens(argument, mode, config, transformers))
    names = {} if class_names is not None else {"class_names": _class_names(argument, config)}
    return net, settings | names | {"num_channels": getattr(config, "num_channels", None)}


def _objects(argument: str, config: Any, objects: Any, options: dict[str, Any]) -> str:
    """What a network is asked to list."""
    lists = _OBJECTS_OF.get(config.model_type)
    mode = objects or lists or SEMANTIC
    if mode not in OBJECTS:
        raise InputError(f"expected objects among {', '.join(OBJECTS)}, got {objects!r}.")
    if lists and mode == SEMANTIC:
        raise InputError(
            f"expected objects=instance or objects=panoptic for {argument}: the classes of "
            f"{config.model_type} are those of its objects."
        )
    has_queries = lists or config.model_type in _QUERIES
    if mode != SEMANTIC and not has_queries:
        raise InputError(
            f"expected objects=semantic for {argument}: {config.model_type} has classes of pixels, "
            "and no objects."
        )
    for name, value in options.items():
        if value is not None and mode == SEMANTIC:
            raise InputError(f"expected {name} with objects=instance or panoptic, got it alone.")
    return str(mode)


def _reader(
    processor: Any,
    mode: str,
    names: Sequence[str],
    config: Any,
    min_score: float | None,
    stuff: str | Sequence[str] | None,
) -> QueryReader:
    """What reads the objects that a network lists."""
    fused = _given_names(stuff) or []
    unknown = [name for name in fused if name not in names]
    if unknown or (fused and mode != PANOPTIC):
        raise InputError(
            f"expected stuff with objects=panoptic, as names of classes, got {fused}."
            f"{did_you_mean(unknown[0], names) if unknown else ''}"
        )
    return QueryReader(
        processor,
        mode,
        len(names),
        default_score(processor, mode) if min_score is None else float(min_score),
        is_sigmoid=config.model_type == "rf_detr",
        stuff=tuple(list(names).index(name) for name in fused),
    )


def _given_names(names: Any) -> list[str] | None:
    """Names that are one text with commas between them, or a list."""
    if isinstance(names, str):
        return [name.strip() for name in names.split(",")]
    return None if names is None else list(names)


def _task_tokens(argument: str, task: str, config: Any, transformers: Any) -> Tensor:
    """The tokens (1, length) of a task, as the processor of OneFormer makes them."""
    with reading(f"the tokenizer of OneFormer in {argument}"):
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            argument, trust_remote_code=False, local_files_only=True
        )
    tokens = tokenizer(
        f"the task is {task}", padding="max_length", max_length=config.task_seq_len, truncation=True
    )
    ids, mask = torch.tensor(tokens["input_ids"]), torch.tensor(tokens["attention_mask"])
    return (ids * mask)[None]


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


def _check_version(transformers: Any, what: str) -> None:
    """Raises an InputError if the library is older than what was compared with it."""
    if int(transformers.__version__.partition(".")[0]) < _LEAST_VERSION:
        raise InputError(
            f"expected transformers {_LEAST_VERSION} or later for {what}, got "
            f"{transformers.__version__}. Install a newer one."
        )


def _refuse_listing(argument: str, kind: str, listed: dict[str, Any]) -> None:
    """Raises an InputError if options of networks of queries are given for a promptable one."""
    if given := [name for name, value in listed.items() if value is not None]:
        raise InputError(
            f"expected no {given[0]} with a promptable network, {kind} in {argument} draws what "
            "prompts name. Leave it out."
        )


def _check_one_size(argument: str, config: Any, files: Mapping[str, Path | None]) -> None:
    """Raises an InputError if a network that is told what is padding would not be told."""
    if config.model_type in _TOLD_PADDING and (read_keys(files) or {}).get("pad_size"):
        raise InputError(
            f"expected images of {config.model_type} in {argument} as large as they are, its image "
            "processor pads them (pad_size) and tells the network where, which is not followed. "
            "Say processor={'pad_size': None}, or wrap the network and load it with python:."
        )


def _model_type(argument: str, transformers: Any) -> str:
    """The `model_type` of config.json; empty if it cannot be read."""
    path = _find(argument, "config.json", transformers)
    try:
        content = json.loads(path.read_text(encoding="utf-8")) if path else {}
    except (OSError, ValueError, RecursionError):
        return ""
    return str(content.get("model_type", "")) if isinstance(content, dict) else ""


def _kind(argument: str, config: Any, transformers: Any) -> Any:
    """The class that opens the network: one for classes of pixels, or one for masks of queries."""
    if config.model_type in _BOXES_ALONE:
        raise InputError(
            f"expected a network that draws masks, {config.model_type} in {argument} has boxes "
            "alone in transformers."
        )
    named = [name for name in config.architectures or () if name in _BY_ARCHITECTURE]
    if named and hasattr(transformers, named[0]):
        return getattr(transformers, named[0])
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
