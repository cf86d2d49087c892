"""`nnunet:FOLDER[:FOLDS]`: what nnU-Net v2 trained, with its preparation of images."""

import re
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from misure.errors import InputError, MisureWarning
from misure.models.binding import Binding
from misure.models.loaders.nnunet_case import Unbound, make_case
from misure.models.loaders.nnunet_folder import (
    CHECKPOINTS,
    PICTURE_READER,
    ResultFolder,
    read_folder,
)
from misure.models.loaders.nnunet_network import build
from misure.models.loaders.registry import distinct_channel_names, loader

_FOLDS = re.compile(r"(all|\d+)(,\d+)*")


@loader("nnunet", usage="nnunet:FOLDER[:FOLDS]", extra="nnunet")
def load(
    argument: str,
    _device: torch.device,
    *,
    mirroring: bool | None = None,
    checkpoint: str | None = None,
    trust: bool = False,
    mean: Any = None,
    std: Any = None,
    input_size: Any = None,
    size_divisor: Any = None,
    border_px: Any = None,
    preprocessing: Any = None,
    intensity: Any = None,
    multilabel: Any = None,
    probabilities: Any = None,
    num_channels: Any = None,
    max_side: Any = None,
) -> tuple[nn.Module, dict[str, Any]]:
    """A network that nnU-Net v2 trained, with its preparation of images and its class names.

    The argument is the folder with plans.json, dataset.json and fold_0; after a colon may come the
    folds to use, such as `0,1` or `all`. Without them all folds that are there are used, and the
    mean of their logits is taken.

    Args:
        argument: the folder, and the folds.
        mirroring: whether each input is also shown mirrored, as nnU-Net does by default, which
            takes up to eight times as long; None: it is not, with a warning where nnU-Net would.
        checkpoint: the name of the files of weights; None: `checkpoint_final.pth`, else
            `checkpoint_best.pth` with a warning.
        trust: whether the folder's files may name and run any code.
        mean, std, input_size, size_divisor, border_px, preprocessing, intensity, multilabel,
            probabilities, num_channels, max_side: refused, since the plans say what they are.

    Raises:
        InputError: a folder that is damaged or whose images misure cannot prepare, or options that
            contradict its plans.
        MissingDataError: no such folder, fold or checkpoint.
        MissingDependencyError: nnunetv2 is missing.
    """
    refused = {
        "mean": mean, "std": std, "input_size": input_size, "size_divisor": size_divisor,
        "border_px": border_px, "preprocessing": preprocessing, "intensity": intensity,
        "multilabel": multilabel, "probabilities": probabilities, "num_channels": num_channels,
        "max_side": max_side,
    }  # fmt: skip
    _refuse([name for name, value in refused.items() if value is not None])
    if mirroring not in (None, True, False):
        raise InputError(f"expected mirroring as true or false, got {mirroring!r}.")
    path, folds = _path_and_folds(argument)
    folder = read_folder(path, folds, checkpoint, trust=trust)
    _warn(folder, mirroring, checkpoint)
    net = build(folder, mirroring=bool(mirroring), trust=trust)
    settings = _settings(folder, bool(mirroring))
    return net, {
        **_windows(folder),
        "class_names": folder.class_names,
        "num_channels": len(folder.channel_names),
        **distinct_channel_names(folder.channel_names),
        "num_classes": folder.num_classes,
        "multilabel": folder.multilabel,
        "label_regions": folder.label_regions,
        "probabilities": False,
        "preprocessing": Unbound(processor=settings),
        "binder": partial(_bound, folder, settings),
    }


def _bound(
    folder: ResultFolder,
    settings: dict[str, Any],
    _model: object,
    image: Tensor,
    affine: Tensor | None,
) -> Binding:
    """What holds for one image (C, *spatial) with its affine (4, 4)."""
    return Binding(preprocessing=make_case(folder, image, affine, settings))


def _windows(folder: ResultFolder) -> dict[str, Any]:
    """The sliding window of nnU-Net's predictor; a 2D network sees each slice of a volume once."""
    size = tuple(int(side) for side in folder.configuration.patch_size)
    by_slice = len(size) == 2 and folder.reader != PICTURE_READER
    return {
        "window": size,
        "overlap": (0.0, 0.5, 0.5) if by_slice else 0.5,
        "window_weights": "gaussian",
        "window_rule": "nnunet",
    }


def _settings(folder: ResultFolder, mirroring: bool) -> dict[str, Any]:
    """What the records of results say of the preparation."""
    configuration = folder.configuration
    return {
        "configuration": folder.configuration_name,
        "trainer": folder.trainer,
        "folds": list(folder.folds),
        "checkpoint": folder.checkpoint,
        "mirrored_axes": list(folder.mirror_axes) if mirroring else [],
        "spacing": [float(each) for each in configuration.spacing],
        "transpose": list(folder.transpose),
        "normalisation": list(configuration.normalization_schemes),
        "reader": folder.reader,
    }


def _path_and_folds(argument: str) -> tuple[Path, list[str]]:
    path, _, folds = argument.rpartition(":")
    if path and _FOLDS.fullmatch(folds) and not Path(argument).is_dir():
        return Path(path), list(dict.fromkeys(folds.split(",")))
    return Path(argument), []


def _refuse(given: list[str]) -> None:
    if given:
        raise InputError(
            f"expected no {' and no '.join(given)} with nnunet:, whose plans say how images are "
            "prepared and read. Leave it out."
        )


def _warn(folder: ResultFolder, mirroring: bool | None, checkpoint: str | None) -> None:
    if mirroring is None and folder.mirror_axes:
        warnings.warn(
            "the network sees images as they are; nnU-Net also shows it their mirror images and "
            f"takes the mean, {2 ** len(folder.mirror_axes)} times as many passes. Say "
            "mirroring=False to keep it so without this warning, or mirroring=True.",
            MisureWarning,
            stacklevel=2,
        )
    if checkpoint is None and folder.checkpoint != CHECKPOINTS[0]:
        warnings.warn(
            f"{folder.path} has no {CHECKPOINTS[0]}: {folder.checkpoint} is used. Say "
            f"checkpoint={folder.checkpoint} to do so without this warning.",
            MisureWarning,
            stacklevel=2,
        )
