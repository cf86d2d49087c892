"""Which plane of an image is drawn, and in which greys: plain arrays, no drawing library."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from misure.images.orientation import ViewingOrder, lay_out


def grey_range(image: Tensor) -> tuple[float, float]:
    """[0, 1] for images in it; else from the 1 % to the 99 % quantile."""
    if float(image.min()) >= 0 and 0.1 < float(image.max()) <= 1:
        return 0.0, 1.0
    low, high = np.quantile(image.cpu().numpy(), [0.01, 0.99])
    return float(low), float(high) if high > low else float(low) + 1


def as_colours(image: Tensor, low: float, high: float) -> np.ndarray:
    """(H, W) of one channel (the first, unless there are three), or (H, W, 3), in [0, 1]."""
    scaled = ((image.cpu() - low) / (high - low)).clamp(0, 1)
    chosen = scaled.movedim(0, -1) if len(scaled) == 3 else scaled[0]
    return torch.as_tensor(chosen).numpy()


def viewing_plane(region: Tensor, order: ViewingOrder) -> tuple[Callable[[Tensor], Tensor], str]:
    """What takes the plane (..., H, W) to be drawn out of (..., *spatial), and a note which it is.

    Args:
        region: (*spatial) bool; of a volume the slice with most of it is drawn.
        order: how to lay out a volume (see `read_viewing_order`).
    """
    if region.ndim == 2:
        return lambda tensor: tensor, ""
    laid_out = lay_out(region, order)
    k = int(laid_out.flatten(1).sum(1).argmax())
    note = f" (slice {k} of {len(laid_out)}, the one with most of it)"
    return lambda tensor: lay_out(tensor, order)[..., k, :, :], note
