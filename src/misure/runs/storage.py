"""Where a run folder lies: on a disk that this machine sees, or at an address of fsspec (`s3://…`).

Files are named relative to the folder, with slashes. What was written is safely there when a
function returns, and no reader ever sees half of a file.
"""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol

from misure._util.files import durable_file, sync
from misure._util.unfinished import clear_unfinished, unfinished_name
from misure.errors import RunFolderError

_WORKSHOP = ".unfinished"
_TRIES = 5  # of making the workshop, which others remove when they have finished


class Storage(Protocol):
    """A folder, wherever it is."""

    is_local: bool
    """Whether parts of a file can be read quickly, in any order."""

    def read(self, name: str) -> bytes:
        """A whole file. Raises an OSError if there is none."""

    def open(self, name: str) -> BinaryIO:
        """A file in the folder itself, to read parts of it."""

    def open_all(self, pattern: str) -> Iterator[tuple[str, BinaryIO]]:
        """Name and content of the files in the folder itself (not below) that match a pattern.

        Each is open until the next one is asked for.
        """

    def has_any(self, pattern: str) -> bool:
        """Whether there is a file in the folder itself that matches a pattern."""

    def create(self, name: str, content: bytes) -> None:
        """Writes a file, unless there is one of that name already."""

    def write(self, name: str, content: bytes) -> None:
        """Writes or replaces a file."""

    def append(self, name: str, content: bytes) -> None:
        """Adds to the end of a file that has no other writer."""

    def clear_up(self) -> None:
        """Removes what writers that are no more have left unfinished."""


def open_storage(address: str | Path) -> Storage:
    """The storage at an address: a path, or one with `://` in it, which is fsspec's.

    An address with `file://` is the path in it.
    """
    if is_remote(address):
        from misure.runs.object_store import ObjectStore

        return ObjectStore(str(address))
    return LocalStorage(local_path(address))


def is_remote(address: str | Path) -> bool:
    """Whether an address is one of fsspec and not a path.

    >>> is_remote("s3://bucket/run"), is_remote("file:///tmp/run"), is_remote("run")
    (True, False, False)
    """
    return isinstance(address, str) and "://" in address and _file_url(address) is None


def local_path(address: str | Path) -> Path:
    """The full path of an address that is not remote, without `..`.

    >>> local_path("file:///tmp/100%/../run").as_posix()
    '/tmp/run'
    """
    inside = _file_url(address) if isinstance(address, str) else None
    return Path(address if inside is None else inside).resolve()


def _file_url(address: str) -> str | None:
    """The path in an address as fsspec reads it: percent signs are characters of the path."""
    scheme, separator, path = address.partition("://")
    return path if separator and scheme in ("file", "local") else None


class LocalStorage:
    """A folder on a disk, made with the first file.

    Files are written in `.unfinished` inside it, and appear in their place when they are complete.
    """

    is_local = True

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, name: str) -> bytes:
        path = (self._path / checked(name)).resolve()
        if not path.is_relative_to(self._path.resolve()):
            raise outside(name)
        return path.read_bytes()

    def open(self, name: str) -> BinaryIO:
        path = self._path / name
        try:
            return path.open("rb")
        except OSError as error:
            raise RunFolderError(f"expected a file to read, got {path}: {error}.") from error

    def open_all(self, pattern: str) -> Iterator[tuple[str, BinaryIO]]:
        for path in sorted(self._path.glob(pattern)):
            with self.open(path.name) as file:
                yield path.name, file

    def has_any(self, pattern: str) -> bool:
        return any(True for _ in self._path.glob(pattern))

    def create(self, name: str, content: bytes) -> None:
        self._path.mkdir(parents=True, exist_ok=True)
        unfinished = self._path / unfinished_name(name)
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
        path, workshop = self._path / checked(name), self._path / _WORKSHOP
        missing = [
            parent for parent in path.parents if parent != self._path and not parent.exists()
        ]
        for folder in reversed(missing):  # never the folder itself, if that is gone
            folder.mkdir(exist_ok=True)
            sync(folder.parent)
        for tries_left in reversed(range(_TRIES)):
            workshop.mkdir(exist_ok=True)
            try:
                with durable_file(path, workshop) as unfinished:
                    unfinished.write_bytes(content)
                return
            except FileNotFoundError:
                if workshop.exists() or not tries_left:
                    raise

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

    def clear_up(self) -> None:
        clear_unfinished(self._path)
        workshop = self._path / _WORKSHOP
        clear_unfinished(workshop)
        try:
            workshop.rmdir()
        except OSError:  # there is none, or others write there
            return


def read_lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Position and content of the complete lines of a file; one without its end is left out."""
    start = 0
    for line in file:
        if line.endswith(b"\n"):
            yield start, line
        start += len(line)


def checked(name: str) -> str:
    """A name that stays in the folder. Records name files, and others may have written them."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts or "\0" in name:
        raise outside(name)
    return name


def outside(name: str) -> RunFolderError:
    """The error of a name that leads out of the folder."""
    return RunFolderError(f"expected files inside the run folder, its records name {name!r}.")
