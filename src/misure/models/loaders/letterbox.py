"""The letterbox of YOLO: images are resized with their aspect kept, and padded with grey around."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, gcd
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from misure.errors import InputError
from misure.models.preprocessing import Placement, Preprocessing

_GREY = 114 / 255
_LEVELS = 255
_ONE = 2048
_MASKS = 4
"""How many pixels of the input one of a mask stands for, along each axis."""


@dataclass(frozen=True)
class Letterbox(Preprocessing):
    """What ultralytics does to an image in [0, 1], and how masks come back to its pixels.

    Resizing is that of OpenCV: linear, without a wider kernel where the image shrinks.

    Attributes:
        sides: (H, W) that the resized image fits into.
        stride: see below.
        is_least: whether padding goes to the next multiple of `stride` only, instead of to `sides`.
    """

    sides: tuple[int, ...] = (640, 640)
    stride: int = 32
    is_least: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mean or self.std or self.input_size is not None or self.size_divisor != 1:
            raise InputError(
                "expected neither mean, std, input_size nor size_divisor: a YOLO network prepares "
                "images itself. Say imgsz=... for another size."
            )

    @classmethod
    def of(cls, sides: tuple[int, ...], stride: int, is_least: bool) -> "Letterbox":
        """A letterbox, with its settings for the record."""
        about: dict[str, Any] = {"letterbox": list(sides), "stride": stride, "is_least": is_least}
        return cls(sides=sides, stride=stride, is_least=is_least, processor=about)

    def placement(self, spatial: Sequence[int]) -> Placement:
        """Where an image of shape (H, W) lies in the network's input.

        Raises:
            InputError: it is a volume.
        """
        if len(spatial) != 2:
            raise InputError(f"expected pictures for a YOLO network, got shape {tuple(spatial)}.")
        ratio = min(own / side for own, side in zip(self.sides, spatial, strict=True))
        resized = tuple(max(round(side * ratio), 1) for side in spatial)
        missing = [own - side for own, side in zip(self.sides, resized, strict=True)]
        if self.is_least:
            missing = [pad % self.stride for pad in missing]
        before = [round(pad / 2 - 0.1) for pad in missing]
        after = [round(pad / 2 + 0.1) for pad in missing]
        shape = [sum(each) for each in zip(resized, before, after, strict=True)]
        corner = tuple(-pad for pad in before)
        return Placement(
            resized=resized, input_shape=tuple(shape), corners=(corner,), padding=(_GREY,)
        )

    def to_input(self, images: Tensor) -> Tensor:
        """The network's inputs (N, C, H', W') of images (N, C, H, W)."""
        placed = self.placement(images.shape[2:])
        if placed.resized != tuple(images.shape[2:]):
            images = resized_as_opencv(images, placed.resized)
        (top, left), (rows, columns) = (-start for start in placed.corners[0]), placed.resized
        below, right = placed.input_shape[0] - rows - top, placed.input_shape[1] - columns - left
        return F.pad(images - _GREY, (left, right, top, below)) + _GREY

    def to_image(self, logits: Tensor, spatial: Sequence[int]) -> Tensor:
        """Masks at the image's own pixels (N, K, H, W), of masks (N, K, h, w)."""
        growth = smallest_growth(spatial, logits.shape[2:])
        if growth > 1:
            logits = F.interpolate(logits, scale_factor=growth, mode="bilinear")
        if tuple(logits.shape[2:]) == tuple(spatial):
            return logits
        shape = logits.shape[2:]
        gain = min(own / side for own, side in zip(shape, spatial, strict=True))
        inside = [max(round(side * gain), 1) for side in spatial]
        top, left = (round((own - side) / 2 - 0.1) for own, side in zip(shape, inside, strict=True))
        logits = logits[..., top : top + inside[0], left : left + inside[1]]
        return F.interpolate(logits, tuple(spatial), mode="bilinear")

    def boxes_to_image(self, boxes: Tensor, spatial: Sequence[int]) -> Tensor:
        """Left, top, right and bottom (Q, 4) in pixels of an image (H, W), cut off at its edges.

        Args:
            boxes: (Q, 4) in pixels of the network's input.
            spatial: (H, W).
        """
        placed = self.placement(spatial)
        corner, gains = (
            placed.corners[0],
            [own / side for own, side in zip(placed.resized, spatial, strict=True)],
        )
        shift = boxes.new_tensor([corner[1], corner[0]] * 2)
        gain = boxes.new_tensor([gains[1], gains[0]] * 2)
        most = boxes.new_tensor([spatial[1], spatial[0]] * 2)
        return torch.minimum(((boxes + shift) / gain).clamp(min=0), most)


