"""Recipes: the parts of each data set that can be trained on, and how to train on it.

The test part is never looked at while training: stopping is decided on the validation part.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from misure._util.words import counted
from misure.datasets import Reading
from misure.datasets.nifti import open_nifti
from misure.datasets.sample import Dataset, Sample, case_of
from misure.datasets.subset import Subset
from misure.datasets.synapse.dataset import CLASS_NAMES as ORGANS
from misure.datasets.synapse.dataset import WINDOW, SynapseSlices
from misure.datasets.synapse.raw import is_phantom_file
from misure.datasets.triangle.dataset import CLASS_NAMES, MEAN, TriangleDataset, read_options
from misure.errors import InputError
from misure.lab.training.augment import Augmentation
from misure.lab.training.minibatches import Augment

TRAINABLE = ("triangle", "triangle-disc", "synapse:FOLDER", "nifti:IMAGES,LABELS")
"""The specs of data sets that can be trained on."""

PERCENTILES = "percentiles:1:99"
"""How volumes without a unit are scaled."""

_LARGEST_PX = {2: 224, 3: 96}


@dataclass(frozen=True, kw_only=True)
class TrainingRecipe:
    """What to train on, and how.

    Attributes:
        train, validation, test: samples with annotations; no case is in two of them.
        class_names: K names.
        spatial_dims: 2 or 3.
        num_steps, batch_size: defaults.
        size: (*spatial) that the network is trained on, before rounding up.
        augment: see `Batches`.
        mean, intensity: see SegmentationModel.
        source: what the data are, for the model card.
    """

    train: Dataset
    validation: Dataset
    test: Dataset
    class_names: Sequence[str]
    spatial_dims: int
    num_steps: int
    batch_size: int
    size: tuple[int, ...]
    augment: Augment | None = None
    mean: tuple[float, ...] | None = None
    intensity: str = ""
    source: str = ""


def recipe_of(spec: str, *, num_steps: int | None = None, seed: int = 0) -> TrainingRecipe:
    """The recipe for a data set.

    Args:
        spec: `triangle`, `triangle-disc` (with options, as `triangle:side=24`), `synapse:FOLDER`
            (prepared), `nifti:IMAGES,LABELS`.
        num_steps: Triangle generates the samples for this many steps; None: the default.
        seed: of generated samples, and of the split into parts if none is published.

    Raises:
        InputError: a data set that cannot be trained on.
    """
    name, _, rest = spec.partition(":")
    if name not in RECIPES:
        raise InputError(
            f"expected a data set to train on among {', '.join(TRAINABLE)}, got {spec!r}."
        )
    return RECIPES[name](rest, num_steps, seed)


def split_by_case(dataset: Dataset, fractions: Sequence[float], seed: int) -> list[Subset]:
    """Parts of a data set; all samples of a case (keys `CASE/...`) are in the same part.

    Args:
        dataset: the whole.
        fractions: of the cases in each part but the last, which gets the rest.
        seed: of the split.

    Raises:
        InputError: fewer cases than parts.
    """
    case_of_each = [case_of(key) for key in dataset.keys]
    cases = sorted(set(case_of_each))
    num_parts = len(fractions) + 1
    if len(cases) < num_parts:
        raise InputError(
            f"expected at least {counted(num_parts, 'case')}, to train, validate and test on "
            f"different ones, got {len(cases)}."
        )
    shuffled = [cases[i] for i in np.random.default_rng(seed).permutation(len(cases))]
    parts: list[set[str]] = []
    for i, fraction in enumerate(fractions):
        most = len(shuffled) - (num_parts - 1 - i)
        num = min(most, max(1, round(fraction * len(cases))))
        parts.append({*shuffled[:num]})
        del shuffled[:num]
    parts.append({*shuffled})
    return [
        Subset(dataset, [i for i, case in enumerate(case_of_each) if case in part])
        for part in parts
    ]


def _triangle(disc: bool) -> Callable[[str, int | None, int], TrainingRecipe]:
    def recipe(rest: str, num_steps: int | None, seed: int) -> TrainingRecipe:
        num_steps, batch_size = num_steps or 1300, 16
        num_samples, options = num_steps * batch_size, read_options(rest)[1]
        train = TriangleDataset(
            num_samples, seed=seed, split="train", disc=disc, empty_fraction=0.2, **options
        )
        return TrainingRecipe(
            train=train,
            validation=TriangleDataset(100, seed=seed + 1, split="train", disc=disc, **options),
            test=TriangleDataset(300, seed=seed, split="test", disc=disc, **options),
            class_names=CLASS_NAMES,
            spatial_dims=2,
            num_steps=num_steps,
            batch_size=batch_size,
            size=(train.size_px, train.size_px),
            mean=MEAN,
            source="Triangle" + (" with a disc" if disc else ""),
        )

    return recipe


def _synapse(rest: str, num_steps: int | None, seed: int) -> TrainingRecipe:
    if not rest:
        raise InputError("expected synapse:FOLDER, got no folder.")
    folder = Path(rest)
    test, others = SynapseSlices(folder), SynapseSlices(folder, split="train")
    validation, train = split_by_case(others, [0.15], seed)
    shape = train[0].image.shape[1:]
    return TrainingRecipe(
        train=train,
        validation=validation,
        test=test,
        class_names=ORGANS,
        spatial_dims=2,
        num_steps=num_steps or 3000,
        batch_size=8,
        size=tuple(min(_LARGEST_PX[2], side) for side in shape),
        augment=Augmentation(2),
        intensity=WINDOW,
        source=f"Synapse multi-organ CT{' (PHANTOM)' if test.is_phantom else ''}",
    )


def _nifti(rest: str, num_steps: int | None, seed: int) -> TrainingRecipe:
    volumes = open_nifti(rest, Reading(intensity=PERCENTILES))
    is_phantom = any(is_phantom_file(pair.channels[0]) for pair in volumes.pairs)
    train, validation, test = split_by_case(volumes, [0.7, 0.1], seed)
    present, largest = set[int](), np.zeros(3, int)
    for sample in (train[i] for i in range(len(train))):  # one at a time in memory
        present |= _labels_of(sample)
        largest = np.maximum(largest, sample.image.shape[1:])
    if present != {*range(1, len(present) + 1)} or not present:
        raise InputError(
            f"expected labels from 1 without a gap in the training part of {rest}, got "
            f"{', '.join(map(str, sorted(present)[:15])) or 'nothing but 0'}. Renumber them."
        )
    for sample in (part[i] for part in (validation, test) for i in range(len(part))):
        if unknown := _labels_of(sample) - present:
            raise InputError(
                f"expected labels that the training part has (up to {len(present)}), got "
                f"{min(unknown)} in {sample.key}, which is for validation or testing. Correct the "
                "file, or split differently with another --seed."
            )
    names = ("background", *(str(number) for number in range(1, len(present) + 1)))
    return TrainingRecipe(
        train=train,
        validation=validation,
        test=test,
        class_names=names,
        spatial_dims=3,
        num_steps=num_steps or 1200,
        batch_size=2,
        size=tuple(min(_LARGEST_PX[3], int(side)) for side in largest),
        augment=Augmentation(3),
        intensity=PERCENTILES,
        source=f"NIfTI volumes ({rest}){' (PHANTOM)' if is_phantom else ''}",
    )


def _labels_of(sample: Sample) -> set[int]:
    if sample.annotation is None:
        return set()
    return {*torch.unique(sample.annotation).tolist()} - {0, -1}


RECIPES: dict[str, Callable[[str, int | None, int], TrainingRecipe]] = {
    "triangle": _triangle(disc=False),
    "triangle-disc": _triangle(disc=True),
    "synapse": _synapse,
    "nifti": _nifti,
}
"""Scheme of the spec -> (rest of the spec, number of steps, seed) -> recipe."""
