"""Files of a folder that are channels of one image, by their names.

- nnU-Net's `imagesTs`: `CASE_0000.nii.gz`, `CASE_0001.nii.gz` ... in this order.
- BraTS: `CASE-t1n.nii.gz`, `CASE-t1c.nii.gz` ... (`CASE_t1.nii.gz`, `CASE_t1ce.nii.gz` before), in
  the order of the names of the channels, which the network or the user gives; it is never guessed.

A case that lacks a channel is refused. What may be one or the other is read as the network's
number of channels tells.
"""

import warnings
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from misure._util.words import counted
from misure.datasets.sample import AS_IT_IS, Reading
from misure.errors import InputError, MisureWarning
from misure.images.channel_names import canonical, labelled_case, named_channel
from misure.images.volumes import VOLUME_SUFFIXES

_MOST = 16
"""Channels up to which numbered files without `num_channels` are taken for those of one image."""

_OF_PICTURES = (None, 1, 3)  # numbers of channels that one picture can have

Cases = dict[tuple[Path, str], dict[str, Path]]
"""(folder, case) -> channel -> file."""


@dataclass(frozen=True)
class NamedImage:
    """An image of a folder.

    Attributes:
        files: its file, or those of its channels in order.
        case: its name if it is one of several channels, or may be; empty for a plain file.
    """

    files: tuple[Path, ...]
    case: str = ""


def group_channels(paths: Sequence[Path], reading: Reading = AS_IT_IS) -> list[NamedImage]:
    """The images that files are: those named as channels together, by case, then all others.

    Args:
        paths: the files.
        reading: tells the number of channels and their names, if they are known.

    Raises:
        InputError: a case lacks a channel or has one twice, or the order is not known.
    """
    images, known = list[NamedImage](), set[Path]()
    for numbers, images_of in ((True, _by_number), (False, _by_sequence)):
        cases = _cases(paths, reading, numbers=numbers)
        found = images_of(cases, reading)
        images += found
        if found:  # also those of channels that are not wanted
            known |= {path for by_channel in cases.values() for path in by_channel.values()}
    if not images:
        return [NamedImage((path,)) for path in paths]
    names = {image.case for image in images}
    others = [path for path in paths if path not in known]
    labels = [path for path in others if labelled_case(path) in names]
    left = [path for path in others if labelled_case(path) not in names]
    _tell_mixture(left, labels, len(images))
    cases_first = sorted(_with_folders(images), key=lambda image: image.case)
    return cases_first + [NamedImage((path,)) for path in left]


def ordered_channels(case: str, path_of: Mapping[str, Path]) -> tuple[Path, ...]:
    """The files of a case by number, in order; empty if it has none.

    Args:
        case: its name.
        path_of: `0000` -> file.

    Raises:
        InputError: a number is missing.
    """
    wanted = [f"{number:04d}" for number in range(len(path_of))]
    if sorted(path_of) != wanted:
        raise InputError(
            f"expected the channels {case}_0000, {case}_0001 and so on, got "
            f"{', '.join(path.name for _, path in sorted(path_of.items()))}. Add the missing one."
        )
    return tuple(path_of[number] for number in wanted)


def _cases(paths: Sequence[Path], reading: Reading, *, numbers: bool) -> Cases:
    cases: Cases = defaultdict(dict)
    for path in paths:
        may_be = path.name.lower().endswith(VOLUME_SUFFIXES)
        if not may_be and reading.num_channels in _OF_PICTURES:
            continue
        named = named_channel(path)
        if named is None or named.is_numbered != numbers:
            continue
        other = cases[path.parent, named.case].setdefault(named.channel, path)
        if other != path:
            raise InputError(
                f"expected one file of each channel, got {other} and {path}, which are the same "
                f"channel of {named.case}. Remove one."
            )
    return dict(cases)


