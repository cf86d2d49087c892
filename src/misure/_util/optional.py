"""Optional libraries: imported when needed, named with the cure when missing."""

from importlib import import_module
from types import ModuleType

from misure.errors import MissingDependencyError


def require(module: str, *, extra: str, purpose: str) -> ModuleType:
    """The imported optional module.

    Args:
        module: dotted name of the module to import.
        extra: the extra of misure that brings it.
        purpose: what it is needed for, as it reads after "is needed to".

    Raises:
        MissingDependencyError: it is not installed, or cannot be imported.
    """
    try:
        return import_module(module)
    except (ImportError, RuntimeError) as error:  # a binary built for another torch
        raise MissingDependencyError(
            f"{module.partition('.')[0]} is needed to {purpose}, and importing it failed "
            f'({error}). Install it with: pip install "misure[{extra}]"'
        ) from error
