"""Files of a prepared Synapse folder: opened, checked, and made into samples.

The widely shared volumes are stored as (slices, H, W) or (H, W, slices): the axis of the slices is
the first one whose other two are equally long. Files that misure wrote name their axes.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from misure._util.arrays import read_arrays
from misure._util.optional import require
from misure._util.quoted import quoted
from misure.datasets.sample import Sample
from misure.datasets.synapse.labels import CLASS_NAMES
from misure.datasets.synapse.record import read_record
from misure.errors import InputError
from misure.images.numbering import as_labels
from misure.images.orientation import affine_of_slice
from misure.images.read import VOXEL_LIMIT

AXES_NOTE = "slices, rows, columns"
"""In the attribute `axes` of data sets that misure wrote, whatever the lengths of the axes."""

_SLACK = 1e-3  # by which interpolation may leave [0, 1]


@contextmanager
def opened_volume(path: Path) -> Iterator[tuple[Any, Any, int]]:
    """A context with the HDF5 arrays of image and label, not read yet, and the axis of the slices.

    Raises:
        InputError: damaged, without one of the two, too large, or of other shapes or kinds.
    """
    h5py = require("h5py", extra="medical", purpose="read prepared Synapse volumes")
    try:
        with h5py.File(path, "r") as file:
            links = [file.get(name, getlink=True) for name in ("image", "label")]
            arrays: list[Any] = [
                None if isinstance(link, h5py.ExternalLink) else file.get(name)
                for link, name in zip(links, ("image", "label"), strict=True)
            ]
            if not all(isinstance(array, h5py.Dataset) for array in arrays):
                raise InputError(
                    f"expected data sets image and label in {path}, got "
                    f"{quoted(', '.join(file) or 'none')}."
                )
            image, label = arrays
            if any(array.external or array.is_virtual for array in arrays):
                raise InputError(
                    f"expected {path} to hold its numbers itself, but they lie in another file."
                )
            _check_arrays(image, label, path, num_axes=3)
            yield image, label, _slice_axis(image)
    except InputError:
        raise
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:  # of damaged files
        raise InputError(
            f"expected an HDF5 file with image and label, but {path} cannot be read: "
            f"{quoted(error)}"
        ) from error


def read_slice(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Image and label (H, W) of a training slice, as they are stored.

    Raises:
        InputError: damaged, without one of the two, too large, or of other shapes or kinds.
    """
    try:
        arrays = read_arrays(path)
        image, label = arrays["image"], arrays["label"]
    except (ValueError, KeyError) as error:
        raise InputError(
            f"expected arrays image and label in {path}, but it cannot be used: {quoted(error)}"
        ) from error
    _check_arrays(image, label, path, num_axes=2)
    return image, label


def recorded_affines(folder: Path) -> dict[str, torch.Tensor]:
    """Case -> affine (4, 4) float64 of the volume as laid out; empty if misure wrote no record."""
    try:
        cases = read_record(folder).cases
    except InputError:
        return {}  # the widely shared folders have none
    affines = {
        case: torch.tensor(entry.affine, dtype=torch.float64) for case, entry in cases.items()
    }
    return {case: affine for case, affine in affines.items() if _is_affine(affine)}


def plane_affine(
    affines: Mapping[str, torch.Tensor], case: str, number: int
) -> torch.Tensor | None:
    """The affine (4, 4) float64 of a slice as a volume of its own; None if the case has none."""
    affine = affines.get(case)
    return None if affine is None else torch.from_numpy(affine_of_slice(affine.numpy(), number))


def _is_affine(matrix: torch.Tensor) -> bool:
    is_finite = matrix.shape == (4, 4) and bool(torch.isfinite(matrix).all())
    return is_finite and float(torch.linalg.det(matrix)) != 0


def _slice_axis(dataset: Any) -> int:
    if dataset.attrs.get("axes") == AXES_NOTE:
        return 0
    a, b, c = dataset.shape
    return next((axis for axis, same in enumerate((b == c, a == c, a == b)) if same), 0)


def _check_arrays(image: Any, label: Any, path: Path, num_axes: int) -> None:
    if image.shape != label.shape or len(image.shape) != num_axes or 0 in image.shape:
        raise InputError(
            f"expected image and label of one shape with {num_axes} axes, got "
            f"{tuple(image.shape)} and {tuple(label.shape)} in {path}."
        )
    if np.prod([int(n) for n in image.shape], dtype=float) > VOXEL_LIMIT:
        raise InputError(
            f"expected at most {VOXEL_LIMIT:,} voxels, got {tuple(image.shape)} in {path}."
        )
    if not all(array.dtype.kind in "buif" for array in (image, label)):
        raise InputError(
            f"expected numbers as image and label, got {image.dtype} and {label.dtype} in {path}."
        )


def as_sample(key: str, image: np.ndarray, label: np.ndarray, path: Path) -> Sample:
    """The sample with an image (1, *spatial) float32 and its annotation (*spatial) int64.

    Args:
        key: of the sample.
        image: (*spatial), in [0, 1].
        label: (*spatial), class indices.
        path: the file that they are from, for the message.

    Raises:
        InputError: numbers outside [0, 1], or labels that are no class index.
    """
    low, high = float(image.min()), float(image.max())
    if not (low >= -_SLACK and high <= 1 + _SLACK):
        raise InputError(
            f"expected an image in [0, 1], got {low:g} to {high:g} in {path}. If these "
            "are Hounsfield units, run misure prepare synapse on the raw files."
        )
    labels = as_labels(label, path)
    if labels.max() >= len(CLASS_NAMES):
        raise InputError(
            f"expected labels from 0 to {len(CLASS_NAMES) - 1}, got {labels.max()} in "
            f"{path}. Run misure prepare synapse on the raw files."
        )
    pixels = torch.from_numpy(image.astype(np.float32)).clamp(0, 1)[None]
    return Sample(key, pixels, torch.from_numpy(labels))
