"""One map of one target, and all that a metric may want to know about it.

A metric's parameters are names of attributes of `MeasuredMap`. What takes passes is worked out when
it is first needed, and once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from misure.explanation.probe import Probe
from misure.methods.method import MethodResult
from misure.metrics.content_dice import find_dice_by_content
from misure.metrics.sanity import make_randomised_maps
from misure.metrics.stability import Remake, make_noisy_maps
from misure.metrics.sufficiency import sufficient_top
from misure.models.cost import Cost
from misure.models.model import SegmentationModel


@dataclass(frozen=True, eq=False)
class MeasuredMap:
    """One map of one target.

    Attributes:
        model: the model that is explained, and that regions are shown to.
        probe: the target, how regions are shown, and the threshold.
        result: the map, and what its method says of it.
        remake: makes the map again (see `Remake`).
        relevance: (*spatial) bool, what is known to matter; None where nothing is.
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

    @cached_property
    def target_region(self) -> Tensor:
        """(*spatial) bool on the CPU."""
        return self.probe.target.region.cpu()

    @property
    def cost(self) -> Cost:
        """Of making the map."""
        return self.result.cost

    @property
    def peak_memory_mb(self) -> float | None:
        """While the map was made."""
        return self.result.peak_memory_mb

    @property
    def growth_px(self) -> float | None:
        """Of the sufficient region; None where the method finds none."""
        return self.result.explanation.growth_px if self.result.explanation else None

    @cached_property
    def top(self) -> Tensor:
        """The smallest top part (*spatial) bool of the map that suffices."""
        return sufficient_top(self.model, self.probe, self.saliency_map)

    @cached_property
    def region(self) -> Tensor:
        """The region (*spatial) bool that a method returns; of a method without one, `top`."""
        found = self.result.explanation
        return found.minimally_sufficient_region if found else self.top

    @cached_property
    def dice_by_content(self) -> dict[str, float]:
        """See `find_dice_by_content`."""
        return find_dice_by_content(self.model, self.probe, self.region)

    @cached_property
    def noisy_maps(self) -> Sequence[Tensor]:
        """See `make_noisy_maps`."""
        return make_noisy_maps(self.model, self.image, self.remake, self.result.seed)

    @cached_property
    def reseeded_map(self) -> Tensor:
        """The map (*spatial) with the next seed."""
        return self.remake(self.model, self.image, self.result.seed + 1)

    @cached_property
    def randomised_maps(self) -> Sequence[Tensor] | None:
        """See `make_randomised_maps`."""
        return make_randomised_maps(self.model, self.image, self.remake, self.result.seed)
