"""The folder of pictures beside a large report: small scripts that the page loads one by one.

A page opened from a disk may load scripts, and no other files.
"""

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from misure._util.unfinished import clear_unfinished, unfinished_name
from misure.errors import InputError

_FILE = re.compile(r"(pictures|full)-[0-9]+\.js")


class PictureFolder:
    """A context that writes the folder beside its place and moves it there at the end, complete.

    Args:
        path: of the folder. An earlier one is replaced.

    Raises:
        InputError: a folder is there that holds other files too.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._names: list[str] = []
        _check_own(path)

    def __enter__(self) -> "PictureFolder":
        clear_unfinished(self._path.parent, self._path.name)
        self._unfinished = self._path.with_name(unfinished_name(self._path.name))
        self._unfinished.mkdir()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                remove_pictures(self._path)
                self._unfinished.rename(self._path)
        finally:
            shutil.rmtree(self._unfinished, ignore_errors=True)

    @property
    def files(self) -> list[Path]:
        """What was written, where it will be."""
        return [self._path / name for name in self._names]

    def write(self, name: str, build: str, part: Mapping[str, Any]) -> None:
        """Writes the pictures of one part.

        Args:
            name: of the part, `pictures-N` or `full-N`.
            build: of the page, which takes no pictures of another one.
            part: plain values.
        """
        content = picture_script(name, build, part)
        (self._unfinished / f"{name}.js").write_text(content, encoding="utf-8")
        self._names.append(f"{name}.js")


def picture_script(name: str, build: str, part: Mapping[str, Any]) -> str:
    """The script that hands a part to the page, as of `PictureFolder.write`."""
    values = json.dumps(part, separators=(",", ":"), allow_nan=False)
    return f'misurePictures("{name}","{build}",{values});\n'


def remove_pictures(path: Path) -> None:
    """Removes the folder of an earlier report, if there is one and nothing else is in it."""
    names = [file.name for file in path.iterdir()] if path.is_dir() else []
    if names and all(map(_FILE.fullmatch, names)):
        shutil.rmtree(path)


def _check_own(path: Path) -> None:
    if not path.exists():
        return
    others = (
        [file.name for file in path.iterdir() if not _FILE.fullmatch(file.name)]
        if path.is_dir()
        else [path.name]
    )
    if others:
        raise InputError(
            f"expected {path} for the pictures of the report, it holds {min(others)!r}, which no "
            "report wrote. Name another page."
        )
