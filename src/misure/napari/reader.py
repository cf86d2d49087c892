"""napari's reader: saved explanations, folders of results, run folders."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from misure._util.optional import require
from misure.errors import InputError, MisureError
from misure.explanation.explanation import Explanation
from misure.images.orientation import affine_of_slice
from misure.images.read import read_image
from misure.images.volume_file import VolumeFile
from misure.images.volumes import name_of, volume_of
from misure.napari.layers import LayerData, explanation_layers, image_layers, outline
from misure.napari.placement import Placement

_RESULT = "explanation.npz"
_NOTHING: list[Any] = [(None,)]  # by which a reader says that it has added everything itself

Reader = Callable[[str | Sequence[str]], list[Any]]


def get_reader(path: str | Sequence[str]) -> Reader | None:
    """What reads a path, or None: napari's question to a plugin.

    Args:
        path: a file that `Explanation.save` wrote, a folder that `misure explain` wrote, or the
            folder of a run, or its `run.json`.
    """
    if not isinstance(path, str):
        return None
    file = Path(path)
    if file.name == "run.json" or (file / "run.json").is_file():
        return _open_run
    if (file / _RESULT).is_file() or (file.suffix == ".npz" and _is_explanation(file)):
        return _read
    return None


def _is_explanation(file: Path) -> bool:
    try:
        with np.load(file) as arrays:
            return {"target", "minimally_sufficient_region", "record"} <= set(arrays.files)
    except (OSError, ValueError):
        return False


def _read(path: str | Sequence[str]) -> list[Any]:
    file = Path(str(path))
    _outline_in_viewer()
    return saved_layers(file / _RESULT if file.is_dir() else file)


def _outline_in_viewer() -> None:
    """Layers that the open viewer is about to add are outlined, if they are to be."""
    napari = require("napari", extra="napari", purpose="open an explanation")
    viewer = napari.current_viewer()
    if viewer is not None:
        viewer.layers.events.inserted.connect(_on_inserted)  # once, however often it is asked


def _on_inserted(event: Any) -> None:
    outline(event.value)


def _open_run(path: str | Sequence[str]) -> list[Any]:
    """Opens the list of a run's objects, from which one is chosen; adds no layer itself."""
    from misure.napari.run_widget import browse_run

    napari = require("napari", extra="napari", purpose="browse a run")
    file = Path(str(path))
    browse_run(napari.current_viewer(), file.parent if file.name == "run.json" else file)
    return _NOTHING


def saved_layers(file: str | Path) -> list[LayerData]:
    """The layers of a saved explanation, with its image if the file of that is still there.

    A volume, or a slice of one, lies where the affine of that file puts it, or else the NIfTI files
    beside the explanation; without either its voxels have their sides and no place.

    Args:
        file: that `Explanation.save` wrote.

    Raises:
        InputError: no such file.
    """
    explanation = Explanation.load(file)
    values, shape = explanation.values, tuple(explanation.target.region.shape)
    image, volume = _image_of(values.image, values.slice_index, shape)
    affine = _affine_of(volume or _volume_beside(Path(file)), values.slice_index, shape)
    placement = Placement.of(shape, affine, values.spacing_mm)
    layers = explanation_layers(explanation, placement)
    if image is None:
        return layers
    names = values.model_settings.get("channel_names", ())
    return [*image_layers(image, placement, name_of(values.image), names), *layers]


def _image_of(
    path: str, slice_index: int | None, shape: tuple[int, ...]
) -> tuple[Tensor | None, VolumeFile | None]:
    """The image of a file, and the volume it is or is from; None: not known, of another shape."""
    if not path or not all(Path(part).exists() for part in path.split(",")):
        return None, None
    try:
        volume = volume_of(path)
        image = read_image(volume or path, slice_index=slice_index)
    except (MisureError, OSError):
        return None, None
    return (image, volume) if tuple(image.shape[1:]) == shape else (None, None)


def _volume_beside(file: Path) -> VolumeFile | None:
    target = file.parent / "target.nii.gz"
    try:
        return volume_of(target) if target.is_file() else None
    except InputError:
        return None


def _affine_of(
    volume: VolumeFile | None, slice_index: int | None, shape: tuple[int, ...]
) -> np.ndarray | None:
    """The affine of a volume, or of its slice as a volume of its own; None: not known."""
    if volume is None or not volume.has_spacing:
        return None
    if len(shape) == 3:
        return volume.affine
    if slice_index is None:
        return None
    return affine_of_slice(volume.affine, slice_index, volume.order, volume.shape[:3])