def _by_number(cases: Cases, reading: Reading) -> list[NamedImage]:
    chosen = [name for name in map(canonical, reading.channels) if name.isdecimal()]
    if chosen and len(chosen) == len(reading.channels):
        return _chosen(cases, chosen, reading)
    sizes = Counter(len(by_channel) for by_channel in cases.values())
    num_channels = reading.num_channels
    if not any("0000" in by_channel for by_channel in cases.values()):
        return []
    if num_channels == 1 and max(sizes) > 1:
        _tell_apart(next(iter(cases)), "number")
        return []
    num_wanted = num_channels or max(sizes, key=lambda size: (sizes[size], size))
    are_whole_images = set(sizes) == {1}  # of all channels, or of the only one
    if max(sizes) > max(_MOST, num_wanted) or (num_wanted > _MOST and num_channels is None):
        return []  # numbers of images
    images = []
    for (_, case), by_channel in cases.items():
        files = ordered_channels(case, by_channel)
        if len(files) != num_wanted and not are_whole_images:
            raise InputError(
                f"expected "
                f"{counted(num_wanted, 'channel')} of each case, got {len(files)} of {case} "
                f"({', '.join(path.name for path in files)}). Add or remove files, choose channels "
                "with --image-option channels=0,1, or name the images in a text file."
            )
        images.append(NamedImage(files, case))
    return images


def _by_sequence(cases: Cases, reading: Reading) -> list[NamedImage]:
    wanted = [canonical(name) for name in reading.channels]
    found = {name for by_channel in cases.values() for name in by_channel}
    if wanted and set(wanted) & found:
        return _chosen(cases, wanted, reading)
    if max(map(len, cases.values()), default=0) < 2:
        return []
    if reading.num_channels == 1:
        _tell_apart(next(iter(cases)), "sequence")
        return []
    names = ",".join(sorted(found))
    known = f", whose channels are called {', '.join(reading.channels)}" if wanted else ""
    raise InputError(
        f"expected the order in which the network takes the sequences {names}{known}, got none. "
        f"Say it: --image-option channels={names}, in the right order."
    )


def _chosen(cases: Cases, wanted: Sequence[str], reading: Reading) -> list[NamedImage]:
    images = []
    for (_, case), by_channel in cases.items():
        missing = [name for name in wanted if name not in by_channel]
        if missing:
            raise InputError(
                f"expected the channels {', '.join(reading.channels)} of each case, found no "
                f"{', '.join(missing)} of {case} ("
                f"{', '.join(path.name for path in by_channel.values())}). Add the file, or remove "
                "the case."
            )
        images.append(NamedImage(tuple(by_channel[name] for name in wanted), case))
    return images


def _with_folders(images: Sequence[NamedImage]) -> list[NamedImage]:
    """The same, cases of one name in several folders with the name of their folder."""
    times = Counter(image.case for image in images)
    return [
        NamedImage(image.files, f"{image.files[0].parent.name}/{image.case}")
        if times[image.case] > 1
        else image
        for image in images
    ]


def _tell_apart(case: tuple[Path, str], what: str) -> None:
    warnings.warn(
        f"{case[0]} holds several files of {case[1]}, each with its {what}; the network takes one "
        "channel, so each file is an image of its own. Choose one kind with --image-option "
        "channels=NAME if that is not meant.",
        MisureWarning,
        stacklevel=5,
    )


def _tell_mixture(left: Sequence[Path], labels: Sequence[Path], num_cases: int) -> None:
    said = []
    if left:
        said.append(
            f"{counted(len(left), 'file')} named otherwise and taken as images ({left[0].name})"
        )
    if labels:
        hold = "holds labels and is" if len(labels) == 1 else "hold labels and are"
        said.append(f"{counted(len(labels), 'file')} that {hold} left out ({labels[0].name})")
    if said:
        warnings.warn(
            f"beside {counted(num_cases, 'case')} with files for each channel, "
            f"{' and '.join(said)}.",
            MisureWarning,
            stacklevel=5,
        )
