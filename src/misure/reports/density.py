"""The density of a region: where its pixels are many, for regions too fine to be looked at."""

import numpy as np
from scipy.ndimage import gaussian_filter

_NEIGHBOURHOOD = 1 / 32  # standard deviation, of the picture's short side


def density(region: np.ndarray) -> np.ndarray:
    """The share (H, W) float32 in [0, 1] of a region in the neighbourhood of each pixel.

    The neighbourhood is a Gaussian with a standard deviation of 1/32 of the short side; beyond the
    frame nothing is counted.

    Args:
        region: (H, W) bool, or the share of each pixel in [0, 1].
    """
    sigma = _NEIGHBOURHOOD * min(region.shape)
    inside, everything = (
        gaussian_filter(values, sigma, mode="constant", truncate=3)
        for values in (region.astype(np.float32), np.ones(region.shape, np.float32))
    )
    share: np.ndarray = (inside / everything).clip(0, 1)
    return share
