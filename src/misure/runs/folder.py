"""Run folders: the results of a run over a data set, such that nothing finished can be lost.

    run.json             settings, versions, the network's fingerprint; written once, at the start
    records-WRITER.jsonl one line for each item, appended by one writer and by no other
    maps/XX/KEY.npz      what the line's `map` names: plain arrays, no pickle
    images/XX/KEY.jpg    what the line's `thumbnail` names: the image, small

A line is written after its files are safely on disk. A line without its end, left by a crash, is
ignored. Items are named by their key; where several lines have the same key, the first that is done
counts, so nothing counts twice.

Lines are of two kinds: of *items* (`key`, `status` = `done` or `failed`, `reason`, figures), and of
*samples* (`sample`, `num_objects`), written when all items of a sample have their lines.
"""

import hashlib
import io
import json
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from misure._util.arrays import read_arrays
from misure.errors import RunFolderError
from misure.runs.storage import open_storage

_FORMAT = 1


class RunFolder:
    """One run, on disk or on an object store.

    Args:
        address: the folder, a path or an address of fsspec; it need not exist yet.
    """

    def __init__(self, address: str | Path) -> None:
        self.address = address
        self.storage = open_storage(address)

    def begin(self, settings: Mapping[str, Any]) -> None:
        """Makes the folder, or checks that it is one of a run with the same settings.

        Raises:
            RunFolderError: other settings (the message names the difference), or a folder that
                holds something else.
        """
        text = json.dumps({"format": _FORMAT, "settings": settings}, indent=2) + "\n"
        try:
            has_records = any(True for _ in self.storage.read_all("records-*.jsonl"))
            if not has_records:
                self.storage.create("run.json", text.encode())
        except OSError as error:
            raise RunFolderError(
                f"run: expected a folder that can be written to, got {self.address}: {error}."
            ) from error
        found, wanted = self.settings(), json.loads(json.dumps(settings))
        differences = [
            f"{key}: {found.get(key)!r} there, {wanted.get(key)!r} now"
            for key in sorted({*found, *wanted})
            if found.get(key) != wanted.get(key)
        ]
        if differences:
            raise RunFolderError(
                f"run: expected the settings that {self.address} was begun with, got others: "
                f"{'; '.join(differences)}. Name another folder."
            )

    def settings(self) -> dict[str, Any]:
        """What the run was begun with.

        Raises:
            RunFolderError: no run folder, or one of another version.
        """
        try:
            found = json.loads(self.storage.read("run.json"))
            version, settings = found["format"], dict(found["settings"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunFolderError(
                f"read_run: expected the folder of a run, with a run.json in it, got "
                f"{self.address} ({error})."
            ) from error
        if version != _FORMAT:
            raise RunFolderError(
                f"read_run: expected a run folder of format {_FORMAT}, {self.address} is of "
                f"{version}."
            )
        return settings

    def lines(self, pattern: str = "records-*.jsonl") -> Iterator[dict[str, Any]]:
        """All lines that are complete, writer by writer, of files with such a name."""
        for content in self.storage.read_all(pattern):
            for line in content.splitlines(keepends=True):
                if line.endswith(b"\n") and (record := _parsed(line)) is not None:
                    yield record

    def records(self) -> list[dict[str, Any]]:
        """One line for each item, sorted by key.

        Of several with one key the first that is done counts, else the last. A sample that failed
        as a whole has a line of its own, with the sample's key, until it was looked at.
        """
        of_key: dict[str, dict[str, Any]] = {}
        looked_at: set[str] = set()
        for line in self.lines():
            key, sample = line.get("key"), line.get("sample", "")
            if key not in (None, sample) or line.get("num_objects") == 0:
                looked_at.add(sample)
            if key is not None and of_key.get(key, {}).get("status") != "done":
                of_key[key] = line
        return [of_key[key] for key in sorted(of_key) if key not in looked_at]

    def read_map(self, name: str) -> dict[str, Tensor]:
        """The regions (*spatial) bool and the saliency map of an item, by their names.

        Args:
            name: `map` of its record.

        Raises:
            RunFolderError: the file is missing or damaged, or holds no target and map.
        """
        try:
            arrays = read_arrays(io.BytesIO(self.storage.read(name)))
            found = {
                k: torch.from_numpy(one) for k, one in arrays.items() if one.dtype.kind in "bf"
            }
            missing = {"target", "saliency_map"} - set(found)
            if missing:
                raise ValueError(f"it has no {min(missing)}")
        except (OSError, ValueError) as error:
            raise RunFolderError(
                f"read_run: expected a map in {name} of {self.address}, but {error}."
            ) from error
        return found

    def finished_samples(self, *, retry_failed: bool = False) -> set[str]:
        """Keys of samples all of whose items have a line.

        Args:
            retry_failed: leave out samples with a failed item.
        """
        done = {line["sample"] for line in self.lines() if "num_objects" in line}
        if retry_failed:
            done -= {one["sample"] for one in self.records() if one["status"] == "failed"}
        return done


class RunWriter:
    """One writer of a run: of all processes only this one appends to its file of records.

    Args:
        folder: a run that has begun.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._storage = folder.storage
        self._name = f"records-{secrets.token_hex(6)}.jsonl"

    def save(self, kind: str, key: str, suffix: str, write: Callable[[BinaryIO], None]) -> str:
        """Saves a file of an item or sample, and gives its name in the run folder.

        Args:
            kind: `maps` or `images`.
            key: of the item or sample; any text.
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

    def append(self, lines: Sequence[Mapping[str, Any]]) -> None:
        """Appends lines at the end of the file, safely on disk when this returns."""
        text = "".join(json.dumps(line, allow_nan=False) + "\n" for line in lines)
        try:
            self._storage.append(self._name, text.encode())
        except OSError:
            self._name = f"records-{secrets.token_hex(6)}.jsonl"  # its last line may be torn
            raise


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except ValueError:  # torn in the middle of the file by a full disk
        return None
    return record if isinstance(record, dict) else None
