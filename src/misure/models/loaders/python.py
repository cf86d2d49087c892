"""`python:FILE.py:FUNCTION`: a function that returns a network or a model. The file is run."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from misure.errors import InputError, MisureError
from misure.models.loaders.file import existing_file
from misure.models.loaders.registry import loader


@loader("python", usage="python:FILE.py:FUNCTION")
def load(argument: str, _device: torch.device) -> tuple[Any, dict[str, Any]]:
    """The network or SegmentationModel that a Python function of yours returns.

    The function is called without arguments. This runs the file.

    Raises:
        InputError: no such file or function, it raises, or it returns something else.
    """
    function, path = user_function("python", argument)
    try:
        net = function()
    except MisureError:
        raise
    except Exception as error:
        raise _raised(function.__name__, path, error) from error
    if not callable(net):
        raise InputError(
            f"expected {function.__name__} of {path} to return a network or a "
            f"SegmentationModel, got {type(net).__name__}."
        )
    return net, {}


def user_function(scheme: str, argument: str) -> tuple[Callable[..., Any], Path]:
    """The function that FILE.py:FUNCTION names, and the file. This runs the file.

    Raises:
        InputError: no such file or function, or the file raises.
    """
    file_name, _, function_name = argument.rpartition(":")
    if not file_name or not function_name.isidentifier():
        raise InputError(f"expected {scheme}:FILE.py:FUNCTION, got '{scheme}:{argument}'.")
    path = existing_file(file_name)
    spec = importlib.util.spec_from_file_location(f"misure_user_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise InputError(f"expected a Python file (.py), got {path}.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # as an import does; dataclasses look there
    try:
        spec.loader.exec_module(module)
        function: Callable[..., Any] = getattr(module, function_name)
    except MisureError:
        raise
    except Exception as error:
        raise _raised(function_name, path, error) from error
    if not callable(function):
        raise InputError(
            f"expected {function_name} of {path} to be a function, got {type(function).__name__}."
        )
    return function, path


def _raised(function_name: str, path: Path, error: Exception) -> InputError:
    return InputError(f"{function_name} of {path} raised {type(error).__name__}: {error}")
