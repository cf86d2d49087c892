"""Test-time augmentation: whether the network still segments a target if the image changes a bit.

A classical sign of reliability, to compare others with. It takes one forward pass for each change,
whatever the number of targets in the image.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from misure.images.corruption import Corruption
from misure.images.orientation import AS_STORED, ViewingOrder
from misure.models.model import SegmentationModel
from misure.models.prompted import mirrored_network, prompts_of
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
    affine: Tensor | None = None,
) -> list[dict[str, float]]:
    """For each target the Dice, in [0, 1], with the prediction under each of `AUGMENTATIONS`.

    The image is mirrored left to right (and the prediction back), gets weak noise or a weak blur,
    or loses a fifth of its contrast. Takes four forward passes, and what it takes to bind the model
    to the mirrored image.

    Args:
        model: the model, reading objects if the targets are some that it reports.
        image: (C, *spatial), on the model's device.
        targets: taken from the model's prediction on the image.
        seed: of the noise.
        order: how a volume is laid out as axial slices, which says where left and right are.
        affine: (4, 4) of the image, for models that need it; None: not known.
    """
    axis = 1 + order[2][0] if image.ndim == 4 else 2
    changed = [weak(image, seed) for weak in _WEAK.values()]

    def dices_of(logits: Tensor) -> list[list[float]]:
        return [
            [target.dice_of_logits(prediction[None])[0] for target in targets]
            for prediction in logits
        ]

    def work(batch: slice) -> list[list[float]]:
        with torch.no_grad():
            return dices_of(model(torch.stack(changed[batch])))

    mirrored = _mirrored(model, image, targets, axis, affine)

    def work_mirrored(_all: slice) -> list[list[float]]:
        with torch.no_grad():
            return dices_of(mirrored(image.flip(axis)[None]).flip(axis + 1))

    batches = [
        *mirrored.in_batches(work_mirrored, 1, image.shape[1:]),
        *model.in_batches(work, len(changed), image.shape[1:]),
    ]
    dices = [dices_of_change for batch in batches for dices_of_change in batch]
    return [
        dict(zip(AUGMENTATIONS, of_target, strict=True)) for of_target in zip(*dices, strict=True)
    ]


def _mirrored(
    model: SegmentationModel,
    image: Tensor,
    targets: Sequence[Target],
    axis: int,
    affine: Tensor | None,
) -> SegmentationModel:
    """The model for the mirrored image: objects and prompts lie in the mirrored place.

    What is taken from an image, such as a box to crop, is taken from the mirrored one.
    """
    if model.binding is None:
        return model
    moved = model.binding.moved(lambda region: region.flip(axis - 1))
    if moved.preprocessing is not None:
        anew = model.unbound.for_image(image.flip(axis), affine)
        moved = replace(moved, preprocessing=anew.preprocessing)
    if prompts_of(model):
        moved = replace(moved, network=mirrored_network(model, image.shape[1:]))
    reads_objects = any(target.channel is not None for target in targets)
    return model.for_object(moved, reads_objects=reads_objects)
