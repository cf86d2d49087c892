"""Loading models by spec: `load_model("NAME:ARGUMENT")`, one file for each loader.

`python:`, `function:`, `torchscript:` and `export:` run code of the file that the user names: use
them with files that you trust. The others read weights alone, from safetensors or with
`weights_only=True`, and unpickle nothing.
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
