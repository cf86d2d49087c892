"""The network of an nnU-Net: built from its plans, one for each fold, and their mean."""

import pydoc
import re
import warnings
from collections.abc import Sequence
from inspect import isclass, signature
from itertools import combinations
from typing import Any

import torch
from torch import Tensor, nn

from misure._util.optional import require
from misure.errors import InputError, MisureWarning
from misure.models.loaders.file import reading
from misure.models.loaders.nnunet_folder import ResultFolder
from misure.models.loaders.nnunet_library import nnunet, silent
from misure.models.loaders.registry import TRUST_IT

_NETWORKS = ("dynamic_network_architectures.", "nnunetv2.")
_PARTS = ("torch.nn.", *_NETWORKS)
_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")

BUILT_FROM_PLANS = (
    "nnUNetTrainer_2000epochs_NoMirroring",
    "nnUNetTrainer_4000epochs_NoMirroring",
    "nnUNetTrainer_DASegOrd0",
    "nnUNetTrainer_DASegOrd0_NoMirroring",
    "nnUNetTrainer_MOSAIC_1k_QuarterLR_NoMirroring",
    "nnUNetTrainer_onlyMirror01",
    "nnUNetTrainerDiceTopK10Loss_2000epochs",
    "nnUNetTrainerSkeletonRecall",
)
"""Trainers that nnunetv2 lacks, those of TotalSegmentator, which build the network of the plans."""


class Ensemble(nn.Module):
    """The mean of the logits of networks, each for an input and for its mirror images.

    Args:
        networks: one for each fold.
        mirror_axes: spatial axes along which the input is mirrored, in all combinations; empty: it
            is not.
    """

    def __init__(self, networks: Sequence[nn.Module], mirror_axes: Sequence[int] = ()) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        axes = [axis + 2 for axis in mirror_axes]
        self.flips = [
            flip for number in range(len(axes) + 1) for flip in combinations(axes, number)
        ]

    def forward(self, inputs: Tensor) -> Tensor:
        total: Tensor | None = None
        for network in self.networks:
            for flip in self.flips:
                logits = network(inputs.flip(flip)).flip(flip) if flip else network(inputs)
                total = logits if total is None else total + logits
        assert total is not None  # noqa: S101  there is one fold at least
        return total / (len(self.networks) * len(self.flips))


def build(folder: ResultFolder, *, mirroring: bool, trust: bool) -> Ensemble:
    """The networks of a result folder, with their weights.

    Args:
        folder: plans and weights.
        mirroring: whether inputs are mirrored as the trainer allowed.
        trust: whether the plans may name any class, and the trainer may be code of the user.

    Raises:
        InputError: names of classes that are not nnU-Net's, or weights that do not fit the network.
    """
    if not trust:
        _check_names(folder)
    axes = folder.mirror_axes if mirroring else ()
    if any(axis not in range(len(folder.configuration.patch_size)) for axis in axes):
        raise InputError(
            f"expected axes to mirror among those of the input, {folder.path} names {axes}."
        )
    return Ensemble([_one(folder, weights, trust) for weights in folder.weights], axes)


def _one(folder: ResultFolder, weights: Any, trust: bool) -> nn.Module:
    trainer = _trainer(folder, trust)
    network: nn.Module
    with silent(), reading(f"the network that the plans of {folder.path} describe"):
        with torch.device("meta"):  # weights decide what is allocated
            network = _from_plans(folder, trainer)
        _check_fits(folder, network, weights, is_from_plans=trainer is None)
        network.load_state_dict(weights, assign=True)
        if any(part.is_meta for part in [*network.parameters(), *network.buffers()]):
            network = _from_plans(folder, trainer)
            network.load_state_dict(weights)
    return network


