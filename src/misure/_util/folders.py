"""A folder that appears complete or not at all, and never in place of something else.

It holds a list of its own files (`.misure.json`) and says which command made it with which
arguments. The same command may make it again: files that it no longer writes go. Anything else is
refused, unless it is forced; files that are not in the list are never replaced.
"""

import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from misure._util.records import Record, decode, encode, settings_difference
from misure._util.unfinished import clear_unfinished, unfinished_name
from misure.errors import InputError

LIST_NAME = ".misure.json"
_LONGEST_NAME = 200  # bytes; a file system takes 255, and an unfinished folder has a longer one


class WrittenFolder(Record, frozen=True, kw_only=True):
    """`.misure.json` in a folder of results: who made it, and which files are whose.

    Attributes:
        command: that made it, such as `explain`.
        settings: what it was made with.
        files: paths of its files, relative to it.
    """

    command: str
    settings: dict[str, Any]
    files: list[str]


def folder_name(parts: Sequence[str]) -> str:
    """A name made of parts, without what a name may not hold; the longest are cut if need be.

    >>> folder_name(["misure", "a/b", "traffic light", "0"])
    'misure-a_b-traffic_light-0'
    """
    plain = [re.sub(r"[^\w.-]+", "_", part) for part in parts]
    while len("-".join(plain).encode()) > _LONGEST_NAME:
        longest = max(range(len(plain)), key=lambda i: len(plain[i]))
        plain[longest] = plain[longest][:-1]
    return "-".join(plain)


@contextmanager
def writing_folder(
    folder: Path,
    *,
    command: str,
    settings: Mapping[str, Any],
    force: bool = False,
    names: Sequence[str] = (),
) -> Iterator[Path]:
    """A context with a fresh folder to write into; its files move to `folder` at its end.

    A new folder appears at once and complete. In an existing one each file is replaced at once,
    those that an earlier call wrote and this one does not are removed, and files of others stay.
    After an exception or an interrupt `folder` is as it was before.

    Args:
        folder: where the files go; its parents are made if need be.
        command: that writes it.
        settings: what it is made with, as plain values. The same command with the same settings may
            write the folder again.
        force: write into a folder that holds other files, or results of other settings, too.
        names: files that will be written, as far as they are known.

    Raises:
        InputError: nothing can be written there; the folder holds something else; or a file that is
            none of misure's has the name of one that is to be written. Raised at once, before any
            work is lost, except for files that are not in `names`.
    """
    folder = folder.absolute()
    if folder.exists() and not folder.is_dir():
        raise InputError(f"expected a folder to write to, {folder} is a file. Name another.")
    parent = folder if folder.exists() else folder.parent  # a folder may be a disk of its own
    clear_unfinished(parent, folder.name)
    before = _list_of(folder)
    if not force:
        _refuse_another(folder, before, command, settings)
    _refuse_foreign_files(folder, before, names)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        unfinished = parent / unfinished_name(folder.name)
        unfinished.mkdir()
    except OSError as error:
        raise InputError(
            f"expected a folder that can be written to, got {folder}: {error}"
        ) from error
    try:
        yield unfinished
        files = [path for path in unfinished.rglob("*") if not path.is_dir()]
        written = sorted(str(path.relative_to(unfinished)) for path in files)
        _refuse_foreign_files(folder, before, written)
        made = WrittenFolder(command=command, settings=dict(settings), files=written)
        (unfinished / LIST_NAME).write_bytes(encode(made) + b"\n")
        _move(unfinished, folder)
        _remove(folder, set(before.files if before else ()) - set(written))
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def is_written_by(folder: Path, command: str, settings: Mapping[str, Any]) -> bool:
    """Whether a folder holds all that a command wrote with these settings.

    Args:
        folder: that may be there.
        command, settings: as of `writing_folder`.
    """
    made = _list_of(folder.absolute())
    return (
        made is not None
        and made.command == command
        and not settings_difference(made.settings, settings)
        and all((folder / name).is_file() for name in made.files)
    )


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


def _list_of(folder: Path) -> WrittenFolder | None:
    """What a folder says of itself; None if it is new, or none of misure's."""
    try:
        return decode((folder / LIST_NAME).read_bytes(), WrittenFolder, "a list of files")
    except (OSError, InputError):
        return None


def _refuse_another(
    folder: Path, before: WrittenFolder | None, command: str, settings: Mapping[str, Any]
) -> None:
    """Raises an InputError if a folder holds anything but results of the same command."""
    if before is None:
        if others := _visible(folder):
            raise InputError(
                f"expected a new or empty folder, or one of the same command, {folder} holds other "
                f"files ({_some(others)}). Name another, or write beside them with "
                "--force."
            )
        return
    difference = (
        f"of misure {before.command}"
        if before.command != command
        else settings_difference(before.settings, settings)
    )
    if difference:
        raise InputError(
            f"expected a new or empty folder, or one of the same command, {folder} holds other "
            f"results: {difference}. Name another, or replace them with --force."
        )


def _refuse_foreign_files(folder: Path, before: WrittenFolder | None, names: Iterable[str]) -> None:
    """Raises an InputError if a file that is none of misure's is in the way of one to write."""
    own = set(before.files if before else ())
    in_the_way = [name for name in names if name not in own and (folder / name).exists()]
    if in_the_way:
        raise InputError(
            f"expected no files of others in the way, {folder} holds {_some(in_the_way)}. "
            "Move them, or name another folder."
        )


def _remove(folder: Path, names: Iterable[str]) -> None:
    """Removes files, and folders that are empty then; none outside the folder."""
    for name in names:
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()):
            continue
        path.unlink(missing_ok=True)
        for parent in path.parents:
            if parent == folder or any(parent.iterdir()):
                break
            parent.rmdir()


def _visible(folder: Path) -> list[str]:
    """The files in a folder, but for hidden ones, which systems put into folders by themselves."""
    if not folder.is_dir():
        return []
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def refuse_foreign_folder(
    folder: Path,
    own: Iterable[str],
    *,
    force: bool = False,
    cure: str = "Name another, or write beside them with --force.",
) -> None:
    """Raises an InputError if a folder to write to holds files, and none that its command wrote.

    Args:
        folder: where a command goes on that writes its files one by one.
        own: patterns of names, one of which is in each folder of that command.
        force: whether any folder may be written to.
        cure: what to do, for the message.
    """
    if force or not folder.is_dir() or any(any(folder.glob(pattern)) for pattern in own):
        return
    if others := _visible(folder):
        raise InputError(
            f"expected a new or empty folder, or one of the same command, {folder} holds other "
            f"files ({_some(others)}). {cure}"
        )


def refuse_foreign_file(path: Path, mark: bytes, *, force: bool) -> None:
    """Raises an InputError if a file to write exists and is none of the kind.

    Args:
        path: the file.
        mark: bytes that stand in the first 4096 of each file of the kind.
        force: whether any file may be replaced.
    """
    if force or not path.exists() or path.is_dir():
        return
    with path.open("rb") as file:
        start = file.read(4096)
    if start and mark not in start:
        raise InputError(
            f"expected a new file, or one that the same command wrote, {path} is something else. "
            "Name another, or replace it with --force."
        )
