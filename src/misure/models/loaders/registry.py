"""The registry of loaders: a spec such as `hf:FOLDER` names a model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import torch
from torch import Tensor

from misure._util.docstrings import first_sentence
from misure._util.progress import shown_wait
from misure._util.registry import Registry
from misure._util.suggestions import did_you_mean, nearest
from misure.errors import InputError, entrance
from misure.models.device import choose_device
from misure.models.model import SegmentationModel

LoadFunction = Callable[..., tuple[Callable[[Tensor], Any], dict[str, Any]]]
Function = TypeVar("Function", bound=LoadFunction)

OPTIONS = tuple(
    option
    for option in signature(SegmentationModel).parameters
    if option not in ("net", "call", "device", "differentiable", "name")
)
"""Arguments of SegmentationModel that may be passed to load_model."""


@dataclass(frozen=True, kw_only=True)
class Loader:
    """A loader that a spec can name.

    Attributes:
        name: the registry key, the part of a spec before the colon.
        function: (rest of the spec after the colon, device) -> the network and the arguments of
            SegmentationModel that are known for it.
        usage: how its specs look, such as `hf:ID_OR_FOLDER`; a name alone takes no argument.
        summary: what it loads, in one sentence.
        extra: the extra of misure that it needs, if any.
    """

    name: str
    function: LoadFunction
    usage: str
    summary: str
    extra: str = ""

    def __call__(
        self, argument: str, device: torch.device, options: Mapping[str, Any] = MappingProxyType({})
    ) -> tuple[Callable[[Tensor], Any], dict[str, Any]]:
        """The network that the rest of a spec names, and what is known of it.

        Args:
            argument: the rest of the spec.
            device: where it will compute.
            options: of load_model; the loader sees those that are in `options` of this entry.
        """
        seen = {name: options[name] for name in self.options if name in options}
        return self.function(argument, device, **seen)

    @property
    def options(self) -> tuple[str, ...]:
        """Options of load_model that the loader wants to see: its keyword-only arguments."""
        parameters = signature(self.function).parameters.values()
        return tuple(each.name for each in parameters if each.kind is each.KEYWORD_ONLY)


LOADERS: Registry[Loader] = Registry("loader", "misure.loaders")
"""Name -> loader, in the order of tables."""


def loader(name: str, *, usage: str, extra: str = "") -> Callable[[Function], Function]:
    """A decorator that registers a function that loads a network.

    The function stays as it is: (rest of the spec after the colon, device) -> the network, from
    images (N, C, *spatial) to logits (N, K, *spatial'), and arguments of SegmentationModel that are
    known for it. The first sentence of its docstring says what it loads. Keyword-only arguments are
    options of load_model that it wants to see; those that SegmentationModel lacks are its own.

    Args:
        name: the part of a spec before the colon.
        usage: how its specs look, such as `hf:ID_OR_FOLDER`; a name alone takes no argument.
        extra: the extra of misure that it needs, if any.
    """

    def register(function: Function) -> Function:
        entry = Loader(
            name=name,
            function=function,
            usage=usage,
            summary=first_sentence(function.__doc__),
            extra=extra,
        )
        LOADERS.register(name, entry, function.__module__)
        return function

    return register


@entrance("load_model")
def load_model(
    spec: str,
    *,
    device: str | torch.device = "auto",
    progress: bool | None = None,
    **options: Any,
) -> SegmentationModel:
    """The model that a spec names.

    Args:
        spec: a name in `LOADERS`, with what it needs after a colon: `triangle` (comes with misure),
            `hf:FOLDER`, `torchscript:FILE`, `python:FILE.py:FUNCTION`; `LOADERS[name].usage` says
            how.
        device: where to put it; `auto` takes a GPU if there is one.
        progress: whether a bar says how long it has been loading; None: in a terminal or a
            notebook.
        options: arguments of SegmentationModel; they override those stored with the network. For
            `hf:` also `processor`, for `monai:` also `without`; `trust` lets `monai:`, `nnunet:`
            and `bioimageio:` run code of their files (see docs/reference/loaders.md); for
            promptable networks `prompts` and `mask`, as of `SegmentationModel.with_prompts`.

    Raises:
        InputError: an unknown name, a missing or damaged file, an unknown option.
        MissingDataError: weights that would have to be downloaded are not there.
        MissingDependencyError: an optional library is missing; the message names it.
    """
    check_spec(spec)
    with shown_wait(f"loading {spec}", progress):
        return _loaded(spec, device, options)


def _loaded(spec: str, device: str | torch.device, options: dict[str, Any]) -> SegmentationModel:
    """The model that a spec names; see `load_model`."""
    name, _, argument = spec.partition(":")
    if not isinstance(options.get("trust", False), bool):
        raise InputError(f"expected trust as true or false, got {options['trust']!r}.")
    if "prompts" in options and "prompts" not in LOADERS[name].options:
        asked = options.pop("prompts"), options.pop("mask", None)
        return _loaded(spec, device, options).with_prompts(*asked)
    torch_device = choose_device(device)
    net, settings = LOADERS[name](argument, torch_device, options)
    if isinstance(net, SegmentationModel):
        is_elsewhere = device != "auto" and net.device != torch_device
        _refuse_options(spec, [*options, *["device"] * is_elsewhere])
        return net
    own = [option for option in LOADERS[name].options if option not in OPTIONS]
    unknown = [option for option in options if option not in (*OPTIONS, *own)]
    if unknown:
        raise InputError(
            f"expected options of SegmentationModel ({', '.join([*OPTIONS, *own])}), got "
            f"{unknown[0]!r}.{did_you_mean(unknown[0], [*OPTIONS, *own])}"
        )
    options = {option: value for option, value in options.items() if option not in own}
    if isinstance(net, torch.nn.Module):
        net.to(torch_device)
    arguments: dict[str, Any] = {"name": spec, "device": torch_device} | settings | options
    return SegmentationModel(net, **arguments)


def check_spec(spec: str) -> None:
    """Raises an InputError for a spec that names no loader, or lacks what its loader needs."""
    name, _, argument = spec.partition(":")
    if name not in LOADERS or (not argument and LOADERS[name].usage != name):
        usages = ", ".join(entry.usage for entry in LOADERS.values())
        raise InputError(f"expected {usages}, got {spec[:200]!r}.{_hint(spec)}")


def missing_path(spec: str) -> str:
    """The file or folder that a spec names and that is not there; empty if none is missing.

    What may also be a name on a hub counts as a path if it looks like one.

    Args:
        spec: that `check_spec` passes.
    """
    name, _, argument = spec.partition(":")
    wanted = LOADERS[name].usage.partition(":")[2]
    if "FILE" not in wanted and "FOLDER" not in wanted:
        return ""
    if ":" in wanted and not Path(argument).exists():
        argument = argument.rpartition(":")[0] or argument
    looks_like_a_path = argument.startswith(("/", ".", "~")) or argument.count("/") > 1
    is_path = "ID" not in wanted.split("_") or looks_like_a_path
    return argument if is_path and not Path(argument).expanduser().exists() else ""


CODE_LOADERS = ("python", "function", "torchscript", "export")
"""Loaders that run code of the file that their spec names. Others do with the option `trust`."""

TRUST_IT = "If you trust it, say trust=True (--model-option trust=true)."
"""What messages of loaders say that run code with the option `trust` alone."""

_OF_SUFFIX = {
    ".onnx": "onnx",
    ".pt2": "export",
    ".pt": "torchscript",
    ".ts": "torchscript",
    ".safetensors": "trained",
}


def runs_code(spec: str, options: Mapping[str, Any] = MappingProxyType({})) -> bool:
    """Whether loading the network that a spec names runs code of a file.

    Args:
        spec: of `load_model`.
        options: of `load_model`; `trust` lets a loader that takes it run code.
    """
    is_code = spec.partition(":")[0].strip().lower() in CODE_LOADERS
    return is_code or bool(options.get("trust"))


def distinct_channel_names(names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """`channel_names` of SegmentationModel, if names tell channels apart; else nothing."""
    is_distinct = len({*names}) == len(names) and all(names)
    return {"channel_names": tuple(names)} if is_distinct else {}


def _hint(spec: str) -> str:
    """The spec that was meant, if it can be told."""
    name, colon, argument = spec.partition(":")
    if name in LOADERS:
        return ""
    if spec and Path(spec).is_dir():
        return f" Did you mean {f'{_scheme_of_folder(Path(spec))}:{spec}'!r}?"
    file, _, function = spec.rpartition(":")
    scheme = _OF_SUFFIX.get(Path(spec).suffix.lower())
    if file.lower().endswith(".py") and function.isidentifier():
        scheme = "python"
    like = nearest(name, LOADERS) if colon or not scheme else None
    if like:
        return f" Did you mean {f'{like}{colon}{argument[:150]}'!r}?"
    return f" Did you mean {f'{scheme}:{spec}'!r}?" if scheme else ""


def _scheme_of_folder(folder: Path) -> str:
    """The loader that most likely opens a folder, told by its files."""
    if (folder / "plans.json").is_file():
        return "nnunet"
    config = folder / "config.json"
    if any((folder / name).is_file() for name in ("rdf.yaml", "bioimageio.yaml")):
        return "bioimageio"
    if config.is_file() and "_model_class" in config.read_text("utf-8", "replace")[:100_000]:
        return "smp"
    is_trained = (folder / "model.safetensors").is_file() and not config.exists()
    return "trained" if is_trained else "hf"


def _refuse_options(spec: str, given: list[str]) -> None:
    if given:
        raise InputError(
            f"expected no options with {spec}, whose function returns a whole SegmentationModel, "
            f"got {', '.join(given)}. Set them there."
        )
