"""`function:FILE.py:FUNCTION`: a function from NumPy images to NumPy logits. The file is run.

The function may use another runtime, a web service or hand-written rules. misure sees only numbers,
so there are no gradients, and presets and methods that need them refuse it.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from misure.errors import ModelError
from misure.models.loaders.python import user_function
from misure.models.loaders.registry import loader


class NumpyFunction:
    """A function of arrays (N, C, *spatial) float32 as a function of tensors."""

    def __init__(self, function: Callable[[np.ndarray], Any]) -> None:
        self._function = function

    def __call__(self, images: Tensor) -> Tensor:
        logits = self._function(images.detach().cpu().numpy())
        if not isinstance(logits, np.ndarray) or logits.dtype.kind not in "buif":
            raise ModelError(
                "expected an array of scores (N, K, *spatial) or of class numbers (N, *spatial), "
                "the function "
                f"returned {getattr(logits, 'dtype', type(logits).__name__)}."
            )
        return torch.from_numpy(np.ascontiguousarray(logits))


@loader("function", usage="function:FILE.py:FUNCTION")
def load(argument: str, _device: torch.device) -> tuple[Any, dict[str, Any]]:
    """A Python function of yours from NumPy images to logits; no gradients.

    Images are (N, C, *spatial) float32, logits (N, K, *spatial); class numbers (N, *spatial) will
    do, with `num_classes`. This runs the file.

    Raises:
        InputError: no such file or function, or the file raises.
    """
    function, _ = user_function("function", argument)
    return NumpyFunction(function), {"differentiable": False, "device": "cpu"}
