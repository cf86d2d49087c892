"""Test-time augmentation: whether the network still segments a target if the image changes a bit.

A classical sign of reliability, to compare others with. It takes one forward pass for each change,
whatever the number of targets in the image.
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
    """For each target the Dice, in [0, 1], with the prediction under each of `AUGMENTATIONS`.

    The image is mirrored left to right (and the prediction back), gets weak noise or a weak blur,
    or loses a fifth of its contrast. Takes four forward passes.

    Args:
        model: the model.
        image: (C, *spatial), on the model's device.
        targets: taken from the model's prediction on the image.
        seed: of the noise.
        order: how a volume is laid out as axial slices, which says where left and right are.
    """
    axis = 1 + order[2][0] if image.ndim == 4 else 2
    changed = [image.flip(axis), *(weak(image, seed) for weak in _WEAK.values())]

    def work(batch: slice) -> list[list[float]]:
        with torch.no_grad():
            logits = model(torch.stack(changed[batch]))
        upright = [
            prediction.flip(axis) if number == 0 else prediction
            for number, prediction in enumerate(logits, start=batch.start)
        ]
        return [
            [target.dice_of_logits(prediction[None])[0] for target in targets]
            for prediction in upright
        ]

    batches = model.in_batches(work, len(changed), image.shape[1:])
    dices = [dices_of_change for batch in batches for dices_of_change in batch]
    return [
        dict(zip(AUGMENTATIONS, of_target, strict=True)) for of_target in zip(*dices, strict=True)
    ]
