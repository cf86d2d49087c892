"""Files that exist complete or not at all, also after a crash or a full disk."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def durable_file(path: Path) -> Iterator[Path]:
    """A context with a name to write to; the file appears at `path`, safe on disk, at its end.

    After an exception nothing is left and `path` is as it was.

    Args:
        path: of the file, in an existing folder; an existing file is replaced at once.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        yield unfinished
        sync(unfinished)
        unfinished.replace(path)
        sync(path.parent)
    finally:
        unfinished.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Writes a text file in UTF-8, at once or not at all."""
    with durable_file(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def sync(path: Path) -> None:
    """Waits until the disk holds the content of a file, or the list of names in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
