"""Whether the files of a sample are those that it was explained with."""

import hashlib
import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from misure.runs.record import SourceFile


def described(paths: Sequence[Path]) -> list[SourceFile]:
    """The files as they are now; empty if one of them cannot be read."""
    try:
        return [_described(path) for path in paths]
    except OSError:
        return []


def have_changed(paths: Sequence[Path], before: Sequence[SourceFile]) -> bool:
    """Whether files have another content than before.

    Their content is read only if the time of their last change is another one, so that copies and
    files that were touched count as what they are. Files that are gone or were not described have
    not changed.

    Args:
        paths: of the files.
        before: as `described` gave them.
    """
    if not before or not paths:
        return False
    if len(paths) != len(before):
        return True
    try:
        return any(_has_changed(path, old) for path, old in zip(paths, before, strict=True))
    except OSError:
        return False


def _has_changed(path: Path, before: SourceFile) -> bool:
    now = path.stat()
    if now.st_size != before.size:
        return True
    return now.st_mtime_ns != before.modified_ns and _described(path).sha256 != before.sha256


def _described(path: Path) -> SourceFile:
    now = path.stat()
    digest = _sha256(os.fspath(path), now.st_size, now.st_mtime_ns)
    return SourceFile(size=now.st_size, modified_ns=now.st_mtime_ns, sha256=digest)


@lru_cache(maxsize=8)  # all slices of a volume have one file
def _sha256(path: str, size: int, modified_ns: int) -> str:  # noqa: ARG001
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
