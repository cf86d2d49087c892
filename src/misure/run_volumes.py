"""The maps of a run over volumes as NIfTI files, to lay over the volumes in any viewer."""

import io
import re
from pathlib import Path

import numpy as np
import torch

from misure.arrays import read_arrays
from misure.errors import InputError
from misure.run_folder import RunFolder
from misure.volume_file import write_regions

_NO_NAME = re.compile(r"[^\w.#=-]+")


def write_run_volumes(run: str | Path, out: Path) -> int:
    """Writes `OUT/KEY/NAME.nii.gz` for every item whose sample has an affine, and counts them.

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
        arrays = read_arrays(io.BytesIO(folder.storage.read(record["map"])))
        tensors = {
            name: torch.from_numpy(one)
            for name, one in arrays.items()
            if one.ndim == 3 and name != "ignored"
        }
        place = out / _NO_NAME.sub("_", record["key"])
        place.mkdir(parents=True, exist_ok=True)
        write_regions(tensors, np.array(record["affine"]), place, f"misure: {record['class_name']}")
        num_written += 1
    if not num_written:
        raise InputError(
            f"export: expected a run over volumes with an affine (NIfTI), {run} has none."
        )
    return num_written
