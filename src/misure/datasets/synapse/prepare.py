"""From the raw Synapse files to the prepared folder that `misure.datasets.synapse` reads.

Each volume is laid out for viewing whatever its storage order (slices feet to head, front of the
body up, its right side on the left), clipped to [-125, 275] HU, scaled to [0, 1], and its labels
are mapped to the eight organs. Nothing is resampled. Beside the files

    train_npz/, test_vol_h5/         see `misure.datasets.synapse`
    lists/train.txt, test_vol.txt    their names, one a line
    prepare.json                     settings, and each case's split, shape, voxel size and affine

A case is entered in `prepare.json` when its files are complete, and then never done again.
"""

import glob
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from misure._util.arrays import write_arrays
from misure._util.files import durable_file, write_text
from misure._util.optional import require
from misure._util.records import convert, plain, settings_difference
from misure._version import __version__
from misure.datasets.nifti import LabelledVolumes, two_paths
from misure.datasets.pairing import Pair
from misure.datasets.sample import Reading, Sample
from misure.datasets.synapse.dataset import TEST_FOLDER, TRAIN_FOLDER
from misure.datasets.synapse.files import AXES_NOTE
from misure.datasets.synapse.labels import CLASS_NAMES, TEST_CASES, TRAIN_CASES, WINDOW, label_map
from misure.datasets.synapse.raw import (
    PHANTOM_NOTE,
    case_name,
    find_cases,
    is_phantom,
    is_phantom_file,
)
from misure.datasets.synapse.record import (
    RECORD_NAME,
    PreparedCase,
    PrepareRecord,
    PrepareSettings,
    read_record,
)
from misure.errors import InputError

Split = Literal["train", "test"]

_PUBLISHED: dict[str, Split] = {
    **dict.fromkeys((f"case{number}" for number in TRAIN_CASES), "train"),
    **dict.fromkeys((f"case{number}" for number in TEST_CASES), "test"),
}


@dataclass(frozen=True, kw_only=True)
class PreparedFolder:
    """What a prepared folder holds, and what was done now.

    Attributes:
        cases: case -> its entry in `prepare.json`.
        num_kept: cases that were complete already.
        replaced: cases made again, because their raw files have changed.
        unknown: cases that the published split does not know; they are test cases.
        is_phantom: whether the bodies are phantoms.
    """

    cases: dict[str, PreparedCase]
    num_kept: int
    replaced: list[str]
    unknown: list[str]
    is_phantom: bool


def prepare_synapse(
    source: str | Path,
    out: Path,
    *,
    labels: str = "btcv",
    test: Sequence[str] | None = None,
    on_case: Callable[[str], None] = lambda _: None,
) -> PreparedFolder:
    """Prepares all cases of a folder, and returns what it holds then.

    Cases that are complete already, made of the same raw files, are left alone.

    Args:
        source: where the raw files are (see `find_cases`).
        out: the folder to fill, made if need be.
        labels: the label map of the raw files (see `label_map`).
        test: cases for testing, such as `0001`, all others being for training; None: the published
            split, in which unknown cases are for testing.
        on_case: called with the name of each case once its files are read, before it is written.

    Raises:
        InputError: files that cannot be used; a folder prepared with other settings, or one that
            misure did not prepare.
        MissingDataError: there are no raw files.
    """
    numbers, pairs = label_map(labels), find_cases(source)
    chosen = None if test is None else sorted(map(case_name, test))
    unknown_test = set(chosen or ()) - {pair.case for pair in pairs}
    if unknown_test:
        raise InputError(
            f"expected test cases among those in {source}, got {', '.join(sorted(unknown_test))}."
        )
    phantom = _is_phantom_source(source) or any(is_phantom_file(pair.channels[0]) for pair in pairs)
    settings = PrepareSettings(
        labels={str(number): numbers[number] for number in sorted(numbers)},
        intensity=WINDOW,
        test=chosen or "published",
        phantom=phantom,
    )
    cases = _prepared_cases(out, settings)
    volumes = LabelledVolumes(
        pairs, Reading(1, None, WINDOW), label_map=numbers, class_names=CLASS_NAMES, upright=True
    )
    num_kept, replaced = 0, []
    for index, pair in enumerate(pairs):
        split = _split(pair.case, chosen)
        files = {path.name: _digest(path) for path in (*pair.channels, pair.labels)}
        if _is_complete(out, pair.case, cases.get(pair.case), files):
            num_kept += 1
            continue
        sample = volumes[index]
        on_case(pair.case)
        before = cases.pop(pair.case, None)  # until its files are complete again
        if before and before.files != files:
            replaced.append(pair.case)
        _make_folders(out, phantom)
        _write_record(out, settings, cases)  # so that a call after an interrupt knows the folder
        _remove(out, pair.case)
        _write_case(out, sample, split)
        cases[pair.case] = _entry(sample, split, pair, files)
        _write_record(out, settings, cases)
    _make_folders(out, phantom)
    _write_record(out, settings, cases)
    unknown = [pair.case for pair in pairs if chosen is None and pair.case not in _PUBLISHED]
    return PreparedFolder(
        cases=cases, num_kept=num_kept, replaced=replaced, unknown=unknown, is_phantom=phantom
    )


