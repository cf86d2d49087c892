"""Which plane of an image is shown, and in which greys: plain arrays, no drawing library."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from misure.images.orientation import ViewingOrder, lay_out


def grey_range(image: Tensor) -> tuple[float, float]:
    """The numbers shown as black and as white.

    0 and 1 for an image in [0, 1] whose largest number is above 0.1, else the 1 % and the 99 %
    quantile.

    Args:
        image: (C, *spatial) float.
    """
    if float(image.min()) >= 0 and 0.1 < float(image.max()) <= 1:
        return 0.0, 1.0
    low, high = np.quantile(image.cpu().numpy(), [0.01, 0.99])
    return float(low), float(high) if high > low else float(low) + 1


def as_colours(image: Tensor, low: float, high: float) -> np.ndarray:
    """Colours (H, W, 3) in [0, 1] of an image with three channels, else greys (H, W) of its first.

    Args:
        image: (C, H, W) float.
        low, high: the numbers shown as black and as white.
    """
    scaled = ((image.cpu() - low) / (high - low)).clamp(0, 1)
    chosen = scaled.movedim(0, -1) if len(scaled) == 3 else scaled[0]
    return torch.as_tensor(chosen).numpy()


def in_bytes(colours: np.ndarray) -> np.ndarray:
    """Greys or colours in [0, 1] as uint8."""
    return (colours * 255).round().astype(np.uint8)


def viewing_plane(region: Tensor, order: ViewingOrder) -> tuple[Callable[[Tensor], Tensor], str]:
    """A function that takes the plane (..., H, W) to show out of (..., *spatial), and a note on it.

    An image is its own plane, with an empty note; of a volume it is the axial slice that holds most
    of the region.

    Args:
        region: (*spatial) bool; or float, how much each voxel counts.
        order: how to lay out a volume as axial slices.
    """
    if region.ndim == 2:
        return lambda tensor: tensor, ""
    laid_out = lay_out(region, order)
    k = int(laid_out.flatten(1).sum(1).argmax())
    note = f" (slice {k} of 0 to {len(laid_out) - 1}, the one with most of it)"
    return lambda tensor: lay_out(tensor, order)[..., k, :, :], note
