"""The result folder of an nnU-Net: plans, names of classes, weights. Read as data, and checked.

.../Dataset004_Hippocampus/nnUNetTrainer__nnUNetPlans__3d_fullres/
    plans.json  dataset.json  fold_0/checkpoint_final.pth  fold_1/ ...
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from misure._util.quoted import quoted
from misure.errors import InputError, MissingDataError
from misure.models.loaders.file import reading
from misure.models.loaders.nnunet_checkpoint import read_checkpoint
from misure.models.loaders.nnunet_library import nnunet, silent

CHECKPOINTS = ("checkpoint_final.pth", "checkpoint_best.pth")
"""Names of the files of weights, in the order in which they are looked for."""

_LARGEST_JSON = 100_000_000  # bytes

PICTURE_READER = "NaturalImage2DIO"
TURNING_READERS = ("NibabelIOWithReorient", "SimpleITKIOWithReorient")
READERS = ("SimpleITKIO", "NibabelIO", *TURNING_READERS, PICTURE_READER)
"""Readers of nnU-Net whose order of axes is followed; some turn volumes to RAS first."""

NORMALISATIONS = (
    "ZScoreNormalization",
    "CTNormalization",
    "RescaleTo01Normalization",
    "RGBTo01Normalization",
    "NoNormalization",
)
"""Normalisations of nnU-Net that are followed."""

_PREPROCESSOR = "DefaultPreprocessor"


@dataclass(frozen=True, kw_only=True, eq=False)
class ResultFolder:
    """What is known of a trained nnU-Net.

    Attributes:
        path: the folder.
        plans, configuration, labels: nnunetv2's managers of the plans, of the configuration that
            was trained, and of its labels.
        dataset: dataset.json.
        configuration_name: such as `3d_fullres`.
        trainer: name of the class that trained it.
        folds: the folds that are used.
        checkpoint: the name of their files.
        weights: of each fold, by name.
        mirror_axes: spatial axes of the input along which it may be mirrored.
    """

    path: Path
    plans: Any
    configuration: Any
    labels: Any
    dataset: Mapping[str, Any]
    configuration_name: str
    trainer: str
    folds: tuple[str, ...]
    checkpoint: str
    weights: tuple[Mapping[str, Tensor], ...]
    mirror_axes: tuple[int, ...]

    @property
    def transpose(self) -> tuple[int, ...]:
        """For each axis of the network, that of nnU-Net's reader."""
        return tuple(int(axis) for axis in self.plans.transpose_forward)

    @property
    def reader(self) -> str:
        """The name of the class that read the images of the training."""
        return str(self.plans.plans["image_reader_writer"])

    @property
    def dataset_name(self) -> str:
        """The name of the data set of the training, such as `Dataset004_Hippocampus`."""
        return str(self.plans.plans.get("dataset_name", ""))

    @property
    def channel_names(self) -> tuple[str, ...]:
        """The names of the channels of an image."""
        named = dict(self.dataset.get("channel_names") or self.dataset.get("modality") or {})
        are_numbered = all(str(number).isdecimal() for number in named)
        numbers = sorted(named, key=int) if are_numbered else [*named]
        return tuple(str(named[number]) for number in numbers)

    @property
    def multilabel(self) -> bool:
        """Whether classes are regions that overlap, with a sigmoid each."""
        return bool(self.labels.has_regions)

    @property
    def num_classes(self) -> int:
        """K, the number of the network's outputs."""
        return int(self.labels.num_segmentation_heads)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the K classes: of the background and each label, or of each region."""
        entries = {
            name: value for name, value in self.labels.label_dict.items() if name != "ignore"
        }
        if self.multilabel:
            return tuple(name for name, value in entries.items() if not _is_background(value))
        numbers = {_single(value): name for name, value in entries.items()}
        return tuple(numbers[number] for number in sorted(numbers))

    @property
    def label_regions(self) -> dict[str, list[int]] | None:
        """Class -> its numbers in annotations, and those to ignore, if classes overlap."""
        if not self.multilabel:
            return None
        return {
            name: [int(one) for one in (value if isinstance(value, (list, tuple)) else [value])]
            for name, value in self.labels.label_dict.items()
            if not _is_background(value)
        }

    def intensities(self, channel: int) -> dict[str, float]:
        """mean, std and percentiles of the training images' foreground in one channel."""
        every = self.plans.foreground_intensity_properties_per_channel
        return {name: float(value) for name, value in every[str(channel)].items()}


def _is_background(value: Any) -> bool:
    return {*value} == {0} if isinstance(value, (list, tuple)) else value == 0


def _single(value: Any) -> int:
    return int(value[0]) if isinstance(value, (list, tuple)) else int(value)


