"""What a run does with every sample."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from misure._util.seeds import seed_of
from misure.errors import InputError
from misure.methods import METHODS
from misure.models.model import SegmentationModel


@dataclass(frozen=True)
class RunPlan:
    """What to do with every sample.

    Attributes:
        classes: names or numbers of the classes to explain; empty: all but class 0.
        instances: each connected object by itself, instead of each class as a whole.
        min_area: smallest object, as a fraction of the image.
        method: name in `METHODS`.
        method_options: its options.
        dice_threshold: Dice from which a target counts as preserved.
        seed: of the run; each sample has a seed of its own, made of this and its key.
        test_time_augmentation: also record how well each object is drawn again on slightly changed
            images (see `augmented_dices`), for four passes a sample.
    """

    classes: tuple[str, ...] = ()
    instances: bool = False
    min_area: float = 0.001
    method: str = "misure"
    method_options: Mapping[str, Any] = field(default_factory=dict)
    dice_threshold: float = 0.9
    seed: int = 0
    test_time_augmentation: bool = False

    def check(self, model: SegmentationModel) -> None:
        """Raises an InputError where something makes no sense, before any work is done."""
        if self.method not in METHODS:
            raise InputError(
                f"run: expected a method among {', '.join(METHODS)}, got {self.method!r}."
            )
        METHODS[self.method].check(model, self.method_options)
        for name in self.classes:
            model.find_class(name)
        if not 0 <= self.min_area < 1 or not 0 < self.dice_threshold <= 1:
            raise InputError(
                f"run: expected min_area in [0, 1) and dice_threshold in (0, 1], got "
                f"{self.min_area} and {self.dice_threshold}."
            )

    def settings(self) -> dict[str, Any]:
        """As plain values."""
        return {**asdict(self), "classes": list(self.classes)}

    def seed_of(self, key: str) -> int:
        """The seed of a sample, in [0, 2**32)."""
        return seed_of(f"{self.seed}:{key}")
