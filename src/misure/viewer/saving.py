"""Saving: the files that `misure explain` writes, and the command that writes them again."""

import json
import shlex
import tempfile
from pathlib import Path
from typing import Any

from misure._util.folders import folder_name, writing_folder
from misure.explanation.explanation import Explanation
from misure.explanation.presentation import presentation_of
from misure.explanation.presets import DEFAULT_PRESET
from misure.images.volumes import files_of_image
from misure.models.names import typed_class
from misure.reports.explanation_picture import PictureOptions, save_pictures
from misure.reports.folders import RESULT_FILES, save_result
from misure.viewer.opened import Opened
from misure.viewer.searches import Asked
from misure.viewer.session import DICE_THRESHOLD, Network

_USUAL = PictureOptions()


def save(
    explanation: Explanation, opened: Opened, asked: Asked, network: Network, folder: Path
) -> None:
    """Writes a folder as `misure explain` does.

    Args:
        explanation: what to write.
        opened: the image.
        asked: what was asked for.
        network: that was explained.
        folder: a new one.
    """
    settings = _settings(opened, asked, network)
    writing = writing_folder(folder, command="explain", settings=settings, names=RESULT_FILES)
    with writing as unfinished:
        save_result(
            explanation,
            presentation_of(opened.drawn.model, opened.pixels, explanation.values),
            opened.drawn,
            unfinished,
            order=opened.sample.order,
            volume=opened.volume,
        )


def overview_of(explanation: Explanation, opened: Opened) -> bytes:
    """The overview of an explanation as a PNG, as `misure explain` writes it."""
    with tempfile.TemporaryDirectory(prefix="misure-view-") as folder:
        save_pictures(
            explanation,
            presentation_of(opened.drawn.model, opened.pixels, explanation.values),
            opened.drawn,
            Path(folder),
            lie=opened.lie,
        )
        return (Path(folder) / "overview.png").read_bytes()


def command_of(opened: Opened, asked: Asked, network: Network) -> str:
    """The line that makes the same explanation again."""
    words = ["misure", "explain", str(opened.path), "--model", network.spec]
    given = dict(network.model_options)
    for prompt in given.pop("prompts", []):
        words += ["--prompt", prompt]
    words += _pairs("--model-option", given)
    if network.device != "auto":
        words += ["--device", network.device]
    if network.slice_index is not None:
        words += ["--slice", str(network.slice_index)]
    words += _pairs("--image-option", network.image_options)
    if asked.object is None:
        words += ["--point", ",".join(map(str, asked.point or ()))]
    else:
        chosen = opened.object(asked.object)
        chosen_class = typed_class(chosen.class_index, opened.drawn.model.class_names)
        words += ["--class", chosen_class]
        words += ["--instance", str(chosen.instance)]
    if asked.preset != DEFAULT_PRESET:
        words += ["--preset", asked.preset]
    if asked.dice_threshold != DICE_THRESHOLD:
        words += ["--dice-threshold", repr(asked.dice_threshold)]
    options = dict(asked.options)
    if (robust := options.pop("robust", None)) is not None:
        words += ["--robust", repr(robust)]
    words += _pairs("--option", options)
    if asked.seed:
        words += ["--seed", str(asked.seed)]
    return shlex.join(words)


def _pairs(flag: str, values: dict[str, Any]) -> list[str]:
    """A flag with KEY=VALUE for each value, as the command line reads them."""
    words = []
    for key, value in values.items():
        words += [flag, f"{key}={_as_text(value)}"]
    return words


def _as_text(value: Any) -> str:
    """A value as KEY=VALUE has it: words as they are, unless they would be read as no words."""
    if not isinstance(value, str):
        return json.dumps(list(value) if isinstance(value, tuple) else value)
    for attempt in (value, f"[{value}]"):
        try:
            json.loads(attempt)
        except ValueError:
            continue
        return json.dumps(value)
    return value


def _settings(opened: Opened, asked: Asked, network: Network) -> dict[str, Any]:
    """What `misure explain` notes of what a folder was made with."""
    chosen = None if asked.object is None else opened.object(asked.object)
    index = chosen.class_index if chosen else opened.target_at(asked.point or ()).class_index
    options = dict(asked.options)
    robust = options.pop("robust", None)
    own = {} if asked.preset == DEFAULT_PRESET else {"preset": asked.preset}
    return {
        "slice": network.slice_index, "instance": chosen.instance if chosen else None,
        "point": None if chosen else asked.point, "box": None, "polygon": None, "missed": None,
        "image": ",".join(str(path.resolve()) for path in files_of_image(opened.path)),
        "model": network.spec, "model_options": network.model_options,
        "image_options": network.image_options, "question": "sufficient", "lost_dice": 0.5,
        "drawn_dice": 0.7, "robust": robust, "stability": False, "class_index": index,
        "dice_threshold": asked.dice_threshold, "options": options | own,
        "other_image": None, "seed": asked.seed,
        "pictures": [_USUAL.panels, _USUAL.kind, _USUAL.dpi],
    }  # fmt: skip


def name_of(opened: Opened, asked: Asked, case: str, slice_index: int | None) -> str:
    """How a folder of results is called (see `misure explain`), before what it may not hold."""
    parts = ["misure", case]
    if slice_index is not None:
        parts.append(f"slice{slice_index}")
    if asked.object is not None:
        chosen = opened.object(asked.object)
        name = opened.drawn.model.class_name(chosen.class_index)
        parts += [name, str(chosen.instance)]
    else:
        target = opened.target_at(asked.point or ())
        parts += [target.class_name, "-".join(["at", *map(str, asked.point or ())])]
    return folder_name(parts)
