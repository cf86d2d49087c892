"""One pass through a network as it is called, and what its errors mean."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

from misure.errors import MisureError, ModelError
from misure.models.batches import is_out_of_memory


def run_network(
    net: Callable[..., Any],
    call: Callable[[Any, Tensor], Any] | None,
    inputs: Tensor,
    *,
    autocast: torch.dtype | None,
    name: str,
) -> Any:
    """What the network returns for its inputs.

    Args:
        net: the network.
        call: how it is called; None: `net(inputs)`.
        inputs: (N, C, *spatial), on its device.
        autocast: the type that torch may compute in.
        name: of the network, for the sentence.

    Raises:
        ModelError: the network raised; not for want of memory, whose error is passed on.
    """
    kind = inputs.device.type
    cast = torch.autocast(kind, autocast) if autocast else nullcontext()
    try:
        with cast:
            return call(net, inputs) if call else net(inputs)
    except Exception as error:
        if is_out_of_memory(error) or isinstance(error, MisureError):  # raised by a hook
            raise
        raise ModelError(
            f"the network {name} raised {type(error).__name__} on an input of shape "
            f"{tuple(inputs.shape)}: {_said(error)}{_size_hint(error) or _batch_hint(inputs)}"
        ) from error


def _said(error: Exception) -> str:
    """The message of an error; of TorchScript's, which are tracebacks, the last line."""
    text = str(error)
    return text.strip().splitlines()[-1] if "Traceback of TorchScript" in text else text


def _size_hint(error: Exception) -> str:
    """What to do if skip connections do not fit, for the sides of the input are odd somewhere."""
    if "Sizes of tensors must match" not in str(error):
        return ""
    return (
        " If the network halves its input several times, say size_divisor (16 for four times): "
        "images are then padded to a multiple of it."
    )


def _batch_hint(inputs: Tensor) -> str:
    """What to do if an image (1, C, H, W) was taken for a volume of one channel."""
    if inputs.ndim != 5 or inputs.shape[1] != 1:
        return ""
    return (
        f" {tuple(inputs.shape[1:])} was taken for a volume of one channel; if its first axis is a "
        "batch of one, it is one too many: give image[0]."
    )
