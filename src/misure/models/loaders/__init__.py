"""Loading models by spec: `load_model("NAME:ARGUMENT")`, one file for each loader.

`python:`, `function:`, `torchscript:` and `export:` run code of the file that the user names, and
so do `bioimageio:` and `ultralytics:` with `trust=True`: use them with files that you trust. The
plan of an experiment may name them only if the user does, too (`runs_code`). The others read data
alone: safetensors, ONNX, or weights with `weights_only=True`.
"""

# The order of these names is the order of the registry, and of every table.
from misure.models.loaders import (  # noqa: F401  # isort: skip
    trained,
    hf,
    torchvision,
    torchscript,
    torch_export,
    onnx,
    monai,
    smp,
    bioimageio,
    ultralytics,
    python,
    function,
    nnunet,
)

from misure.models.loaders.registry import (
    CODE_LOADERS,
    LOADERS,
    OPTIONS,
    Loader,
    check_spec,
    load_model,
    loader,
    missing_path,
    runs_code,
)

__all__ = [
    "CODE_LOADERS",
    "LOADERS",
    "OPTIONS",
    "Loader",
    "check_spec",
    "load_model",
    "loader",
    "missing_path",
    "runs_code",
]
