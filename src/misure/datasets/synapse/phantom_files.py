"""Phantoms as files: named, numbered and stored as the raw Synapse files are."""

from pathlib import Path

import numpy as np

from misure.datasets.synapse.labels import TEST_CASES, TRAIN_CASES
from misure.datasets.synapse.phantom import make_phantom
from misure.datasets.synapse.raw import PHANTOM_DESCRIPTION, PHANTOM_NOTE, is_phantom
from misure.errors import InputError
from misure.images.nifti import is_nifti
from misure.images.nifti_write import write_volume

_LARGEST = 512 * 512 * 256  # voxels; the texture takes several times as much
_FIELD_OF_VIEW_MM, _LENGTH_MM = 360.0, 220.0


def phantom_cases(num_cases: int) -> list[str]:
    """Case numbers of the published split, training and test cases in its proportion.

    Args:
        num_cases: 1 to 30.

    Raises:
        InputError: another number.

    >>> phantom_cases(5)
    ['0031', '0008', '0007', '0009', '0022']
    """
    if not 1 <= num_cases <= len(TRAIN_CASES) + len(TEST_CASES):
        raise InputError(f"expected a number of phantoms from 1 to 30, got {num_cases}.")
    train, test = iter(TRAIN_CASES), iter(TEST_CASES)
    return [next(test if number % 5 in (1, 4) else train) for number in range(num_cases)]


def write_phantoms(
    folder: Path, num_cases: int = 10, *, size_px: int = 128, num_slices: int = 40, seed: int = 0
) -> list[str]:
    """Writes `img/imgNNNN.nii.gz`, `label/labelNNNN.nii.gz` and a note; returns the case numbers.

    The order and direction in which voxels are stored differ from case to case, as the affine says.
    The same arguments give the same files.

    Args:
        folder: made if need be; the same phantoms there are replaced.
        num_cases: 1 to 30.
        size_px: side of each slice, 32 or more.
        num_slices: 8 or more.
        seed: of all that is random.

    Raises:
        InputError: too few or too many cases, pixels or slices; a folder with other volumes.
    """
    if size_px < 32 or num_slices < 8:
        raise InputError(
            f"expected phantoms of 32 pixels and 8 slices or more, got {size_px} and {num_slices}."
        )
    if size_px * size_px * num_slices > _LARGEST:
        raise InputError(
            f"expected phantoms of at most {_LARGEST:,} voxels, got {size_px} × {size_px} × "
            f"{num_slices}. Ask for less."
        )
    cases = phantom_cases(num_cases)
    _refuse_others(folder, {f"{part}{case}.nii.gz" for part in ("img", "label") for case in cases})
    for part in ("img", "label"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    text = "These bodies are phantoms made by misure, no patients.\n"
    (folder / PHANTOM_NOTE).write_text(text, encoding="utf-8")
    voxel = _LENGTH_MM / num_slices, _FIELD_OF_VIEW_MM / size_px, _FIELD_OF_VIEW_MM / size_px
    for number, case in enumerate(cases):
        hu, labels = make_phantom(seed, int(case), size_px, num_slices)
        for part, array in (("img", hu), ("label", labels)):
            stored, affine = _stored(array, voxel, number)
            path = folder / part / f"{part}{case}.nii.gz"
            write_volume(path, stored, affine, PHANTOM_DESCRIPTION)
    return cases


def _refuse_others(folder: Path, names: set[str]) -> None:
    volumes = [path for path in sorted(folder.rglob("*")) if is_nifti(path) and path.name[0] != "."]
    others = [path for path in volumes if path.name not in names or not is_phantom(folder)]
    if others:
        raise InputError(
            f"expected a folder without other volumes, got one with {others[0]}. Name "
            "another folder."
        )


def _stored(
    array: np.ndarray, voxel: tuple[float, float, float], variant: int
) -> tuple[np.ndarray, np.ndarray]:
    """A volume (D, H, W) laid out for viewing, as (I, J, K) in one of several orders."""
    volume = array.transpose(2, 1, 0)  # to the left, to the back, up
    affine = np.diag([-voxel[2], -voxel[1], voxel[0], 1.0])
    affine[:3, 3] = _FIELD_OF_VIEW_MM / 2, _FIELD_OF_VIEW_MM / 2, -_LENGTH_MM / 2
    for axis in ((), (0,), (0, 1), (2,))[variant % 4]:
        volume = np.flip(volume, axis)
        affine[:3, 3] += affine[:3, axis] * (volume.shape[axis] - 1)
        affine[:3, axis] *= -1
    return np.ascontiguousarray(volume), affine
