"""Where a network computes, in which type of number, and from which seeds."""

import torch
from torch import Tensor, nn

from misure.errors import InputError


def choose_device(device: str | torch.device) -> torch.device:
    """The device of a name; `auto` is a GPU if there is one.

    Raises:
        InputError: no such device is here.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"expected a device that is here (auto, cpu, cuda, cuda:1 ...), got "
            f"{str(device)!r}: {reason}"
        ) from error
    return found


def device_and_dtype(
    net: object, device: str | torch.device | None
) -> tuple[torch.device, torch.dtype]:
    """Where a network computes and the type of number it takes: what its parameters say.

    Args:
        net: a module or any function.
        device: where it computes, if it has no parameters; else it must be theirs.

    Raises:
        InputError: the parameters are elsewhere.
    """
    tensors = [*net.parameters(), *net.buffers()] if isinstance(net, nn.Module) else []
    floats = [tensor for tensor in tensors if tensor.is_floating_point()]
    asked = torch.device(device) if device is not None else None
    if not floats:
        return asked or torch.device("cpu"), torch.float32
    found = floats[0].device
    if asked and (asked.type, asked.index or 0) != (found.type, found.index or 0):
        raise InputError(
            f"expected the network on {asked}, its parameters are on {found}. "
            f"Move it there with net.to('{asked}')."
        )
    return found, floats[0].dtype


def to_device(tensor: Tensor, device: str | torch.device) -> Tensor:
    """The tensor on a device, detached, and such that autograd can work with it.

    A tensor made in inference mode is copied, since autograd refuses those.
    """
    return (tensor.clone() if tensor.is_inference() else tensor.detach()).to(device)


def autocast_type(autocast: torch.dtype | str | None) -> torch.dtype | None:
    """The type of number with this name.

    Raises:
        InputError: neither bfloat16 nor float16.
    """
    types = {"bfloat16": torch.bfloat16, "float16": torch.float16}
    if autocast is None or autocast in types.values():
        return autocast  # type: ignore[return-value]
    if autocast not in types:
        raise InputError(f"expected autocast among {', '.join(types)}, got {autocast!r}.")
    return types[autocast]
