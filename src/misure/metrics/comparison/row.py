"""One row of a comparison."""

from dataclasses import asdict, dataclass
from typing import Any

from misure.models.cost import Cost


@dataclass(frozen=True)
class Row:
    """One method on one object.

    Attributes:
        image: key of the sample.
        case: of whom it is (see `case_of`); rows of one case are not independent.
        target: class and area of the object (see `Target.record`); None where there is none.
        method: name of the method.
        metrics: name -> figure; None where it could not be measured or makes no sense.
        cost: of the map; None where there is none.
        error: why there is no map, or no figure of some metric; empty where all went well.
        layer: the layer whose feature map was used, where one was.
        peak_memory_mb: while the map was made.
        metric_passes: pass equivalents spent on measuring.
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

    def record(self) -> dict[str, Any]:
        """As plain values."""
        return {**asdict(self), "cost": self.cost.record() if self.cost else None}
