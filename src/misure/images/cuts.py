"""Cuts: the flat pictures that are taken of an image or a volume, and how each lies in the body.

Of a volume that is laid out (see `orientation`) there are three: axial, coronal and sagittal, with
the head up in the last two, the front of the body on the left in a sagittal one. A volume of which
nobody knows how it lies is cut along its axes as they are stored.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from misure.errors import InputError
from misure.images.orientation import AS_STORED, ViewingOrder, lay_out

PLANES = ("axial", "coronal", "sagittal")
"""Names of the cuts, each across the laid-out axis of its position."""

_LETTERS = {"axial": "RLAP", "coronal": "RLSI", "sagittal": "APSI"}  # left, right, top, bottom
_NEARLY_ALL = 0.5  # share of a volume from which a region says nothing about where to look


@dataclass(frozen=True)
class Lie:
    """How the pixels or voxels of an image lie.

    Attributes:
        order: how to lay out a volume as axial slices.
        is_known: whether that order is the one in the body; of a flat image, whether it is an
            axial slice laid out for viewing.
        spacing_mm: sides of a pixel or voxel along each axis as stored; None: not known.
    """

    order: ViewingOrder = AS_STORED
    is_known: bool = False
    spacing_mm: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Cut:
    """One flat picture of an image or a volume.

    Attributes:
        plane: its name; empty for an image, which is its own cut.
        number, count: which of how many slices it is.
        lie: of the image or volume.
    """

    plane: str = ""
    number: int = 0
    count: int = 1
    lie: Lie = Lie()

    def take(self, tensor: Tensor) -> Tensor:
        """The cut (..., H, W) of a tensor (..., *spatial)."""
        if not self.plane:
            return tensor
        axis = PLANES.index(self.plane) - 3
        taken = lay_out(tensor, self.lie.order).select(axis, self.number)
        is_turned = self.plane != "axial" and self.lie.is_known
        return taken.flip(-2) if is_turned else taken

    @property
    def pixel_mm(self) -> tuple[float, float] | None:
        """Height and width of a pixel in mm; None: not known."""
        spacing = self.lie.spacing_mm
        if spacing is None:
            return None
        if not self.plane:
            return spacing[0], spacing[1]
        sides = [spacing[axis] for axis, _ in self.lie.order]
        del sides[PLANES.index(self.plane)]
        return sides[0], sides[1]

    @property
    def aspect(self) -> float:
        """Height of a pixel divided by its width; 1 where they are not known."""
        height, width = self.pixel_mm or (1.0, 1.0)
        return height / width

    @property
    def letters(self) -> str:
        """Which way is left, right, up and down, as four of R L A P S I; empty: not known."""
        return _LETTERS[self.plane or "axial"] if self.lie.is_known else ""

    @property
    def words(self) -> str:
        """Which slice it is, counted from 0; empty for an image."""
        if not self.plane:
            return ""
        which = f"slice {self.number} of 0 to {self.count - 1}"
        if self.lie.is_known:
            return f"{self.plane} {which}"
        return f"{which} across axis {self.lie.order[PLANES.index(self.plane)][0]}"


def cuts_through(
    evidence: Tensor,
    target: Tensor,
    lie: Lie,
    *,
    planes: Sequence[str] = PLANES,
    slice_index: int | Sequence[int] | None = None,
) -> list[Cut]:
    """The cuts that show most of the evidence; an image is its own cut.

    Of each plane it is the slice with most of the evidence; with most of the target, if there is no
    evidence or it is more than half of the volume. Of several with the same number it is the middle
    one.

    Args:
        evidence: (*spatial) bool, or float: how much each voxel counts.
        target: (*spatial) bool.
        lie: of the image or volume.
        planes: which cuts of a volume.
        slice_index: the number of the slice instead: of one plane, or one for each plane.

    Raises:
        InputError: no such plane or slice, or a slice of an image.
    """
    if target.ndim == 2:
        if slice_index is not None:
            raise InputError("expected no slice_index of a flat image, which has no slices.")
        return [Cut(lie=lie)]
    for name in planes:
        if name not in PLANES:
            raise InputError(f"expected planes among {', '.join(PLANES)}, got {name!r}.")
    laid_out = lay_out((evidence if is_telling(evidence) else target).float(), lie.order)
    if slice_index is None:
        numbers = [_fullest(laid_out, PLANES.index(name)) for name in planes]
    elif isinstance(slice_index, int):
        planes, numbers = planes[:1], [slice_index]
    else:
        numbers = [int(number) for number in slice_index]
    if len(numbers) != len(planes):
        raise InputError(
            f"expected a slice_index for each of {', '.join(planes)}, got {len(numbers)} numbers."
        )
    cuts = []
    for name, number in zip(planes, numbers, strict=True):
        count = laid_out.shape[PLANES.index(name)]
        if not 0 <= number < count:
            raise InputError(f"expected a {name} slice from 0 to {count - 1}, got {number}.")
        cuts.append(Cut(name, number, count, lie))
    return cuts


def is_telling(evidence: Tensor) -> bool:
    """Whether a region says where to look: it is neither empty nor more than half of all."""
    return 0 < float((evidence > 0).float().mean()) <= _NEARLY_ALL


def montage_of(evidence: Tensor, target: Tensor, lie: Lie, num: int) -> list[Cut]:
    """Axial cuts at equal distances through all of the evidence and the target, the lowest first.

    Args:
        evidence, target: (*spatial) bool, of a volume.
        lie: of the volume.
        num: how many at most, 1 or more.

    Raises:
        InputError: a flat image, or fewer than one cut.
    """
    if target.ndim == 2 or num < 1:
        raise InputError(f"expected a volume and at least 1 slice of it, got {num} of an image.")
    laid_out = lay_out(evidence | target, lie.order)
    found = laid_out.flatten(1).any(1).nonzero().flatten().tolist()
    first, last = found[0], found[-1]
    numbers = torch.linspace(first, last, min(num, last - first + 1)).round().int().tolist()
    return [Cut("axial", number, len(laid_out), lie) for number in numbers]


def _fullest(laid_out: Tensor, axis: int) -> int:
    """The number of the slice across an axis that holds most; the middle one of several."""
    sums = laid_out.sum([other for other in range(3) if other != axis])
    fullest = (sums == sums.max()).nonzero().flatten()
    return int(fullest[len(fullest) // 2])
