"""One row of a comparison."""

from dataclasses import asdict, dataclass
from typing import Any

from misure._util.short_repr import ShortRepr
from misure.models.cost import Cost


@dataclass(frozen=True, kw_only=True, repr=False)
class Row(ShortRepr):
    """One method on one object.

    Attributes:
        image: key of the object; if there is one object an image, that of the image.
        case: whose image it is (see `case_of`); rows of one case are not independent.
        target: class and area of the object (see `Target.record`); None if it was not found.
        method: name of the method.
        metrics: name -> value; None if it could not be measured or makes no sense.
        cost: of the map; None without a map.
        error: why there is no map, or which metrics failed and why; empty if nothing failed.
        layer: the layer whose feature map was used; empty if the method uses none.
        peak_memory_mb: while the map was made; None if that was not measured.
        metric_passes: pass equivalents spent on measuring.
        transfer_from: key of the sample whose image `transfer_dice` put into the region; `turned`:
            the image itself by half a turn; empty if it was not measured.
    """

    image: str
    case: str
    target: dict[str, Any] | None
    method: str
    metrics: dict[str, float | None]
    cost: Cost | None = None
    error: str = ""
    layer: str = ""
    peak_memory_mb: float | None = None
    metric_passes: int = 0
    transfer_from: str = ""

    def record(self) -> dict[str, Any]:
        """As plain values."""
        return {**asdict(self), "cost": self.cost.record() if self.cost else None}
