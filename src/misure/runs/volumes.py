"""The maps of a run over volumes as NIfTI files, to lay over the volumes in any viewer."""

import hashlib
import io
import re
from pathlib import Path

import numpy as np
import torch

from misure._util.arrays import read_arrays
from misure.errors import InputError, RunFolderError, reason_of
from misure.images.nifti_write import write_regions
from misure.runs.folder import RunFolder

_NO_NAME = re.compile(r"[^\w.#=-]+")
_WRITTEN = ("target", "sufficient_region", "minimally_sufficient_region", "saliency_map")


def write_run_volumes(run: str | Path, out: Path) -> int:
    """Writes `OUT/KEY/NAME.nii.gz` for every item whose sample has an affine, and counts them.

    A slice becomes a volume with one slice, at its place in the volume that it is of.

    Args:
        run: the run folder.
        out: a folder, made if need be.

    Raises:
        RunFolderError: no run, or a map is missing.
        InputError: there is no volume with an affine in it.
    """
    folder, num_written = RunFolder(run), 0
    folder.settings()
    for record in folder.records():
        if record["status"] != "done" or record.get("affine") is None:
            continue
        try:
            arrays = read_arrays(io.BytesIO(folder.storage.read(record["map"])))
            tensors = {name: torch.from_numpy(arrays[name]) for name in _WRITTEN if name in arrays}
            affine = np.array(record["affine"], np.float64).reshape(4, 4)
            words, key = f"misure: {record['class_name']}", str(record["key"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise RunFolderError(
                f"export: expected a map in {record.get('map')} of {run}, and an affine, but "
                f"{reason_of(error)}."
            ) from error
        place = out / _file_name(key)
        place.mkdir(parents=True, exist_ok=True)
        write_regions(tensors, affine, place, words)
        num_written += 1
    if not num_written:
        raise InputError(
            f"export: expected a run over volumes with an affine (NIfTI) or slices of them, {run} "
            "has none."
        )
    return num_written


def _file_name(key: str) -> str:
    """A name of its own for each key, the key itself where that is one."""
    name = _NO_NAME.sub("_", key)
    if name == key and name.strip("."):
        return name
    return f"{name}-{hashlib.sha256(key.encode('utf-8', 'surrogateescape')).hexdigest()[:8]}"
