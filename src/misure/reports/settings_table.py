"""The settings of runs side by side: what differs, and what is the same."""

from collections.abc import Mapping, Sequence
from typing import Any

from misure._util.records import plain
from misure.runs.record import RunFile

_LABELS = {
    "begun": "begun (UTC)",
    "model": "network",
    "fingerprint": "network, fingerprint of its weights",
    "method_options": "options",
    "model_settings": "network",
    "image_options": "image",
    "dice_threshold": "Dice threshold",
    "device_type": "device",
    "num_threads": "threads",
    "thumbnail_px": "images kept for the report, px at most",
    "misure_version": "misure",
    "torch_version": "torch",
}
_MOST_CHARACTERS = 300
_NOTHING = "–"


def settings_table(files: Sequence[RunFile]) -> dict[str, list[dict[str, Any]]]:
    """The rows `differing` and `same`: the `name` of a setting, and its `values` as texts.

    A row of `differing` has a value for each run, one of `same` a single one.

    Args:
        files: `run.json` of each run.
    """
    columns = [_texts(file) for file in files]
    names = list(dict.fromkeys(name for column in columns for name in column))
    rows: dict[str, list[dict[str, Any]]] = {"differing": [], "same": []}
    for name in names:
        values = [column.get(name, _NOTHING) for column in columns]
        if len(set(values)) > 1:
            rows["differing"].append({"name": name, "values": list(map(_shortened, values))})
        else:
            rows["same"].append({"name": name, "values": [_shortened(values[0])]})
    return rows


def _texts(file: RunFile) -> dict[str, str]:
    """Name of a setting -> its value in words."""
    texts = {_LABELS["begun"]: _text(file.begun.replace("T", " ").removesuffix("+00:00"))}
    for name, value in plain(file.settings).items():
        label = _LABELS.get(name, name.replace("_", " "))
        if isinstance(value, Mapping):
            texts |= {f"{label}: {key}": _text(one) for key, one in value.items()}
        else:
            texts[label] = _text(value)
    return texts


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value in ("", [], {}):
        return _NOTHING
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {_text(one)}" for key, one in value.items())
    return str(value)


def _shortened(text: str) -> str:
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]} …"
