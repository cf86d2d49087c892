"""Loading models by spec: `load_model("NAME:ARGUMENT")`, one file for each loader.

Files are taken as hostile: weights are read from safetensors or with `weights_only=True`, programs
that could do more than compute are refused. Only `python:` and `function:` run Python code, from
the file that the user names.
"""

# The order of these names is the order of the registry, and of every table.
from misure.models.loaders import (  # noqa: F401  # isort: skip
    trained,
    hf,
    torchvision,
    torchscript,
    torch_export,
    onnx,
    python,
    function,
)

from misure.models.loaders.registry import LOADERS, OPTIONS, Loader, load_model, loader

__all__ = ["LOADERS", "OPTIONS", "Loader", "load_model", "loader"]
