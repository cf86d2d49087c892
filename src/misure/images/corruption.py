"""Corruptions: images degraded in a known way, by a known strength.

A data set can be opened corrupted (`corrupted:noise=0.1,SPEC`), to see whether a measure of
reliability notices. Weak corruptions serve as test-time augmentation.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from scipy import ndimage
from torch import Tensor

from misure.errors import InputError


@dataclass(frozen=True)
class Corruption:
    """A kind of corruption and its strength; called on an image, it corrupts it.

    Attributes:
        kind: name in `CORRUPTIONS`.
        strength: in [0, 1]; 0 changes nothing. `CORRUPTIONS` says what it measures.

    Raises:
        InputError: an unknown kind, or a strength outside [0, 1].
    """

    kind: str
    strength: float

    def __post_init__(self) -> None:
        if self.kind not in CORRUPTIONS or not 0 <= self.strength <= 1:
            raise InputError(
                f"expected a corruption among {', '.join(CORRUPTIONS)} with a strength in "
                f"[0, 1], got {self.kind} with {self.strength}."
            )

    def __call__(self, image: Tensor, seed: int = 0) -> Tensor:
        """The corrupted image (C, *spatial), clamped to the range of the image's own numbers.

        Args:
            image: (C, *spatial) float.
            seed: of the noise, and of the position of the occlusion.
        """
        generator = torch.Generator().manual_seed(seed)
        low, high = image.min(), image.max()
        return CORRUPTIONS[self.kind](image, self.strength, generator).clamp(low, high)


def _noise(image: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    noise = torch.randn(image.shape, generator=generator).to(image)
    return image + strength * (image.max() - image.min()) * noise


def _blur(image: Tensor, strength: float, _generator: torch.Generator) -> Tensor:
    sigma = strength * min(image.shape[1:])
    axes = tuple(range(1, image.ndim))
    blurred = ndimage.gaussian_filter(image.cpu().numpy(), sigma, axes=axes, mode="nearest")
    return torch.from_numpy(blurred).to(image)


def _contrast(image: Tensor, strength: float, _generator: torch.Generator) -> Tensor:
    mean = image.mean(tuple(range(1, image.ndim)), keepdim=True)
    return mean + (1 - strength) * (image - mean)


def _occlusion(image: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    sides = [round(side * strength ** (1 / (image.ndim - 1))) for side in image.shape[1:]]
    positions = torch.rand(image.ndim - 1, generator=generator).tolist()
    hidden = image.clone()
    window = [slice(None)]
    for side, whole, position in zip(sides, image.shape[1:], positions, strict=True):
        start = int(position * (whole - side + 1))
        window.append(slice(start, start + side))
    hidden[tuple(window)] = image.mean(tuple(range(1, image.ndim)), keepdim=True)
    return hidden


CORRUPTIONS: dict[str, Callable[[Tensor, float, torch.Generator], Tensor]] = {
    "noise": _noise,
    "blur": _blur,
    "contrast": _contrast,
    "occlusion": _occlusion,
}
"""Name -> function of (image, strength, generator). The strength is, for

- `noise` (Gaussian): the standard deviation as a fraction of the image's range;
- `blur` (Gaussian): the standard deviation as a fraction of the short side;
- `contrast`: the fraction of it that is removed, around each channel's mean;
- `occlusion` (one box with the image's proportions and mean colour): the fraction covered.
"""
