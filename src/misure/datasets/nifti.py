"""NIfTI volumes with annotations, whole or slice by slice."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from misure.datasets.annotation import annotation_of
from misure.datasets.pairing import Pair, find_pairs, folders_of
from misure.datasets.registry import dataset
from misure.datasets.sample import AS_IT_IS, Reading, Sample, refuse_slice
from misure.errors import InputError
from misure.images.labels import read_labels
from misure.images.numbering import Numbering
from misure.images.orientation import (
    AS_STORED,
    ViewingOrder,
    affine_as_laid_out,
    affine_of_slice,
    lay_out,
    viewing_order,
)
from misure.images.volume_file import VolumeFile, check_aligned
from misure.images.volumes import ChannelVolumes, open_volume


class LabelledVolumes:
    """Volumes (C, I, J, K) with annotations (I, J, K), each read when it is asked for.

    If `reading` names a slice, a sample is that axial slice, with image and annotation laid out
    alike.

    Args:
        pairs: the files.
        reading: how the network wants its images.
        label_map: number in the file -> class index; None: as `reading.numbering` says.
        class_names: of the classes, if known; a number without a name is then an error.
        upright: whether to lay the volumes out as axial slices, instead of leaving them as stored.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        reading: Reading = AS_IT_IS,
        *,
        label_map: Mapping[int, int] | None = None,
        class_names: Sequence[str] = (),
        upright: bool = False,
    ) -> None:
        self.pairs = list(pairs)
        self.keys = [pair.case for pair in self.pairs]
        self.class_names = tuple(class_names)
        self._reading, self._upright = reading, upright
        self._numbering = reading.numbering
        if label_map is not None or class_names:  # what is known of the files settles it
            self._numbering = Numbering(
                reading.numbering.ignore, 0, label_map, num_classes=len(class_names) or None
            )
        self._last: tuple[int, Sample] | None = None

    def __len__(self) -> int:
        return len(self.keys)

    def files(self, index: int) -> list[Path]:
        """The files of a volume's image, one for each channel or one for all."""
        return list(self.pairs[index].channels)

    def __getitem__(self, index: int) -> Sample:
        number = self._reading.slice_index
        if number is None:
            return self._volume(index, scaled=not self._reading.volumes_as_they_are)
        return axial_slice(self._volume(index), number, self.keys[index])

    def foreground_slices(self, index: int) -> list[int]:
        """Numbers of the axial slices with annotated foreground; only the labels are read."""
        open_volume(self.pairs[index].channels[0]).check_oriented()
        pair = self.pairs[index]
        numbers, affine = self._numbers(pair)
        known = annotation_of(numbers, self._numbering, pair.labels, is_needed=False)
        labels = known.get("annotation", numbers)
        if "regions" in known:
            labels = known["regions"].any(0)
        is_shifted = self._numbering.offset < 0 and self._numbering.label_map is None
        if is_shifted:  # then class 0 is no background
            labels = labels + 1
        return slices_with_foreground(lay_out(labels, viewing_order(affine, pair.labels)))

    def axial_slice(self, index: int, number: int) -> Sample:
        """The axial slice (C, H, W) of a volume with this number, counted from the feet, from 0.

        The last volume is kept in memory, so reading slices in order reads each volume once.
        """
        if self._last is None or self._last[0] != index:
            self._last = None  # frees the memory first
            self._last = (index, self._volume(index))
        return axial_slice(self._last[1], number, slice_key(self.keys[index], number))

    def _volume(self, index: int, *, scaled: bool = True) -> Sample:
        pair = self.pairs[index]
        channels = [open_volume(path) for path in pair.channels]
        volume = channels[0] if len(channels) == 1 else ChannelVolumes(channels)
        if self._upright or self._reading.slice_index is not None:
            volume.check_oriented()
        image, affine, order = self._image(volume, scaled), volume.affine, volume.order
        numbers, label_affine = self._numbers(pair)
        shape = tuple(numbers.shape[-3:])
        check_aligned((tuple(image.shape[1:]), affine), (shape, label_affine), pair.labels)
        known = annotation_of(numbers, self._numbering, pair.labels, is_needed=False)
        if self._upright:
            affine = affine_as_laid_out(affine, order, shape)
            known = {name: lay_out(tensor, order) for name, tensor in known.items()}
            image, order = lay_out(image, order), AS_STORED
        return Sample(pair.case, image, order=order, affine=torch.from_numpy(affine), **known)

    def _image(self, volume: VolumeFile, scaled: bool) -> Tensor:
        whole = replace(self._reading, slice_index=None, volumes_as_they_are=not scaled)
        return whole.image(volume)

    def _numbers(self, pair: Pair) -> tuple[Tensor, np.ndarray]:
        """The numbers (I, J, K) of an annotation, or (C, I, J, K), and its affine."""
        overlapping = self._numbering.overlapping
        return read_labels(pair.labels, self._numbering.ignore, channels=overlapping)


class NiftiPairs(LabelledVolumes):
    """Volumes with annotations from two folders, or one, whose files are paired by name.

    Args:
        images, labels: a folder each, maybe the same one; or a file each.
        reading, label_map, class_names, upright: see `LabelledVolumes`.

    Raises:
        MissingDataError: there are none.
        InputError: an image without labels, or the other way round.
    """

    def __init__(
        self,
        images: Path,
        labels: Path,
        reading: Reading = AS_IT_IS,
        *,
        label_map: Mapping[int, int] | None = None,
        class_names: Sequence[str] = (),
        upright: bool = False,
    ) -> None:
        super().__init__(
            find_pairs(images, labels),
            reading,
            label_map=label_map,
            class_names=class_names,
            upright=upright,
        )


