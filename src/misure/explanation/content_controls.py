"""Content controls: what can replace the image inside a region, to see what the outline says.

- `mean_colour`: the region's own mean colour;
- `noise`: Gaussian, with the region's own mean and standard deviation in each channel;
- `other_image`: another image of the same shape; if the user gives none, the image turned by 180°.

If a model still predicts the target, it reads the outline (the first two: *silhouette Dice*), or it
would take any content of that outline for the target (the last: *transfer Dice*). In both cases the
region is weak evidence.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from misure.errors import InputError

CONTENT_CONTROLS = ("mean_colour", "noise", "other_image")

_APART = 0x5EED  # so that this noise is not that of the baseline image of the same seed


@dataclass(frozen=True, eq=False)
class ContentControls:
    """The contents that can replace one image.

    Attributes:
        image, other_image: (C, *spatial) float.
        noise: (C, *spatial) float, Gaussian of mean 0 and standard deviation 1.
    """

    image: Tensor
    other_image: Tensor
    noise: Tensor

    def replace(self, content: str, region: Tensor) -> Tensor:
        """The image (C, *spatial) with another content, one of `CONTENT_CONTROLS`, for this region.

        Args:
            content: which.
            region: (*spatial) bool; an empty one has no content, so the image stays as it is.
        """
        if content == "other_image":
            return self.other_image
        num_pixels = region.sum().clamp(min=1)
        each_channel = (-1, *[1] * region.ndim)
        mean = ((self.image * region).flatten(1).sum(1) / num_pixels).view(each_channel)
        if content == "mean_colour":
            return mean.expand_as(self.image)
        squares = (((self.image - mean) * region) ** 2).flatten(1).sum(1)
        return mean + (squares / num_pixels).sqrt().view(each_channel) * self.noise


def make_content_controls(
    image: Tensor, *, other_image: Tensor | None = None, seed: int = 0
) -> ContentControls:
    """The contents that can replace an image.

    Args:
        image: (C, *spatial) float.
        other_image: (C, *spatial) float; None: the image turned by half a turn.
        seed: of the noise.

    Raises:
        InputError: another shape.
    """
    if other_image is not None and not isinstance(other_image, Tensor):
        raise InputError(
            f"expected other_image to be a tensor, got {other_image!r}. It can be "
            "given from Python only."
        )
    if other_image is not None and other_image.shape != image.shape:
        raise InputError(
            f"expected another image of shape {tuple(image.shape)}, got "
            f"{tuple(other_image.shape)}. Resize it."
        )
    if other_image is None:
        other_image = image.flip(tuple(range(1, image.ndim)))
    generator = torch.Generator().manual_seed(seed + _APART)
    noise = torch.randn(image.shape, generator=generator)
    return ContentControls(image, other_image.to(image), noise.to(image))
