"""Run folders: the results of a run over a data set, such that nothing finished can be lost.

    run.json             settings, versions, the network's fingerprint; written once, at the start
    records-WRITER.jsonl one line for each object, appended by one writer and by no other
    calls-PROCESS.jsonl  when a call of `run` began and ended, and what it was to do
    maps/XX/KEY.npz      what the line's `map` names: plain arrays, no pickle
    images/XX/KEY.jpg    what the line's `thumbnail` names: the image, small

See `misure.runs.record` for the fields. A line is written after its files are safely on disk. A
line without its end, left by a crash, is ignored. Objects are named by their key; if several lines
have the same key, the first that is done counts, so nothing counts twice.
"""

import hashlib
import io
import json
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from misure._util.arrays import read_arrays
from misure._util.folders import refuse_foreign_folder
from misure._util.records import Record, decode, encode, plain, settings_difference
from misure.errors import InputError, RunFolderError, reason_of
from misure.images.maps import has_numbers
from misure.runs.record import (
    FORMAT,
    DoneObject,
    ExplainedObject,
    FailedObject,
    ObjectRecord,
    RunFile,
    RunHeader,
    RunSettings,
)
from misure.runs.record_index import RECORDS, RecordIndex, lines_of_all, read_line, what_of
from misure.runs.storage import local_path, open_storage

_IN_MAP = {
    *("target", "ignored", "sufficient_region", "minimally_sufficient_region"),
    "saliency_map",
}


class RunFolder:
    """One run, on disk or on an object store.

    Args:
        address: the folder, a path or an address of fsspec; it need not exist yet.
    """

    def __init__(self, address: str | Path) -> None:
        self.address = address
        self.storage = open_storage(address)

    def begin(self, settings: RunSettings) -> None:
        """Makes the folder, or checks that it is one of a run with the same settings.

        Raises:
            RunFolderError: other settings (the message names the difference).
            InputError: a folder that holds something else.
        """
        self._refuse_foreign()
        begun = datetime.now(UTC).isoformat(timespec="seconds")
        file = RunFile(format=FORMAT, settings=settings, begun=begun)
        text = json.dumps(plain(file), indent=2, allow_nan=False) + "\n"
        try:
            if not self.storage.has_any(RECORDS):
                self.storage.create("run.json", text.encode())
        except OSError as error:
            raise RunFolderError(
                f"expected a folder that can be written to, got {self.address}: {error}."
            ) from error
        self._refuse_others(settings)

    def has_begun(self, settings: RunSettings) -> bool:
        """Whether there is a run with these settings; nothing is written.

        Raises:
            RunFolderError, InputError: as `begin`.
        """
        self._refuse_foreign()
        if not self.storage.has_any("run.json"):
            return False
        self._refuse_others(settings)
        return True

    def _refuse_foreign(self) -> None:
        if self.storage.is_local:
            refuse_foreign_folder(
                local_path(self.address), ("run.json", RECORDS), cure="Name another folder."
            )

    def _refuse_others(self, settings: RunSettings) -> None:
        if difference := settings_difference(self.settings(), settings):
            raise RunFolderError(
                f"expected the settings that {self.address} was begun with, got others: "
                f"{difference}. Name another folder."
            )

    def settings(self) -> RunSettings:
        """What the run was begun with. Raises errors as `file`."""
        return self.file().settings

    def file(self) -> RunFile:
        """What the run was begun with, and when.

        Raises:
            RunFolderError: no run folder, or one that another version of misure wrote.
        """
        try:
            text = self.storage.read("run.json")
        except FileNotFoundError as error:
            raise RunFolderError(
                f"expected the folder of a run, with a run.json in it, there is none in "
                f"{self.address}. Name the --out folder of misure run."
            ) from error
        except OSError as error:
            raise RunFolderError(
                f"expected the folder of a run, with a run.json in it, got {self.address} "
                f"({error})."
            ) from error
        what = f"the settings of a run in {self.address}/run.json"
        try:
            header = decode(text, RunHeader, what)
            if header.format == FORMAT:
                return decode(text, RunFile, what)
        except InputError as error:
            raise RunFolderError(str(error)) from error
        version = header.settings.get("misure_version", "another version")
        raise RunFolderError(
            f"expected a run folder of format {FORMAT}, but {self.address} was written by misure "
            f"{version} (format {header.format}). Make the run again."
        )

    def lines(self, pattern: str, kind: Any) -> Iterator[Any]:
        """All complete lines of the files with such a name, writer by writer.

        Args:
            pattern: names of files in the folder, as `metrics-*.jsonl`.
            kind: definition of a line, as for msgspec.

        Raises:
            RunFolderError: a field of a line is missing, unknown or of another type.
        """
        lines = lines_of_all(self.storage, self.address, pattern, kind)
        return (line for *_, line in lines)

    def index(self) -> RecordIndex:
        """The order of the records, to go through them more than once; to be closed after use."""
        return RecordIndex(self.storage, self.address)

    def each_record(self, index: RecordIndex | None = None) -> Iterator[ObjectRecord]:
        """One record for each object, sorted by key, read one by one.

        If several have one key, the first that is done counts, else the last. A sample that failed
        as a whole has a record of its own, with the sample's key, until its objects have theirs.

        Args:
            index: from `index`; None: one is made.

        Raises:
            RunFolderError: no run, or a line that cannot be used.
        """
        done = ExplainedObject if self.settings().finds_regions else DoneObject
        decoder = msgspec.json.Decoder(done | FailedObject)
        with nullcontext(index) if index else self.index() as opened:
            for name, line in opened.lines():
                what = what_of(self.address, name)
                record = read_line(line, decoder, done | FailedObject, what)
                if record is None:
                    raise RunFolderError(f"expected {what}, got a number that is too large.")
                yield record

    def records(self) -> list[ObjectRecord]:
        """The records of `each_record`, all at once."""
        return list(self.each_record())

    def read_map(self, name: str) -> dict[str, Tensor]:
        """The regions (*spatial) bool and the saliency map of an object, by their names.

        Args:
            name: `map` of its record.

        Raises:
            RunFolderError: the file is missing or damaged, or holds no target and map, or arrays
                of other shapes or types.
        """
        try:
            arrays = read_arrays(io.BytesIO(self.storage.read(name)))
            tensors = {
                array: torch.from_numpy(values)
                for array, values in arrays.items()
                if values.dtype.kind in "bf"
            }
            _check_map(tensors)
        except (OSError, ValueError) as error:
            raise RunFolderError(
                f"expected a map in {name} of {self.address}, but {error}."
            ) from error
        return tensors

    def read_region(self, name: str, array: str, shape: Sequence[int]) -> Tensor:
        """One array of regions from a file that a record names.

        Args:
            name: `map` of a group of its record.
            array: `region` (*spatial) of a hidden region, or `regions` (n, *spatial) of reasons.
            shape: (*spatial) that it must have.

        Raises:
            RunFolderError: the file is missing or damaged, or holds no such array.
        """
        try:
            values = read_arrays(io.BytesIO(self.storage.read(name)))[array]
            if values.dtype != bool or values.shape[-len(shape) :] != tuple(shape):
                raise ValueError(f"its {array} is {values.dtype} {values.shape}")
        except (OSError, ValueError, KeyError) as error:
            raise RunFolderError(
                f"expected {array} in {name} of {self.address}, but {reason_of(error)}."
            ) from error
        return torch.from_numpy(values)


