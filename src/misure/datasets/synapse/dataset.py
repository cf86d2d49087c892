"""The Synapse multi-organ benchmark, raw as it is published or prepared as it is widely shared.

A prepared folder holds

    test_vol_h5/case0001.npy.h5      `image` and `label` (slices, H, W)
    train_npz/case0005_slice003.npz  `image` and `label` (H, W)

with the image in [0, 1], made of Hounsfield units from -125 to 275, and class indices of
`CLASS_NAMES`. `misure prepare synapse` makes such a folder from the raw files.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from misure.datasets.nifti import LabelledVolumes, Slices, slice_key
from misure.datasets.registry import dataset
from misure.datasets.sample import AS_IT_IS, Dataset, Reading, Sample, files_of, refuse_slice
from misure.datasets.synapse.files import (
    as_sample,
    opened_volume,
    plane_affine,
    read_slice,
    recorded_affines,
)
from misure.datasets.synapse.labels import CLASS_NAMES, LABEL_MAPS, TEST_CASES, TRAIN_CASES, WINDOW
from misure.datasets.synapse.raw import find_cases, is_phantom
from misure.errors import InputError, MissingDataError

TEST_FOLDER, TRAIN_FOLDER = "test_vol_h5", "train_npz"
_ENDING = ".npy.h5"


class SynapseVolumes:
    """The test volumes (1, D, H, W) of a prepared folder, each read when it is asked for.

    Args:
        folder: a prepared folder.
        reading: how the network wants its images; if it names a slice, only that one is read.

    Raises:
        MissingDataError: no such folder, or no volume in it.
        InputError: a network of other channels or intensities.
    """

    class_names = CLASS_NAMES

    def __init__(self, folder: Path, reading: Reading = AS_IT_IS) -> None:
        _check_reading(reading)
        self._reading = reading
        self._affines = recorded_affines(folder)
        self._paths = sorted((folder / TEST_FOLDER).glob(f"*{_ENDING}"))
        self.keys = [path.name.removesuffix(_ENDING) for path in self._paths]
        if not self._paths:
            raise MissingDataError(
                f"expected {TEST_FOLDER}/case0001{_ENDING} and so on in {folder}, found "
                "none. Prepare the raw files with: misure prepare synapse RAW OUT"
            )

    def __len__(self) -> int:
        return len(self.keys)

    def files(self, index: int) -> list[Path]:
        """The file of a volume."""
        return [self._paths[index]]

    def __getitem__(self, index: int) -> Sample:
        number = self._reading.slice_index
        if number is not None:
            return self._slice(index, number, self.keys[index])
        with opened_volume(self._paths[index]) as (image, label, axis):
            pixels, annotation = (np.moveaxis(array[:], axis, 0) for array in (image, label))
        sample = as_sample(self.keys[index], pixels, annotation, self._paths[index])
        return replace(sample, affine=self._affines.get(sample.key))

    def foreground_slices(self, index: int) -> list[int]:
        """Numbers of the slices with an organ; only the labels are read."""
        with opened_volume(self._paths[index]) as (_, label, axis):
            if axis:  # a slice of them is scattered over the file
                labels = np.moveaxis(label[:], axis, 0)
                return [k for k, plane in enumerate(labels) if plane.any()]
            return [k for k in range(len(label)) if label[k].any()]

    def axial_slice(self, index: int, number: int) -> Sample:
        """One slice (1, H, W); no other is read."""
        return self._slice(index, number, slice_key(self.keys[index], number))

    def _slice(self, index: int, number: int, key: str) -> Sample:
        with opened_volume(self._paths[index]) as (image, label, axis):
            if not 0 <= number < image.shape[axis]:
                raise InputError(
                    f"expected a slice from 0 to {image.shape[axis] - 1}, got {number} "
                    f"for {self.keys[index]}."
                )
            position = (*[slice(None)] * axis, number)
            pixels, annotation = image[position], label[position]
        sample = as_sample(key, pixels, annotation, self._paths[index])
        return replace(sample, affine=plane_affine(self._affines, self.keys[index], number))


class SynapseSlices:
    """Slices (1, H, W): those of the test volumes that show an organ, or the training slices.

    Keys are `case0001/slice012` and, as their files are named, `case0005_slice003`.

    Args:
        folder: prepared, or raw (see `find_cases`).
        split: `test` or `train`.
        reading: how the network wants its images.

    Attributes:
        keys: of the samples.
        class_names: of the class indices 0 to 8.
        is_phantom: whether the bodies are phantoms, as a note in the folder says.

    Raises:
        MissingDataError: there are none.
        InputError: another split; a network of other channels or intensities.
    """

    class_names = CLASS_NAMES

    def __init__(self, folder: Path, split: str = "test", reading: Reading = AS_IT_IS) -> None:
        refuse_slice(reading)
        if split not in ("train", "test"):
            raise InputError(f"expected split 'train' or 'test', got {split!r}.")
        self._samples: _TrainingFiles | Slices
        if split == "train" and is_prepared(folder):
            _check_reading(reading)
            self._samples = _TrainingFiles(folder)
        else:
            self._samples = Slices(open_volumes(folder, reading, split))
        self.keys = self._samples.keys
        self.is_phantom = is_phantom(folder)

    def __len__(self) -> int:
        return len(self.keys)

    def files(self, index: int) -> list[Path]:
        """The file that a slice is read from."""
        return files_of(self._samples, index)

    def __getitem__(self, index: int) -> Sample:
        return self._samples[index]


class _TrainingFiles:
    def __init__(self, folder: Path) -> None:
        self._affines = recorded_affines(folder)
        self._paths = sorted((folder / TRAIN_FOLDER).glob("*.npz"))
        self.keys = [path.stem for path in self._paths]
        if not self._paths:
            raise MissingDataError(
                f"expected {TRAIN_FOLDER}/case0005_slice000.npz and so on in {folder}, "
                "found none. Prepare training cases too, with: misure prepare synapse RAW OUT"
            )

    def files(self, index: int) -> list[Path]:
        return [self._paths[index]]

    def __getitem__(self, index: int) -> Sample:
        path, key = self._paths[index], self.keys[index]
        case, _, number = key.rpartition("_slice")
        affine = plane_affine(self._affines, case, int(number)) if number.isdecimal() else None
        return replace(as_sample(key, *read_slice(path), path), affine=affine)


def is_prepared(folder: Path) -> bool:
    """Whether a folder holds prepared files, not raw ones."""
    return (folder / TEST_FOLDER).is_dir() or (folder / TRAIN_FOLDER).is_dir()


def open_volumes(
    folder: Path, reading: Reading = AS_IT_IS, split: str = "test"
) -> SynapseVolumes | LabelledVolumes:
    """The volumes (1, D, H, W) of a split.

    A prepared folder has volumes of `test` only. If a raw folder has no case of the published test
    split, its cases that are in neither published split are for testing.

    Args:
        folder: prepared, or raw (see `find_cases`).
        reading: how the network wants its images.
        split: `test` or `train`.

    Raises:
        MissingDataError: there are no such volumes.
        InputError: a network of other channels or intensities.
    """
    if is_prepared(folder):
        return SynapseVolumes(folder, reading)
    _check_reading(reading)
    test, train = ({f"case{number}" for number in numbers} for numbers in (TEST_CASES, TRAIN_CASES))
    every_pair = find_cases(folder)
    pairs = [pair for pair in every_pair if pair.case in (test if split == "test" else train)]
    if not pairs and split == "test":
        pairs = [pair for pair in every_pair if pair.case not in train]
    if not pairs:
        raise MissingDataError(
            f"expected cases of the published {split} split in {folder}, found none."
        )
    return LabelledVolumes(
        pairs,
        replace(
            reading,
            intensity=WINDOW,
            volumes_as_they_are=reading.volumes_as_they_are and bool(reading.intensity),
        ),
        label_map=LABEL_MAPS["btcv"],
        class_names=CLASS_NAMES,
        upright=True,
    )


@dataset("synapse", usage="synapse:FOLDER", extra="medical")
def open_synapse(rest: str, reading: Reading) -> SynapseSlices:
    """The axial test slices of the Synapse benchmark (abdominal CT) that show an organ."""
    return SynapseSlices(_folder(rest), "test", reading)


@dataset("synapse-train", usage="synapse-train:FOLDER", extra="medical")
def open_synapse_train(rest: str, reading: Reading) -> SynapseSlices:
    """The axial training slices of the Synapse benchmark."""
    return SynapseSlices(_folder(rest), "train", reading)


@dataset("synapse-volumes", usage="synapse-volumes:FOLDER", extra="medical")
def open_synapse_volumes(rest: str, reading: Reading) -> Dataset:
    """The test volumes of the Synapse benchmark."""
    folder = _folder(rest)
    is_whole = reading.slice_index is None and reading.volumes_as_they_are
    if is_whole and reading.intensity and is_prepared(folder):
        raise InputError(
            f"expected a network without intensity for {folder}, whose volumes are scaled already, "
            f"got {reading.intensity}. Say --model-option intensity= with nothing behind it."
        )
    return open_volumes(folder, reading)


def _folder(rest: str) -> Path:
    if not rest or not Path(rest).is_dir():
        raise MissingDataError(
            f"expected a folder after the colon, as in synapse:FOLDER, got {rest!r}. "
            "For where the files come from see the page on data in the documentation."
        )
    return Path(rest)


def _check_reading(reading: Reading) -> None:
    if reading.num_channels not in (None, 1) or reading.intensity not in ("", WINDOW):
        raise InputError(
            f"expected a network of 1 channel and intensity {WINDOW}, got "
            f"{reading.num_channels or 1} and {reading.intensity or 'none'}. Use another network, "
            "or read the raw files as nifti:FOLDER."
        )


__all__ = [
    "CLASS_NAMES",
    "WINDOW",
    "SynapseSlices",
    "SynapseVolumes",
    "is_phantom",
    "is_prepared",
    "open_synapse",
    "open_synapse_train",
    "open_synapse_volumes",
    "open_volumes",
]
