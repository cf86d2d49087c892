"""A network is borrowed: used in evaluation mode, given back exactly as it was."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def borrowed(net: object, device: torch.device) -> Iterator[None]:
    """A context in which the network is in evaluation mode and its parameters need no gradients.

    Afterwards the mode of every module, the gradient flag of every parameter and torch's random
    state are what they were before, also after an exception.

    Args:
        net: a torch module; for anything else only the random state is restored.
        device: where the network computes.
    """
    modules = list(net.modules()) if isinstance(net, nn.Module) else []
    parameters = list(net.parameters()) if isinstance(net, nn.Module) else []
    modes = [getattr(module, "training", False) for module in modules]
    flags = [parameter.requires_grad for parameter in parameters]
    accelerators = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=accelerators):
        try:
            for module, mode in zip(modules, modes, strict=True):
                if mode:
                    module.training = False
            for parameter in parameters:
                parameter.requires_grad_(False)
            yield
        finally:
            for module, mode in zip(modules, modes, strict=True):
                if mode:
                    module.training = True
            for parameter, flag in zip(parameters, flags, strict=True):
                parameter.requires_grad_(flag)
