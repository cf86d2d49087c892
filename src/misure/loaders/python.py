"""`python:FILE.py:FUNCTION`: a function of the user's own that returns a network or a model."""

import importlib.util
import sys
from typing import Any

import torch

from misure.errors import InputError, MisureError
from misure.loaders.file import existing_file


def load(argument: str, _device: torch.device) -> tuple[Any, dict[str, Any]]:
    """What the function returns when it is called without arguments. This runs the file."""
    file_name, _, function_name = argument.rpartition(":")
    if not file_name or not function_name.isidentifier():
        raise InputError(f"load_model: expected python:FILE.py:FUNCTION, got 'python:{argument}'.")
    path = existing_file(file_name)
    spec = importlib.util.spec_from_file_location(f"misure_user_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise InputError(f"load_model: expected a Python file (.py), got {path}.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # as an import does; dataclasses look there
    try:
        spec.loader.exec_module(module)
        net = getattr(module, function_name)()
    except MisureError:
        raise
    except Exception as error:
        raise InputError(
            f"load_model: {function_name} of {path} raised {type(error).__name__}: {error}"
        ) from error
    if not callable(net):
        raise InputError(
            f"load_model: expected {function_name} of {path} to return a network or a "
            f"SegmentationModel, got {type(net).__name__}."
        )
    return net, {}
