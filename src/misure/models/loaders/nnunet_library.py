"""The parts of nnunetv2 that `nnunet:` needs: imported when they are needed, and without a word."""

import io
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from types import ModuleType

from misure._util.optional import require
from misure._util.quiet import quiet


@contextmanager
def silent() -> Iterator[None]:
    """A context in which libraries neither print nor warn."""
    with quiet(), redirect_stdout(io.StringIO()):
        yield


def nnunet(module: str) -> ModuleType:
    """A module of nnunetv2, by its dotted name within the package.

    Raises:
        MissingDependencyError: nnunetv2 is missing.
    """
    with silent():
        return require(f"nnunetv2.{module}", extra="nnunet", purpose="load nnunet: models")
