"""Test-time augmentation: whether the network draws a target again when the image is changed a bit.

A classical rival of every other sign of reliability. It takes a pass for each change, once for all
targets of an image.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from misure.images.corruption import Corruption
from misure.images.orientation import AS_STORED, ViewingOrder
from misure.models.model import SegmentationModel
from misure.models.target import Target

_WEAK = {
    "noise": Corruption("noise", 0.02),
    "blur": Corruption("blur", 0.005),
    "contrast": Corruption("contrast", 0.2),
}

AUGMENTATIONS = ("mirrored", *_WEAK)


def augmented_dices(
    model: SegmentationModel,
    image: Tensor,
    targets: Sequence[Target],
    seed: int = 0,
    order: ViewingOrder = AS_STORED,
) -> list[dict[str, float]]:
    """Dice of each target, in [0, 1], with what the model draws on each of `AUGMENTATIONS`.

    Mirrored (left and right, and back again), with weak noise, a weak blur, and a fifth less of
    contrast. Four forward passes.

    Args:
        model: draws.
        image: (C, *spatial), on the model's device.
        targets: from what the model draws on it.
        seed: of the noise.
        order: how a volume is laid out: its columns are mirrored, left and right of the body.
    """
    axis = 1 + order[2][0] if image.ndim == 4 else 2
    changed = [image.flip(axis), *(weak(image, seed) for weak in _WEAK.values())]

    def work(some: slice) -> list[list[float]]:
        with torch.no_grad():
            logits = model(torch.stack(changed[some]))
        upright = [
            one.flip(axis) if number == 0 else one
            for number, one in enumerate(logits, start=some.start)
        ]
        return [[target.dice_of_logits(one[None])[0] for target in targets] for one in upright]

    dices = [
        one for batch in model.in_batches(work, len(changed), image.shape[1:]) for one in batch
    ]
    return [
        dict(zip(AUGMENTATIONS, of_target, strict=True)) for of_target in zip(*dices, strict=True)
    ]
