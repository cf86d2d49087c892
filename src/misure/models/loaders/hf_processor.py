"""The image processor of a transformers folder, and the preprocessing that does the same.

The library fills in what the folder does not say. Its classes that use Pillow are taken, so that
results do not depend on whether torchvision is installed.
"""

import json
import warnings
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from misure._util.quiet import quiet
from misure.errors import InputError, MisureWarning
from misure.models.loaders.hf_layout import follow

NAME, NESTED_NAME = "preprocessor_config.json", "processor_config.json"
_BY_HAND = ("mean", "std", "input_size")
_REDUCES = "do_reduce_labels"
_OLD_KEYS = {"reduce_labels": _REDUCES, "size_divisibility": "size_divisor"}
_DEFAULT, _TYPE = "default", "image_processor_type"


def preprocessing_settings(
    argument: str,
    files: Mapping[str, Path | None],
    config: Any,
    transformers: Any,
    *,
    processor: Any = None,
    given: Sequence[str] = (),
    task: str = "",
) -> dict[str, Any]:
    """Arguments of SegmentationModel that do what the folder's image processor does.

    Args:
        argument: the folder or name of the network, for messages.
        files: `NAME` and `NESTED_NAME` -> the file, or None.
        config: the network's configuration, of transformers.
        transformers: the library.
        processor: None: as the folder says, with a warning if it says nothing; `default`: the
            defaults of the network's class; False: none; a dictionary: as the folder says, but with
            these keys.
        given: names of arguments of SegmentationModel that the user gives.
        task: that the processor is told together with the image; empty: it takes images alone.

    Raises:
        InputError: a processor that cannot be opened, or that misure cannot follow.
    """
    _check_option(processor)
    keys = read_keys(files)
    reduces = {_REDUCES: True} if keys and keys.get(_REDUCES) else {}  # however images are prepared
    if processor is False:
        return {"label_offset": -1} if reduces else {}
    is_assumed = keys is None and processor is None
    if is_assumed and set(_BY_HAND) <= set(given):
        return {}
    opened = open_processor(argument, files, config, transformers, processor=processor)
    if is_assumed:
        _warn_of_defaults(argument, opened)
    settings: dict[str, Any] = {
        "preprocessing": follow(
            with_task(opened, task) if task else opened,
            num_channels=getattr(config, "num_channels", None) or 3,
            given=given,
            record=_record(opened),
        )
    }
    if getattr(opened, _REDUCES, False):
        settings["label_offset"] = -1
    return settings


def open_processor(
    argument: str,
    files: Mapping[str, Path | None],
    config: Any,
    transformers: Any,
    *,
    processor: Any = None,
) -> Any:
    """The image processor of a folder; the arguments are those of `preprocessing_settings`.

    Raises:
        InputError: it cannot be opened.
    """
    keys = read_keys(files)
    if processor == _DEFAULT:
        keys = {_REDUCES: True} if keys and keys.get(_REDUCES) else {}
    keys = dict(keys or {})
    if isinstance(processor, Mapping):
        keys |= dict(processor)
        kind = {_TYPE: keys[_TYPE]} if _TYPE in keys else {}
        _check_keys(processor, _open(argument, kind, config, transformers))
    return _open(argument, keys, config, transformers)


def with_task(processor: Any, task: str) -> Any:
    """A processor of images alone, of one that also takes a task."""
    return _Tasked(processor, task)


class _Tasked:
    """An image processor that is told the same task with every image (OneFormer)."""

    def __init__(self, processor: Any, task: str) -> None:
        vars(self).update(vars(processor))
        self._processor, self._task = processor, task

    def __call__(self, images: Any, **keys: Any) -> Any:
        return self._processor(images, [self._task] * len(images), **keys)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._processor, name)


def _warn_of_defaults(argument: str, processor: Any) -> None:
    keys = _record(processor)
    shown = ", ".join(
        f"{key} {keys[key]}" for key in ("size", "image_mean", "image_std") if key in keys
    )
    warnings.warn(
        f"{argument} has no {NAME}, which says how an image becomes the network's input; the "
        f"defaults of {type(processor).__name__} are assumed ({shown}). Copy the file from the "
        "network that this one was trained from, or say processor=default if they are right, else "
        "mean, std and input_size.",
        MisureWarning,
        stacklevel=2,
    )


