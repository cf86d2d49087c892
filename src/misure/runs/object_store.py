"""A run folder at an address that fsspec opens, as `s3://bucket/run` or `gs://bucket/run`.

Its server may be gone, and libraries for it then raise errors of many kinds, or wait for ever.
Every request is therefore made in a thread of its own, waited for within bounds, and tried again a
few times; then one sentence says that the store does not answer.
"""

import fnmatch
import io
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import Any, BinaryIO

from misure._util.optional import require
from misure.errors import RunFolderError, reason_of
from misure.runs.storage import checked

ANSWER_WITHIN_S = 60.0
"""How long one request may take."""
WAITS_S = (1.0, 4.0)
"""Pauses before a request is tried again."""
_AT_ONCE = 64  # files that one request asks for; libraries fetch them side by side


class ObjectStore:
    """A folder of objects.

    Objects cannot be appended to: what is appended to `NAME.jsonl` becomes one object each time,
    `NAME-000001.jsonl` and so on.

    Raises:
        RunFolderError: fsspec does not know such addresses, the library for them is missing, or
            (of every method) the store does not answer.
    """

    is_local = False

    def __init__(self, address: str) -> None:
        self._address = address
        core = require("fsspec.core", extra="remote", purpose=f"open {address}")
        try:
            self._files, self._path = core.url_to_fs(address)
        except Exception as error:  # of the library for such addresses
            raise RunFolderError(
                f"expected a folder or an address that fsspec can open, got {address}: "
                f"{reason_of(error)}"
            ) from error
        self._num_appended: Counter[str] = Counter()

    def read(self, name: str) -> bytes:
        content: bytes = self._ask(self._files.cat_file, self._full(name))
        return content

    def open(self, name: str) -> BinaryIO:
        return io.BytesIO(self.read(name))

    def open_all(self, pattern: str) -> Iterator[tuple[str, BinaryIO]]:
        paths = self._matching(pattern)
        for start in range(0, len(paths), _AT_ONCE):
            contents = self._ask(self._files.cat, paths[start : start + _AT_ONCE], False, "return")
            for path, content in contents.items():
                has_failed = isinstance(content, Exception)
                whole = self._ask(self._files.cat_file, path) if has_failed else content
                yield PurePosixPath(path).name, io.BytesIO(whole)

    def has_any(self, pattern: str) -> bool:
        return bool(self._matching(pattern))

    def create(self, name: str, content: bytes) -> None:
        self._files.invalidate_cache()
        if not self._ask(self._files.exists, self._full(name)):
            self.write(name, content)

    def write(self, name: str, content: bytes) -> None:
        path = self._full(name)

        def write() -> None:
            self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
            self._files.pipe_file(path, content)

        self._ask(write)

    def append(self, name: str, content: bytes) -> None:
        self._num_appended[name] += 1
        stem, _, suffix = name.rpartition(".")
        self.write(f"{stem}-{self._num_appended[name]:06d}.{suffix}", content)

    def clear_up(self) -> None:
        """Does nothing: an object is there complete, or it is not there."""

    def _matching(self, pattern: str) -> list[str]:
        self._files.invalidate_cache()  # other machines write too
        try:
            paths: list[str] = self._ask(self._files.ls, self._path, False)
        except FileNotFoundError:
            return []
        return sorted(path for path in paths if fnmatch.fnmatch(PurePosixPath(path).name, pattern))

    def _full(self, name: str) -> str:
        return f"{self._path.rstrip('/')}/{checked(name)}"

    def _ask(self, request: Callable[..., Any], *arguments: Any) -> Any:
        """What a request gives, or the sentence that the store does not answer."""
        for wait_s in (*WAITS_S, None):
            try:
                return _within(ANSWER_WITHIN_S, request, *arguments)
            except FileNotFoundError:
                raise
            except Exception as error:  # of the library for such addresses
                if wait_s is None or isinstance(error, PermissionError):
                    raise RunFolderError(
                        f"expected {self._address} to answer, got {reason_of(error)}. What was "
                        "recorded stays. Check the address and its keys, and give the same "
                        "command again."
                    ) from error
                time.sleep(wait_s)
        return None


def _within(seconds: float, request: Callable[..., Any], *arguments: Any) -> Any:
    """What a request gives; its thread is left alone if it does not come back.

    Raises:
        TimeoutError: it has not come back.
    """
    outcome: list[tuple[Any, BaseException | None]] = []

    def work() -> None:
        try:
            outcome.append((request(*arguments), None))
        except BaseException as error:
            outcome.append((None, error))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    if not outcome:
        raise TimeoutError(f"no answer within {seconds:.0f} s")
    value, error = outcome[0]
    if error is not None:
        raise error
    return value
