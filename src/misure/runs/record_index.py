"""The lines of all writers of a run in order, however many there are.

Lines lie in the files of their writers in the order in which samples were finished. Here they are
looked through once, and their keys and places are put into a temporary database on disk, which
sorts them: memory does not grow with the number of records.
"""

import contextlib
import sqlite3
import tempfile
import warnings
from collections import OrderedDict
from collections.abc import Iterator
from typing import Annotated, Any, BinaryIO, Self

import msgspec

from misure._util.records import convert, read_json
from misure.errors import InputError, MisureWarning, RunFolderError
from misure.runs.record import FinishedSample, SourceFile
from misure.runs.storage import Storage, read_lines

RECORDS = "records-*.jsonl"
_MOST_OPEN = 64
_TABLES = """
PRAGMA journal_mode = OFF;
CREATE TABLE line (
    id INTEGER PRIMARY KEY, key BLOB, sample BLOB, revision INTEGER, is_done INTEGER,
    file INTEGER, start INTEGER, size INTEGER, content BLOB
);
CREATE TABLE looked_at (
    sample BLOB, revision INTEGER, PRIMARY KEY (sample, revision)
) WITHOUT ROWID;
CREATE TABLE finished (sample BLOB, revision INTEGER, num_objects INTEGER, files TEXT);
CREATE TABLE newest (sample BLOB PRIMARY KEY, revision INTEGER) WITHOUT ROWID;
BEGIN;
"""
# Of several lines with one key the first that is done counts, else the last.
_SORTED = """
SELECT id, key, file, start, size FROM line LEFT JOIN newest USING (sample)
WHERE line.revision = coalesce(newest.revision, 0) AND NOT EXISTS (
    SELECT 1 FROM looked_at WHERE looked_at.sample = line.key AND looked_at.revision = line.revision
)
ORDER BY key, is_done DESC, CASE WHEN is_done THEN id ELSE -id END
"""
_BY_SAMPLE = "CREATE INDEX IF NOT EXISTS by_sample ON line (sample, revision, key)"
_FINISHED = """
SELECT sample, finished.revision, num_objects, files FROM finished LEFT JOIN newest USING (sample)
WHERE finished.revision = coalesce(newest.revision, 0) AND num_objects <= (
    SELECT count(DISTINCT key) FROM line
    WHERE line.sample = finished.sample AND line.revision = finished.revision
)
ORDER BY finished.rowid
"""
_Count = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]


class _Signs(msgspec.Struct):
    """The fields of a line that say which one it is."""

    status: str
    sample: str
    key: str = ""
    revision: _Count = 0
    num_objects: _Count = 0
    files: list[SourceFile] = msgspec.field(default_factory=list)


