"""Objects whose segmentation quality is known: what reliability is learnt from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from misure._util.records import Record
from misure._util.short_repr import ShortRepr
from misure.runs.record import ObjectRecord


class FeatureSettings(Record, frozen=True, kw_only=True):
    """The settings of a run that its features depend on, besides network and images.

    Attributes:
        method: name in `METHODS`.
        method_options: all options of the method, also those left at their defaults.
        dice_threshold: from which an object counts as preserved.
        instances: whether connected objects were explained instead of whole classes.
    """

    method: str
    method_options: dict[str, Any]
    dice_threshold: float
    instances: bool


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Examples(ShortRepr):
    """Objects whose Dice with the annotation is known.

    Attributes:
        records: (n) finished objects of runs.
        dices: (n,) in [0, 1].
        groups: (n,) the image (or patient) of each; objects of one group are never on both sides of
            a fold.
        settings: of the runs; a run to be scored must have the same. None if they are unknown.
    """

    records: Sequence[ObjectRecord]
    dices: np.ndarray
    groups: np.ndarray
    settings: FeatureSettings | None = None

    def __len__(self) -> int:
        return len(self.records)

    @property
    def num_images(self) -> int:
        """Number of different groups."""
        return len(np.unique(self.groups))

    def take(self, indices: np.ndarray) -> "Examples":
        """The examples of these indices."""
        return Examples(
            records=[self.records[i] for i in indices],
            dices=self.dices[indices],
            groups=self.groups[indices],
            settings=self.settings,
        )
