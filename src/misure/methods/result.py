"""What a method makes: a map, and with it what it cost."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from torch import Tensor

from misure._util.arrays import write_arrays
from misure._util.short_repr import ShortRepr
from misure.explanation.explanation import Explanation
from misure.models.cost import Cost
from misure.models.target import Target


@dataclass(frozen=True, repr=False)
class RawMap(ShortRepr):
    """What a method returns if it has more to report than the map.

    Attributes:
        saliency_map: (*spatial) float.
        layer: dotted name of the layer whose feature map was used.
        explanation: the regions and their evidence, if the method finds regions.
    """

    saliency_map: Tensor
    layer: str = ""
    explanation: Explanation | None = None


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class MethodResult(ShortRepr):
    """A saliency map and what it cost.

    Attributes:
        method: its name.
        target: what is explained.
        saliency_map: (*spatial) float32 on the CPU, larger matters more; only its order means
            something across methods. NaN, of a method that finds regions: no pass told anything.
        cost: forward and backward passes, one for each image shown, and seconds.
        options: the options given.
        seed: of all random numbers.
        layer: dotted name of the layer used, if the method uses one.
        explanation: regions and evidence, if the method finds regions.
        peak_memory_mb: the most memory in use while the map was made (see `PeakMemory`).
    """

    method: str
    target: Target
    saliency_map: Tensor
    cost: Cost
    options: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    layer: str = ""
    explanation: Explanation | None = None
    peak_memory_mb: float | None = None

    def record(self) -> dict[str, Any]:
        """Everything but the map as plain values, named as in `explanation.json`."""
        return {
            "target": self.target.record(),
            "layer": self.layer,
            "settings": self.options,
            "seed": self.seed,
            "cost": self.cost.record(),
        }

    def save(self, file: str | Path | BinaryIO) -> None:
        """Writes `target`, `ignored` (bool) and `saliency_map` (float32) as one `.npz`."""
        tensors = {
            "target": self.target.region,
            "ignored": self.target.unbound().ignored,
            "saliency_map": self.saliency_map,
        }
        write_arrays(file, {name: tensor.numpy() for name, tensor in tensors.items()})
