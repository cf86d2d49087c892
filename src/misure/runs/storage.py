"""Where a run folder lies: on a disk that this machine sees, or at an address of fsspec (`s3://…`).

Files are named relative to the folder, with slashes. What was written is safely there when a
function returns, and no reader ever sees half of a file.
"""

import fnmatch
import os
import secrets
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from misure._util.files import durable_file, sync
from misure._util.optional import require
from misure.errors import RunFolderError


class Storage(Protocol):
    """A folder, wherever it is."""

    def read(self, name: str) -> bytes:
        """A whole file. Raises an OSError if there is none."""

    def read_all(self, pattern: str) -> Iterator[tuple[str, bytes]]:
        """Name and content of the files in the folder itself (not below) that match a pattern."""

    def create(self, name: str, content: bytes) -> None:
        """Writes a file, unless there is one of that name already."""

    def write(self, name: str, content: bytes) -> None:
        """Writes or replaces a file."""

    def append(self, name: str, content: bytes) -> None:
        """Adds to the end of a file that has no other writer."""


def open_storage(address: str | Path) -> Storage:
    """The storage at an address: a path, or one with `://` in it, which is fsspec's."""
    return FsspecStorage(str(address)) if is_remote(address) else LocalStorage(Path(address))


def is_remote(address: str | Path) -> bool:
    """Whether an address is one of fsspec and not a path."""
    return isinstance(address, str) and "://" in address


class LocalStorage:
    """A folder on a disk, made with the first file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, name: str) -> bytes:
        path = (self._path / _checked(name)).resolve()
        if not path.is_relative_to(self._path.resolve()):
            raise _outside(name)
        return path.read_bytes()

    def read_all(self, pattern: str) -> Iterator[tuple[str, bytes]]:
        for path in sorted(self._path.glob(pattern)):
            yield path.name, path.read_bytes()

    def create(self, name: str, content: bytes) -> None:
        self._path.mkdir(parents=True, exist_ok=True)
        unfinished = self._path / f".{name}.{secrets.token_hex(4)}"
        try:
            unfinished.write_bytes(content)
            sync(unfinished)
            os.link(unfinished, self._path / name)
            sync(self._path)
        except FileExistsError:
            pass
        finally:
            unfinished.unlink(missing_ok=True)

    def write(self, name: str, content: bytes) -> None:
        path = self._path / _checked(name)
        missing = [
            parent for parent in path.parents if parent != self._path and not parent.exists()
        ]
        for folder in reversed(missing):  # never the folder itself, if that is gone
            folder.mkdir(exist_ok=True)
            sync(folder.parent)
        with durable_file(path) as unfinished:
            unfinished.write_bytes(content)

    def append(self, name: str, content: bytes) -> None:
        path = self._path / name
        is_new = not path.exists()
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            view = memoryview(content)
            while view:
                view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if is_new:
            sync(self._path)


class FsspecStorage:
    """A folder at an address that fsspec opens, as `s3://bucket/run` or `gs://bucket/run`.

    Objects there cannot be appended to: what is appended to `NAME.jsonl` becomes one object each
    time, `NAME-000001.jsonl` and so on.

    Raises:
        RunFolderError: fsspec does not know such addresses, or the library for them is missing.
    """

    def __init__(self, address: str) -> None:
        core = require("fsspec.core", extra="remote", purpose=f"open {address}")
        try:
            self._files: Any
            self._files, self._path = core.url_to_fs(address)
        except (ImportError, ValueError) as error:
            raise RunFolderError(
                f"expected a folder or an address that fsspec can open, got {address}: {error}"
            ) from error
        self._num_appended: Counter[str] = Counter()

    def read(self, name: str) -> bytes:
        content: bytes = self._files.cat_file(self._full(name))
        return content

    def read_all(self, pattern: str) -> Iterator[tuple[str, bytes]]:
        self._files.invalidate_cache()  # other machines write too
        try:
            paths = sorted(self._files.ls(self._path, detail=False))
        except FileNotFoundError:
            return
        for path in paths:
            name = PurePosixPath(path).name
            if fnmatch.fnmatch(name, pattern):
                yield name, self._files.cat_file(path)

    def create(self, name: str, content: bytes) -> None:
        self._files.invalidate_cache()
        if not self._files.exists(self._full(name)):
            self.write(name, content)

    def write(self, name: str, content: bytes) -> None:
        path = self._full(name)
        self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
        self._files.pipe_file(path, content)

    def append(self, name: str, content: bytes) -> None:
        self._num_appended[name] += 1
        stem, _, suffix = name.rpartition(".")
        self.write(f"{stem}-{self._num_appended[name]:06d}.{suffix}", content)

    def _full(self, name: str) -> str:
        return f"{self._path.rstrip('/')}/{_checked(name)}"


def _checked(name: str) -> str:
    """A name that stays in the folder. Records name files, and others may have written them."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise _outside(name)
    return name


def _outside(name: str) -> RunFolderError:
    return RunFolderError(f"expected files inside the run folder, its records name {name!r}.")
