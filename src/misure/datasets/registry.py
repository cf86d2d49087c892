"""The registry of data sets: a spec such as `triangle:30` names one."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from misure._util.docstrings import first_sentence
from misure._util.registry import Registry
from misure.datasets.image_files import open_images
from misure.datasets.sample import AS_IT_IS, Dataset, Reading, as_dataset
from misure.errors import InputError, entrance

OpenFunction = Callable[[str, Reading], Dataset]
Function = TypeVar("Function", bound=OpenFunction)


@dataclass(frozen=True, kw_only=True)
class DatasetKind:
    """A kind of data set that a spec can name; calling it opens one.

    Attributes:
        name: the registry key, the part of a spec before the colon.
        function: (rest of the spec after the colon, `Reading`) -> the data set.
        usage: how its specs look, such as `coco:FOLDER,SPLIT`.
        summary: what it is, in one sentence.
        extra: the extra of misure that it needs, if any.
    """

    name: str
    function: OpenFunction
    usage: str
    summary: str
    extra: str = ""

    def __call__(self, rest: str, reading: Reading = AS_IT_IS) -> Dataset:
        """The data set that the rest of a spec names."""
        return as_dataset(self.function(rest, reading))


DATASETS: Registry[DatasetKind] = Registry("data set", "misure.datasets")
"""Name -> kind of data set, in the order of tables."""


def dataset(name: str, *, usage: str, extra: str = "") -> Callable[[Function], Function]:
    """A decorator that registers a function that opens a data set.

    The function stays as it is: (rest of the spec after the colon, `Reading`) -> `Dataset`. The
    first sentence of its docstring says what the data set is.

    Args:
        name: the part of a spec before the colon.
        usage: how its specs look, such as `coco:FOLDER,SPLIT`.
        extra: the extra of misure that it needs, if any.
    """

    def register(function: Function) -> Function:
        entry = DatasetKind(
            name=name,
            function=function,
            usage=usage,
            summary=first_sentence(function.__doc__),
            extra=extra,
        )
        DATASETS.register(name, entry, function.__module__)
        return function

    return register


@entrance("open_dataset")
def open_dataset(spec: str, reading: Reading = AS_IT_IS) -> Dataset:
    """The data set that a spec names.

    Args:
        spec: a name in `DATASETS`, with what it needs after a colon: `triangle:30`, `coco:FOLDER`,
            `nifti:IMAGES,LABELS`; `DATASETS[name].usage` says how. Or the path of a folder of
            images, or of a text file with one path a line.
        reading: how the network wants its images (see `Reading`).

    Raises:
        InputError: another name, a part after the colon that makes no sense, or one key twice.
        MissingDependencyError, MissingDataError: a library or the files are missing.
    """
    name, _, rest = spec.partition(":")
    if name in DATASETS:
        return DATASETS[name](rest, reading)
    path = Path(spec)
    if not path.exists():
        raise InputError(
            f"expected one of {', '.join(DATASETS)}, a folder of images or a text "
            f"file with their paths, got {spec!r}."
        )
    return open_images(path, reading)
