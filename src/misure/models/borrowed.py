"""A network is borrowed: used in evaluation mode by one thread, given back exactly as it was."""

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from types import CodeType, FunctionType, MethodType
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor, nn

from misure._util.seeds import seed_device

_DEPTH = 5
_LARGEST_BUFFER = 4_000_000  # numbers; larger ones hold weights or tables, not statistics
_LOCKS: "WeakKeyDictionary[object, threading.RLock]" = WeakKeyDictionary()
_NEW_LOCK = threading.Lock()
_NOT_FOLLOWED = ("torch", "numpy", "misure", "builtins", "functools", "transformers", "monai")


def modules_within(net: object) -> list[nn.Module]:
    """The outermost torch modules that a network uses, as far as they can be found.

    A module is itself. In functions they are looked for among closures, defaults, the globals that
    the code names, and the functions that it calls; in bound methods and callable objects among the
    attributes of the object; in `functools.partial` among its arguments.
    """
    found: dict[int, nn.Module] = {}
    _find(net, found, set(), _DEPTH)
    inner = {id(part) for module in found.values() for part in [*module.modules()][1:]}
    return [module for key, module in found.items() if key not in inner]


def _find(value: Any, found: dict[int, nn.Module], seen: set[int], depth: int) -> None:
    if isinstance(value, nn.Module):
        found[id(value)] = value
        return
    if depth == 0 or id(value) in seen or isinstance(value, (Tensor, type, str, bytes, int, float)):
        return
    seen.add(id(value))
    for part in _parts(value):
        _find(part, found, seen, depth - 1)


def _parts(value: Any) -> Sequence[Any]:
    """What a network uses directly."""
    if isinstance(value, FunctionType):
        return _parts_of_function(value)
    if isinstance(value, MethodType):
        return [value.__self__, value.__func__]
    if isinstance(value, partial):
        return [value.func, *value.args, *value.keywords.values()]
    if isinstance(value, (list, tuple, set, dict)):
        return list(value.values() if isinstance(value, dict) else value)
    return [] if _is_of_a_library(type(value).__module__) else _parts_of_object(value)


def _parts_of_object(value: Any) -> list[Any]:
    call = vars(type(value)).get("__call__")
    return [*getattr(value, "__dict__", {}).values(), call]


def _is_of_a_library(module: str) -> bool:
    return module.partition(".")[0] in _NOT_FOLLOWED


def _parts_of_function(function: FunctionType) -> list[Any]:
    cells = []
    for cell in function.__closure__ or ():
        try:
            cells.append(cell.cell_contents)
        except ValueError:  # not filled yet
            continue
    wrapped = [getattr(function, "__wrapped__", None)]
    given = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values(), *wrapped]
    used = [
        function.__globals__[name]
        for name in _names_in(function.__code__)
        if name in function.__globals__
    ]
    return [*cells, *given, *(value for value in used if _is_followed(value))]


def _names_in(code: CodeType) -> set[str]:
    inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return set(code.co_names).union(*map(_names_in, inner))


def _is_followed(value: Any) -> bool:
    """Whether a global is looked into: modules, functions and objects, but of no library."""
    if isinstance(value, nn.Module):
        return True
    module = getattr(value, "__module__", None)
    own = module if isinstance(module, str) else type(value).__module__
    return not _is_of_a_library(own) or isinstance(value, (partial, dict, list, tuple))


@contextmanager
def borrowed(modules: Sequence[nn.Module], device: torch.device) -> Iterator[None]:
    """A context in which modules are in evaluation mode and their parameters need no gradients.

    Afterwards the mode of every module, the gradient flag of every parameter, the values of every
    buffer (running statistics; not those of more than 4 million numbers) and torch's random state
    are what they were before, also after an exception.

    Args:
        modules: the torch modules of a network, whose lock this thread holds (see `lock_of`).
        device: where the network computes.
    """
    every = [each for module in modules for each in module.modules()]
    accelerators = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=accelerators):
        training = [each for each in every if getattr(each, "training", False)]
        flags = [(one, one.requires_grad) for module in modules for one in module.parameters()]
        buffers = _copied_buffers(every)
        try:
            for each in training:
                each.training = False
            for parameter, _ in flags:
                parameter.requires_grad_(False)
            yield
        finally:
            for each in training:
                each.training = True
            for parameter, flag in flags:
                parameter.requires_grad_(flag)
            _restore(buffers)


@contextmanager
def fixed_random_numbers(device: torch.device) -> Iterator[None]:
    """A context in which torch, NumPy and Python draw the same random numbers each time.

    Afterwards their random states are what they were before.
    """
    of_numpy, of_python = np.random.get_state(), random.getstate()
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            seed_device(device, 0)
            np.random.seed(0)
            random.seed(0)
            yield
    finally:
        np.random.set_state(of_numpy)
        random.setstate(of_python)


_Buffers = list[tuple[nn.Module, str, Tensor, Tensor]]


def _copied_buffers(modules: Sequence[nn.Module]) -> _Buffers:
    """Module, name, buffer and a copy of its values, for each buffer that is not too large."""
    return [
        (module, name, buffer, buffer.detach().clone())
        for module in modules
        for name, buffer in module.named_buffers(recurse=False)
        if buffer.numel() <= _LARGEST_BUFFER and not buffer.is_meta
    ]


def _restore(buffers: _Buffers) -> None:
    with torch.no_grad():
        for module, name, buffer, before in buffers:
            is_script = isinstance(module, torch.jit.ScriptModule)  # shares its tensors anyway
            if not is_script and module._buffers.get(name) is not buffer:
                module._buffers[name] = buffer
            if not torch.equal(buffer, before):
                buffer.copy_(before)


@contextmanager
def lock_of(net: Callable[..., Any], modules: Sequence[nn.Module]) -> Iterator[None]:
    """A context that only one thread enters at a time, for networks with a module in common."""
    keys: list[object] = sorted(modules, key=id) or [net]
    with ExitStack() as stack:
        for key in keys:
            stack.enter_context(_lock(key))
        yield


def _lock(key: object) -> Any:
    with _NEW_LOCK:
        try:
            if key not in _LOCKS:
                _LOCKS[key] = threading.RLock()
            return _LOCKS[key]
        except TypeError:  # neither hashed nor referred to weakly
            return _LOCK_OF_OTHERS


_LOCK_OF_OTHERS = threading.RLock()
