"""nnU-Net's normalisation of one channel, with the statistics of the image that is explained."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from misure.errors import InputError
from misure.models.loaders.nnunet_folder import ResultFolder

_SMALLEST_STD = 1e-8


@dataclass(frozen=True, kw_only=True, eq=False)
class Normalisation:
    """Numbers are clipped, moved and divided; outside of a mask they become 0.

    Attributes:
        shift, scale: of a number x becomes (x - shift) / scale.
        low, high: numbers are clipped to them first; None: they are not.
        mask: (D, H, W) bool, where the image is not zero; None: everywhere.
    """

    shift: float = 0.0
    scale: float = 1.0
    low: float | None = None
    high: float | None = None
    mask: Tensor | None = None

    def __call__(self, channel: Tensor) -> Tensor:
        if self.low is not None or self.high is not None:
            channel = channel.clamp(self.low, self.high)
        normalised = (channel - self.shift) / self.scale
        if self.mask is None:
            return normalised
        return torch.where(self.mask.to(channel.device), normalised, 0)


def make_normalisation(
    folder: ResultFolder, channel: int, numbers: np.ndarray, mask: np.ndarray
) -> Normalisation:
    """The normalisation of one channel of an image.

    Args:
        folder: the network's plans.
        channel: which.
        numbers: (D, H, W) float32 of the image, cropped.
        mask: (D, H, W) bool, where the image is not zero.

    Raises:
        InputError: a normalisation that is not known, or numbers that it does not take.
    """
    scheme = folder.configuration.normalization_schemes[channel]
    if scheme == "ZScoreNormalization":
        is_masked = bool(folder.configuration.use_mask_for_norm[channel])
        measured = numbers[mask] if is_masked else numbers
        return Normalisation(
            shift=float(measured.mean()),
            scale=max(float(measured.std()), _SMALLEST_STD),
            mask=torch.from_numpy(mask) if is_masked else None,
        )
    if scheme == "CTNormalization":
        known = folder.intensities(channel)
        return Normalisation(
            shift=known["mean"],
            scale=max(known["std"], _SMALLEST_STD),
            low=known["percentile_00_5"],
            high=known["percentile_99_5"],
        )
    if scheme == "RescaleTo01Normalization":
        low = float(numbers.min())
        span = float((numbers - numbers.min()).max())
        return Normalisation(shift=low, scale=max(span, _SMALLEST_STD))
    if scheme == "RGBTo01Normalization":
        if numbers.min() < 0 or numbers.max() > 255:
            raise InputError(
                "expected numbers from 0 to 255, since the plans of this nnU-Net are for colours, "
                f"got {numbers.min():g} to {numbers.max():g}."
            )
        return Normalisation(scale=255.0)
    return Normalisation()
