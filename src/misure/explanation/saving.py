"""Results in one file: tensors beside a record as JSON text, in an `.npz` without pickle."""

from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
from torch import Tensor

from misure._util.arrays import write_arrays
from misure._util.records import Record, encode


def save_with_record(
    file: str | Path | BinaryIO, tensors: Mapping[str, Tensor], record: Record
) -> None:
    """Writes tensors, and the record as the array `record`; to a path at once or not at all.

    Args:
        file: a path, or a file open for writing.
        tensors: name -> numbers or bools of any shape, on any device.
        record: everything else.
    """
    arrays = {name: tensor.cpu().numpy() for name, tensor in tensors.items()}
    write_arrays(file, arrays | {"record": np.array(encode(record).decode())})
