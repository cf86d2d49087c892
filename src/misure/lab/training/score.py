"""Scores of a network: the Dice of each class with the annotation."""

from collections import defaultdict
from statistics import mean

import torch

from misure.datasets.sample import Dataset, case_of
from misure.datasets.triangle.dataset import STROKE_GREY, TriangleDataset
from misure.models.device import to_device
from misure.models.model import SegmentationModel
from misure.models.segmentation import segment


def class_dices(model: SegmentationModel, dataset: Dataset) -> dict[str, float]:
    """Class name -> Dice in [0, 1], mean over the cases that have the class.

    A case has a class if it is annotated or predicted there. Slices of one case (keys `CASE/...`)
    are taken together; if the data set has only slices with foreground, only those count. Class 0,
    ignored pixels (-1) and classes that no case has are left out.

    Args:
        model: to be scored.
        dataset: its samples have annotations.
    """
    both: dict[tuple[str, int], int] = defaultdict(int)
    size: dict[tuple[str, int], int] = defaultdict(int)
    for index, key in enumerate(dataset.keys):
        sample = dataset[index]
        if sample.annotation is None:
            continue
        predicted = segment(model, to_device(sample.image, model.device)).class_map().cpu()
        judged = sample.annotation >= 0
        num_classes = len(model.class_names)
        case = case_of(key)
        predicted, annotated = predicted[judged], sample.annotation[judged]
        predicted_sizes = torch.bincount(predicted.clamp(min=0), minlength=num_classes)
        annotated_sizes = torch.bincount(annotated, minlength=num_classes)
        agreed = torch.bincount(annotated[predicted == annotated], minlength=num_classes)
        for number in range(1, num_classes):
            both[case, number] += int(agreed[number])
            size[case, number] += int(predicted_sizes[number] + annotated_sizes[number])
    dices: dict[int, list[float]] = defaultdict(list)
    for (case, number), total in size.items():
        if total:
            dices[number].append(2 * both[case, number] / total)
    return {model.class_name(number): mean(dices[number]) for number in sorted(dices)}


def mean_dice(model: SegmentationModel, dataset: Dataset) -> float:
    """Mean of `class_dices` over classes, in [0, 1]; 0 if there is no class."""
    return mean(class_dices(model, dataset).values() or [0.0])


def distractor_fraction(model: SegmentationModel, dataset: TriangleDataset) -> float:
    """Fraction of the distractor pixels that are segmented as foreground, in [0, 1]."""
    wrong = total = 0
    for sample in (dataset[i] for i in range(len(dataset))):
        predicted = segment(model, to_device(sample.image, model.device)).class_map().cpu() == 1
        known = sample.relevance | (sample.annotation > 0)
        distractors = (sample.image[0] > STROKE_GREY) & ~known
        wrong += int((predicted & distractors).sum())
        total += int(distractors.sum())
    return wrong / max(total, 1)


def disc_dices(model: SegmentationModel, dataset: TriangleDataset) -> dict[str, float]:
    """`dice_with_disc` and `dice_without_disc`: Dice of the class, in [0, 1], with the disc or not.

    For the second, the disc is painted over. If it is as high as the first, the network has not
    learnt that nothing is foreground without a disc, so the pixels known to matter do not matter to
    this network.

    Args:
        model: to be scored.
        dataset: with discs; samples without foreground are left out.
    """
    names = ("dice_with_disc", "dice_without_disc")
    both, size = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
    for sample in (dataset[i] for i in range(len(dataset))):
        annotated = sample.annotation > 0
        if not bool(annotated.any()):
            continue
        painted = sample.image.masked_fill(sample.relevance & ~annotated, 0.0)
        for name, image in zip(names, (sample.image, painted), strict=True):
            predicted = segment(model, to_device(image, model.device)).class_map().cpu() == 1
            both[name] += int((predicted & annotated).sum())
            size[name] += int(predicted.sum()) + int(annotated.sum())
    return {name: 2 * both[name] / max(size[name], 1) for name in names}
