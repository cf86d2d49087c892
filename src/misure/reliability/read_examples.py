"""Reading examples: the objects of runs, and their Dices with the annotations."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from misure.datasets import Dataset, Reading, open_dataset
from misure.datasets.label_files import LabelFiles
from misure.datasets.sample import case_of
from misure.errors import InputError, entrance
from misure.reliability.annotated import object_dices
from misure.reliability.examples import Examples
from misure.reliability.scoring import check_settings, feature_settings
from misure.runs.folder import RunFolder
from misure.runs.record import ObjectRecord
from misure.runs.run import read_run


@entrance("read_examples")
def read_examples(runs: Sequence[str | Path], annotations: Sequence[str | Dataset]) -> Examples:
    """The annotated objects of some runs.

    Objects of one image or patient form one group, whichever run they are in: a corrupted image is
    not another image.

    Args:
        runs: run folders, all with the same settings.
        annotations: for each run, or one for all: spec of a data set, a data set, or a folder of
            annotations (see `LabelFiles`).

    Raises:
        RunFolderError: no run, or a damaged file in it.
        InputError: another number of annotations than runs, runs with different settings, or
            annotations that do not fit them (see `object_dices`).
    """
    if len(annotations) not in (1, len(runs)) or not runs:
        raise InputError(
            "expected one data set of annotations for all runs or one for each, got "
            f"{len(annotations)} for {len(runs)}."
        )
    settings = feature_settings(runs[0])
    for run in runs[1:]:
        check_settings(run, settings)
    opened = _Opened()
    records: list[ObjectRecord] = []
    dices: list[float] = []
    for number, run in enumerate(runs):
        dataset = opened.annotations(run, annotations[number if len(annotations) > 1 else 0])
        dice_of = object_dices(run, dataset)
        for record in read_run(run):
            if record.key in dice_of:
                records.append(record)
                dices.append(dice_of[record.key])
    if not records:
        listed = ", ".join(map(str, runs))
        raise InputError(f"expected annotated objects, there is none in {listed}.")
    return Examples(
        records=records,
        dices=np.array(dices, dtype=float),
        groups=np.array([case_of(record.sample) for record in records], dtype=str),
        settings=settings,
    )


class _Opened:
    """Data sets of annotations, each opened once for all runs."""

    def __init__(self) -> None:
        self._datasets: dict[tuple[str, int | None], Dataset] = {}

    def annotations(self, run: str | Path, source: str | Dataset) -> Dataset:
        """The annotations of a run.

        Args:
            run: a run folder.
            source: spec of a data set, a data set, or a folder of annotations.

        Raises:
            InputError: a folder of annotations for a run over slices.
        """
        slice_index = RunFolder(run).settings().slice_index
        if isinstance(source, str) and Path(source).is_dir():
            if slice_index is not None:
                raise InputError(
                    f"expected a data set for {run}, which explained slice {slice_index} of "
                    "volumes; a folder holds annotations of whole volumes. Name "
                    "nifti:IMAGES,LABELS."
                )
            return LabelFiles(
                Path(source), [*dict.fromkeys(record.sample for record in read_run(run))]
            )
        if not isinstance(source, str):
            return source
        key = source, slice_index
        if key not in self._datasets:
            self._datasets[key] = open_dataset(source, Reading(slice_index=slice_index))
        return self._datasets[key]