def _make_folders(out: Path, phantom: bool) -> None:
    for folder in (TEST_FOLDER, TRAIN_FOLDER, "lists"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    if phantom:
        write_text(out / PHANTOM_NOTE, "The bodies in this folder are phantoms, no patients.\n")


def names_of(case: str, entry: PreparedCase) -> list[str]:
    """The names of the files of a case, without their endings."""
    if entry.split == "test":
        return [case]
    return [f"{case}_slice{number:03d}" for number in range(entry.shape[0])]


def _split(case: str, test: Sequence[str] | None) -> Split:
    if test is None:
        return _PUBLISHED.get(case, "test")
    return "test" if case in test else "train"


def _is_phantom_source(source: str | Path) -> bool:
    paths = {Path(source).absolute(), *(path.absolute() for path in two_paths(str(source)))}
    return any(is_phantom(folder) for path in paths for folder in (path, *path.parents))


def _prepared_cases(out: Path, settings: PrepareSettings) -> dict[str, PreparedCase]:
    """The cases of a folder that an earlier call began; none if it is empty or new.

    Raises:
        InputError: the folder was prepared with other settings, or not by misure.
    """
    if not (out / RECORD_NAME).exists():
        folders = (out / TEST_FOLDER, out / TRAIN_FOLDER)
        if foreign := next((path for folder in folders for path in folder.glob("*")), None):
            raise InputError(
                f"expected an empty folder, or one that misure prepared, got {out} with "
                f"{foreign.name}, which misure did not write. Name another folder."
            )
        return {}
    record = read_record(out)
    if difference := settings_difference(record.settings, settings):
        raise InputError(
            f"expected the settings that {out} was prepared with, got others: {difference}. Name "
            "another folder."
        )
    return dict(record.cases)


def _is_complete(out: Path, case: str, entry: PreparedCase | None, files: dict[str, str]) -> bool:
    if entry is None or entry.files != files:
        return False
    return all(_path(out, entry.split, name).exists() for name in names_of(case, entry))


def _path(out: Path, split: str, name: str) -> Path:
    if split == "test":
        return out / TEST_FOLDER / f"{name}.npy.h5"
    return out / TRAIN_FOLDER / f"{name}.npz"


def _remove(out: Path, case: str) -> None:
    """Removes the files of a case as it was before; it may have had more slices."""
    _path(out, "test", case).unlink(missing_ok=True)
    for path in (out / TRAIN_FOLDER).glob(f"{glob.escape(case)}_slice*.npz"):
        path.unlink()


def _write_case(out: Path, sample: Sample, split: str) -> None:
    if sample.annotation is None:
        raise InputError(f"expected labels for {sample.key}, got none.")
    image, label = sample.image[0].numpy(), sample.annotation.numpy().astype(np.uint8)
    if split == "test":
        _write_volume(_path(out, split, sample.key), image, label)
        return
    for number, (plane, labels) in enumerate(zip(image, label, strict=True)):
        name = f"{sample.key}_slice{number:03d}"
        write_arrays(_path(out, split, name), {"image": plane, "label": labels})


def _write_volume(path: Path, image: np.ndarray, label: np.ndarray) -> None:
    h5py = require("h5py", extra="medical", purpose="write prepared Synapse volumes")
    chunks = (1, *image.shape[1:])  # so that a slice is read alone
    with durable_file(path) as unfinished, h5py.File(unfinished, "w") as file:
        for name, array in (("image", image), ("label", label)):
            dataset = file.create_dataset(name, data=array, chunks=chunks, compression="gzip")
            dataset.attrs["axes"] = AXES_NOTE


def _entry(sample: Sample, split: Split, pair: Pair, files: dict[str, str]) -> PreparedCase:
    if sample.affine is None or sample.annotation is None:
        raise InputError(f"expected a volume of {pair.case}, got a slice.")
    present = np.unique(sample.annotation.numpy())
    values = {
        "split": split,
        "shape": list(sample.annotation.shape),
        "voxel_size_mm": np.linalg.norm(sample.affine.numpy()[:3, :3], axis=0).tolist(),
        "affine": sample.affine.tolist(),
        "organs": [CLASS_NAMES[index] for index in present if index],
        "files": files,
    }
    return convert(values, PreparedCase, f"an entry of {pair.case}")


def _write_record(out: Path, settings: PrepareSettings, cases: dict[str, PreparedCase]) -> None:
    cases = {case: cases[case] for case in sorted(cases)}
    for split, name in (("train", "train.txt"), ("test", "test_vol.txt")):
        chosen = {case: entry for case, entry in cases.items() if entry.split == split}
        lines = [line for case, entry in chosen.items() for line in names_of(case, entry)]
        write_text(out / "lists" / name, "".join(f"{line}\n" for line in lines))
    record = PrepareRecord(
        misure_version=__version__,
        class_names=list(CLASS_NAMES),
        settings=settings,
        cases=cases,
    )
    write_text(out / RECORD_NAME, json.dumps(plain(record), indent=2) + "\n")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
