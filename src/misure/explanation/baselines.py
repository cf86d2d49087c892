"""Baseline images: what stands where pixels are removed.

No choice is neutral: a flat colour with a hard edge damages what is shown, so it asks for a larger
region than a soft edge or a blurred image does. Most are one image, whatever is shown. `filled`,
`inpainted` and a function of the user's own (`python:FILE.py:FUNCTION`) make it anew for each
region, from the pixels that are shown.
"""

from collections.abc import Callable, Sequence
from math import prod

import torch
from torch import Tensor

from misure._util.freed_memory import LARGE
from misure._util.suggestions import did_you_mean
from misure.errors import InputError
from misure.explanation.filling import fill_in
from misure.explanation.inpainting import MadeOfShown, inpaint, user_inpainting
from misure.images.spacing import Sampling, short_side_px

BLUR_FRACTION = 0.1
"""Standard deviation of the `blurred` baseline, as a fraction of the image's short side."""

USER = "python:"
"""How the name of a baseline image begins that a function of the user's own makes."""

_REACH = 4.0  # standard deviations beyond which the Gaussian is cut off


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
            standard deviation in each channel), `filled`, `inpainted` or `python:FILE.py:FUNCTION`
            (see `made_of_shown`; here what stands there when nothing is shown: `mean`), or a tensor
            that broadcasts to the image.
        image: (C, *spatial).
        mean: C numbers, or one, in the units of the image; only `mean` looks at it.
        seed: of the noise.
        sampling: sides of a voxel relative to the smallest, the unit of the blur; None: equal.

    Raises:
        InputError: an unknown name, a tensor that does not fit or is not finite.
    """
    if isinstance(kind, Tensor):
        return _given(kind, image)
    colour = (0.0,) if mean is None else mean
    if kind.startswith(USER):
        return _mean(image, colour, seed)
    if kind not in BASELINE_IMAGES:
        raise InputError(
            f"expected one of {', '.join(BASELINE_IMAGES)}, {USER}FILE.py:FUNCTION or a tensor, "
            f"got {kind!r}.{did_you_mean(kind, BASELINE_IMAGES)}"
        )
    if kind == "blurred" and sampling is not None:
        return blur(image, sampling=sampling)
    return BASELINE_IMAGES[kind](image, colour, seed)


def made_of_shown(kind: str | Tensor) -> MadeOfShown | None:
    """What makes the baseline image of each visibility; None if it is the same whatever is shown.

    Args:
        kind: as of `make_baseline_image`; `python:FILE.py:FUNCTION` runs the file.

    Raises:
        InputError: no such file or function, or the file raises.
    """
    if isinstance(kind, Tensor):
        return None
    if kind.startswith(USER):
        return user_inpainting(kind.removeprefix(USER))
    return MADE_OF_SHOWN.get(kind)


def blur(
    image: Tensor, fraction: float = BLUR_FRACTION, sampling: Sampling | None = None
) -> Tensor:
    """The image (C, *spatial) blurred by a Gaussian; what is beyond its ends is as the ends.

    Args:
        image: (C, *spatial) float.
        fraction: standard deviation as a fraction of the short side, above 0.
        sampling: sides of a voxel relative to the smallest; None: equal.
    """
    wide = fraction * short_side_px(image.shape[1:], sampling)
    blurred = image
    for axis, unit in enumerate(sampling or (1,) * (image.ndim - 1), start=1):
        averages = _gaussian_averages(image.shape[axis], wide / unit).to(image)
        blurred = _averaged(blurred, averages, axis)
    return blurred.contiguous()


def _averaged(image: Tensor, averages: Tensor, axis: int) -> Tensor:
    """An image (C, *spatial) with averages (length, length) taken along an axis.

    Of large ones one plane after the other, for a product makes two copies of what it is given.
    """
    if prod(image.shape[1:]) < LARGE or image.ndim < 4:
        mixed: Tensor = torch.tensordot(image, averages, dims=([axis], [1]))
        return mixed.movedim(-1, axis)
    planes = 1 if axis > 1 else 2
    averaged = torch.empty_like(image)
    for i in range(image.shape[planes]):
        plane = image.select(planes, i)
        along = axis if axis < planes else axis - 1
        product = torch.tensordot(plane, averages, dims=([along], [1])).movedim(-1, along)
        averaged.select(planes, i).copy_(product)
    return averaged


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


def _blurred(image: Tensor, _mean: Sequence[float], _seed: int) -> Tensor:
    return blur(image)


def _gaussian_averages(length: int, sigma: float) -> Tensor:
    """The matrix (length, length) that blurs a line; what is beyond its ends is as the ends.

    For a blur this wide a matrix product is several times as fast as a filter, on any device.
    """
    reach = int(_REACH * sigma + 0.5)
    offsets = torch.arange(-reach, reach + 1)
    weights = torch.exp(-0.5 * (offsets / sigma).double() ** 2)
    seen = (torch.arange(length)[:, None] + offsets).clamp(0, length - 1)
    averages = torch.zeros(length, length, dtype=torch.float64)
    return averages.scatter_add_(1, seen, (weights / weights.sum()).expand(length, -1))


def _noise(image: Tensor, _mean: Sequence[float], seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(image.shape, generator=generator).to(image)
    each_channel = tuple(range(1, image.ndim))
    mean = image.mean(each_channel, keepdim=True)
    spread = image.std(each_channel, keepdim=True, correction=0)
    return noise.mul_(spread).add_(mean)


BASELINE_IMAGES: dict[str, Callable[[Tensor, Sequence[float], int], Tensor]] = {
    "mean": _mean,
    "black": _black,
    "blurred": _blurred,
    "noise": _noise,
    "filled": _mean,
    "inpainted": _mean,
}
"""Name -> function of (image, mean of the model, seed)."""

MADE_WHEN_NEEDED = ("blurred", "noise")
"""Names of those that take memory of their own and are the same whatever is shown."""

MADE_OF_SHOWN: dict[str, MadeOfShown] = {"filled": fill_in, "inpainted": inpaint}
"""Name -> what makes the baseline image of a region, for those that depend on the region."""
