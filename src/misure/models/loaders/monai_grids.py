"""Transforms of MONAI that turn, resample and resize volumes."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from misure._util.optional import require
from misure.errors import InputError
from misure.models.loaders.monai_arguments import Given
from misure.models.volumes.orientation import Orientation
from misure.models.volumes.resized import Interpolated
from misure.models.volumes.spacing import Spacing
from misure.models.volumes.step import Part, Step


@dataclass(frozen=True)
class MonaiSpacing(Spacing):
    """The spacing before a scaling by what is not 0.

    MONAI's resampling leaves numbers of about 1e-13 where 0 is right beside others, and counts them
    as not 0. So that the same voxels count, it resamples the image itself, once.
    """

    def follow(self, image: Tensor, affine: np.ndarray) -> Tensor:
        data = require("monai.data", extra="monai", purpose="resample the image")
        transforms = require("monai.transforms", extra="monai", purpose="resample the image")
        given = data.MetaTensor(image.cpu(), affine=torch.from_numpy(affine))
        mode = "nearest" if self.nearest else "bilinear"
        made = transforms.Spacing(self.mm, diagonal=self.diagonal, mode=mode)(given)
        seen: Tensor = made.as_tensor()
        return seen.to(image.device)


@dataclass(frozen=True)
class Resizes:
    """An image resized to a fixed shape."""

    after: tuple[int, ...]
    mode: str
    align_corners: bool | None

    def bind(self, image: Tensor, affine: np.ndarray | None) -> tuple[Step, np.ndarray | None]:
        old = image.shape[1:]
        if len(old) != len(self.after):
            raise InputError(
                f"expected an image of {len(self.after)} axes for Resize, got {tuple(old)}."
            )
        after = tuple(n if n > 0 else o for n, o in zip(self.after, old, strict=True))
        moved = affine
        if affine is not None and len(old) == 3:
            ratio = np.array(old) / np.array(after)
            moved = affine @ np.vstack(
                [np.column_stack([np.diag(ratio), (ratio - 1) / 2]), [[0, 0, 0, 1]]]
            )
        return Interpolated(after, self.mode, self.align_corners), moved


def oriented(given: Given) -> Part:
    """The part of `Orientation`."""
    given.check(as_closest_canonical=False)
    return Orientation("RAS" if given("as_closest_canonical") else str(given("axcodes")))


def resampled(given: Given) -> Part:
    """The part of `Spacing`."""
    given.check(padding_mode="border", scale_extent=False, min_pixdim=None, max_pixdim=None)
    mode = given.of_key("mode", "bilinear")
    if mode not in ("bilinear", "nearest", 1, 0):
        raise given.unusable("mode", mode, "bilinear or nearest")
    pixdim = given("pixdim")
    each = [pixdim] if isinstance(pixdim, (int, float)) else pixdim
    if not isinstance(each, list) or not all(isinstance(side, (int, float)) for side in each):
        raise given.unusable("pixdim", pixdim, "numbers")
    sides = [*map(float, each), *[float(each[-1])] * 3][:3]
    return Spacing(
        tuple(sides), nearest=mode in ("nearest", 0), diagonal=bool(given("diagonal", False))
    )


_INTERPOLATION = {"nearest", "nearest-exact", "area", "bilinear", "trilinear"}


def resized(given: Given) -> Part:
    """The part of `Resize`."""
    given.check(size_mode="all", anti_aliasing=False)
    mode = given.of_key("mode", "area")
    size = given("spatial_size")
    if not isinstance(size, list) or not all(type(side) is int for side in size):
        raise given.unusable("spatial_size", size, "a list of whole numbers")
    mode = (
        {2: "bilinear", 3: "trilinear"}.get(len(size)) if mode in ("bilinear", "linear") else mode
    )
    if mode not in _INTERPOLATION:
        raise given.unusable("mode", mode, " or ".join(sorted(_INTERPOLATION)))
    align = given.of_key("align_corners")
    return Resizes(tuple(size), mode, align if mode in ("bilinear", "trilinear") else None)
