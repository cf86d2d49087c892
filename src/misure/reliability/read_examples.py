"""Reading examples: the objects of runs, and their Dices with the annotations."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from misure.datasets import Dataset, Reading, open_dataset
from misure.datasets.label_files import LabelFiles
from misure.datasets.nifti import LabelledVolumes, Slices
from misure.datasets.sample import case_of
from misure.errors import InputError, entrance
from misure.images.numbering import Numbering
from misure.reliability.annotated import LabelMap, numbering_of, object_dices
from misure.reliability.examples import Examples
from misure.reliability.scoring import check_settings, feature_settings
from misure.runs.folder import RunFolder
from misure.runs.record import ObjectRecord
from misure.runs.run import read_run


@entrance("read_examples")
def read_examples(
    runs: Sequence[str | Path],
    annotations: Sequence[str | Dataset],
    *,
    ignore: Sequence[int] | None = None,
    label_offset: int | None = None,
    label_map: LabelMap | None = None,
) -> Examples:
    """The annotated objects of some runs.

    Objects of one image or patient form one group, whichever run they are in: a corrupted image is
    not another image.

    Args:
        runs: run folders, all with the same settings.
        annotations: for each run, or one for all: spec of a data set, a data set, or a folder of
            annotations (see `LabelFiles`).
        ignore: numbers in annotations whose pixels are not judged; None: 255, in pictures that hold
            other classes; empty: none.
        label_offset: what to add to the numbers to get class indices; None: as the network of each
            run says. Pixels that it takes below 0 are not judged.
        label_map: number in the file -> class index, instead of the offset; or, if classes overlap,
            class -> its numbers, such as `WT=1+2+4,TC=1+4,ET=4`; None: no map, or the network's
            `label_regions`.

    Raises:
        RunFolderError: no run, or a damaged file in it.
        InputError: another number of annotations than runs, runs with different settings, or
            annotations that do not fit them (see `object_dices`).
    """
    check_one_or_each(runs, annotations)
    settings = feature_settings(runs[0])
    for run in runs[1:]:
        check_settings(run, settings)
    opened = OpenedAnnotations(
        {"ignore": ignore, "label_offset": label_offset, "label_map": label_map}
    )
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


def check_one_or_each(runs: Sequence[str | Path], annotations: Sequence[str | Dataset]) -> None:
    """Raises an InputError unless there is one data set for all runs, or one for each."""
    if len(annotations) not in (1, len(runs)) or not runs:
        raise InputError(
            "expected one data set of annotations for all runs or one for each, got "
            f"{len(annotations)} for {len(runs)}."
        )


class OpenedAnnotations:
    """Data sets of annotations, each opened once for all runs.

    Args:
        numbering: options of `numbering_of`.
    """

    def __init__(self, numbering: dict[str, Any]) -> None:
        self._numbering = numbering
        self._datasets: dict[tuple[str, int | None, Numbering], Dataset] = {}

    def annotations(self, run: str | Path, source: str | Dataset) -> Dataset:
        """The annotations of a run.

        Args:
            run: a run folder.
            source: spec of a data set, a data set, or a folder of annotations.

        Raises:
            InputError: a folder of annotations for a run over slices.
        """
        folder = RunFolder(run)
        slice_index = folder.settings().slice_index
        numbering = numbering_of(folder, **self._numbering)
        if isinstance(source, str) and Path(source).is_dir():
            if slice_index is not None:
                raise InputError(
                    f"expected a data set for {run}, which explained slice {slice_index} of "
                    "volumes; a folder holds annotations of whole volumes. Name "
                    "nifti:IMAGES,LABELS."
                )
            keys = [*dict.fromkeys(record.sample for record in read_run(run))]
            images = Path(folder.settings().source)
            return LabelFiles(Path(source), keys, numbering, images if images.is_dir() else None)
        if isinstance(source, LabelFiles):
            return source.with_numbering(numbering) if source.numbering is None else source
        if not isinstance(source, str):
            return self._checked(source)
        key = source, slice_index, numbering
        if key not in self._datasets:
            reading = Reading(slice_index=slice_index, numbering=numbering)
            self._datasets[key] = self._checked(open_dataset(source, reading))
        return self._datasets[key]

    def _checked(self, dataset: Dataset) -> Dataset:
        """Raises an InputError if it is said how a data set is numbered that knows it itself."""
        said = [name for name, value in self._numbering.items() if value is not None]
        class_names: Sequence[str] = getattr(dataset, "class_names", ())
        if said and (class_names or not isinstance(dataset, LabelledVolumes | Slices)):
            raise InputError(
                f"expected no {said[0]} for {type(dataset).__name__}, whose annotations know their "
                "classes. Leave it out, or name a folder of annotations."
            )
        return dataset
