"""Where a network computes, and in which type of number."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from misure.errors import InputError


def choose_device(device: str | torch.device) -> torch.device:
    """The device with this name; `auto` is a GPU if there is one, else the CPU.

    Raises:
        InputError: this machine has no such device.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise InputError(
            f"expected a device that is here ({', '.join(_devices_here())}), got "
            f"{str(device)[:40]!r}."
        ) from error
    return chosen


def _devices_here() -> list[str]:
    cuda = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    mps = ["mps"] if torch.backends.mps.is_available() else []
    return ["auto", "cpu", *cuda, *mps]


def device_and_dtype(
    net: object, modules: Sequence[nn.Module], device: str | torch.device | None
) -> tuple[torch.device, torch.dtype]:
    """The device and the floating-point type of a network's parameters.

    Without parameters they are `device` (by default the CPU) and float32.

    Args:
        net: a module or any function.
        modules: the modules that a function uses; it computes where they are, in its own type.
        device: where it computes; None: where its parameters are.

    Raises:
        InputError: the parameters are on another device.
    """
    used = [net] if isinstance(net, nn.Module) else modules
    tensors = [tensor for module in used for tensor in (*module.parameters(), *module.buffers())]
    floats = [tensor for tensor in tensors if tensor.is_floating_point()]
    floats.sort(key=lambda tensor: tensor.is_meta)  # parts that are kept elsewhere come last
    wanted = torch.device(device) if device is not None else None
    if not isinstance(net, nn.Module):
        its_own = floats[0].device if floats else torch.device("cpu")
        return wanted or its_own, torch.float32
    if not floats:
        return wanted or torch.device("cpu"), torch.float32
    actual = floats[0].device
    if wanted and (wanted.type, wanted.index or 0) != (actual.type, actual.index or 0):
        raise InputError(
            f"expected the network on {wanted}, its parameters are on {actual}. "
            f"Move it there with net.to('{wanted}')."
        )
    return actual, floats[0].dtype


def to_device(tensor: Tensor, device: str | torch.device) -> Tensor:
    """The tensor on a device, detached, in a form that autograd accepts.

    A tensor made in inference mode is copied, since autograd refuses it.
    """
    return (tensor.clone() if tensor.is_inference() else tensor.detach()).to(device)


def autocast_type(autocast: torch.dtype | str | None) -> torch.dtype | None:
    """The type to compute in: `bfloat16` or `float16`, by name or as it is; None stays None.

    Raises:
        InputError: another type.
    """
    types = {"bfloat16": torch.bfloat16, "float16": torch.float16}
    if autocast is None or autocast in types.values():
        return autocast  # type: ignore[return-value]
    if autocast not in types:
        raise InputError(f"expected autocast among {', '.join(types)}, got {autocast!r}.")
    return types[autocast]
