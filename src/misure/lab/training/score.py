"""How good a network is: the Dice of each class with the annotation."""

from collections import defaultdict
from statistics import mean

import torch

from misure.datasets.sample import Dataset, case_of
from misure.datasets.triangle.dataset import STROKE_GREY, TriangleDataset
from misure.models.device import to_device
from misure.models.model import SegmentationModel
from misure.models.segmentation import segment


def class_dices(model: SegmentationModel, dataset: Dataset) -> dict[str, float]:
    """Class name -> Dice in [0, 1], mean over the cases that have the class, annotated or drawn.

    Slices of one case (keys `CASE/...`) are taken together: of a data set of slices with foreground
    those only. Class 0 is left out; so are pixels that nobody judged (-1), and classes that no case
    has.

    Args:
        model: draws.
        dataset: its samples have annotations.
    """
    both: dict[tuple[str, int], int] = defaultdict(int)
    size: dict[tuple[str, int], int] = defaultdict(int)
    for index, key in enumerate(dataset.keys):
        sample = dataset[index]
        if sample.annotation is None:
            continue
        drawn = segment(model, to_device(sample.image, model.device)).class_map().cpu()
        judged = sample.annotation >= 0
        num_classes = len(model.class_names)
        case = case_of(key)
        drawn, wanted = drawn[judged], sample.annotation[judged]
        drawn_sizes = torch.bincount(drawn.clamp(min=0), minlength=num_classes)
        wanted_sizes = torch.bincount(wanted, minlength=num_classes)
        agreed = torch.bincount(wanted[drawn == wanted], minlength=num_classes)
        for number in range(1, num_classes):
            both[case, number] += int(agreed[number])
            size[case, number] += int(drawn_sizes[number] + wanted_sizes[number])
    dices: dict[int, list[float]] = defaultdict(list)
    for (case, number), total in size.items():
        if total:
            dices[number].append(2 * both[case, number] / total)
    return {model.class_name(number): mean(dices[number]) for number in sorted(dices)}


def mean_dice(model: SegmentationModel, dataset: Dataset) -> float:
    """Mean of `class_dices` over classes; 0 where there is none."""
    return mean(class_dices(model, dataset).values() or [0.0])


def distractor_fraction(model: SegmentationModel, dataset: TriangleDataset) -> float:
    """Share of the pixels on distractors that are taken for foreground, in [0, 1]."""
    wrong = total = 0
    for sample in (dataset[i] for i in range(len(dataset))):
        drawn = segment(model, to_device(sample.image, model.device)).class_map().cpu() == 1
        known = sample.relevance | (sample.annotation > 0)
        distractors = (sample.image[0] > STROKE_GREY) & ~known
        wrong += int((drawn & distractors).sum())
        total += int(distractors.sum())
    return wrong / max(total, 1)


def disc_dices(model: SegmentationModel, dataset: TriangleDataset) -> dict[str, float]:
    """`dice_with_disc` and `dice_without_disc`: Dice of the class, in [0, 1], before and after the
    disc is painted over.

    Where the second is as high as the first, the network has not learnt that nothing is foreground
    without a disc, and what is known to matter does not matter to it.

    Args:
        model: draws.
        dataset: with discs; samples without one are left out.
    """  # noqa: D205
    names = ("dice_with_disc", "dice_without_disc")
    both, size = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
    for sample in (dataset[i] for i in range(len(dataset))):
        wanted = sample.annotation > 0
        if not bool(wanted.any()):
            continue
        painted = sample.image.masked_fill(sample.relevance & ~wanted, 0.0)
        for name, image in zip(names, (sample.image, painted), strict=True):
            drawn = segment(model, to_device(image, model.device)).class_map().cpu() == 1
            both[name] += int((drawn & wanted).sum())
            size[name] += int(drawn.sum()) + int(wanted.sum())
    return {name: 2 * both[name] / max(size[name], 1) for name in names}
