"""Baseline images: what stands where pixels are removed.

No choice is neutral: a flat colour with a hard edge damages what is shown, so it asks for a larger
region than a soft edge or a blurred image does.
"""

from collections.abc import Callable, Sequence

import torch
from scipy import ndimage
from torch import Tensor

from misure._util.suggestions import did_you_mean
from misure.errors import InputError
from misure.images.spacing import Sampling, short_side_px

BLUR_FRACTION = 0.1
"""Standard deviation of the `blurred` baseline, as a fraction of the image's short side."""


def make_baseline_image(
    kind: str | Tensor,
    image: Tensor,
    *,
    mean: Sequence[float] | None = None,
    seed: int = 0,
    sampling: Sampling | None = None,
) -> Tensor:
    """The baseline image (C, *spatial) of an image: same shape, type and device.

    Args:
        kind: `mean` (zero after the model's normalisation: the mean colour that the model was
            trained with, 0 for a model without; the paper's), `black` (0), `blurred` (Gaussian,
            `BLUR_FRACTION` of the short side), `noise` (Gaussian, with the image's own mean and
            standard deviation in each channel), or a tensor that broadcasts to the image.
        image: (C, *spatial).
        mean: C numbers, or one, in the units of the image; only `mean` looks at it.
        seed: of the noise.
        sampling: sides of a voxel relative to the smallest, the unit of the blur; None: equal.

    Raises:
        InputError: an unknown name, a tensor that does not fit or is not finite.
    """
    if isinstance(kind, Tensor):
        return _given(kind, image)
    if kind not in BASELINE_IMAGES:
        raise InputError(
            f"expected one of {', '.join(BASELINE_IMAGES)} or a tensor, got {kind!r}."
            f"{did_you_mean(kind, BASELINE_IMAGES)}"
        )
    if kind == "blurred" and sampling is not None:
        return _blurred(image, (), seed, sampling)
    return BASELINE_IMAGES[kind](image, (0.0,) if mean is None else mean, seed)


def _given(baseline_image: Tensor, image: Tensor) -> Tensor:
    try:
        fitted = baseline_image.to(image).expand_as(image)
    except RuntimeError as error:
        raise InputError(
            f"expected a baseline image of shape {tuple(image.shape)}, "
            f"got {tuple(baseline_image.shape)}."
        ) from error
    if not bool(torch.isfinite(fitted).all()):
        raise InputError("expected finite numbers, got NaN or infinity.")
    return fitted


def _mean(image: Tensor, mean: Sequence[float], _seed: int) -> Tensor:
    colour = torch.tensor(mean, dtype=image.dtype, device=image.device)
    return colour.view(-1, *[1] * (image.ndim - 1)).expand_as(image)


def _black(image: Tensor, _mean: Sequence[float], _seed: int) -> Tensor:
    return torch.zeros_like(image)


def _blurred(
    image: Tensor, _mean: Sequence[float], _seed: int, sampling: Sampling | None = None
) -> Tensor:
    wide = BLUR_FRACTION * short_side_px(image.shape[1:], sampling)
    sigma = [wide / unit for unit in sampling or (1,) * (image.ndim - 1)]
    axes = tuple(range(1, image.ndim))
    blurred = ndimage.gaussian_filter(image.cpu().numpy(), sigma, axes=axes, mode="nearest")
    return torch.from_numpy(blurred).to(image)


def _noise(image: Tensor, _mean: Sequence[float], seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(image.shape, generator=generator).to(image)
    each_channel = tuple(range(1, image.ndim))
    mean = image.mean(each_channel, keepdim=True)
    spread = image.std(each_channel, keepdim=True, correction=0)
    return mean + spread * noise


BASELINE_IMAGES: dict[str, Callable[[Tensor, Sequence[float], int], Tensor]] = {
    "mean": _mean,
    "black": _black,
    "blurred": _blurred,
    "noise": _noise,
}
"""Name -> function of (image, mean of the model, seed)."""