def _from_plans(folder: ResultFolder, trainer: Any) -> Any:
    """The network of the plans, or of a trainer that builds another one."""
    configuration = folder.configuration
    names = (
        configuration.network_arch_class_name,
        configuration.network_arch_init_kwargs,
        configuration.network_arch_init_kwargs_req_import,
    )
    numbers = (len(folder.channel_names), folder.num_classes)
    if trainer is None:
        build_it = nnunet("utilities.get_network_from_plans").get_network_from_plans
        return build_it(*names, *numbers, allow_init=False, deep_supervision=False)
    build_it = trainer.build_network_architecture
    is_new = "plans_manager" in signature(build_it).parameters
    first = (folder.plans, configuration) if is_new else names
    return build_it(*first, *numbers, enable_deep_supervision=False)


def _trainer(folder: ResultFolder, trust: bool) -> Any:
    """The trainer's class if it is part of nnunetv2, or trusted; None: the plans say it all."""
    if folder.trainer in BUILT_FROM_PLANS:
        return None
    finder = nnunet("utilities.find_class_by_name")
    package = nnunet("training.nnUNetTrainer")
    with silent(), reading(f"the trainer {folder.trainer} of nnunetv2"):
        found = finder.recursive_find_python_class(
            next(iter(package.__path__)), folder.trainer, "nnunetv2.training.nnUNetTrainer"
        )
        if found is None and trust:
            finder = nnunet("utilities.find_objects")
            try:
                found = finder.recursive_find_trainer_class_by_name(folder.trainer)
            except RuntimeError:
                found = None
    if found is not None and hasattr(found, "build_network_architecture"):
        return found
    warnings.warn(
        f"{folder.trainer}, which trained this network, is no trainer of nnunetv2: the network of "
        "the plans is used, which is wrong if the trainer builds another one. With its file in the "
        "folder that the variable nnUNet_extTrainer names, trust=True "
        "(--model-option trust=true) takes the trainer's own.",
        MisureWarning,
        stacklevel=2,
    )
    return None


def _check_names(folder: ResultFolder) -> None:
    """Raises InputError for a class in the plans that is not nnU-Net's, or torch's."""
    configuration = folder.configuration
    options = configuration.network_arch_init_kwargs
    named: list[tuple[str, Any, tuple[str, ...]]] = [
        ("the network", configuration.network_arch_class_name, _NETWORKS)
    ]
    named += [
        (key, options[key], _PARTS)
        for key in configuration.network_arch_init_kwargs_req_import
        if options[key] is not None
    ]
    require("dynamic_network_architectures", extra="nnunet", purpose="load nnunet: models")
    for what, name, packages in named:
        is_named_well = isinstance(name, str) and _NAME.fullmatch(name)
        if not is_named_well or not name.startswith(packages) or not _is_module(name, packages):
            raise InputError(
                f"expected {what} as a class of {' or '.join(each[:-1] for each in packages)}, the "
                f"plans of {folder.path} name {str(name)[:200]!r}, which would run code of others. "
                f"{TRUST_IT}"
            )


def _is_module(name: str, packages: tuple[str, ...]) -> bool:
    """Whether a name in these packages is a torch module of theirs, or nothing at all."""
    with silent():
        found = pydoc.locate(name)
    if found is None:  # nnunetv2 then looks for the last part among its architectures
        return packages is _NETWORKS
    return isclass(found) and issubclass(found, nn.Module) and found.__module__.startswith(_PARTS)


def _check_fits(
    folder: ResultFolder, network: nn.Module, weights: Any, *, is_from_plans: bool
) -> None:
    own = {name: tuple(each.shape) for name, each in network.state_dict().items()}
    given = {name: tuple(each.shape) for name, each in weights.items()}
    differing = [name for name in sorted({*own, *given}) if own.get(name) != given.get(name)]
    if not differing:
        return
    name = differing[0]
    cure = (
        f" {folder.trainer} may build another network: with its file in the folder that the "
        "variable nnUNet_extTrainer names, say trust=True (--model-option trust=true)."
        if is_from_plans
        else " Plans and weights are not of one training, or of another version of nnunetv2."
    )
    raise InputError(
        f"expected weights that fit the plans of {folder.path}, {len(differing)} do not: {name} is "
        f"{given.get(name, 'missing')}, the network has {own.get(name, 'none')}.{cure}"
    )
