"""A metric of your own. Its parameters name what it needs: attributes of `MeasuredMap`."""

from torch import Tensor

from misure.metrics import ENDLESS, metric


@metric(
    group="localisation",
    unit="px",
    range=(0.0, ENDLESS),
    better="lower",
    formula="distance between the centres of R and T",
)
def centre_distance_px(region: Tensor, target_region: Tensor) -> float | None:
    """How far the centre of the region lies from that of the target, in pixels; 0 or more.

    Args:
        region, target_region: (*spatial) bool; an empty region has no centre.
    """
    if not region.any():
        return None
    centres = [each.nonzero().double().mean(0) for each in (region, target_region)]
    return float((centres[0] - centres[1]).norm())
