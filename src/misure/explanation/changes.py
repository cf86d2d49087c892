"""Small changes of what is shown, under which a region that means something still holds.

A search keeps the best of a hundred tries, so it finds regions that suffice by chance: at this very
pixel, on this very colour. Such a region does not survive a change that no person would notice:

- `shift`: image, region and target move by one pixel along one axis; the pixels at the edge of the
  image are repeated;
- `noise`: Gaussian noise of 1 % of the image's range is added to the image;
- `soft_edge`: the edge from shown to removed is 1 to 3 pixels wider, inside the region;
- `baseline_image`: another baseline image stands where pixels are removed.

A search draws its changes anew for each region that it tries. The draw follows from the seed, the
target and the region, so whoever has them can repeat it. One variant of each kind (a direction of
the shift, a sample of the noise, a width of the edge, a baseline image) is *held out*: no search
ever sees it, and the final region is shown under it as evidence.

A shift or noise moves the network's own prediction, too: on photographs, the whole image shifted by
one pixel has a Dice of 0.5 to 1 with the target moved along. So a region holds if its Dice is at
least the threshold times that of the whole image under the same change, less `TOLERANCE`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar
from zlib import crc32

import numpy as np
import torch
from torch import Tensor

from misure.explanation.presentation import Presentation
from misure.images.regions import distance_px, packed
from misure.images.spacing import Sampling
from misure.models.target import Target

TOLERANCE = 0.05
"""How far the Dice under a small change may be below what is asked for.

What a search finds has just the Dice that it has to have, so that of any region would often be
below it by a little.
"""

_NOISE = 0.01  # of the image's range
_HELD_OUT_EDGE_PX = 2  # of every target, for a wider edge asks for more
_EDGES_PX = (1, 3)
_NUM_NOISES = 8  # few, so that the whole image needs to be shown with few


class Change:
    """A small change: what becomes of a target, of a presentation, and of a region.

    Attributes:
        moves_whole_image: whether the whole image looks different afterwards.
        tolerance: how far the Dice may be below what is asked for.
    """

    moves_whole_image: ClassVar[bool] = False
    tolerance: ClassVar[float] = TOLERANCE

    def target(self, target: Target) -> Target:
        """The target to preserve afterwards."""
        return target

    def presentation(self, presentation: Presentation) -> Presentation:
        """How regions are shown afterwards."""
        return presentation

    def region(self, region: Tensor) -> Tensor:
        """Where the pixels of a region (*spatial) lie afterwards."""
        return region

    def hidden_region(self, region: Tensor, _sampling: Sampling | None) -> Tensor:
        """The same of a region (*spatial) that is hidden, by the sides of a voxel."""
        return self.region(region)


@dataclass(frozen=True)
class Shift(Change):
    """Everything moves by one pixel; the pixels at the edge of the image are repeated.

    Attributes:
        axis: among the spatial ones, from the last: -1, -2, ...
        step: 1 or -1.
    """

    moves_whole_image: ClassVar[bool] = True
    axis: int
    step: int

    def target(self, target: Target) -> Target:
        return replace(
            target, region=self.region(target.region), ignored=self.region(target.ignored)
        )

    def presentation(self, presentation: Presentation) -> Presentation:
        return replace(
            presentation,
            image=self.region(presentation.image),
            baseline=self.region(presentation.baseline_image),
        )

    def region(self, region: Tensor) -> Tensor:
        if not any(region.stride()):  # of one colour
            return region
        length = region.shape[self.axis]
        places = torch.arange(length, device=region.device) - self.step
        return region.index_select(self.axis, places.clamp(0, length - 1))


@dataclass(frozen=True)
class Noise(Change):
    """Gaussian noise on the image, its standard deviation 1 % of the image's range.

    Attributes:
        seed: of the sample.
    """

    moves_whole_image: ClassVar[bool] = True
    seed: int

    def presentation(self, presentation: Presentation) -> Presentation:
        image = presentation.image
        noise = np.random.default_rng(self.seed).standard_normal(image.shape, dtype=np.float32)
        spread = _NOISE * (image.max() - image.min())
        changed = torch.from_numpy(noise).to(image).mul_(spread).add_(image)
        return replace(presentation, image=changed)


@dataclass(frozen=True)
class SoftEdge(Change):
    """A softer edge between what is shown and what is removed.

    Attributes:
        wider_px: by how much the edge is wider: inside a region that is shown, around one that is
            hidden, so that what is hidden stays so.
    """

    wider_px: int

    def hidden_region(self, region: Tensor, sampling: Sampling | None) -> Tensor:
        return distance_px(region, sampling) <= self.wider_px

    def presentation(self, presentation: Presentation) -> Presentation:
        return replace(presentation, edge_px=presentation.edge_px + self.wider_px)


@dataclass(frozen=True)
class OtherPresentation(Change):
    """Another presentation of the image, with another baseline image.

    Attributes:
        other: it.
    """

    other: Presentation

    def presentation(self, _presentation: Presentation) -> Presentation:
        return self.other


class SmallChanges:
    """The small changes of one target: those that a search may see, and those held out.

    Args:
        target: it has to be preserved.
        others: presentations on other baseline images.
        seed: of all draws.

    Attributes:
        held_out: kind -> the change that no search sees, of the kinds that there are.
        known: the Dice that came out for a region (see `number_of`) and a change.
    """

    def __init__(self, target: Target, others: Sequence[Presentation], seed: int) -> None:
        self._seeds = [seed, number_of(target.region)]
        rng = np.random.default_rng(self._seeds)
        kinds: dict[str, list[Change]] = {
            "shift": _shifts(target.region),
            "noise": [Noise(int(number)) for number in rng.integers(2**32, size=_NUM_NOISES)],
            "baseline_image": [OtherPresentation(other) for other in others],
        }
        shuffled: dict[str, list[Change]] = {
            kind: [variants[i] for i in rng.permutation(len(variants)).tolist()]
            for kind, variants in kinds.items()
        }
        shuffled["soft_edge"] = [SoftEdge(px) for px in (_HELD_OUT_EDGE_PX, *_EDGES_PX)]
        self.held_out: dict[str, Change] = {
            kind: variants[0] for kind, variants in shuffled.items() if variants
        }
        self.known: dict[tuple[int, Change], float] = {}
        self._drawn = [variants[1:] for variants in shuffled.values() if variants[1:]]

    def draw(self, region: Tensor, index: int) -> Change:
        """One of the changes that are drawn for a region.

        Args:
            region: (*spatial) bool.
            index: 0 or more: which. Each kind comes once before one comes again.
        """
        rng = np.random.default_rng([*self._seeds, number_of(region)])
        waiting: list[int] = []
        for _ in range(index + 1):
            waiting = waiting or rng.permutation(len(self._drawn)).tolist()
            variants = self._drawn[waiting.pop()]
            number = int(rng.integers(len(variants)))
        return variants[number]


def _shifts(target: Tensor) -> list[Change]:
    """The shifts that leave something of a target (*spatial) bool in the image."""
    shifts = [Shift(-1 - axis, step) for axis in range(target.ndim) for step in (1, -1)]
    return [one for one in shifts if target.shape[one.axis] > 1 and bool(one.region(target).any())]


def number_of(region: Tensor) -> int:
    """A number in [0, 2**32) that depends on nothing but the pixels of a region."""
    return crc32(packed(region))
