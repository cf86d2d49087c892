"""A folder that appears complete or not at all."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from misure._util.unfinished import clear_unfinished, unfinished_name
from misure.errors import InputError


@contextmanager
def writing_folder(folder: Path) -> Iterator[Path]:
    """A context with a fresh folder to write into; its files move to `folder` at its end.

    A new folder appears at once and complete. In an existing one each file is replaced at once, and
    other files stay. After an exception or an interrupt `folder` is as it was before.

    Args:
        folder: where the files go; its parents are made if need be.

    Raises:
        InputError: nothing can be written there; raised at once, before any work is lost.
    """
    folder = folder.absolute()
    if folder.exists() and not folder.is_dir():
        raise InputError(f"expected a folder to write to, {folder} is a file. Name another.")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        parent = folder if folder.exists() else folder.parent  # a folder may be a disk of its own
        clear_unfinished(parent, folder.name)
        unfinished = parent / unfinished_name(folder.name)
        unfinished.mkdir()
    except OSError as error:
        raise InputError(
            f"expected a folder that can be written to, got {folder}: {error}"
        ) from error
    try:
        yield unfinished
        _move(unfinished, folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _move(unfinished: Path, folder: Path) -> None:
    if not folder.exists():
        unfinished.rename(folder)
        return
    for file in sorted(unfinished.rglob("*")):
        target = folder / file.relative_to(unfinished)
        if file.is_dir():
            target.mkdir(exist_ok=True)
        else:
            file.replace(target)
