"""Opening the files of models: existence, and one sentence for every error of a foreign reader."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from misure.errors import InputError, MisureError


def existing_file(argument: str) -> Path:
    """The path of a file that exists and is not empty.

    Raises:
        InputError: there is no such file, or it is empty.
    """
    path = Path(argument)
    if not path.is_file() or path.stat().st_size == 0:
        raise InputError(f"expected a model file at {path}, found none or an empty one.")
    return path


@contextmanager
def reading(what: str) -> Iterator[None]:
    """A context in which any exception of a foreign reader becomes one InputError.

    Args:
        what: what is read, as it reads after "expected".
    """
    try:
        yield
    except MisureError:
        raise
    except Exception as error:
        lines = str(error).strip().splitlines() or [""]
        reason = f"{lines[0][:300]} ({type(error).__name__})".strip()
        raise InputError(f"expected {what}, but reading it failed: {reason}.") from error
