"""What a model draws where a target is, whatever its class."""

from collections.abc import Mapping

import torch
from torch import Tensor

from misure.explanation.presentation import Presentation
from misure.explanation.probe import Account
from misure.models.model import SegmentationModel
from misure.models.segmentation import Segmentation
from misure.models.target import Target

PASSES_OF_CLASSES = 2
"""Of the classes with nothing hidden, and with a region hidden."""

_LEAST_TOLD = 0.005  # of the pixels


def classes_there(
    model: SegmentationModel,
    target: Target,
    presentation: Presentation,
    region: Tensor,
    account: Account | None = None,
) -> dict[str, float]:
    """Name of a class -> share of the target's pixels on it, in [0, 1], the largest first.

    With multilabel a pixel counts for each of its classes, and for `no class` if it has none. Takes
    one forward pass.

    Args:
        model: is shown the image.
        target: whose pixels are counted.
        presentation: the image, and what stands where pixels are hidden.
        region: (*spatial) bool, what is hidden.
        account: where the pass is counted.
    """
    shown = presentation.show(1 - presentation.visibility(region)[None])
    with model.counting() as cost, torch.no_grad():
        logits = model(shown)[0]
    if account is not None:
        account.cost.forward_passes += cost.forward_passes
    segmentation = Segmentation(model, logits, logits.device)
    num_by_class = segmentation.num_pixels_by_class(target.region)
    num_px = int(target.region.sum())
    shares = {
        "no class" if index < 0 else model.class_name(index): num / num_px
        for index, num in num_by_class.items()
    }
    return dict(sorted(shares.items(), key=lambda pair: -pair[1]))


def classes_sentence(before: Mapping[str, float], after: Mapping[str, float]) -> str:
    """What a model draws on the pixels of a target, in one sentence; empty if it is not known.

    Args:
        before: class -> share, with nothing hidden.
        after: the same with a region hidden; empty if none was found.

    >>> classes_sentence({"dog": 0.9, "sofa": 0.1}, {"cat": 1.0})
    'On its pixels the model draws dog (90 %), sofa (10 %); with the region hidden cat (100 %).'
    """
    if not before:
        return ""
    hidden = f"; with the region hidden {_listed(after)}" if after else ""
    return f"On its pixels the model draws {_listed(before)}{hidden}."


def _listed(shares: Mapping[str, float]) -> str:
    told = [
        f"{f'class {name}' if name.isdecimal() else name} ({100 * share:.0f} %)"
        for name, share in shares.items()
        if share >= _LEAST_TOLD
    ]
    return ", ".join(told)
