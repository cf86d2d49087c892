"""Silhouette Dice: how far the outline of a region alone gives the object away.

The region is shown as before, but with its content replaced: once by the region's own mean colour,
once by noise with the region's own mean and standard deviation. A model that still draws the target
reads the outline, not the content, and the region is weak evidence.
"""

from dataclasses import replace

import torch
from torch import Tensor

from misure.model import SegmentationModel
from misure.trial import Trial, dice_when_shown

CONTENTS = ("mean_colour", "noise")

_APART = 0x5EED  # so that this noise is not that of the baseline image of the same seed


def silhouette_dices(
    model: SegmentationModel, trial: Trial, region: Tensor, *, seed: int = 0
) -> dict[str, float]:
    """Dice of the target for each of `CONTENTS`, in [0, 1]; two forward passes.

    An empty region has no content, so both are the Dice when the model sees nothing.

    Args:
        trial: the target and how regions are shown.
        region: (*spatial) bool.
        seed: of the noise.
    """
    presentation = trial.presentation
    results = {}
    for content in CONTENTS:
        image = _replaced(presentation.image, region, content, seed)
        changed = replace(trial, presentation=replace(presentation, image=image))
        results[content] = dice_when_shown(model, [(changed, region)])[0]
    return results


def _replaced(image: Tensor, region: Tensor, content: str, seed: int) -> Tensor:
    if not bool(region.any()):
        return image
    inside = image[:, region]
    each_channel = (-1, *[1] * region.ndim)
    mean = inside.mean(1).view(each_channel)
    if content == "mean_colour":
        return mean.expand_as(image).clone()
    spread = inside.std(1, correction=0).view(each_channel)
    generator = torch.Generator().manual_seed(seed + _APART)
    noise = torch.randn(image.shape, generator=generator)
    return mean + spread * noise.to(image)
