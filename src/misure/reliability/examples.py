"""Objects whose segmentation quality is known: what reliability is learnt from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from misure.runs.record import ObjectRecord


@dataclass(frozen=True)
class Examples:
    """Objects of which it is known how good they are.

    Attributes:
        records: of a run.
        dices: (n,) in [0, 1], with the annotation.
        groups: of which image (or patient) each is; objects of one group are never on both sides of
            a split.
        made: how their runs were made; a run to be scored must be made the same way.
    """

    records: Sequence[ObjectRecord]
    dices: np.ndarray
    groups: np.ndarray
    made: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.records)

    def take(self, numbers: np.ndarray) -> "Examples":
        """Some of them."""
        records = [self.records[i] for i in numbers]
        return Examples(records, self.dices[numbers], self.groups[numbers], self.made)
