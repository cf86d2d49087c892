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
from misure.runs.record import DoneObject

_NO_NAME = re.compile(r"[^\w.#=-]+")
_WRITTEN = ("target", "sufficient_region", "minimally_sufficient_region", "saliency_map")


def write_run_volumes(run: str | Path, out: Path) -> int:
    """Writes `OUT/KEY/NAME.nii.gz` for every object whose sample has an affine, and counts them.

    A slice becomes a volume with one slice, at its position in the volume that it is of.

    Args:
        run: the run folder.
        out: a folder, made if need be.

    Raises:
        RunFolderError: no run, or a map is missing.
        InputError: no sample has an affine.
    """
    folder, num_written = RunFolder(run), 0
    for record in folder.each_record():
        if not isinstance(record, DoneObject) or record.affine is None:
            continue
        try:
            arrays = read_arrays(io.BytesIO(folder.storage.read(record.map)))
            tensors = {name: torch.from_numpy(arrays[name]) for name in _WRITTEN if name in arrays}
            affine = np.array(record.affine, np.float64).reshape(4, 4)
        except (OSError, ValueError, TypeError) as error:
            raise RunFolderError(
                f"expected a map in {record.map} of {run}, and an affine, but {reason_of(error)}."
            ) from error
        subfolder = out / _file_name(record.key)
        subfolder.mkdir(parents=True, exist_ok=True)
        write_regions(tensors, affine, subfolder, f"misure: {record.class_name}")
        num_written += 1
    if not num_written:
        raise InputError(
            f"expected a run over volumes with an affine (NIfTI) or slices of them, {run} has none."
        )
    return num_written


def _file_name(key: str) -> str:
    """A name of its own for each key, the key itself if that is one."""
    name = _NO_NAME.sub("_", key)
    if name == key and name.strip("."):
        return name
    return f"{name}-{hashlib.sha256(key.encode('utf-8', 'surrogateescape')).hexdigest()[:8]}"