class Volumes(Protocol):
    """Volumes that can be read slice by slice."""

    @property
    def keys(self) -> Sequence[str]: ...

    def files(self, index: int, /) -> list[Path]: ...

    def foreground_slices(self, index: int, /) -> list[int]: ...

    def axial_slice(self, index: int, number: int, /) -> Sample: ...


class Slices:
    """Every axial slice with annotated foreground, as a sample (C, H, W) laid out for viewing.

    The key is `CASE/slice012`, counted from the feet. The labels of all volumes are read once at
    the beginning, to find these slices.

    Args:
        volumes: the volumes that the slices are of.

    Raises:
        InputError: labels cannot be read, or no slice has foreground.
    """

    def __init__(self, volumes: Volumes) -> None:
        self._volumes = volumes
        self._slices = [
            (index, number)
            for index in range(len(volumes.keys))
            for number in volumes.foreground_slices(index)
        ]
        self.keys = [slice_key(volumes.keys[index], number) for index, number in self._slices]
        if not self.keys:
            raise InputError(
                "expected slices with annotated foreground, found none in "
                f"{len(volumes.keys)} volumes. Check the label map."
            )

    def __len__(self) -> int:
        return len(self.keys)

    def files(self, index: int) -> list[Path]:
        """The files of the volume that a slice is of."""
        return list(self._volumes.files(self._slices[index][0]))

    def __getitem__(self, index: int) -> Sample:
        return self._volumes.axial_slice(*self._slices[index])


@dataset("nifti", usage="nifti:IMAGES,LABELS", extra="medical")
def open_nifti(rest: str, reading: Reading) -> LabelledVolumes:
    """NIfTI volumes with annotations, in two folders or in `images` and `labels` of one.

    Specs are `nifti:IMAGES,LABELS` or `nifti:FOLDER`; with `,LIST.txt` at the end only the cases in
    that file are taken.
    """
    folders, comma, file = rest.rpartition(",")
    if not (comma and file.endswith(".txt")):
        return NiftiPairs(*two_paths(rest), reading)
    pairs = {pair.case: pair for pair in find_pairs(*two_paths(folders))}
    try:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise InputError(
            f"expected a text file with one case a line, got {file}: {error}"
        ) from error
    cases = [line.strip() for line in lines if line.strip()]
    unknown = [case for case in cases if case not in pairs]
    if unknown or not cases:
        raise InputError(f"expected cases of {folders} in {file}, got {(unknown or ['none'])[0]}.")
    return LabelledVolumes([pairs[case] for case in cases], reading)


@dataset("nifti-slices", usage="nifti-slices:IMAGES,LABELS", extra="medical")
def open_nifti_slices(rest: str, reading: Reading) -> Slices:
    """The axial slices of NIfTI volumes that have annotated foreground."""
    refuse_slice(reading)
    return Slices(open_nifti(rest, reading))


def two_paths(text: str) -> tuple[Path, Path]:
    """The paths of images and labels.

    Args:
        text: `IMAGES,LABELS`, or a `FOLDER` that holds both.

    Raises:
        InputError: the text is neither.
        MissingDataError: there is no such folder.
    """
    images, comma, labels = text.partition(",")
    if not text or (comma and not (images and labels)):
        raise InputError(f"expected nifti:IMAGES,LABELS or nifti:FOLDER, got {text!r}.")
    if not comma or Path(text).is_dir():
        return folders_of(Path(text))
    return Path(images), Path(labels)


def slice_key(case: str, number: int) -> str:
    """The key of a slice of a case.

    >>> slice_key("case0001", 12)
    'case0001/slice012'
    """
    return f"{case}/slice{number:03d}"


def slices_with_foreground(annotation: Tensor) -> list[int]:
    """Numbers of the slices of an annotation (slices, rows, columns) with a class above 0."""
    return [int(number) for number in torch.nonzero((annotation > 0).flatten(1).any(1))[:, 0]]


def axial_slice(volume: Sample, number: int, key: str) -> Sample:
    """The axial slice (C, H, W) of a volume, laid out for viewing, with its annotation and affine.

    Args:
        volume: a sample (C, I, J, K), as its `order` says.
        number: of the slice, counted from the feet, from 0.
        key: of the slice's sample.

    Raises:
        InputError: the volume has no such slice.
    """
    order: ViewingOrder = volume.order
    image = lay_out(volume.image, order)
    if not 0 <= number < image.shape[1]:
        raise InputError(
            f"expected a slice from 0 to {image.shape[1] - 1}, got {number} for {volume.key}."
        )
    known: dict[str, Any] = {
        name: lay_out(tensor, order)[..., number, :, :].contiguous()
        for name in ("annotation", "regions", "ignored")
        if (tensor := getattr(volume, name)) is not None
    }
    affine = None
    if volume.affine is not None:
        stored, shape = volume.affine.numpy(), volume.image.shape[1:]
        affine = torch.from_numpy(affine_of_slice(stored, number, order, shape))
    return Sample(key, image[:, number].contiguous(), affine=affine, **known)