def read_folder(
    path: Path, folds: Sequence[str], checkpoint: str | None, *, trust: bool
) -> ResultFolder:
    """What a result folder holds.

    Args:
        path: the folder, with plans.json and dataset.json.
        folds: such as 0 and 1, or `all`; empty: those that are there.
        checkpoint: the name of the files of weights; None: the first of `CHECKPOINTS`.
        trust: whether files may name code that is run.

    Raises:
        InputError: a damaged file, or a network that misure cannot prepare images for.
        MissingDataError: no such folder, fold or checkpoint.
    """
    _check_is_result_folder(path)
    plans, dataset = (_read_json(path / name) for name in ("plans.json", "dataset.json"))
    chosen, file = _chosen(path, folds, checkpoint)
    each = [read_checkpoint(path / f"fold_{fold}" / file, trust=trust) for fold in chosen]
    first = each[0]
    for fold, other in zip(chosen, each, strict=True):
        if (other.configuration, other.trainer) != (first.configuration, first.trainer):
            raise InputError(
                f"expected folds of one network in {path}, fold {chosen[0]} is of {first.trainer} "
                f"{first.configuration}, fold {fold} of {other.trainer} {other.configuration}."
            )
    handler = nnunet("utilities.plans_handling.plans_handler")
    with silent(), reading(f"plans of nnU-Net v2 in {path}"):
        manager = handler.PlansManager(plans)
        configuration = manager.get_configuration(first.configuration)
        labels = manager.get_label_manager(dataset)
        folder = ResultFolder(
            path=path,
            plans=manager,
            configuration=configuration,
            labels=labels,
            dataset=dataset,
            configuration_name=first.configuration,
            trainer=first.trainer,
            folds=tuple(chosen),
            checkpoint=file,
            weights=tuple(one.weights for one in each),
            mirror_axes=first.mirror_axes,
        )
        _check(folder)
    return folder


def _check_is_result_folder(path: Path) -> None:
    if not path.is_dir():
        raise MissingDataError(
            f"expected a result folder of nnU-Net v2 at {path}, found none. It holds plans.json, "
            "dataset.json and fold_0; a .zip has to be unpacked first."
        )
    missing = [name for name in ("plans.json", "dataset.json") if not (path / name).is_file()]
    if not missing:
        return
    there = [*path.glob("*/plans.json"), *path.glob("*/*/plans.json")]
    inside = sorted(each.parent.relative_to(path).as_posix() for each in there)
    if path.name.startswith("fold_") and (path.parent / "plans.json").is_file():
        cure = f" Did you mean nnunet:{path.parent}:{path.name.removeprefix('fold_')}?"
    elif inside:
        cure = f" Did you mean one of its folders, {', '.join(inside[:5])}?"
    else:
        cure = " It is the folder that nnUNetv2_train wrote: TRAINER__PLANS__CONFIGURATION."
    raise MissingDataError(
        f"expected a result folder of nnU-Net v2 at {path}, {' and '.join(missing)} not there."
        f"{cure}"
    )


def _read_json(path: Path) -> dict[str, Any]:
    if path.stat().st_size > _LARGEST_JSON:
        raise InputError(
            f"expected a file of at most {_LARGEST_JSON:,} bytes, got {path.stat().st_size:,} in "
            f"{path}."
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"expected JSON in {path}, but: {quoted(error)}.") from error
    if not isinstance(content, dict):
        raise InputError(f"expected an object with keys in {path}, got {type(content).__name__}.")
    return content


def _chosen(path: Path, folds: Sequence[str], checkpoint: str | None) -> tuple[list[str], str]:
    """The folds to use, and the name of their files."""
    there = sorted(each.name.removeprefix("fold_") for each in path.glob("fold_*") if each.is_dir())
    for file in (checkpoint,) if checkpoint else CHECKPOINTS:
        complete = [fold for fold in there if (path / f"fold_{fold}" / file).is_file()]
        wanted = list(folds) or [fold for fold in complete if fold != "all"] or complete
        if wanted and set(wanted) <= set(complete):
            return wanted, file
    wanted_files = checkpoint or " or ".join(CHECKPOINTS)
    raise MissingDataError(
        f"expected {wanted_files} in fold {', '.join(folds) or '0'} of {path}, found "
        f"{_inventory(path)}. Name the folds after a colon (nnunet:FOLDER:0,1), or the file with "
        "checkpoint=checkpoint_latest.pth."
    )


def _inventory(path: Path) -> str:
    files = sorted(each.relative_to(path).as_posix() for each in path.glob("fold_*/*.pth"))
    return ", ".join(files[:10]) or "no file of weights"


def _check(folder: ResultFolder) -> None:
    """Raises InputError for a network whose images misure would prepare otherwise."""
    configuration, dimension = folder.configuration, len(folder.configuration.patch_size)
    if configuration.previous_stage_name is not None:
        raise InputError(
            f"expected a network that takes images alone, {folder.configuration_name} is the "
            "second stage of a cascade: it also takes the segmentation of "
            f"{configuration.previous_stage_name}. Explain 3d_fullres or 3d_lowres instead."
        )
    for what, name, known in (
        ("preprocessor", configuration.preprocessor_name, (_PREPROCESSOR,)),
        ("image_reader_writer", folder.reader, READERS),
        *(("normalisation", name, NORMALISATIONS) for name in configuration.normalization_schemes),
    ):
        if name not in known:
            raise InputError(
                f"expected a {what} that misure follows ({', '.join(known)}), the plans of "
                f"{folder.path} name {name!r}. Wrap the network in a function, and load that with "
                "python:."
            )
    num_channels, num_schemes = len(folder.channel_names), len(configuration.normalization_schemes)
    sides = [int(side) for side in configuration.patch_size]
    is_sane = (
        sorted(folder.transpose) == [0, 1, 2]
        and dimension in (2, 3)
        and len(configuration.spacing) == dimension
        and min(sides) > 0
        and all(float(each) > 0 for each in configuration.spacing)
        and 0 < num_channels == num_schemes == len(configuration.use_mask_for_norm)
        and len(folder.class_names) == folder.num_classes > 0
    )
    if not is_sane:
        raise InputError(
            f"expected plans and dataset.json that fit together in {folder.path}, got "
            f"transpose_forward {folder.transpose}, patch_size {sides}, spacing "
            f"{list(configuration.spacing)}, {num_channels} channel_names, {num_schemes} "
            f"normalisations, {len(folder.class_names)} names for {folder.num_classes} outputs."
        )
