"""The regions and maps of a run over volumes as NIfTI files, to lay over them in any viewer."""

from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from misure._util.readable_names import DistinctNames, readable_name
from misure._util.tables import write_csv_file
from misure.errors import InputError, RunFolderError
from misure.explanation.explanation import BY_CHANNEL
from misure.images.nifti_write import write_regions
from misure.images.orientation import viewing_order
from misure.images.volumes import stem_of
from misure.reports.label_maps import CaseLabels, write_region_labels
from misure.runs.answers import answered_regions
from misure.runs.folder import RunFolder
from misure.runs.record import DoneObject, ExplainedObject

_WRITTEN = ("target", "sufficient_region", "minimally_sufficient_region", "saliency_map")
_COLUMNS = ("folder", "key", "sample", "class_name", "instance", "case_map", "case_label")


def write_run_volumes(run: str | Path, out: Path) -> int:
    """Writes the files of every object whose sample has an affine, and counts the objects.

    - `OBJECT/NAME.nii.gz` for each region and map, and `OBJECT/labels.nii.gz` with all regions in
      one label map (see `region_labels`). Regions by channel are (I, J, K, C).
    - `CASE_labels.nii.gz` for each sample, with all its objects (see `CaseLabels`).
    - `.ctbl` and `.txt` beside each label map, which name its numbers in 3D Slicer and ITK-SNAP.
    - `objects.csv`, which folder and which numbers each object has.

    `OBJECT` is `SAMPLE_CLASS`, and `_1` and on for the objects of a class, the largest first (see
    `readable_name`). A slice becomes a volume with one slice, at its position in its volume.

    Args:
        run: the run folder.
        out: a folder, made if need be.

    Raises:
        RunFolderError: no run, or a map is missing.
        InputError: no sample has an affine.
    """
    folder = RunFolder(run)
    by_sample: dict[str, list[DoneObject]] = {}
    for record in folder.each_record():
        if isinstance(record, DoneObject) and record.affine is not None:
            by_sample.setdefault(record.sample, []).append(record)
    if not by_sample:
        raise InputError(
            f"expected a run over volumes with an affine (NIfTI) or slices of them, {run} has none."
        )
    out.mkdir(parents=True, exist_ok=True)
    distinct, rows = DistinctNames(), list[dict[str, Any]]()
    for sample, records in by_sample.items():
        rows += _write_case(folder, sample, records, out, distinct)
    write_csv_file(out / "objects.csv", list(_COLUMNS), iter(rows))
    return len(rows)


def _write_case(
    folder: RunFolder, sample: str, records: list[DoneObject], out: Path, distinct: DistinctNames
) -> list[dict[str, Any]]:
    """Writes the files of a sample, and gives the rows of its objects."""
    case, rows = None, list[dict[str, Any]]()
    name, affine = distinct(f"{readable_name(stem_of(sample))}_labels"), _affine_of(records[0])
    for record in records:
        tensors = folder.read_map(record.map)
        own = distinct(readable_name(*_parts(record)))
        _write_object(folder, record, tensors, out / own)
        row: dict[str, Any] = {
            "folder": own,
            "key": record.key,
            "sample": sample,
            "class_name": record.class_name,
        }
        row["instance"] = record.instance
        if isinstance(record, ExplainedObject):
            case = case or CaseLabels(tensors["target"].shape)
            label = case.add(own, tensors["target"], tensors["minimally_sufficient_region"])
            row |= {"case_map": f"{name}.nii.gz", "case_label": label}
        rows.append(row)
    if case is not None:
        case.write(out / f"{name}.nii.gz", affine)
    return rows


def _write_object(
    folder: RunFolder, record: DoneObject, arrays: dict[str, Tensor], out: Path
) -> None:
    affine = _affine_of(record)
    tensors = {name: arrays[name] for name in _WRITTEN if name in arrays}
    answered = answered_regions(folder, record, arrays["target"].shape)
    tensors |= {f"{question}_region": region for question, region in answered.items()}
    for name in BY_CHANNEL:
        if name in arrays:  # a slice gets its axis here, or its rows would be one
            by_channel = arrays[name].movedim(0, -1)
            tensors[name] = by_channel if by_channel.ndim == 4 else by_channel[None]
    out.mkdir()
    write_regions(tensors, affine, out, f"misure: {record.class_name}")
    if isinstance(record, ExplainedObject):
        write_region_labels(tensors, affine, out, record.class_name)


def _affine_of(record: DoneObject) -> np.ndarray:
    affine = np.array(record.affine, np.float64)
    try:
        viewing_order(affine, record.key)
    except InputError as error:
        raise RunFolderError(str(error)) from error
    return affine


def _parts(record: DoneObject) -> list[str]:
    """What the name of an object consists of: sample, class, and which of its class."""
    parts = [stem_of(record.sample), record.class_name or str(record.class_index)]
    return parts if record.instance is None else [*parts, str(record.instance + 1)]
