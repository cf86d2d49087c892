"""One map of one target, and everything that a metric may need to know about it.

The parameters of a metric are names of attributes of `MeasuredMap`. Whatever takes passes is
computed once, when it is first needed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from misure._util.short_repr import ShortRepr
from misure.explanation.probe import Probe
from misure.images.spacing import Sampling
from misure.methods.result import MethodResult
from misure.metrics.content_dice import find_dice_by_content
from misure.metrics.sanity import make_randomised_maps
from misure.metrics.stability import Remake, make_noisy_maps
from misure.metrics.sufficiency import sufficient_top
from misure.models.model import SegmentationModel


@dataclass(frozen=True, eq=False, repr=False)
class MeasuredMap(ShortRepr):
    """One map of one target.

    Attributes:
        model: the model that is explained, and that regions are shown to.
        probe: the target, how regions are shown, and the threshold.
        result: the map, its cost, and the explanation if its method finds regions.
        remake: makes the map again (see `Remake`).
        relevance: (*spatial) bool, the pixels known to matter; None if none are known.
    """

    model: SegmentationModel
    probe: Probe
    result: MethodResult
    remake: Remake
    relevance: Tensor | None = None

    @property
    def image(self) -> Tensor:
        """(C, *spatial) float."""
        return self.probe.presentations[0].image

    @property
    def saliency_map(self) -> Tensor:
        """(*spatial) float32 on the CPU."""
        return self.result.saliency_map

    @property
    def voxel_sides(self) -> Sampling:
        """Sides of a pixel or voxel, in units of the smallest."""
        return self.probe.sampling or (1.0,) * self.probe.target.region.ndim

    @cached_property
    def target_region(self) -> Tensor:
        """(*spatial) bool on the CPU."""
        return self.probe.target.region.cpu()

    @cached_property
    def top(self) -> Tensor:
        """The smallest top part (*spatial) bool of the map that suffices."""
        return sufficient_top(self.model, self.probe, self.saliency_map)

    @cached_property
    def region(self) -> Tensor:
        """The region (*spatial) bool that the method returns; `top` if it returns none."""
        explanation = self.result.explanation
        return explanation.minimally_sufficient_region if explanation else self.top

    @cached_property
    def dice_by_content(self) -> dict[str, float]:
        """Dice with the target for each content control that replaces the region's content."""
        return find_dice_by_content(self.model, self.probe, self.region)

    @cached_property
    def noisy_maps(self) -> Sequence[Tensor]:
        """Maps (*spatial) of the image under small noise (see `make_noisy_maps`)."""
        return make_noisy_maps(self.model, self.image, self.remake, self.result.seed)

    @cached_property
    def reseeded_map(self) -> Tensor:
        """The map (*spatial) with the next seed."""
        return self.remake(self.model, self.image, self.result.seed + 1)

    @cached_property
    def randomised_maps(self) -> Sequence[Tensor] | None:
        """Maps (*spatial) of networks with random parameters; None if it has none."""
        return make_randomised_maps(self.model, self.image, self.remake, self.result.seed)
