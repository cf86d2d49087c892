"""`prepare.json`: what a folder that misure prepared says of itself."""

from pathlib import Path
from typing import Literal

from misure._util.records import Record, decode
from misure.errors import InputError

RECORD_NAME = "prepare.json"

Row = tuple[float, float, float, float]


class PrepareSettings(Record, frozen=True, kw_only=True):
    """How the raw files were prepared; one folder has one way.

    Attributes:
        labels: number in the raw files, as text -> class index.
        intensity: the rule that scaled Hounsfield units to [0, 1].
        test: the cases for testing, such as `case0001`; `published`: those of the published split.
        phantom: whether the bodies are phantoms.
    """

    labels: dict[str, int]
    intensity: str
    test: list[str] | Literal["published"]
    phantom: bool


class PreparedCase(Record, frozen=True, kw_only=True):
    """A case whose files are complete.

    Attributes:
        split: where its files are: one volume for `test`, one file a slice for `train`.
        shape: (slices, rows, columns).
        voxel_size_mm: along slices, rows and columns.
        affine: (4, 4), from the voxels (slices, rows, columns) to millimetres.
        organs: names of the classes that are annotated in it.
        files: name of each raw file -> its SHA-256.
    """

    split: Literal["train", "test"]
    shape: tuple[int, int, int]
    voxel_size_mm: tuple[float, float, float]
    affine: tuple[Row, Row, Row, Row]
    organs: list[str]
    files: dict[str, str]


class PrepareRecord(Record, frozen=True, kw_only=True):
    """The content of `prepare.json`.

    Attributes:
        misure_version: that wrote it.
        class_names: of the class indices 0 to 8.
        settings: how the files were prepared.
        cases: name, such as `case0001` -> its entry, sorted by name.
    """

    misure_version: str
    class_names: list[str]
    settings: PrepareSettings
    cases: dict[str, PreparedCase]


def read_record(folder: Path) -> PrepareRecord:
    """The record of a prepared folder.

    Raises:
        InputError: the file is missing, or is not what misure writes.
    """
    path = folder / RECORD_NAME
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"expected {path} of a folder that misure prepared: {error}") from error
    return decode(content, PrepareRecord, f"a folder that misure prepared, with {path}")
