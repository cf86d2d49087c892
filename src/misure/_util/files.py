"""Files that exist complete or not at all, also after a crash or a full disk."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from misure._util.unfinished import clear_unfinished, unfinished_name


@contextmanager
def durable_file(path: Path, workshop: Path | None = None) -> Iterator[Path]:
    """A context with a name to write to; the file appears at `path`, safe on disk, at its end.

    After an exception nothing is left and `path` is as it was. What a process that was killed left
    of the same file is cleared up.

    Args:
        path: of the file, in an existing folder; an existing file is replaced at once.
        workshop: an existing folder on the same disk, where the file is written before it appears;
            whoever names it clears it up. None: beside `path`.
    """
    if workshop is None:
        clear_unfinished(path.parent, path.name)
    unfinished = (workshop or path.parent) / unfinished_name(path.name)
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
