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


def averaged(values: np.ndarray) -> np.ndarray:
    """The mean (H, W) float32 of the known values around each pixel, weighed as in `density`.

    Args:
        values: (H, W) float, NaN where nothing is known; these stay NaN.
    """
    sigma, is_known = _NEIGHBOURHOOD * min(values.shape), ~np.isnan(values)
    total, weight = (
        gaussian_filter(one.astype(np.float32), sigma, mode="constant", truncate=3)
        for one in (np.nan_to_num(values, nan=0.0), is_known)
    )
    mean: np.ndarray = np.where(is_known, total / np.maximum(weight, 1e-9), np.nan)
    return mean.astype(np.float32)
