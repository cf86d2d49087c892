"""Examples to learn from: the objects of runs, and how good they are by the annotations."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from misure.datasets import Dataset, Reading, open_dataset
from misure.datasets.label_files import LabelFiles
from misure.datasets.sample import case_of
from misure.errors import InputError
from misure.reliability.annotated import object_dices
from misure.reliability.examples import Examples
from misure.reliability.scoring import check_made_alike, how_made
from misure.runs.folder import RunFolder
from misure.runs.record import ObjectRecord
from misure.runs.run import read_run


def read_examples(runs: Sequence[str | Path], annotations: Sequence[str | Dataset]) -> Examples:
    """The annotated objects of some runs.

    Objects of one image, or one patient, are one group, in whichever run they are: the same image
    corrupted is no other image.

    Args:
        runs: run folders.
        annotations: of each run, or once for all: word of a data set, a data set, or a folder of
            annotations (see `LabelFiles`).

    Raises:
        InputError, RunFolderError: see `object_dices`; or another number of annotations.
    """
    if len(annotations) not in (1, len(runs)) or not runs:
        raise InputError(
            f"reliability: expected one data set of annotations for all runs or one for each, got "
            f"{len(annotations)} for {len(runs)}."
        )
    made = how_made(runs[0])
    for run in runs[1:]:
        check_made_alike(run, made)
    opened: dict[tuple[int | str, int | None], Dataset] = {}
    records: list[ObjectRecord] = []
    dices: list[float] = []
    groups: list[str] = []
    for number, run in enumerate(runs):
        given = annotations[number if len(annotations) > 1 else 0]
        name = given if isinstance(given, str) else id(given)
        of_run = read_run(run)
        slice_index = RunFolder(run).settings().slice_index
        if isinstance(given, str) and Path(given).is_dir():
            if slice_index is not None:
                raise InputError(
                    f"reliability: expected a data set for {run}, which took slice {slice_index} "
                    "of volumes; a folder has whole ones. Name nifti:IMAGES,LABELS."
                )
            samples = list(dict.fromkeys(record.sample for record in of_run))
            dataset: Dataset = LabelFiles(Path(given), samples)
        else:
            if (name, slice_index) not in opened:
                opened[name, slice_index] = _open(given, Reading(slice_index=slice_index))
            dataset = opened[name, slice_index]
        known = object_dices(run, dataset)
        for record in of_run:
            if record.key in known:
                records.append(record)
                dices.append(known[record.key])
                groups.append(case_of(record.sample))
    if not records:
        listed = ", ".join(map(str, runs))
        raise InputError(f"reliability: expected annotated objects, there is none in {listed}.")
    return Examples(records, np.array(dices, dtype=float), np.array(groups, dtype=str), made)


def _open(given: str | Dataset, reading: Reading) -> Dataset:
    return open_dataset(given, reading) if isinstance(given, str) else given
