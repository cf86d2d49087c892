"""The maps of a run over volumes as NIfTI files, to lay over the volumes in any viewer."""

import hashlib
import re
from pathlib import Path

import numpy as np

from misure.errors import InputError, RunFolderError
from misure.explanation.explanation import BY_CHANNEL
from misure.images.nifti_write import write_regions
from misure.images.orientation import viewing_order
from misure.runs.answers import answered_regions
from misure.runs.folder import RunFolder
from misure.runs.record import DoneObject

_NO_NAME = re.compile(r"[^\w.#=-]+")
_WRITTEN = ("target", "sufficient_region", "minimally_sufficient_region", "saliency_map")


def write_run_volumes(run: str | Path, out: Path) -> int:
    """Writes `OUT/KEY/NAME.nii.gz` for every object whose sample has an affine, and counts them.

    Regions by channel are (I, J, K, C). A slice becomes a volume with one slice, at its position in
    the volume that it is of.

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
            affine = np.array(record.affine, np.float64)
            viewing_order(affine, run)
        except InputError as error:
            raise RunFolderError(str(error)) from error
        arrays = folder.read_map(record.map)
        tensors = {name: arrays[name] for name in _WRITTEN if name in arrays}
        answered = answered_regions(folder, record, arrays["target"].shape)
        tensors |= {f"{question}_region": region for question, region in answered.items()}
        for name in BY_CHANNEL:
            if name in arrays:  # a slice gets its axis here, or its rows would be one
                by_channel = arrays[name].movedim(0, -1)
                tensors[name] = by_channel if by_channel.ndim == 4 else by_channel[None]
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
