"""Warnings of libraries: kept from the user, or told as misure's own, with the file they are of."""

import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from misure._util.quoted import quoted
from misure.errors import MisureWarning

_ONE_AT_A_TIME = threading.RLock()  # what catches warnings changes them for all threads


@contextmanager
def quiet(
    told: str = "", about: object = "", refused: type[Warning] | None = None
) -> Iterator[None]:
    """A context in which libraries warn of nothing; misure's own warnings go on.

    Args:
        told: expression of the beginnings of warnings that become a `MisureWarning`; empty: none.
        about: the file that is read, for its sentence.
        refused: warnings that are raised, if any.
    """
    with _ONE_AT_A_TIME, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if refused is not None:
            warnings.simplefilter("error", refused)
        yield
    for warning in caught:
        said = str(warning.message)
        if issubclass(warning.category, MisureWarning):
            warnings.warn(said, warning.category, stacklevel=3)
        elif told and re.match(told, said):
            text = f"{about} is read, but its metadata are damaged: {quoted(said).rstrip('.')}."
            warnings.warn(text, MisureWarning, stacklevel=3)
