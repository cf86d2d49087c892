"""What is handed over in place of a target: a class, or a mask of the pixels that are meant."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from misure.errors import InputError
from misure.models.inputs import affine_for, as_image, as_model
from misure.models.model import SegmentationModel
from misure.models.segmentation import Segmentation, segment
from misure.models.target import Target

AnyTarget = Target | str | int | Tensor | np.ndarray


def as_target(model: SegmentationModel, image: Tensor, target: Any) -> Target:
    """The target that is meant.

    A Target is itself. A class, by name or number, is all of it that the model finds in the image.
    A mask (*spatial) of bool is the part inside it of the class that the model gives to most of its
    pixels. The last two take a forward pass, which is not counted in any cost.

    Raises:
        EmptyTargetError: the model finds nothing of the class.
        InputError: another kind of target; a mask of another shape, of background, or without a
            class on more than half of its pixels.
    """
    if isinstance(target, Target):
        return target
    mask = torch.from_numpy(target.copy()) if isinstance(target, np.ndarray) else target
    is_class = isinstance(target, (str, int, np.integer)) and not isinstance(target, bool)
    if not is_class and not (isinstance(mask, Tensor) and mask.dtype == torch.bool):
        got = f"{mask.dtype} {tuple(mask.shape)}" if isinstance(mask, Tensor) else type(target)
        raise InputError(
            f"expected a Target, a class by name or number, or a mask (*spatial) of bool, got "
            f"{got}. predicted_target makes one."
        )
    segmentation = segment(model, image)
    if isinstance(mask, Tensor):
        return _inside(segmentation, mask.as_subclass(Tensor).to(image.device))
    return segmentation.target(model.find_class(target if isinstance(target, str) else int(target)))


def as_asked(
    model: Any,
    image: Any,
    target: Any,
    affine: Tensor | None = None,
    class_names: str | Sequence[str] = (),
) -> tuple[SegmentationModel, Tensor, Target]:
    """The model, the image (C, *spatial) and the target that are meant.

    The model is bound to the image as the target needs it, and examined on it. A target without a
    binding, such as one that was saved, gets that of the image.

    Args:
        model, image, target: see `as_model`, `as_image`, `as_target`.
        affine, class_names: see `segment`.

    Raises:
        EmptyTargetError: the model finds nothing of the class.
        InputError: as of `as_model`, `as_image`, `as_target` and `SegmentationModel.examine`.
        ModelError: the network fails on the image.
    """
    found = as_model(model, class_names)
    pixels = as_image(image, found)
    is_target = isinstance(target, Target)
    if not is_target or target.binding is None:
        found = found.for_image(pixels, affine_for(found, image) if affine is None else affine)
        if is_target and found.binding is not None:  # it was read from a file, perhaps
            target = replace(target, binding=found.binding, multilabel=found.multilabel)
    meant = as_target(found, pixels, target)
    bound = meant.bound(found)
    bound.examine(pixels[None])
    return bound, pixels, meant


def _inside(segmentation: Segmentation, mask: Tensor) -> Target:
    """The part inside a mask of the class that the model gives to most of its pixels."""
    model = segmentation.model
    if tuple(mask.shape) != segmentation.spatial:
        raise InputError(
            f"expected a mask of the image's shape {segmentation.spatial}, got {tuple(mask.shape)}."
        )
    num_pixels = int(mask.sum())
    if not num_pixels:
        raise InputError("expected a mask of at least one pixel, got an empty one.")
    nums = [
        int((segmentation.class_region(k) & mask).sum()) for k in range(segmentation.num_classes)
    ]
    index = max(range(len(nums)), key=nums.__getitem__)
    share, name = nums[index] / num_pixels, model.class_name(index)
    if share <= 0.5 or model.is_background(index):
        raise InputError(
            f"expected a mask on something that {model.name} finds, it gives {100 * share:.0f} % "
            f"of the mask's pixels to class {name} and less to any other. Targets are what the "
            "model finds: take one with predicted_target, which also explains background."
        )
    whole = segmentation.class_region(index)
    return Target(index, whole & mask, whole & ~mask, name, model.multilabel, binding=model.binding)
