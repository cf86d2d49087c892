"""The description in a model folder of the BioImage Model Zoo: its files, tensors and axes."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from misure._util.optional import require
from misure._util.quoted import quoted
from misure.errors import InputError
from misure.models.loaders.file import reading

_FILES = ("bioimageio.yaml", "rdf.yaml")
_LARGEST_TEXT = 5_000_000  # bytes
_SPACE = ("z", "y", "x")


def description_in(folder: Path) -> tuple[Any, bool]:
    """The description in a folder, in the library's newest form, and whether halos are added.

    The library adds them for descriptions from 0.5 on. Nothing is downloaded.
    """
    spec = require("bioimageio.spec", extra="bioimageio", purpose="load bioimageio: models")
    found = [folder / name for name in _FILES if (folder / name).is_file()]
    if not found:
        raise InputError(
            f"expected a folder with {' or '.join(_FILES)} at {folder}, found none. Unpack the "
            "archive of the model, and name the folder."
        )
    if found[0].stat().st_size > _LARGEST_TEXT:
        raise InputError(f"expected at most {_LARGEST_TEXT:,} bytes in {found[0]}, got more.")
    text = found[0].read_text(encoding="utf-8", errors="replace")
    if re.search(r"^\s*-?\s*[\"']?output_of[\"']?\s*:\s*\S", text, re.M):
        raise InputError(
            f"expected a model that stands alone in {folder}, its input is the output of another. "
            "Wrap both in a function, and load that with python: or function:."
        )
    with reading(f"the description of a model in {found[0]}"):
        described = spec.load_description(
            found[0], format_version="latest", perform_io_checks=False
        )
    if getattr(described, "type", "") != "model" or not hasattr(described, "weights"):
        summary = described.validation_summary
        errors = [error.msg for detail in summary.details for error in detail.errors]
        raise InputError(
            f"expected the description of a model in {found[0]}: "
            f"{quoted(errors[0] if errors else getattr(described, 'type', 'another kind'))}."
        )
    has_halo = not re.search(r"^format_version\s*:\s*[\"']?0\.[0-4]\b", text, re.M)
    return described, has_halo


def inside(path: Any, folder: Path) -> Path:
    """The path of a file of the folder.

    Raises:
        InputError: it lies elsewhere, or is an address.
    """
    place = Path(str(path.absolute() if hasattr(path, "absolute") else path))
    if "://" in str(path) or not place.resolve().is_relative_to(folder.resolve()):
        raise InputError(
            f"expected every file of the model in {folder}, its description names "
            f"{quoted(path)!r}; nothing is downloaded. Put the file there, and name it so."
        )
    return place


def axes_of(tensor: Any, folder: Path) -> list[str]:
    """Names of the axes of a tensor: batch, channel, z, y, x."""
    names = []
    for axis in tensor.axes:
        name = axis.type if axis.type in ("batch", "channel") else str(axis.id)
        if name not in ("batch", "channel", *_SPACE):
            raise InputError(
                f"expected the axes batch, channel, {', '.join(_SPACE)} in {folder}, "
                f"{tensor.id} has {name!r}. Wrap the network, and load that with python:."
            )
        names.append(name)
    if len(spatial_axes(names)) < 2:
        raise InputError(f"expected two or three axes of space in {folder}, got {names}.")
    return names


def spatial_axes(axes: Sequence[str]) -> list[str]:
    """The axes of space among these, in the order of the image's."""
    return [name for name in _SPACE if name in axes]


def channel_axis(tensor: Any) -> Any:
    """The description of the channels of a tensor; None: it has no such axis."""
    return next((axis for axis in tensor.axes if axis.type == "channel"), None)


def num_channels_of(tensor: Any) -> int:
    """The number of channels of a tensor; 1 if it has no such axis."""
    axis = channel_axis(tensor)
    return 1 if axis is None else int(axis.size)
