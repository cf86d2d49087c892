"""Warnings of misure in processes whose standard error a user reads: one line each."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from misure.errors import MisureWarning, for_terminal


@contextmanager
def warnings_as_lines() -> Iterator[None]:
    """A context in which a MisureWarning is one line of standard error, and others are silent.

    If Python was asked for warnings (`-W`), nothing changes.
    """

    def show(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
        if issubclass(category, MisureWarning):
            line = for_terminal(" ".join(str(message).split()))
            sys.stderr.write(f"misure: warning: {line}\n")

    with warnings.catch_warnings():
        if not sys.warnoptions:
            warnings.simplefilter("ignore")
            warnings.simplefilter("default", MisureWarning)
            warnings.showwarning = show
        yield