def _check_map(tensors: Mapping[str, Tensor]) -> None:
    """Raises a ValueError unless regions and map are those of one image or volume."""
    if missing := {"target", "saliency_map"} - set(tensors):
        raise ValueError(f"it has no {min(missing)}")
    shape = tensors["target"].shape
    if len(shape) not in (2, 3) or 0 in shape:
        raise ValueError(f"its target is {tuple(shape)}")
    for name in _IN_MAP & set(tensors):
        tensor = tensors[name]
        if tensor.shape != shape:
            raise ValueError("its regions and its map differ in their sides")
        if tensor.is_floating_point() != (name == "saliency_map"):
            raise ValueError(f"its {name} is {tensor.dtype}")
    if not has_numbers(tensors["saliency_map"]):
        raise ValueError("its saliency map is not finite")


class RunWriter:
    """One writer of a run: of all processes only this one appends to its file of records.

    Args:
        folder: a run that has begun.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._storage = folder.storage
        self._name = f"records-{secrets.token_hex(6)}.jsonl"

    def save(self, kind: str, key: str, suffix: str, write: Callable[[BinaryIO], None]) -> str:
        """Saves a file of an object or sample, and gives its name in the run folder.

        Args:
            kind: `maps` or `images`.
            key: of the object or sample; any text.
            suffix: with its dot.
            write: writes the content.
        """
        digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
        name = f"{kind}/{digest[:2]}/{digest[:32]}{suffix}"
        buffer = io.BytesIO()
        write(buffer)
        self._storage.write(name, buffer.getvalue())
        return name

    def save_thumbnail(self, key: str, pixels: np.ndarray) -> str:
        """Saves (H, W) or (H, W, 3) uint8 as a JPEG, and gives its name in the run folder."""
        picture = Image.fromarray(pixels)
        return self.save(
            "images", key, ".jpg", lambda file: picture.save(file, format="JPEG", quality=90)
        )

    def append(self, lines: Sequence[Record]) -> None:
        """Appends lines at the end of the file, safely on disk when this returns."""
        content = b"".join(encode(line) + b"\n" for line in lines)
        try:
            self._storage.append(self._name, content)
        except OSError:
            self._name = f"records-{secrets.token_hex(6)}.jsonl"  # its last line may be torn
            raise