class RecordIndex:
    """Keys and places of the lines of a run, read once; to be closed after use.

    Args:
        storage: of the run folder.
        address: of it, for messages.

    Raises:
        RunFolderError: a line is no record.
    """

    def __init__(self, storage: Storage, address: object) -> None:
        self._storage, self._address = storage, address
        self._names: list[str] = []
        self._open: OrderedDict[int, BinaryIO] = OrderedDict()
        self._stack = contextlib.ExitStack()
        self._base = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._stack.callback(self._base.close)
        try:
            with _room():
                self._fill()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Removes the database and closes the files."""
        while self._open:
            self._open.popitem()[1].close()
        self._stack.close()

    def lines(self) -> Iterator[tuple[str, bytes]]:
        """The line that counts of each object, sorted by key, with the name of its file.

        A sample that failed as a whole has a line until its objects have theirs.
        """
        last = None
        with _room():
            for number, key, file, start, size in self._base.execute(_SORTED):
                if key != last:
                    last = key
                    yield self._names[file], self._line(number, file, start, size)

    def finished(self) -> Iterator[FinishedSample]:
        """The samples all of whose objects have their lines; of two of one key the last counts."""
        with _room():
            self._base.execute(_BY_SAMPLE)
        for sample, revision, num_objects, files in self._base.execute(_FINISHED):
            yield FinishedSample(
                sample=_text(sample),
                num_objects=num_objects,
                revision=revision,
                files=msgspec.json.decode(files, type=list[SourceFile]),
            )

    def num_finished(self) -> int:
        """How many samples `finished` gives."""
        return sum(1 for _ in self.finished())

    def revisions(self) -> dict[str, int]:
        """Sample -> how often it has been explained anew, if it has been."""
        return {_text(row[0]): row[1] for row in self._base.execute("SELECT * FROM newest")}

    def _fill(self) -> None:
        self._base.executescript(_TABLES)
        lines = lines_of_all(self._storage, self._address, RECORDS, _Signs)
        for name, start, line, signs in lines:
            if not self._names or self._names[-1] != name:
                self._names.append(name)
            self._add(signs, start, line)
        self._base.execute("COMMIT")

    def _add(self, signs: _Signs, start: int, line: bytes) -> None:
        sample = _bytes(signs.sample)
        execute = self._base.execute
        if signs.revision:
            execute(
                "INSERT INTO newest VALUES (?, ?) ON CONFLICT DO UPDATE "
                "SET revision = max(revision, excluded.revision)",
                (sample, signs.revision),
            )
        if signs.status == "finished":
            files = msgspec.json.encode(signs.files)
            execute(
                "INSERT INTO finished VALUES (?, ?, ?, ?)",
                (sample, signs.revision, signs.num_objects, files),
            )
        if signs.key != signs.sample and (signs.status != "finished" or not signs.num_objects):
            execute("INSERT OR IGNORE INTO looked_at VALUES (?, ?)", (sample, signs.revision))
        if signs.status == "finished":
            return
        place = (len(self._names) - 1, start, len(line))
        content = None if self._storage.is_local else line
        execute(
            "INSERT INTO line VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)",
            (_bytes(signs.key), sample, signs.revision, signs.status == "done", *place, content),
        )

    def _line(self, number: int, file: int, start: int, size: int) -> bytes:
        if not self._storage.is_local:
            found = self._base.execute("SELECT content FROM line WHERE id = ?", (number,))
            content: bytes = found.fetchone()[0]
            return content
        stream = self._stream(file)
        stream.seek(start)
        return stream.read(size)

    def _stream(self, file: int) -> BinaryIO:
        if file not in self._open:
            if len(self._open) >= _MOST_OPEN:
                self._open.popitem(last=False)[1].close()
            self._open[file] = self._storage.open(self._names[file])
        self._open.move_to_end(file)
        return self._open[file]


@contextlib.contextmanager
def _room() -> Iterator[None]:
    """Raises a RunFolderError if there is no room for the database."""
    try:
        yield
    except sqlite3.Error as error:
        raise RunFolderError(
            f"expected room in {tempfile.gettempdir()} to sort the records of a run, got: {error}. "
            "Make room there, or name another folder in TMPDIR."
        ) from error


def _bytes(text: str) -> bytes:
    """Text as bytes of the same order."""
    return text.encode("utf-8", "surrogatepass")


def _text(encoded: bytes) -> str:
    return encoded.decode("utf-8", "surrogatepass")


def lines_of_all(
    storage: Storage, address: object, pattern: str, kind: Any
) -> Iterator[tuple[str, int, bytes, Any]]:
    """File, place there, text and meaning of the complete lines of all writers, file by file.

    Args:
        storage: of the run folder.
        address: of it, for messages.
        pattern: names of files in the folder.
        kind: definition of a line, as for msgspec.

    Raises:
        RunFolderError: a line is something else. Lines that are no JSON are warned of.
    """
    decoder = msgspec.json.Decoder(kind)
    for name, file in storage.open_all(pattern):
        what, num_torn = what_of(address, name), 0
        for start, text in read_lines(file):
            line = read_line(text, decoder, kind, what)
            if line is None:
                num_torn += 1
            else:
                yield name, start, text, line
        if num_torn:
            _warn_of_torn(num_torn, what)


def _warn_of_torn(num_torn: int, what: str) -> None:
    warnings.warn(
        f"expected {what}, got {num_torn} damaged line{'s' * (num_torn > 1)} in it, which "
        f"{'are' if num_torn > 1 else 'is'} left out. The command of the run makes again what "
        "was lost.",
        MisureWarning,
        stacklevel=2,
    )


def what_of(address: object, name: str) -> str:
    """What a line of a file of a run is, as it reads after "expected"."""
    return f"records of a run in {address}/{name}"


def read_line(line: bytes, decoder: msgspec.json.Decoder[Any], kind: Any, what: str) -> Any:
    """A line as what it should be; None if it is torn, and no JSON.

    Args:
        line: with its end.
        decoder: for `kind`.
        kind: definition of a line, as for msgspec.
        what: as `what_of`.

    Raises:
        RunFolderError: it is something else.
    """
    try:
        return decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass  # it names files that are no text, whose escapes msgspec refuses, or is wrong
    try:
        values = read_json(line)
    except ValueError:
        return None
    except RecursionError as error:
        raise RunFolderError(
            f"expected {what}, but a line cannot be used: its parts lie in each other too deeply."
        ) from error
    if not isinstance(values, dict):
        return None
    try:
        return convert(values, kind, what)
    except InputError as error:
        raise RunFolderError(str(error)) from error