def resized_as_opencv(images: Tensor, spatial: tuple[int, ...]) -> Tensor:
    """Images (N, C, H, W) in [0, 1] with the numbers that OpenCV gives 8-bit pictures, resized.

    OpenCV counts in whole numbers; gradients are those of linear interpolation.

    Args:
        images: float.
        spatial: (H, W) of the result.
    """
    smooth = F.interpolate(images, spatial, mode="bilinear")
    with torch.no_grad():
        levels = (images * _LEVELS).round().clamp(0, _LEVELS).to(torch.int32)
        before, after, share = _neighbours(levels.shape[3], spatial[1], images.device)
        rows = levels[..., before] * (_ONE - share) + levels[..., after] * share >> 4
        before, after, share = _neighbours(levels.shape[2], spatial[0], images.device)
        upper = rows[:, :, before] * (_ONE - share)[:, None] >> 16
        lower = rows[:, :, after] * share[:, None] >> 16
        exact = (upper + lower + 2 >> 2).to(images.dtype) / _LEVELS
    return smooth + (exact - smooth).detach()


def _neighbours(old: int, new: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """For each new pixel the two old ones around it, and the share of the second, in 2048ths."""
    places = (torch.arange(new, dtype=torch.float64) + 0.5) / (new / old) - 0.5
    places = places.float().clamp(0, old - 1)
    before = places.floor()
    share = ((places - before) * _ONE).round().to(torch.int32)
    first = before.long()
    return first.to(device), (first + 1).clamp(max=old - 1).to(device), share.to(device)


def smallest_growth(spatial: Sequence[int], masks: Sequence[int]) -> int:
    """By how much masks grow before their padding is cut off: 1, 2 or 4.

    It is the smallest number with which the padding is whole pixels, as in ultralytics.

    Args:
        spatial: (H, W) of the image.
        masks: (h, w) of the prototypes.
    """
    sides = [_MASKS * own for own in masks]
    gain = min(own / side for own, side in zip(sides, spatial, strict=True))
    rows, columns = (
        own - max(round(side * gain), 1) for own, side in zip(sides, spatial, strict=True)
    )
    pad = rows | columns
    return _MASKS // gcd(_MASKS, pad | pad // 2)


def _fitted(side: int, stride: int) -> int:
    """The next multiple of a stride."""
    return ceil(side / stride) * stride


def checked_letterbox(
    imgsz: int | Sequence[int] | None, known: Sequence[int], stride: int, *, is_least: bool
) -> Letterbox:
    """The letterbox of a network.

    Args:
        imgsz: (H, W) or one number for both, as the user says it; None: `known`.
        known: (H, W) that the network was made for.
        stride: sides are whole multiples of it.
        is_least: whether padding goes to the next multiple of `stride` only.

    Raises:
        InputError: no such sizes.
    """
    sides = known if imgsz is None else [imgsz] * 2 if isinstance(imgsz, int) else list(imgsz)
    if len(sides) != 2 or any(not isinstance(side, int) or side < 1 for side in sides):
        raise InputError(f"expected imgsz as one number, or as height and width, got {imgsz!r}.")
    return Letterbox.of((_fitted(sides[0], stride), _fitted(sides[1], stride)), stride, is_least)
