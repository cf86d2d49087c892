"""Content controls: what can replace the image inside a region, to see what the outline says.

- `mean_colour`: the region's own mean colour;
- `noise`: Gaussian, with the region's own mean and standard deviation in each channel;
- `other_image`: another image; a run takes another sample of its data set. Without one it is the
  image itself turned by 180°, and results say so (`transfer_from`).

If a model still predicts the target, it reads the outline (the first two: *silhouette Dice*), or it
would take any content of that outline for the target (the last: *transfer Dice*). In both cases the
region is weak evidence.
"""

from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from misure._util.words import counted
from misure.errors import InputError
from misure.explanation.made_image import MadeImage, image_of

CONTENT_CONTROLS = ("mean_colour", "noise", "other_image")

TURNED = "turned"
"""Name of the other image where it is the image itself, turned by half a turn."""

_APART = 0x5EED  # so that this noise is not that of the baseline image of the same seed


@dataclass(frozen=True, eq=False)
class ContentControls:
    """The contents that can replace one image.

    Attributes:
        image: (C, *spatial) float.
        other: another image (C, *spatial) float, or what makes it.
        noise: makes (C, *spatial) float, Gaussian of mean 0 and standard deviation 1.
        transfer_from: name of the other image; `turned` if it is the image itself.
        is_resized: whether the other image had another shape, and was scaled and cropped.
    """

    image: Tensor
    other: Tensor | MadeImage
    noise: MadeImage
    transfer_from: str = TURNED
    is_resized: bool = False

    def replace(self, content: str, region: Tensor) -> Tensor:
        """The image (C, *spatial) with another content, one of `CONTENT_CONTROLS`, for this region.

        Args:
            content: which.
            region: (*spatial) bool; an empty one has no content, so the image stays as it is.
        """
        if content == "other_image":
            return image_of(self.other)
        num_pixels = region.sum().clamp(min=1)
        each_channel = (-1, *[1] * region.ndim)
        mean = ((self.image * region).flatten(1).sum(1) / num_pixels).view(each_channel)
        if content == "mean_colour":
            return mean.expand_as(self.image)
        squares = (self.image - mean).mul_(region).square_().flatten(1).sum(1)
        return torch.mul((squares / num_pixels).sqrt().view(each_channel), self.noise()).add_(mean)


def make_content_controls(
    image: Tensor, *, other_image: Tensor | None = None, name: str = "tensor", seed: int = 0
) -> ContentControls:
    """The contents that can replace an image.

    Args:
        image: (C, *spatial) float.
        other_image: (C, *any) float; one of another size is scaled until it covers the image, and
            its middle is taken. None: the image turned by half a turn.
        name: of the other image, for results.
        seed: of the noise.

    Raises:
        InputError: another number of channels or axes, or numbers that are not finite.
    """
    if other_image is not None and not isinstance(other_image, Tensor):
        raise InputError(
            f"expected other_image to be a tensor, got {other_image!r}. On the "
            "command line name a file with --other-image."
        )
    is_resized = other_image is not None and other_image.shape != image.shape
    other: Tensor | MadeImage
    if other_image is None:
        name, other = TURNED, MadeImage(partial(image.flip, tuple(range(1, image.ndim))))
    else:
        other = fitted_to(other_image, image)

    def noise() -> Tensor:
        generator = torch.Generator().manual_seed(seed + _APART)
        return torch.randn(image.shape, generator=generator).to(image)

    return ContentControls(image, other, MadeImage(noise), name, is_resized)


def fits(other_image: Tensor, image: Tensor) -> bool:
    """Whether an image can be fitted to another: as many channels and axes, finite numbers."""
    return (
        other_image.ndim == image.ndim
        and len(other_image) == len(image)
        and 0 not in other_image.shape
        and bool(torch.isfinite(other_image).all())
    )


def fitted_to(other_image: Tensor, image: Tensor) -> Tensor:
    """Another image (C, *any) at the shape of this one: scaled until it covers it, then cropped.

    Args:
        other_image: (C, *any) float; of the same shape it stays as it is.
        image: (C, *spatial) float.

    Raises:
        InputError: another number of channels or axes, or numbers that are not finite.
    """
    if not fits(other_image, image):
        raise InputError(
            f"expected another image of {counted(len(image), 'channel')} "
            f"and {image.ndim - 1} axes, of finite "
            f"numbers, got one of shape {tuple(other_image.shape)}. Choose one that the network "
            "takes."
        )
    other_image = other_image.to(image)
    if other_image.shape == image.shape:
        return other_image
    sides = [*zip(other_image.shape[1:], image.shape[1:], strict=True)]
    scale = max(wanted / side for side, wanted in sides)
    sizes = [max(wanted, round(side * scale)) for side, wanted in sides]
    mode = "bilinear" if image.ndim == 3 else "trilinear"
    scaled = F.interpolate(other_image[None], sizes, mode=mode, antialias=image.ndim == 3)[0]
    for axis, (size, (_, wanted)) in enumerate(zip(sizes, sides, strict=True), start=1):
        scaled = scaled.narrow(axis, (size - wanted) // 2, wanted)
    return scaled