def _check_option(processor: Any) -> None:
    is_keys = isinstance(processor, Mapping) and all(isinstance(key, str) for key in processor)
    if not (processor is None or processor is False or processor == _DEFAULT or is_keys):
        raise InputError(
            "expected processor=default, processor=false, or keys of the image processor such as "
            f'processor={{"do_center_crop": false}}, got {processor!r}.'
        )


def read_keys(files: Mapping[str, Path | None]) -> dict[str, Any] | None:
    """The keys of the image processor, in today's names; None if no file has them."""
    nested, plain = (_read_object(files.get(name)) for name in (NESTED_NAME, NAME))
    keys = (nested or {}).get("image_processor", plain)
    if keys is None:
        return None
    if not isinstance(keys, dict):
        raise InputError(
            f"expected an object as image_processor in {files[NESTED_NAME]}, got "
            f"{type(keys).__name__}."
        )
    keys = {_OLD_KEYS.get(key, key): value for key, value in keys.items() if key != "auto_map"}
    kind = keys.get(_TYPE)
    if isinstance(kind, str):
        keys[_TYPE] = kind.replace("FeatureExtractor", "ImageProcessor")
    return keys


def _read_object(path: Path | None) -> dict[str, Any] | None:
    if path is None:
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"expected JSON in {path}, but reading it failed: {error}") from error
    if not isinstance(content, dict):
        raise InputError(f"expected an object in {path}, got {type(content).__name__}.")
    return content


def _open(argument: str, keys: Mapping[str, Any], config: Any, transformers: Any) -> Any:
    """The processor with these keys. Code that the folder brings is not run."""
    if config.model_type == "oneformer":
        keys = {**keys, "class_info_file": ""}  # names for training, else fetched from the hub
    has_backends = find_spec("transformers.image_processing_backends") is not None
    choice: dict[str, Any] = {"backend": "pil"} if has_backends else {"use_fast": False}
    with TemporaryDirectory() as folder:
        Path(folder, NAME).write_text(json.dumps(keys), encoding="utf-8")
        try:
            with quiet():  # of old keys, which are honoured
                opened = transformers.AutoImageProcessor.from_pretrained(
                    folder, config=config, trust_remote_code=False, local_files_only=True, **choice
                )
        except Exception as error:
            reason = (str(error).strip().replace(folder, argument).splitlines() or [""])[0][:300]
            raise InputError(
                f"expected the image processor of {argument} to open, but transformers says: "
                f"{reason} ({type(error).__name__}). Correct {NAME} or install what it needs, or "
                "say processor=False and give mean, std and input_size."
            ) from error
    _check_kind(argument, keys, opened)
    return opened


def _check_kind(argument: str, keys: Mapping[str, Any], processor: Any) -> None:
    """Checks that the processor is the one that is named: transformers falls back on others."""
    named = _plain_name(str(keys.get(_TYPE) or ""))
    if named not in ("", _plain_name(type(processor).__name__)):
        raise InputError(
            f"expected the image processor {named} that {argument} names, transformers only offers "
            f"{type(processor).__name__}. Install what {named} needs (torchvision, perhaps), name "
            'the right one in processor={"image_processor_type": ...}, or say processor=False and '
            "give mean, std and input_size."
        )


def _plain_name(kind: str) -> str:
    return kind.removesuffix("Pil").removesuffix("Fast")


def _check_keys(keys: Mapping[str, Any], processor: Any) -> None:
    unknown = [
        key for key in keys if key != _TYPE and (key.startswith("_") or not hasattr(processor, key))
    ]
    if unknown:
        known = sorted(key for key in vars(processor) if not key.startswith("_"))
        raise InputError(
            f"expected keys of {type(processor).__name__} ({', '.join(known)}), got {unknown[0]!r}."
        )


def _record(processor: Any) -> dict[str, Any]:
    """The processor's keys as plain values, with its defaults."""
    keys: dict[str, Any] = json.loads(processor.to_json_string())
    return {
        key: value for key, value in keys.items() if value is not None and not key.startswith("_")
    }
