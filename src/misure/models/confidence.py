"""What the prediction alone says of a target: how certain the network is, and the target's form.

It costs no forward pass: everything is computed from the logits that the target was taken from.
Features of an explanation have to improve on these.
"""

import math
from typing import Any

import torch
from torch import Tensor

from misure.images.regions import component_numbers, distance_px_up_to, soft_dice
from misure.models.logits import class_probability
from misure.models.target import Target

_AT_ONCE = 100_000  # pixels, whatever the number of classes

BORDER_PX = 2
"""Largest distance of the border's pixels from the object's contour, inside and outside."""


def prediction_record(logits: Tensor, target: Target) -> dict[str, Any]:
    """The confidence and the form of one target, as plain values.

    Over the object's pixels, and (`border_...`) over those at its contour, the means of

    - `max_probability`, in [0, 1]: of the likeliest class;
    - `margin`, in [0, 1]: its lead over the next class;
    - `entropy`, in [0, 1]: -sum(p log p) / log K over K classes.

    With multilabel there are two classes: this one, and the rest. Besides these means,

    - `soft_dice`, in [0, 1]: of the class's probabilities with the object, 2 sum(p t) / (sum(p) +
      sum(t)), other objects of the class left out (soft Dice confidence, Borges et al. 2024,
      arXiv 2402.10665);
    - `compactness`, in (0, 1]: the number of faces of a square (cube) as large as the object,
      divided by that of the object; 1 for a square;
    - `at_image_edge`, in [0, 1]: the fraction of its faces at the edge of the image;
    - `num_parts`: number of connected parts.

    Args:
        logits: (K, *spatial), at the image's own pixels, of the whole image.
        target: taken from them.
    """
    region = target.region.to(logits.device)
    ignored = target.ignored.to(logits.device)
    probability = class_probability(logits[None].float(), target.logit_index, target.multilabel)
    from_region, from_rest = (distance_px_up_to(part, BORDER_PX + 1) for part in (region, ~region))
    near = (from_region <= BORDER_PX) & (from_rest <= BORDER_PX)
    num_faces, num_at_edge = _faces(region)
    side = int(region.sum()) ** (1 / region.ndim)
    border = _confidence(logits, near & ~ignored, target)
    return {
        **_confidence(logits, region, target),
        **{f"border_{name}": value for name, value in border.items()},
        "soft_dice": float(soft_dice(probability, region[None], ~ignored[None])),
        "compactness": 2 * region.ndim * side ** (region.ndim - 1) / num_faces,
        "at_image_edge": num_at_edge / num_faces,
        "num_parts": int(component_numbers(region).max()),
    }


def _confidence(logits: Tensor, pixels: Tensor, target: Target) -> dict[str, float | None]:
    """Means over pixels (*spatial) bool; None if there are none."""
    names = ("max_probability", "margin", "entropy")
    numbers = torch.nonzero(pixels.flatten()).ravel()
    if not len(numbers):
        return dict.fromkeys(names)
    total = torch.zeros(3, dtype=torch.float64)
    for part in torch.split(numbers, _AT_ONCE):
        total += _confidence_sums(logits.flatten(1)[:, part].double(), target).cpu()
    return dict(zip(names, (total / len(numbers)).tolist(), strict=True))


def _confidence_sums(logits: Tensor, target: Target) -> Tensor:
    """Sums over pixels (K, n) of the largest probability, the margin and the entropy."""
    if target.multilabel:
        own = logits[target.logit_index]
        logits = torch.stack([-own / 2, own / 2])
    log_p = logits.log_softmax(0)
    p = log_p.exp()
    if len(p) < 2:  # a single class has no rival
        return torch.tensor([p.shape[1], p.shape[1], 0.0], dtype=torch.float64)
    first, second = p.topk(2, dim=0).values
    entropy = -(p * log_p).sum() / math.log(len(p))
    return torch.stack([first.sum(), (first - second).sum(), entropy])


def _faces(region: Tensor) -> tuple[int, int]:
    """The number of faces around the region, and of those at the edge of the image."""
    inner = edge = 0
    for axis, side in enumerate(region.shape):
        before, after = region.narrow(axis, 0, side - 1), region.narrow(axis, 1, side - 1)
        inner += int((before ^ after).sum())
        edge += int(region.select(axis, 0).sum()) + int(region.select(axis, side - 1).sum())
    return inner + edge, edge
