"""Run folders: the results of a run over a data set, such that nothing finished can be lost.

    run.json             settings, versions, the network's fingerprint; written once, at the start
    records-WRITER.jsonl one line for each item, appended by one writer and by no other
    maps/XX/KEY.npz      what the line's `map` names: plain arrays, no pickle
    images/XX/KEY.jpg    what the line's `thumbnail` names: the image, small

A line is written after its files are safely on disk. A line without its end, left by a crash, is
ignored. Items are named by their key; where several lines have the same key, the first that is done
counts, so nothing counts twice.

Lines are of two kinds: of *items* (`key`, `status` = `done` or `failed`, `reason`, figures), and of
*samples* (`sample`, `num_items`), written when all items of a sample have their lines.
"""

import hashlib
import json
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from misure.durable_file import durable_file, sync
from misure.errors import RunFolderError

_FORMAT = 1


class RunFolder:
    """One run on disk.

    Args:
        path: the folder; it need not exist yet.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def begin(self, settings: Mapping[str, Any]) -> None:
        """Makes the folder, or checks that it is one of a run with the same settings.

        Raises:
            RunFolderError: other settings (the message names the difference), or a folder that
                holds something else.
        """
        file = self.path / "run.json"
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            if not file.exists():
                if any(one.name.startswith("records-") for one in self.path.iterdir()):
                    raise RunFolderError(
                        f"run: expected run.json beside the records in {self.path}. Put it back, "
                        "or name another folder."
                    )
                self._write_settings(file, settings)
        except OSError as error:
            raise RunFolderError(
                f"run: expected a folder that can be written to, got {self.path}: {error}."
            ) from error
        found, wanted = self.settings(), json.loads(json.dumps(settings))
        differences = [
            f"{key}: {found.get(key)!r} there, {wanted.get(key)!r} now"
            for key in sorted({*found, *wanted})
            if found.get(key) != wanted.get(key)
        ]
        if differences:
            raise RunFolderError(
                f"run: expected the settings that {self.path} was begun with, got others: "
                f"{'; '.join(differences)}. Name another folder."
            )

    def settings(self) -> dict[str, Any]:
        """What the run was begun with.

        Raises:
            RunFolderError: no run folder, or one of another version.
        """
        try:
            found = json.loads((self.path / "run.json").read_text(encoding="utf-8"))
            version, settings = found["format"], dict(found["settings"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunFolderError(
                f"read_run: expected the folder of a run, with a run.json in it, got {self.path} "
                f"({error})."
            ) from error
        if version != _FORMAT:
            raise RunFolderError(
                f"read_run: expected a run folder of format {_FORMAT}, {self.path} is of {version}."
            )
        return settings

    def lines(self) -> Iterator[dict[str, Any]]:
        """All lines that are complete, writer by writer."""
        for file in sorted(self.path.glob("records-*.jsonl")):
            with file.open("rb") as lines:
                for line in lines:
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
            if key not in (None, sample) or line.get("num_items") == 0:
                looked_at.add(sample)
            if key is not None and of_key.get(key, {}).get("status") != "done":
                of_key[key] = line
        return [of_key[key] for key in sorted(of_key) if key not in looked_at]

    def finished_samples(self, *, retry_failed: bool = False) -> set[str]:
        """Keys of samples all of whose items have a line.

        Args:
            retry_failed: leave out samples with a failed item.
        """
        done = {line["sample"] for line in self.lines() if "num_items" in line}
        if retry_failed:
            done -= {one["sample"] for one in self.records() if one["status"] == "failed"}
        return done

    def _write_settings(self, file: Path, settings: Mapping[str, Any]) -> None:
        """Writes `run.json`, unless another process was faster."""
        text = json.dumps({"format": _FORMAT, "settings": settings}, indent=2) + "\n"
        unfinished = file.with_name(f".run.json.{secrets.token_hex(4)}")
        try:
            unfinished.write_text(text, encoding="utf-8")
            sync(unfinished)
            os.link(unfinished, file)
            sync(self.path)
        except FileExistsError:
            pass
        finally:
            unfinished.unlink(missing_ok=True)


class RunWriter:
    """One writer of a run: of all processes only this one appends to its file of records.

    Args:
        folder: a run that has begun.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._path = folder.path
        self._name = f"records-{secrets.token_hex(6)}.jsonl"

    def place(self, kind: str, key: str, suffix: str) -> tuple[Path, str]:
        """Where to put a file, and its name relative to the run folder.

        Args:
            kind: `maps` or `images`.
            key: of the item or sample; any text.
            suffix: with its dot.
        """
        digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
        relative = f"{kind}/{digest[:2]}/{digest[:32]}{suffix}"
        path = self._path / relative
        if not path.parent.exists():
            path.parent.parent.mkdir(exist_ok=True)  # not the run folder itself, if that is gone
            path.parent.mkdir(exist_ok=True)
            sync(path.parent.parent)
            sync(self._path)
        return path, relative

    def save_thumbnail(self, key: str, pixels: np.ndarray) -> str:
        """Saves (H, W) or (H, W, 3) uint8 as a JPEG, and gives its name in the run folder."""
        path, relative = self.place("images", key, ".jpg")
        with durable_file(path) as unfinished:
            Image.fromarray(pixels).save(unfinished, format="JPEG", quality=90)
        return relative

    def append(self, lines: Sequence[Mapping[str, Any]]) -> None:
        """Appends lines at the end of the file, safely on disk when this returns."""
        text = "".join(json.dumps(line, allow_nan=False) + "\n" for line in lines)
        file = self._path / self._name
        is_new = not file.exists()
        descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            view = memoryview(text.encode())
            while view:
                view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
        except OSError:
            self._name = f"records-{secrets.token_hex(6)}.jsonl"  # its last line may be torn
            raise
        finally:
            os.close(descriptor)
        if is_new:
            sync(self._path)


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except ValueError:  # torn in the middle of the file by a full disk
        return None
    return record if isinstance(record, dict) else None
